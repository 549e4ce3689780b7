// SPDX-License-Identifier: Apache-2.0
// Asks one PostgreSQL server what it is, on a connection of its own: primary or replica, of which
// database cluster, on which timeline, how far its log is.
//
// A primary's timeline is that of its newest log file (the control file's is old until the first
// checkpoint after a promotion). A replica's is the newest of what it receives, what it has to
// recover to and its control file; the first needs the role pg_monitor or pg_read_all_stats,
// without which a replica is taken for one of an older timeline, and not read from, for a while
// after a failover. Every call ends at its deadline, also when the server stands still. One thread.
#pragma once

#include "plugins/storage/postgres/cluster/topology.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

struct pg_conn;
struct pg_result;

namespace tenon::postgres {

// Monotonic nanoseconds.
using Clock = std::function<std::int64_t()>;

class HostProbe {
public:
    // `conninfo` is libpq's, for this server alone; it may hold a password and is never shown.
    HostProbe(std::size_t host, std::string conninfo, Clock clock);
    ~HostProbe();
    HostProbe(const HostProbe&) = delete;
    HostProbe& operator=(const HostProbe&) = delete;

    // Connects when it has to. Without an answer within the time: Observation::failure.
    // fresh_as_of_ns is left 0.
    [[nodiscard]] Observation observe(std::int64_t timeout_ns);

private:
    struct Finish {
        void operator()(pg_conn* connection) const noexcept;
    };

    struct Clear {
        void operator()(pg_result* result) const noexcept;
    };

    using Result = std::unique_ptr<pg_result, Clear>;

    void connect(std::int64_t deadline_ns);
    [[nodiscard]] Result ask(const char* sql, std::int64_t deadline_ns);
    void wait_for(bool readable, std::int64_t deadline_ns);
    [[noreturn]] void give_up(const std::string& what);

    std::size_t host_;
    std::string conninfo_;
    Clock clock_;
    std::unique_ptr<pg_conn, Finish> connection_;
};

}  // namespace tenon::postgres
