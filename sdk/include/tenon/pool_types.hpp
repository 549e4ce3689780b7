// SPDX-License-Identifier: Apache-2.0
// What a Pool is told, what it reports, and what it asks of a backend; see pool.hpp.
#pragma once

#include <tenon/circuit_breaker.hpp>
#include <tenon/storage.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>

namespace tenon {

// What a backend found when a connection came back.
enum class Returned : std::uint8_t {
    clean,   // as new
    reset,   // a transaction was open or a setting changed; undone, and proved to be
    broken,  // cannot be used again; says nothing about others
    lost,    // the host ended it, or is not what it was: others are no better
    worn     // as new, and has served its time
};

enum class PoolEvent : std::uint8_t {
    leaked,   // a lease does not come back
    cut_off,  // so many connects failed that callers are refused
    restored  // the host answers again
};

// Times in nanoseconds.
struct PoolOptions {
    std::uint32_t size_min = 0;          // kept open by maintain()
    std::uint32_t size_max = 10;         // at least 1
    std::uint32_t waiting_max = 10'000;  // more callers are refused at once
    std::uint32_t uses_max = 50'000;     // leases of one connection
    std::int64_t connect_timeout_ns = 5'000'000'000;
    std::int64_t connect_fault_ns = 500'000'000;   // no answer for so long is the host's fault
    std::int64_t validate_after_ns = 500'000'000;  // idle for longer: pinged before it is lent
    std::int64_t ping_after_ns = 30'000'000'000;   // idle for longer: pinged by maintain()
    std::int64_t idle_max_ns = 300'000'000'000;    // idle for longer: closed, down to size_min
    std::int64_t lifetime_ns = 1'800'000'000'000;  // ±10 %
    std::int64_t leak_after_ns = 600'000'000'000;  // a lease held for longer is counted
    BreakerOptions breaker;
    std::uint64_t seed = 1;  // of the spread of waits and lifetimes
};

struct PoolStats {
    std::uint32_t limit = 0;  // connections at most
    std::uint32_t open = 0;   // in use, idle, or being asked for a sign of life
    std::uint32_t in_use = 0;
    std::uint32_t idle = 0;
    std::uint32_t waiting = 0;
    CircuitBreaker::State breaker = CircuitBreaker::State::closed;
    std::uint64_t leases = 0;
    std::uint64_t timeouts = 0;  // waits that ended without a connection
    std::uint64_t refusals = 0;  // at once: breaker, too many waiting, closed
    std::uint64_t connects = 0;
    std::uint64_t connect_failures = 0;
    std::uint64_t recycled = 0;  // closed for age, use or idleness
    std::uint64_t evicted = 0;   // closed as broken, lost, or of an earlier epoch
    std::uint64_t resets = 0;
    std::uint64_t leaks = 0;  // held past leak_after_ns, or still out after stop()
    std::int64_t wait_total_ns = 0;
    std::int64_t wait_max_ns = 0;
    std::int64_t hold_total_ns = 0;
    std::int64_t hold_max_ns = 0;

    // 0 .. 1.
    [[nodiscard]] double utilisation() const noexcept {
        return limit == 0 ? 0.0 : static_cast<double>(in_use) / static_cast<double>(limit);
    }

    // Adds one host's figures to those of a storage.
    void add_to(tenon_storage_stats& out) const noexcept {
        const bool up = breaker == CircuitBreaker::State::closed;
        out.limit += limit;
        out.in_use += in_use;
        out.idle += idle;
        out.waiting += waiting;
        out.leases += leases;
        out.lease_timeouts += timeouts;
        out.hosts += 1;
        out.hosts_up += up ? 1 : 0;
        out.breakers_open += up ? 0 : 1;
        out.connects += connects;
        out.connect_failures += connect_failures;
        out.recycled += recycled;
        out.resets += resets;
        out.leaks += leaks;
        out.wait_total_ns += wait_total_ns;
        out.wait_max_ns = std::max(out.wait_max_ns, wait_max_ns);
        out.hold_total_ns += hold_total_ns;
        out.hold_max_ns = std::max(out.hold_max_ns, hold_max_ns);
    }
};

// What Pool<Backend> calls; pool.hpp says what each does.
template <class Backend>
concept PoolBackend = std::move_constructible<Backend> &&
    requires(Backend& backend, typename Backend::Connection& connection, std::int64_t ns) {
    { backend.now_ns() }
    noexcept->std::same_as<std::int64_t>;
    { backend.name() } -> std::convertible_to<std::string>;
    { backend.connect(ns) } -> std::same_as<std::unique_ptr<typename Backend::Connection>>;
    { backend.give_back(connection) }
    noexcept->std::same_as<Returned>;
    { backend.ping(connection, ns) }
    noexcept->std::same_as<bool>;
};

// Who has a lease, kept without an allocation.
class LeaseOwner {
public:
    LeaseOwner() = default;

    LeaseOwner(std::string_view name, const std::source_location& where) noexcept
        : size_{static_cast<std::uint8_t>(std::min(name.size(), name_.size()))}, where_{where} {
        std::memcpy(name_.data(), name.data(), size_);
    }

    // "transact (writer.cpp:120)".
    [[nodiscard]] std::string text() const {
        std::string_view file{where_.file_name()};
        file.remove_prefix(file.find_last_of('/') + 1);
        std::string text{name_.data(), size_};
        text.append(" (").append(file).append(":").append(std::to_string(where_.line()));
        return text.append(")");
    }

private:
    std::array<char, 31> name_{};
    std::uint8_t size_ = 0;
    std::source_location where_;
};

namespace detail {

// One wait on a condition; longer ones are made of several.
inline constexpr std::int64_t k_longest_wait_ns = 86'400'000'000'000;

// A connection of a pool and what the pool knows of it.
template <class Connection>
struct PoolNode {
    std::unique_ptr<Connection> connection;
    std::uint64_t epoch = 0;
    std::uint64_t round = 0;  // of maintenance, the last that saw it
    std::uint32_t uses = 0;
    bool lent = false;
    bool lost = false;
    bool leaked = false;
    std::int64_t retire_ns = 0;  // too old from then on
    std::int64_t ok_ns = 0;      // newest sign of life
    std::int64_t idle_since_ns = 0;
    std::int64_t lent_ns = 0;
    LeaseOwner owner;
};

// A caller in the queue, on its own stack.
template <class Node>
struct PoolWaiter {
    explicit PoolWaiter(const LeaseOwner& who) : owner{who} {}

    const LeaseOwner& owner;
    std::condition_variable wake;
    Node* node = nullptr;
    bool may_open = false;
    bool refused = false;
    std::int64_t retry_ns = INT64_MAX;  // when the first of the queue asks the breaker again

    [[nodiscard]] bool is_served() const noexcept { return node != nullptr || may_open || refused; }
};

// "1.250 s".
[[nodiscard]] inline std::string seconds(std::int64_t ns) {
    const std::int64_t ms = std::max<std::int64_t>(ns, 0) / 1'000'000;
    return std::to_string(ms / 1000) + "." + std::to_string(1000 + ms % 1000).substr(1) + " s";
}

}  // namespace detail

}  // namespace tenon
