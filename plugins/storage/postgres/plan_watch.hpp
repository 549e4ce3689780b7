// SPDX-License-Identifier: Apache-2.0
// Plans of the statements that run, looked up beside the work and never within it.
//
// PostgreSQL plans anew when statistics or the schema change and says nothing. So a thread of its
// own explains each new text soon after its first run and again every k_round_ns, all of them at
// once after a change of the schema. A plan is the one that fits every value: what differs with
// the values alone is no change. A slow statement whose plan is not known yet is logged with it a
// moment later. What cannot be explained (a table of another session, an error) is left alone.
//
// Bounded: `texts_max` texts, k_slow_waiting_max slow calls. Thread-safe.
#pragma once

#include "plugins/storage/postgres/settings.hpp"

#include <tenon/statement_log.hpp>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

namespace tenon::postgres {

class PlanWatch {
public:
    static constexpr std::int64_t k_round_ns = 60 * k_second;
    static constexpr std::size_t k_slow_waiting_max = 64;

    // The plan of a statement as JSON; throws when there is none. Called by the watch's thread.
    using Explain = std::function<std::string(const std::string& sql)>;

    // `chores` is called by the thread about once a second, and after wake().
    PlanWatch(
        const Telemetry& telemetry,
        std::size_t texts_max,
        Explain explain,
        std::function<void()> chores
    );
    ~PlanWatch();
    PlanWatch(const PlanWatch&) = delete;
    PlanWatch& operator=(const PlanWatch&) = delete;

    // Begins the thread.
    void start();
    // A text that ran; `handle` is that of the text.
    void add(const StatementLog::Handle& handle, std::string_view sql);
    // Logs a slow run, without values.
    void note_slow(const StatementLog::Handle& handle, std::string_view sql, std::int64_t spent_ns);
    // All texts are explained again.
    void schema_changed();
    void wake();
    // Ends the thread; what is not explained until then never is.
    void stop() noexcept;

private:
    struct Text {
        StatementLog::Handle handle;
        std::string sql;
        std::string brief;  // of the latest plan
        std::int64_t next_ns = 0;
        bool refused = false;
    };

    struct SlowCall {
        std::uint64_t text = 0;
        std::string sql;  // normalised
        std::int64_t spent_ns = 0;
    };

    static constexpr std::size_t k_texts_a_turn = 16;

    void run() noexcept;
    void turn();
    void explain(std::uint64_t key);
    [[nodiscard]] std::vector<std::uint64_t> due();
    void log_slow(const std::string& sql, std::int64_t spent_ns, const std::string& plan) const;
    void log_waiting();

    const Telemetry& telemetry_;
    const std::size_t texts_max_;
    const Explain explain_;
    const std::function<void()> chores_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    bool woken_ = false;
    std::unordered_map<std::uint64_t, Text> texts_;
    std::deque<SlowCall> slow_;
    std::thread thread_;
};

// The details of a plan's nodes, "; " between. `plan` as the slot `plan` gives it.
[[nodiscard]] std::string brief_of(const std::string& plan);
// Of its hash; 0 when there is none.
[[nodiscard]] std::uint64_t hash_of_plan(const std::string& plan);

}  // namespace tenon::postgres
