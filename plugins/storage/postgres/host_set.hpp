// SPDX-License-Identifier: Apache-2.0
// The servers of one database with a pool for each: who asks for a connection says what for, and
// gets one to the primary or to a replica that serves.
//
// With one host there is nothing to choose, nothing is probed and nothing fenced. With more, a
// Monitor watches them (cluster/monitor.hpp) and route() decides (cluster/routing.hpp). A server
// that is replaced as primary is barred before its successor becomes known here: connections to it
// that are lent are shut, so no commit on it can be acknowledged after that; what was under way is
// in doubt, or runs again on the successor.
//
// Thread-safe. Every lease ends before it does.
#pragma once

#include "plugins/storage/postgres/cluster/monitor.hpp"
#include "plugins/storage/postgres/cluster/routing.hpp"
#include "plugins/storage/postgres/host_pool.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace tenon::postgres {

// What a connection is for.
struct Wanted {
    std::uint32_t intent = TENON_INTENT_READ;
    std::int64_t deadline_ns = 0;
    std::string_view owner;
    std::int64_t max_staleness_ns = 0;
    std::optional<LogPosition> after;
};

class HostSet {
public:
    // Connects to nobody yet; with several hosts it begins to probe them. `settings` and
    // `telemetry` outlive it. Throws Error: the settings do not fit, the fence's file is damaged.
    HostSet(const Settings& settings, const Telemetry& telemetry);
    ~HostSet();
    HostSet(const HostSet&) = delete;
    HostSet& operator=(const HostSet&) = delete;

    // [io] Throws StorageError; OTHER_HOST when no server serves, after k_primary_wait_ns at most.
    [[nodiscard]] HostPool::Lease acquire(const Wanted& wanted);
    // [any] To be asked before COMMIT: its server is still the one that takes writes.
    [[nodiscard]] bool may_commit(const Connection& connection) const noexcept;
    // [any] Somebody met a failure that may be a server's: all are probed at once.
    void suspect() noexcept;
    void give_back(Connection& connection) noexcept;
    // [any] No server could be connected to for so long.
    [[nodiscard]] bool is_away_for(std::int64_t ns) const noexcept;

    [[nodiscard]] const std::vector<std::unique_ptr<HostPool>>& pools() const noexcept {
        return pools_;
    }

    // Null when there is one host.
    [[nodiscard]] Monitor::View view() const;
    // Of the hosts as they are configured.
    [[nodiscard]] std::size_t primary_or_first() const;
    // Ends probing, and the pools; waits for leases that long.
    // Gives back how many sessions are still out.
    std::uint32_t stop(std::int64_t patience_ns) noexcept;
    // Brings the metrics up to date.
    void publish() noexcept;

private:
    struct Cells {
        std::int64_t* up = nullptr;
        std::int64_t* lag = nullptr;
    };

    void make_cells();
    void take_change(const TopologyView& before, const TopologyView& after) noexcept;
    void log_change(std::size_t host, const HostView& before, const HostView& after);
    void refuse_when_stopping();
    [[nodiscard]] std::optional<HostPool::Lease>
    try_candidates(const Wanted& wanted, const Route& route, std::string& why);
    [[nodiscard]] std::optional<HostPool::Lease>
    try_one(const Wanted& wanted, const Candidate& candidate, std::int64_t deadline_ns);
    [[nodiscard]] bool has_replayed(Connection& connection, const Wanted& wanted, std::int64_t ns);
    [[nodiscard]] bool pause(std::int64_t ns);
    [[nodiscard]] std::size_t index_of(const Connection& connection) const noexcept;

    const Settings& settings_;
    const Telemetry& telemetry_;
    std::vector<std::unique_ptr<HostPool>> pools_;
    std::unique_ptr<std::atomic<bool>[]> barred_;  // takes no writes, by server
    std::atomic<std::uint64_t> random_{0};
    std::vector<Cells> cells_;
    std::uint64_t* failovers_ = nullptr;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::unique_ptr<Monitor> monitor_;  // ends first: it calls back
};

}  // namespace tenon::postgres
