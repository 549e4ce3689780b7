// SPDX-License-Identifier: Apache-2.0
// The services of the plugin, which are there before the start and after the stop, too.
//
// A call may have come through before a stop and go on after it: it holds the database, which
// refuses, until it returns. One that a session or a call was still out of when its stop gave up is
// kept as long as the gate, and one that they never came back to is never deleted.
#pragma once

#include "plugins/storage/postgres/database.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace tenon::postgres {

// Thread-safe but for open() and close(), which one thread calls.
class Gate final : public StorageProvider, public Probe {
public:
    Gate() = default;
    ~Gate();
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    void open(std::shared_ptr<Database> database);
    // Stops what is behind. Gives back how many sessions or calls are still out.
    std::uint32_t close(std::int64_t patience_ns = k_stop_patience_ns) noexcept;

    // Null outside of open() .. close().
    [[nodiscard]] std::shared_ptr<Database> behind() const noexcept { return behind_.load(); }

    [[nodiscard]] std::string_view dialect() const noexcept override { return "postgres"; }

    [[nodiscard]] StorageSession& lease(std::uint32_t intent, std::int64_t deadline_ns) override;
    void release(StorageSession& session) noexcept override;
    void stats(tenon_storage_stats& out) override;
    [[nodiscard]] tenon_status transact(
        std::uint32_t intent,
        std::int64_t deadline_ns,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_err* err
    ) override;
    [[nodiscard]] tenon_status transact_with(
        const tenon_transaction_options& options,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_sink position,
        tenon_err* err
    ) override;
    [[nodiscard]] tenon_status
    run_query(const tenon_query& query, tenon_row_fn row, void* ctx, tenon_err* err) override;
    [[nodiscard]] std::string statements() override;
    [[nodiscard]] tenon_iface clone(bool with_rows, std::int64_t deadline_ns) override;
    void drop_clone(tenon_iface clone) noexcept override;
    void check(bool deep, std::int64_t deadline_ns) override;

private:
    // Throws StorageError: not open.
    [[nodiscard]] std::shared_ptr<Database> database() const;

    std::atomic<std::shared_ptr<Database>> behind_;
    std::mutex mutex_;  // of the next
    std::vector<std::shared_ptr<Database>>
        left_;  // stopping, or stopped with sessions or calls out
};

}  // namespace tenon::postgres
