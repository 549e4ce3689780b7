// SPDX-License-Identifier: Apache-2.0
// Read-only connections: opened when needed up to a bound, the one used last is lent first, and who
// waits is served in order of arrival.
#pragma once

#include "plugins/storage/sqlite/connection.hpp"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace tenon::sqlite {

struct PoolFigures {
    std::uint32_t in_use = 0;
    std::uint32_t idle = 0;
    std::uint32_t waiting = 0;
    std::uint64_t leases = 0;
    std::uint64_t timeouts = 0;
    std::int64_t wait_total_ns = 0;
    std::int64_t wait_max_ns = 0;
};

// Thread-safe. Everything lent must be back before the destructor.
class ReaderPool {
public:
    ReaderPool(const Settings& settings, const Telemetry& telemetry);

    // Waits until the deadline; throws DatabaseError (TENON_TIMEOUT, or why none can be opened).
    [[nodiscard]] Connection* lease(std::int64_t deadline_ns);
    void release(Connection* connection) noexcept;
    // Connections opened before now are closed when they come back, idle ones at once.
    void invalidate() noexcept;
    // Asks the idle ones for a sign of life and closes what was not used for long.
    void check_idle() noexcept;
    // Refuses new leases, ends running statements and closes the idle ones.
    void close() noexcept;
    [[nodiscard]] PoolFigures figures() const;

private:
    struct Waiter {
        std::condition_variable wake;
        Connection* connection = nullptr;
        bool may_open = false;
        bool refused = false;
    };

    using Owned = std::unique_ptr<Connection>;

    [[nodiscard]] Connection* open_one();
    void pass_on_locked() noexcept;
    Owned take_locked(Connection* connection) noexcept;
    void publish_locked() noexcept;

    const Settings& settings_;
    const Telemetry& telemetry_;
    mutable std::mutex mutex_;
    std::vector<Owned> all_;
    std::vector<Connection*> idle_;  // the back is the newest
    std::deque<Waiter*> waiters_;
    std::uint32_t opening_ = 0;  // permits given to open one more
    std::uint64_t epoch_ = 1;
    bool closed_ = false;
    PoolFigures figures_;
};

}  // namespace tenon::sqlite
