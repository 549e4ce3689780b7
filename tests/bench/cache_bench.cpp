// SPDX-License-Identifier: Apache-2.0
// What a look-up in the memory tier and a take of the token bucket cost, by threads.
//
//   cache_bench [memory]   prints CPU ns per operation, the best of five rounds; memory: that alone
#include "plugins/cache/memory/memory_cache.hpp"
#include "plugins/throttle/token-bucket/token_buckets.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr int k_operations = 1'000'000;
constexpr int k_rounds = 5;

// Of the calling thread: other programs do not count.
std::int64_t cpu_ns() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// CPU nanoseconds an operation; the threads run `body(thread, i)` at the same time.
template <class Body>
double measure(unsigned threads, Body body) {
    double best = 1e18;
    for (int round = 0; round < k_rounds; ++round) {
        std::vector<std::thread> running;
        std::atomic<std::int64_t> spent{0};
        for (unsigned t = 0; t < threads; ++t) {
            running.emplace_back([&body, &spent, t] {
                const std::int64_t begin = cpu_ns();
                for (int i = 0; i < k_operations; ++i) {
                    body(t, i);
                }
                spent += cpu_ns() - begin;
            });
        }
        for (auto& thread : running) {
            thread.join();
        }
        best = std::min(best, static_cast<double>(spent) / threads / k_operations);
    }
    return best;
}

std::vector<std::string> make_keys(std::size_t count, std::size_t length) {
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < count; ++i) {
        std::string key = "key" + std::to_string(i);
        key.resize(length, '.');
        keys.push_back(std::move(key));
    }
    return keys;
}

// Indexes of keys, a few of them often (Zipf 0.99).
std::vector<std::uint32_t> zipf(std::size_t keys, unsigned seed) {
    std::vector<double> sums(keys);
    double sum = 0;
    for (std::size_t i = 0; i < keys; ++i) {
        sums[i] = sum += 1.0 / static_cast<double>(i + 1);
    }
    std::mt19937_64 random{seed};
    std::uniform_real_distribution<double> any{0, sum};
    std::vector<std::uint32_t> picks(1 << 18);
    std::generate(picks.begin(), picks.end(), [&] {
        return static_cast<std::uint32_t>(
            std::lower_bound(sums.begin(), sums.end(), any(random)) - sums.begin()
        );
    });
    return picks;
}

void bench_memory() {
    constexpr std::size_t k_keys = 65'536;
    tenon::memory_cache::MemoryCache cache{64U << 20, 64};
    const auto keys = make_keys(k_keys, 25);
    const std::string value(100, 'v');
    for (const std::string& key : keys) {
        (void)cache.put(key, value, 0, INT64_MAX / 2);
    }
    const auto picks = zipf(k_keys, 7);
    for (const unsigned threads : {1U, 2U}) {
        const double hit = measure(threads, [&](unsigned t, int i) {
            const std::string& key =
                keys[picks[(static_cast<unsigned>(i) + t * 77'777) % picks.size()]];
            (void)cache.get(key, i, [](std::string_view) {});
        });
        const double mixed = measure(threads, [&](unsigned t, int i) {
            const std::string& key =
                keys[picks[(static_cast<unsigned>(i) + t * 77'777) % picks.size()]];
            if (i % 4 == 0) {
                (void)cache.put(key, value, i, INT64_MAX / 2);
            } else {
                (void)cache.get(key, i, [](std::string_view) {});
            }
        });
        std::printf("memory_hit threads=%u ns=%.1f\n", threads, hit);
        std::printf("memory_75_25 threads=%u ns=%.1f\n", threads, mixed);
    }
    const auto counters = cache.counters();
    std::printf(
        "memory_bytes_per_entry %.0f\n",
        static_cast<double>(counters.bytes) / static_cast<double>(counters.entries)
    );
}

void bench_throttle() {
    tenon::token_bucket::TokenBuckets buckets;
    buckets.apply(
        {{"a", "custom", 1'000'000'000, tenon::token_bucket::k_second_ns, 1'000'000, 262'144}}
    );
    const auto keys = make_keys(100'000, 15);
    std::vector<tenon_throttle_claim> claims;
    for (const std::string& key : keys) {
        claims.push_back({0, 1, {key.data(), key.size()}});
    }
    std::int64_t retry = 0;
    for (const auto& claim : claims) {
        (void)buckets.take({&claim, 1}, 0, retry);
    }
    const double one = measure(1, [&](unsigned, int i) {
        (void)buckets.take({claims.data(), 1}, i * 1000LL, retry);
    });
    const double many = measure(1, [&](unsigned, int i) {
        const auto pick = static_cast<std::size_t>(i) * 7919 % claims.size();
        (void)buckets.take({&claims[pick], 1}, i * 1000LL, retry);
    });
    const double shared = measure(2, [&](unsigned, int i) {
        std::int64_t mine = 0;
        (void)buckets.take({claims.data(), 1}, i * 1000LL, mine);
    });
    std::printf("throttle_take one_key ns=%.1f\n", one);
    std::printf("throttle_take 100k_keys ns=%.1f\n", many);
    std::printf("throttle_take one_key threads=2 ns=%.1f\n", shared);
}

}  // namespace

int main(int argc, char** argv) {
    bench_memory();
    if (argc < 2 || std::string_view{argv[1]} != "memory") {
        bench_throttle();
    }
    return 0;
}
