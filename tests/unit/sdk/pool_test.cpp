// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/sdk/fake_pool_host.hpp"

#include <catch2/catch.hpp>

#include <optional>
#include <thread>

using Catch::Matchers::Contains;
using tenon::CircuitBreaker;
using tenon::Failure;
using tenon::PoolEvent;
using tenon::PoolOptions;
using tenon::StorageError;
using tenon::test::FakePool;
using tenon::test::FakePoolBackend;
using tenon::test::FakePoolHost;
using tenon::test::k_ms;
using tenon::test::k_second;

namespace {

PoolOptions of_size(std::uint32_t size) {
    PoolOptions options;
    options.size_max = size;
    return options;
}

struct Fixture {
    explicit Fixture(PoolOptions options = of_size(4)) : pool{FakePoolBackend{host}, options} {}

    [[nodiscard]] FakePool::Lease lease(std::int64_t in_ns = 3600 * k_second) {
        return pool.lease(host.clock_ns + in_ns, "test");
    }

    // The number of the connection that is lent.
    int lent() { return lease()->number; }

    void pass(std::int64_t ns) { host.clock_ns += ns; }

    [[nodiscard]] std::optional<StorageError> refused(std::int64_t in_ns = 1) {
        try {
            (void)lease(in_ns);
        } catch (const StorageError& e) {
            return e;
        }
        return std::nullopt;
    }

    void until_waiting(std::uint32_t count) const {
        while (pool.stats().waiting != count) {
            std::this_thread::yield();
        }
    }

    void refuse_connects() {
        host.on_connect = [](std::int64_t) {
            throw StorageError{TENON_UNAVAILABLE, "connection refused", Failure::other_host};
        };
    }

    void accept_connects() {
        host.on_connect = [](std::int64_t) {};
    }

    FakePoolHost host;
    FakePool pool;
};

}  // namespace

TEST_CASE("the connection that came back last is lent first", "[pool][S3]") {
    Fixture f;
    {
        const auto a = f.lease();
        const auto b = f.lease();
        CHECK(a->number == 1);
        CHECK(b->number == 2);
        CHECK(f.pool.stats().in_use == 2);
        CHECK(f.pool.stats().utilisation() == 0.5);
    }  // b goes first, then a
    CHECK(f.lent() == 1);
    const auto a = f.lease();
    CHECK(a->number == 1);
    CHECK(f.lent() == 2);
    CHECK(f.pool.stats().idle == 1);
    CHECK(f.pool.stats().connects == 2);
    CHECK(f.pool.stats().leases == 5);
}

TEST_CASE("who waits is served in order of arrival, by the one who returns", "[pool][S3]") {
    Fixture f{of_size(1)};
    std::optional<FakePool::Lease> held{f.lease()};
    std::mutex mutex;
    std::vector<int> order;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&, i] {
            const auto mine = f.lease();
            const std::lock_guard lock{mutex};
            order.push_back(i);
        });
        f.until_waiting(static_cast<std::uint32_t>(i) + 1);
    }
    f.pass(5);
    held.reset();
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7});
    const auto stats = f.pool.stats();
    CHECK(stats.connects == 1);
    CHECK(stats.wait_total_ns == 8 * 5);
    CHECK(stats.wait_max_ns == 5);
    CHECK(stats.hold_max_ns == 5);
}

TEST_CASE("an exhausted pool says at the deadline what is in use and by whom", "[pool][S3]") {
    Fixture f{of_size(2)};
    const auto a = f.lease();
    f.pass(1500 * k_ms);
    const auto b = f.lease();
    std::thread other{[&] { (void)f.refused(3600 * k_second); }};
    f.until_waiting(1);
    const auto error = f.refused();
    REQUIRE(error);
    CHECK(error->code() == TENON_TIMEOUT);
    CHECK(error->failure() == Failure::timeout);
    CHECK_THAT(
        error->what(),
        Contains("fake:1") && Contains("2 of 2 in use, 1 waiting") &&
            Contains("longest for 1.500 s by test (pool_test.cpp:")
    );
    CHECK(f.pool.stats().timeouts == 1);
    f.pool.close();
    other.join();
}

TEST_CASE("more callers than may wait are refused at once", "[pool][S3]") {
    auto options = of_size(1);
    options.waiting_max = 1;
    Fixture f{options};
    std::optional<FakePool::Lease> held{f.lease()};
    std::thread waits{[&] { (void)f.lent(); }};
    f.until_waiting(1);
    const auto error = f.refused(3600 * k_second);
    REQUIRE(error);
    CHECK(error->code() == TENON_UNAVAILABLE);
    CHECK(error->retryable());
    CHECK_THAT(error->what(), Contains("too many wait") && Contains("1 of 1 in use, 1 waiting"));
    held.reset();
    waits.join();
    CHECK(f.pool.stats().refusals == 1);
}

TEST_CASE("a lost connection takes along what was opened before it was lost", "[pool][S3]") {
    Fixture f;
    std::optional<FakePool::Lease> out{f.lease()};
    {
        const auto b = f.lease();
        auto c = f.lease();
        c.lost();
    }  // c first: the epoch moves on, b goes with it
    CHECK(f.pool.stats().evicted == 2);
    CHECK(f.host.open == 1);
    auto fresh = f.lease();
    CHECK(fresh->number == 4);
    out.reset();  // of the earlier epoch
    CHECK(f.host.open == 1);
    CHECK(f.pool.stats().evicted == 3);
}

TEST_CASE("a host that restarted is found out on return, and once", "[pool][S3]") {
    Fixture f;
    {
        const auto a = f.lease();
        const auto b = f.lease();
        f.host.restart();
    }
    CHECK(f.host.open == 0);
    CHECK(f.lent() == 3);
    CHECK(f.lent() == 3);  // the second loss of the old epoch did not touch the new one
    CHECK(f.pool.stats().evicted == 2);
}

TEST_CASE("idle connections of an earlier epoch go when they are next touched", "[pool][S3]") {
    Fixture f;
    {
        const auto a = f.lease();
        const auto b = f.lease();
        auto c = f.lease();
        { const auto d = f.lease(); }
        c.lost();
    }
    // d was idle when the epoch moved; a and b came back later.
    CHECK(f.host.open == 1);
    CHECK(f.lent() == 5);
    CHECK(f.host.open == 1);
}

TEST_CASE("invalidating closes idle connections at once and others on return", "[pool][S3]") {
    Fixture f;
    {
        const auto a = f.lease();
        { const auto b = f.lease(); }
        f.pool.invalidate();
        CHECK(f.host.open == 1);
    }
    CHECK(f.host.open == 0);
    CHECK(f.lent() == 3);
}

TEST_CASE("a connection is asked for a sign of life only when idle for long", "[pool][S3]") {
    Fixture f;
    CHECK(f.lent() == 1);
    f.pass(500 * k_ms);
    CHECK(f.lent() == 1);
    CHECK(f.host.pings == 0);
    f.pass(501 * k_ms);
    CHECK(f.lent() == 1);
    CHECK(f.host.pings == 1);
    f.pass(501 * k_ms);
    f.host.restart();
    CHECK(f.lent() == 2);  // the dead one is not seen by the caller
    CHECK(f.host.pings == 2);
    CHECK(f.host.open == 1);
}

TEST_CASE("a sign of life is not waited for past the caller's deadline", "[pool][S3]") {
    Fixture f;
    {
        const auto a = f.lease();
        const auto b = f.lease();
    }
    f.pass(501 * k_ms);
    f.host.hangs = true;
    const std::int64_t deadline_ns = f.host.clock_ns + 20 * k_ms;
    CHECK(f.refused(20 * k_ms).value().code() == TENON_TIMEOUT);
    CHECK(f.host.ping_deadline_ns == deadline_ns);
    CHECK(f.host.open == 1);  // 20 ms of silence condemn one connection and not the host
    CHECK(f.pool.stats().timeouts == 1);
}

TEST_CASE("a host that is silent for long takes its connections along", "[pool][S3]") {
    auto options = of_size(4);
    options.connect_timeout_ns = 3 * k_second;
    Fixture f{options};
    {
        const auto a = f.lease();
        const auto b = f.lease();
    }
    f.pass(501 * k_ms);
    f.host.hangs = true;
    const std::int64_t began_ns = f.host.clock_ns;
    CHECK(f.lent() == 3);
    CHECK(f.host.ping_deadline_ns == began_ns + 3 * k_second);
    CHECK(f.host.open == 1);
    f.pass(31 * k_second);
    f.pool.maintain();
    CHECK(f.host.open == 0);
}

TEST_CASE("a connection that its backend calls worn is counted as recycled", "[pool][S3]") {
    Fixture f;
    f.lease()->is_worn = true;
    CHECK(f.pool.stats().recycled == 1);
    CHECK(f.pool.stats().evicted == 0);
}

TEST_CASE("a connection is replaced when it is old or worn", "[pool][S3]") {
    auto options = of_size(1);
    options.uses_max = 3;
    Fixture f{options};
    CHECK(f.lent() == 1);
    CHECK(f.lent() == 1);
    CHECK(f.lent() == 1);
    CHECK(f.lent() == 2);
    CHECK(f.pool.stats().recycled == 1);
    f.pass(options.lifetime_ns * 9 / 10 - 1);
    CHECK(f.lent() == 2);
    f.pass(options.lifetime_ns * 2 / 10 + 1);
    CHECK(f.lent() == 3);
    CHECK(f.pool.stats().recycled == 2);
    CHECK(f.host.open == 1);
}

TEST_CASE("maintenance pings, closes the unused and keeps the smallest size", "[pool][S3]") {
    auto options = of_size(4);
    options.size_min = 2;
    Fixture f{options};
    f.pool.maintain();
    CHECK(f.host.open == 2);
    CHECK(f.pool.stats().idle == 2);
    {
        const auto a = f.lease();
        const auto b = f.lease();
        const auto c = f.lease();
    }
    CHECK(f.host.open == 3);
    f.pass(29 * k_second);
    f.pool.maintain();
    CHECK(f.host.pings == 0);
    f.pass(1 * k_second);
    f.pool.maintain();
    CHECK(f.host.pings == 3);
    f.pass(1 * k_second);
    f.pool.maintain();
    CHECK(f.host.pings == 3);
    f.pass(270 * k_second);  // idle for 301 s
    f.pool.maintain();
    CHECK(f.host.open == 2);
    CHECK(f.pool.stats().recycled == 1);
    f.host.restart();
    f.pass(31 * k_second);
    f.pool.maintain();  // finds both dead, opens two anew
    CHECK(f.host.open == 2);
    CHECK(f.pool.stats().evicted == 2);
    CHECK(f.pool.stats().idle == 2);
}

TEST_CASE("a ping in maintenance keeps the order of the idle ones", "[pool][S3]") {
    Fixture f{of_size(3)};
    {
        const auto a = f.lease();
        const auto b = f.lease();
        const auto c = f.lease();
    }  // 3 came back first, 1 last
    f.pass(31 * k_second);
    f.pool.maintain();
    CHECK(f.host.pings == 3);
    const auto a = f.lease();
    const auto b = f.lease();
    const auto c = f.lease();
    CHECK(a->number == 1);
    CHECK(b->number == 2);
    CHECK(c->number == 3);
}

TEST_CASE("what a caller left open is undone, or the connection goes", "[pool][S3]") {
    Fixture f;
    f.lease()->in_transaction = true;
    {
        const auto again = f.lease();
        CHECK(again->number == 1);
        CHECK_FALSE(again->in_transaction);
        again->in_transaction = true;
        again->rollback_fails = true;
    }
    CHECK(f.host.open == 0);
    CHECK(f.lent() == 2);
    const auto stats = f.pool.stats();
    CHECK(stats.resets == 1);
    CHECK(stats.evicted == 1);
}

TEST_CASE("a lease that is not returned is counted and named, once", "[pool][S3]") {
    Fixture f;
    std::optional<FakePool::Lease> held{f.lease()};
    f.pass(600 * k_second);
    f.pool.maintain();
    CHECK(f.pool.stats().leaks == 0);
    f.pass(1 * k_second);
    f.pool.maintain();
    f.pool.maintain();
    CHECK(f.pool.stats().leaks == 1);
    REQUIRE(f.host.events.size() == 1);
    CHECK(f.host.events[0].first == PoolEvent::leaked);
    CHECK_THAT(f.host.events[0].second, Contains("held for 601.000 s by test (pool_test.cpp:"));
    held.reset();
    CHECK(f.pool.stats().in_use == 0);
    CHECK(f.lent() == 1);
}

TEST_CASE("a detached lease is found again by its connection", "[pool][S3]") {
    Fixture f;
    auto& connection = f.lease().detach();
    CHECK(f.pool.stats().in_use == 1);
    {
        const auto again = f.pool.adopt(connection);
        REQUIRE(again);
        CHECK(&*again == &connection);
    }
    CHECK(f.pool.stats().in_use == 0);
    CHECK(f.pool.stats().idle == 1);
    CHECK_FALSE(f.pool.adopt(connection));  // it is not lent any more
}

TEST_CASE("connects are retried with growing waits until the deadline", "[pool][S3]") {
    Fixture f;
    f.host.clock_step_ns = k_ms;
    int tries = 0;
    std::vector<std::int64_t> at;
    f.host.on_connect = [&](std::int64_t) {
        at.push_back(f.host.clock_ns);
        if (++tries < 3) {
            throw StorageError{TENON_UNAVAILABLE, "connection refused", Failure::other_host};
        }
    };
    CHECK(f.lent() == 1);
    const auto stats = f.pool.stats();
    CHECK(stats.connect_failures == 2);
    CHECK(stats.connects == 1);
    CHECK(stats.breaker == CircuitBreaker::State::closed);
    REQUIRE(at.size() == 3);
    CHECK(at[1] - at[0] >= 50 * k_ms);
    CHECK(at[2] - at[1] >= 75 * k_ms);
}

TEST_CASE("a failure that no retry mends comes out as it is, and counts", "[pool][S3]") {
    Fixture f;
    f.host.on_connect = [](std::int64_t) {
        throw StorageError{TENON_DENIED, "password authentication failed", Failure::permanent};
    };
    const auto error = f.refused(3600 * k_second);
    REQUIRE(error);
    CHECK(error->code() == TENON_DENIED);
    CHECK_THAT(error->what(), Contains("password authentication failed"));
    CHECK(f.pool.stats().connect_failures == 1);
    f.accept_connects();
    f.pass(50 * k_second);
    CHECK(f.lent() == 1);
}

TEST_CASE("a caller with no time left says nothing about the host", "[pool][S3]") {
    Fixture f;
    f.host.on_connect = [](std::int64_t) {
        throw StorageError{TENON_TIMEOUT, "no answer", Failure::timeout};
    };
    for (int i = 0; i < 10; ++i) {
        REQUIRE(f.refused(1));
    }
    CHECK(f.pool.stats().connect_failures == 0);
    f.accept_connects();
    CHECK(f.lent() == 1);
}

TEST_CASE("a host that never answers is cut off by callers with short deadlines", "[pool][S3]") {
    Fixture f;
    f.host.on_connect = [&](std::int64_t deadline_ns) {
        f.host.clock_ns = deadline_ns;
        throw StorageError{TENON_TIMEOUT, "no answer", Failure::timeout};
    };
    for (int i = 0; i < 3; ++i) {
        CHECK(f.pool.is_up());
        const auto error = f.refused(1 * k_second);
        REQUIRE(error);
        CHECK(error->code() == TENON_TIMEOUT);
        f.pass(1 * k_second);
    }
    CHECK_FALSE(f.pool.is_up());
    CHECK(f.pool.stats().connect_failures == 3);
}

TEST_CASE("after failures in a row callers are refused at once, and told why", "[pool][S3]") {
    Fixture f;
    f.refuse_connects();
    for (int i = 0; i < 3; ++i) {
        const auto error = f.refused(1);
        REQUIRE(error);
        CHECK_THAT(error->what(), Contains("connection refused"));
        CHECK(f.pool.is_up() == (i < 2));
        f.pass(i < 2 ? 1 * k_second : 1);
    }
    const auto error = f.refused(3600 * k_second);
    REQUIRE(error);
    CHECK(error->code() == TENON_UNAVAILABLE);
    CHECK(error->failure() == Failure::other_host);
    CHECK_THAT(
        error->what(),
        Contains("fake:1 does not answer: 3 connects failed in a row, the next in 0.") &&
            Contains("the last: connection refused")
    );
    CHECK(f.pool.stats().connect_failures == 3);
    CHECK(f.pool.stats().refusals == 1);
    REQUIRE(f.host.events.size() == 1);
    CHECK(f.host.events[0].first == PoolEvent::cut_off);
    tenon_storage_stats stats{};
    f.pool.stats().add_to(stats);
    CHECK(stats.hosts == 1);
    CHECK(stats.hosts_up == 0);
    CHECK(stats.breakers_open == 1);
}

namespace {

struct CutOff : Fixture {
    CutOff() {
        refuse_connects();
        for (int i = 0; i < 3; ++i) {
            pass(1 * k_second);
            CHECK(refused(1));
        }
        pass(5 * k_second);
    }
};

}  // namespace

TEST_CASE("one at a time tries a host that was cut off", "[pool][S3]") {
    CutOff f;
    std::mutex gate;
    gate.lock();
    f.host.on_connect = [&](std::int64_t) { const std::lock_guard wait{gate}; };
    std::thread probe{[&] { CHECK(f.lent() == 1); }};
    while (f.pool.stats().breaker != CircuitBreaker::State::half_open) {
        std::this_thread::yield();
    }
    const auto error = f.refused(3600 * k_second);
    REQUIRE(error);
    CHECK(error->failure() == Failure::other_host);
    gate.unlock();
    probe.join();
    CHECK(f.pool.is_up());
    CHECK(f.host.events.back().first == PoolEvent::restored);
    CHECK(f.lent() == 1);
}

TEST_CASE("a probe that fails opens the breaker for longer", "[pool][S3]") {
    CutOff f;
    REQUIRE(f.refused(1));
    CHECK(f.pool.stats().connect_failures == 4);
    CHECK(f.pool.stats().breaker == CircuitBreaker::State::open);
    f.pass(200 * k_ms);  // the fourth wait is 300 ms at least
    REQUIRE(f.refused(1));
    CHECK(f.pool.stats().connect_failures == 4);
    f.pass(5 * k_second);
    REQUIRE(f.refused(1));
    CHECK(f.pool.stats().connect_failures == 5);
}

TEST_CASE("maintenance tries a host that was cut off without a caller", "[pool][S3]") {
    CutOff f;
    f.accept_connects();
    CHECK_FALSE(f.pool.is_up());
    f.pool.maintain();
    CHECK(f.pool.is_up());
    CHECK(f.pool.stats().idle == 1);
}

TEST_CASE("with the breaker open a caller still gets what others return", "[pool][S3]") {
    Fixture f{of_size(2)};
    std::optional<FakePool::Lease> held{f.lease()};
    f.refuse_connects();
    for (int i = 0; i < 3; ++i) {
        f.pass(1 * k_second);
        REQUIRE(f.refused(1));
    }
    CHECK_FALSE(f.pool.is_up());
    std::thread waits{[&] { CHECK(f.lent() == 1); }};
    f.until_waiting(1);
    held.reset();
    waits.join();
}

TEST_CASE("those who wait are refused when nothing is left to wait for", "[pool][S3]") {
    Fixture f{of_size(1)};
    std::optional<FakePool::Lease> held{f.lease()};
    std::thread waits{[&] {
        const auto error = f.refused(3600 * k_second);
        REQUIRE(error);
        CHECK(error->failure() == Failure::other_host);
    }};
    f.until_waiting(1);
    f.host.clock_step_ns = 20 * k_ms;
    f.refuse_connects();
    held->lost();
    held.reset();
    waits.join();
    CHECK(f.pool.stats().connect_failures == 3);
}

TEST_CASE("stopping refuses those who wait and is over when the leases are back", "[pool][S3]") {
    Fixture f{of_size(1)};
    std::optional<FakePool::Lease> held{f.lease()};
    std::thread waits{[&] {
        const auto error = f.refused(3600 * k_second);
        REQUIRE(error);
        CHECK_THAT(error->what(), Contains("fake:1 are closed"));
    }};
    f.until_waiting(1);
    std::thread stops{[&] { CHECK(f.pool.stop(3600 * k_second) == 0); }};
    waits.join();
    CHECK(f.refused());
    held.reset();
    stops.join();
    CHECK(f.host.open == 0);
    CHECK(f.host.cancels == 0);
    CHECK(f.pool.stats().leaks == 0);
}

TEST_CASE("stopping waits no longer than told, cancels, and tells what is out", "[pool][S3]") {
    Fixture f;
    std::optional<FakePool::Lease> held{f.lease()};
    CHECK(f.pool.stop(1) == 1);
    CHECK(f.host.cancels == 1);
    CHECK(f.pool.stats().leaks == 1);
    held.reset();
    CHECK(f.pool.stop(0) == 0);
    CHECK(f.host.open == 0);
}
