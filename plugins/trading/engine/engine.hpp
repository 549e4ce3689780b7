// SPDX-License-Identifier: Apache-2.0
// The engine: gives commands their sequence and time, journals and applies them, answers when the
// batch is on disk, and feeds subscribers, history and projection.
//
// It owns the core and the journal and is the only one to touch them. Everything but what is tagged
// [any] or [control] runs on reactor 0. In a turn commands are applied in memory and gathered; at
// TENON_TURN_COMMIT the batch is written and synced, then the answers leave. Two batches alternate,
// so that commands sent from within an answer do not move rows that are being read.
//
// After a failed write the engine takes nothing more and answers no query: its memory is ahead of
// the disk, and only a restart shows what the disk has.
#pragma once

#include "plugins/trading/engine/core/core.hpp"
#include "plugins/trading/engine/history.hpp"
#include "plugins/trading/engine/instrumentation.hpp"
#include "plugins/trading/engine/jobs.hpp"
#include "plugins/trading/engine/mirror.hpp"
#include "plugins/trading/engine/projection.hpp"
#include "plugins/trading/engine/recovery.hpp"
#include "plugins/trading/engine/settings.hpp"
#include "plugins/trading/engine/spool.hpp"
#include "sdk/journal/disk.hpp"
#include "sdk/journal/journal_writer.hpp"
#include "sdk/journal/snapshot_format.hpp"

#include <tenon/plugin.hpp>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tenon::engine {

// What a degraded engine still takes.
enum class Admission {
    order,   // needs room on the disk: orders, deposits, accounts, keys
    relief,  // passes while the disk is low: cancels, revocations, venue reports, halts
};

class Engine {
public:
    Engine(const Host& host, Settings settings, std::unique_ptr<journal::Disk> disk);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // [control] Recovers and opens for commands. Throws Error.
    void start();
    // [control] Takes over what may change while it runs: the reserve and the pace of snapshots.
    void take(const Settings& settings);
    // [control] Refuses new commands and answers those in flight.
    void drain();
    // [control] Ends everything and leaves a snapshot.
    void stop() noexcept;

    // [reactor 0] Journals and applies a command; `done` (fn may be NULL) fires when it is durable.
    // Texts of the body are borrowed during the call. TENON_PENDING, or a failure.
    tenon_status
    run(const trading::CommandBody& body, Admission admission, tenon_trading_done done, tenon_err*);
    // [reactor 0] The same for an order, whose venue is asked for evidence first.
    tenon_status submit(const tenon_order_request& order, tenon_trading_done done, tenon_err* err);
    // [reactor 0] The same for the orders of a list.
    tenon_status
    submit(const trading::SubmitListCommand& list, tenon_trading_done done, tenon_err* err);

    // [reactor 0] TENON_OK, or why queries are not answered.
    tenon_status readable(tenon_err* err) const;
    // [reactor 0] Runs `task` after the next commit: for readers on other threads, who must not see
    // what is not durable.
    void after_commit(std::function<void()> task);

    // [reactor 0], while started.
    [[nodiscard]] const trading::Core& core() const noexcept { return *core_; }

    [[nodiscard]] const History& history() const noexcept { return *history_; }

    // [any] while started; nullptr without storage.
    [[nodiscard]] Projection* projection() noexcept { return projection_.get(); }

    // [any]
    [[nodiscard]] const Mirror& mirror() const noexcept { return mirror_; }

    [[nodiscard]] Jobs& jobs() noexcept { return jobs_; }

    [[nodiscard]] Service<tenon_exec_1> exec() const noexcept { return exec_; }

    [[nodiscard]] Service<tenon_instruments_1> instruments() const noexcept { return instruments_; }

    // [any] while started; empty without storage.
    [[nodiscard]] Service<tenon_storage_1> storage() const noexcept { return storage_; }

    // [reactor 0]
    std::uint64_t subscribe(
        void* ctx,
        void (*fn)(void* ctx, const tenon_execution_event* events, std::uint32_t count)
    );
    void unsubscribe(std::uint64_t handle) noexcept;

    [[nodiscard]] const std::string& journal_folder() const noexcept { return journal_folder_; }

    [[nodiscard]] journal::Disk& disk() noexcept { return *disk_; }

private:
    struct Waiting {
        tenon_trading_done done;
        std::size_t result;
    };

    // Commands between two commits, and what they gave.
    struct Batch {
        trading::Output output;
        std::vector<Waiting> waiting;
        std::vector<std::function<void()>> tasks;

        [[nodiscard]] bool empty() const noexcept {
            return output.results().empty() && tasks.empty();
        }
    };

    struct Subscriber {
        std::uint64_t handle;
        void* ctx;
        void (*fn)(void* ctx, const tenon_execution_event* events, std::uint32_t count);
    };

    // The engine's side of one venue.
    struct VenueInput {
        Engine* engine;
        std::string name;
    };

    // start and stop, engine_lifecycle.cpp
    void attach_venues();
    void detach_venues() noexcept;
    void open_projection();
    void recover_state();
    void recovery_base(const trading::Core& core, std::uint64_t sequence);
    void recovered_result(const trading::Output& output, const trading::Result& result);
    void open_journal(const Recovered& recovered);
    void go_live();
    void fund_demo_account();
    void append_fingerprint(std::uint64_t last);
    void final_snapshot() noexcept;
    void close() noexcept;
    static tenon_status venue_command(void* self, tenon_bytes evidence);
    static const tenon_venue_input_1 k_venue_input;

    // the turn, engine.cpp
    void turn_end() noexcept;
    bool commit_batch();
    void poison(const std::string& reason);
    void deliver(Batch& batch);
    void gather_events(const Batch& batch);
    void publish();
    void project(std::span<const tenon_execution_event> events);
    void advance_projection();
    [[nodiscard]] std::string refusal(Admission admission) const;
    tenon_status
    gather_evidence(const tenon_order_request& order, std::string& evidence, tenon_err* err);
    void remember(const trading::Output& output, const trading::Result& result);

    // the background, engine_upkeep.cpp
    void tick();
    void watch_disk();
    [[nodiscard]] bool database_is_ahead() const;
    void watch_projection();
    void update_gauges();
    void arm_timer();
    // Sends an expire command when an order's time is over.
    // True: it ran a command for that.
    bool expire_orders(std::int64_t now_real_ns);
    void prepare_segment();
    void pump_spool();
    void maybe_snapshot();
    void snapshot_job(const journal::SnapshotInfo& info, const std::string& payload);
    void housekeeping();
    void publish_status();

    Host host_;
    Log log_;
    Settings settings_;  // part of it changes on the reactor: take()
    std::unique_ptr<journal::Disk> disk_;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    Service<tenon_metrics_1> metrics_;
    Service<tenon_instruments_1> instruments_;
    Service<tenon_storage_1> storage_;
    Instrumentation instrumentation_;
    std::string data_folder_, journal_folder_, snapshot_folder_;

    Mirror mirror_;
    Jobs jobs_;
    std::vector<std::unique_ptr<VenueInput>> venue_inputs_;
    std::vector<trading::VenueBinding> venues_;
    std::optional<std::uint64_t> projected_at_start_;
    std::unique_ptr<Projection> projection_;
    std::unique_ptr<Spool> spool_;
    std::unique_ptr<trading::Core> core_;
    std::unique_ptr<History> history_;
    std::unique_ptr<journal::JournalWriter> writer_;

    std::array<Batch, 2> batches_;
    std::size_t current_ = 0;
    std::vector<tenon_execution_event> events_;
    std::vector<Subscriber> subscribers_;
    std::uint64_t next_handle_ = 1;
    std::string encoded_;
    std::array<std::string, TENON_LIST_ORDERS_MAX> evidence_;
    bool applying_ = false, delivering_ = false;

    bool open_ = false;   // commands are taken
    std::string failed_;  // the journal's or the core's failure; never empty again
    bool disk_low_ = false;
    std::uint64_t free_bytes_ = 0;
    bool prepare_due_ = true;
    bool spool_broken_ = false;
    std::uint64_t snapshot_sequence_ = 0;  // of the last snapshot
    std::uint64_t snapshot_written_ = 0;   // bytes of the journal at that time
    std::uint64_t turn_hook_ = 0, timer_ = 0;
    std::atomic<bool> snapshot_running_{false};
};

}  // namespace tenon::engine
