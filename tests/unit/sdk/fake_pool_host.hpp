// SPDX-License-Identifier: Apache-2.0
// A host that exists in memory, for tests of the pool: it can refuse, hang, and forget connections.
#pragma once

#include <tenon/pool.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace tenon::test {

inline constexpr std::int64_t k_ms = 1'000'000;
inline constexpr std::int64_t k_second = 1000 * k_ms;

struct FakePoolHost {
    std::atomic<std::int64_t> clock_ns{1000 * k_second};
    std::atomic<std::int64_t> clock_step_ns{0};  // by each look at the clock
    std::atomic<int> open{0};
    std::atomic<int> open_max{0};
    std::atomic<int> pings{0};
    std::atomic<std::int64_t> ping_deadline_ns{0};  // of the last ping
    std::atomic<bool> hangs{false};                 // a ping takes all the time that it has
    std::atomic<int> cancels{0};
    std::atomic<std::uint64_t> generation{1};  // connections of an earlier one are dead
    std::function<void(std::int64_t deadline_ns)> on_connect = [](std::int64_t) {};

    std::mutex mutex;
    std::vector<std::pair<PoolEvent, std::string>> events;

    void restart() { ++generation; }
};

struct FakePoolConnection {
    FakePoolConnection(FakePoolHost& h, int n) : host{h}, number{n}, generation{h.generation} {
        const int now = ++host.open;
        int most = host.open_max;
        while (most < now && !host.open_max.compare_exchange_weak(most, now)) {}
    }

    ~FakePoolConnection() { --host.open; }

    FakePoolConnection(const FakePoolConnection&) = delete;
    FakePoolConnection& operator=(const FakePoolConnection&) = delete;

    FakePoolHost& host;
    int number;
    std::uint64_t generation;
    bool in_transaction = false;
    bool rollback_fails = false;
    bool is_worn = false;
    std::atomic<bool> used{false};
};

class FakePoolBackend {
public:
    using Connection = FakePoolConnection;

    explicit FakePoolBackend(FakePoolHost& host) : host_{&host} {}

    [[nodiscard]] std::int64_t now_ns() const noexcept {
        return host_->clock_ns.fetch_add(host_->clock_step_ns);
    }

    [[nodiscard]] std::string name() const { return "fake:1"; }

    [[nodiscard]] std::unique_ptr<Connection> connect(std::int64_t deadline_ns) {
        host_->on_connect(deadline_ns);
        return std::make_unique<Connection>(*host_, ++numbers_->last);
    }

    [[nodiscard]] Returned give_back(Connection& connection) noexcept {
        if (connection.generation != host_->generation) {
            return Returned::lost;
        }
        if (!connection.in_transaction) {
            return connection.is_worn ? Returned::worn : Returned::clean;
        }
        if (connection.rollback_fails) {
            return Returned::broken;
        }
        connection.in_transaction = false;
        return Returned::reset;
    }

    [[nodiscard]] bool ping(Connection& connection, std::int64_t deadline_ns) noexcept {
        ++host_->pings;
        host_->ping_deadline_ns = deadline_ns;
        if (host_->hangs) {
            host_->clock_ns = deadline_ns;
            return false;
        }
        return connection.generation == host_->generation;
    }

    void cancel(Connection&) noexcept { ++host_->cancels; }

    void on_event(PoolEvent event, const std::string& text) noexcept {
        const std::lock_guard lock{host_->mutex};
        host_->events.emplace_back(event, text);
    }

private:
    struct Numbers {
        std::atomic<int> last{0};
    };

    FakePoolHost* host_;
    std::shared_ptr<Numbers> numbers_ = std::make_shared<Numbers>();
};

using FakePool = Pool<FakePoolBackend>;

}  // namespace tenon::test
