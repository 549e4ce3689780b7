// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/reader_pool.hpp"

#include <algorithm>
#include <chrono>

namespace tenon::sqlite {
namespace {

constexpr std::int64_t k_close_after_ns = 300'000 * k_ms;

DatabaseError closed_error() {
    return DatabaseError{TENON_UNAVAILABLE, "the database is stopping", false};
}

}  // namespace

ReaderPool::ReaderPool(const Settings& settings, const Telemetry& telemetry)
    : settings_{settings}, telemetry_{telemetry} {}

void ReaderPool::publish_locked() noexcept {
    figures_.idle = static_cast<std::uint32_t>(idle_.size());
    figures_.in_use = static_cast<std::uint32_t>(all_.size() - idle_.size());
    figures_.waiting = static_cast<std::uint32_t>(waiters_.size());
    Telemetry::set(telemetry_.active_connections, figures_.in_use);
    Telemetry::set(telemetry_.waiting, figures_.waiting);
}

Connection* ReaderPool::lease(std::int64_t deadline_ns) {
    const std::int64_t began = telemetry_.now_ns();
    std::unique_lock lock{mutex_};
    if (closed_) {
        throw closed_error();
    }
    ++figures_.leases;
    if (waiters_.empty() && !idle_.empty()) {
        Connection* connection = idle_.back();
        idle_.pop_back();
        publish_locked();
        return connection;
    }
    if (waiters_.empty() && all_.size() + opening_ < settings_.pool_size) {
        ++opening_;
        lock.unlock();
        return open_one();
    }
    Waiter waiter;
    waiters_.push_back(&waiter);
    publish_locked();
    const auto served = [&] {
        return waiter.connection != nullptr || waiter.may_open || waiter.refused;
    };
    if (deadline_ns == INT64_MAX) {
        waiter.wake.wait(lock, served);
    } else {
        const std::chrono::nanoseconds left{std::max<std::int64_t>(deadline_ns - began, 0)};
        waiter.wake.wait_for(lock, left, served);
    }
    const std::int64_t waited = telemetry_.now_ns() - began;
    figures_.wait_total_ns += waited;
    figures_.wait_max_ns = std::max(figures_.wait_max_ns, waited);
    if (!served()) {
        std::erase(waiters_, &waiter);
        ++figures_.timeouts;
        publish_locked();
        throw DatabaseError{
            TENON_TIMEOUT,
            "all " + std::to_string(settings_.pool_size) + " read connections are in use",
            true};
    }
    if (waiter.refused) {
        throw closed_error();
    }
    if (waiter.connection != nullptr) {
        return waiter.connection;
    }
    lock.unlock();
    return open_one();
}

Connection* ReaderPool::open_one() {
    std::uint64_t epoch = 0;
    {
        const std::lock_guard lock{mutex_};
        epoch = epoch_;
    }
    Owned opened;
    try {
        opened = std::make_unique<Connection>(settings_, telemetry_, Role::reader);
    } catch (...) {
        const std::lock_guard lock{mutex_};
        --opening_;
        pass_on_locked();
        throw;
    }
    opened->epoch = epoch;
    const std::lock_guard lock{mutex_};
    --opening_;
    all_.push_back(std::move(opened));
    publish_locked();
    return all_.back().get();
}

// Somebody may go on: the first who waits gets the newest idle one, or the right to open one.
void ReaderPool::pass_on_locked() noexcept {
    while (!waiters_.empty()) {
        Waiter& first = *waiters_.front();
        if (!idle_.empty()) {
            first.connection = idle_.back();
            idle_.pop_back();
        } else if (all_.size() + opening_ < settings_.pool_size) {
            ++opening_;
            first.may_open = true;
        } else {
            break;
        }
        waiters_.pop_front();
        first.wake.notify_one();
    }
    publish_locked();
}

ReaderPool::Owned ReaderPool::take_locked(Connection* connection) noexcept {
    std::erase(idle_, connection);
    const auto at = std::find_if(all_.begin(), all_.end(), [&](const Owned& owned) {
        return owned.get() == connection;
    });
    Owned taken;
    if (at != all_.end()) {
        taken = std::move(*at);
        all_.erase(at);
    }
    return taken;
}

void ReaderPool::release(Connection* connection) noexcept {
    const bool usable = connection->make_idle();
    connection->idle_since_ns = telemetry_.now_ns();
    Owned dropped;  // closed outside the lock
    const std::lock_guard lock{mutex_};
    if (usable && !closed_ && connection->epoch == epoch_) {
        idle_.push_back(connection);
    } else {
        dropped = take_locked(connection);
    }
    pass_on_locked();
}

void ReaderPool::invalidate() noexcept {
    std::vector<Owned> dropped;
    const std::lock_guard lock{mutex_};
    ++epoch_;
    while (!idle_.empty()) {
        dropped.push_back(take_locked(idle_.back()));
    }
    pass_on_locked();
}

void ReaderPool::check_idle() noexcept {
    std::size_t left = 0;
    {
        const std::lock_guard lock{mutex_};
        left = idle_.size();
    }
    for (; left > 0; --left) {
        // The oldest first; it is out of the pool while it is asked.
        Connection* connection = nullptr;
        std::size_t open = 0;
        {
            const std::lock_guard lock{mutex_};
            if (idle_.empty()) {
                return;
            }
            connection = idle_.front();
            idle_.erase(idle_.begin());
            open = all_.size();
            publish_locked();
        }
        const bool unused = telemetry_.now_ns() - connection->idle_since_ns > k_close_after_ns;
        const bool keep = connection->is_alive() && !(unused && open > 1);
        Owned dropped;
        const std::lock_guard lock{mutex_};
        if (keep && !closed_ && connection->epoch == epoch_) {
            idle_.push_back(connection);
        } else {
            dropped = take_locked(connection);
        }
        pass_on_locked();
    }
}

void ReaderPool::close() noexcept {
    std::vector<Owned> dropped;
    const std::lock_guard lock{mutex_};
    closed_ = true;
    for (Waiter* waiter : waiters_) {
        waiter->refused = true;
        waiter->wake.notify_one();
    }
    waiters_.clear();
    while (!idle_.empty()) {
        dropped.push_back(take_locked(idle_.back()));
    }
    for (const Owned& lent : all_) {
        lent->cancel();
    }
    publish_locked();
}

PoolFigures ReaderPool::figures() const {
    const std::lock_guard lock{mutex_};
    PoolFigures figures = figures_;
    figures.idle = static_cast<std::uint32_t>(idle_.size());
    figures.in_use = static_cast<std::uint32_t>(all_.size() - idle_.size());
    figures.waiting = static_cast<std::uint32_t>(waiters_.size());
    return figures;
}

}  // namespace tenon::sqlite
