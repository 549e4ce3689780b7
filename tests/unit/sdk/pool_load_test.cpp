// SPDX-License-Identifier: Apache-2.0
// Many threads on few connections that break at random. TENON_POOL_SEED repeats a run.
#include "tests/unit/sdk/fake_pool_host.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

using tenon::Failure;
using tenon::StorageError;
using tenon::test::FakePool;
using tenon::test::FakePoolBackend;
using tenon::test::FakePoolHost;
using tenon::test::k_ms;
using tenon::test::k_second;

namespace {

std::uint64_t seed() {
    const char* told = std::getenv("TENON_POOL_SEED");
    return told != nullptr ? std::strtoull(told, nullptr, 10) : std::random_device{}();
}

struct Counts {
    std::atomic<std::uint64_t> served{0};
    std::atomic<std::uint64_t> late{0};
    std::atomic<std::uint64_t> refused{0};
    std::atomic<std::uint64_t> shared{0};  // a connection that two had at one time
    std::atomic<std::uint64_t> dirty{0};   // one that came with somebody's transaction
};

void work(FakePool& pool, FakePoolHost& host, Counts& counts, std::uint64_t its_seed, int rounds) {
    std::mt19937_64 random{its_seed};
    const auto one_of = [&](unsigned n) { return random() % n == 0; };
    for (int i = 0; i < rounds; ++i) {
        const std::int64_t patience = one_of(8) ? 20'000 : 60 * k_second;
        try {
            auto lease = pool.lease(host.clock_ns + patience, "worker");
            counts.shared += lease->used.exchange(true) ? 1 : 0;
            counts.dirty += lease->in_transaction ? 1 : 0;
            if (one_of(4)) {
                std::this_thread::yield();
            }
            lease->in_transaction = one_of(3);
            lease->rollback_fails = one_of(40);
            if (one_of(200)) {
                lease.lost();
            }
            lease->used = false;
            ++counts.served;
        } catch (const StorageError& e) {
            ++(e.code() == TENON_TIMEOUT ? counts.late : counts.refused);
        }
    }
}

}  // namespace

TEST_CASE("no lease is lost and nobody hangs while connections break", "[pool][S3][load]") {
    constexpr std::uint64_t k_threads = 64;
    constexpr int k_rounds = 1000;
    constexpr std::uint32_t k_size = 20;
    const std::uint64_t start = seed();
    std::printf("TENON_POOL_SEED=%s\n", std::to_string(start).c_str());

    FakePoolHost host;
    host.clock_step_ns = 1000;  // time passes with each look at the clock
    std::atomic<std::uint64_t> connects{0};
    host.on_connect = [&](std::int64_t) {
        // Every 10th fails, as a host under pressure does.
        if (++connects % 10 == 0) {
            throw StorageError{TENON_UNAVAILABLE, "connection refused", Failure::other_host};
        }
    };
    tenon::PoolOptions options;
    options.size_max = k_size;
    options.uses_max = 100;
    options.seed = start;
    options.breaker.backoff = {1, 1000};
    Counts counts;
    {
        FakePool pool{FakePoolBackend{host}, options};
        std::atomic<bool> over{false};
        std::thread chaos{[&] {
            std::mt19937_64 random{start ^ 1};
            while (!over) {
                switch (random() % 4) {
                    case 0:
                        host.restart();
                        break;
                    case 1:
                        pool.invalidate();
                        break;
                    default:
                        pool.maintain();
                }
                std::this_thread::yield();
            }
        }};
        std::vector<std::thread> threads;
        for (std::uint64_t t = 0; t < k_threads; ++t) {
            threads.emplace_back([&, t] { work(pool, host, counts, start + t, k_rounds); });
        }
        for (auto& thread : threads) {
            thread.join();
        }
        over = true;
        chaos.join();
        const auto stats = pool.stats();
        CHECK(stats.in_use == 0);
        CHECK(stats.waiting == 0);
        CHECK(stats.open == stats.idle);
        CHECK(stats.leases == counts.served);
        CHECK(stats.timeouts <= counts.late);
        std::printf(
            "served=%s late=%s refused=%s connects=%s\n",
            std::to_string(counts.served).c_str(),
            std::to_string(counts.late).c_str(),
            std::to_string(counts.refused).c_str(),
            std::to_string(stats.connects).c_str()
        );
        CHECK(stats.connects == connects - connects / 10);
        CHECK(pool.stop(60 * k_second) == 0);
        CHECK(pool.stats().connects == pool.stats().recycled + pool.stats().evicted);
    }
    CHECK(counts.served + counts.late + counts.refused == k_threads * k_rounds);
    CHECK(counts.served > k_threads * k_rounds / 2);
    CHECK(counts.shared == 0);
    CHECK(counts.dirty == 0);
    CHECK(host.open == 0);
    CHECK(host.open_max <= static_cast<int>(k_size));
}
