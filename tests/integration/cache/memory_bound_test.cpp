// SPDX-License-Identifier: Apache-2.0
// What the process takes while the cache is filled over and over.
#include "plugins/cache/memory/memory_cache.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <unistd.h>

namespace {

std::uint64_t resident_bytes() {
    std::ifstream file{"/proc/self/statm"};
    std::uint64_t all = 0;
    std::uint64_t resident = 0;
    file >> all >> resident;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("ten million inserts take no more than the bound and five per cent", "[cache][C5]") {
    constexpr std::uint64_t k_bytes = 64ULL << 20;
    constexpr unsigned k_seed = 20'261'122;
    std::mt19937_64 random{k_seed};
    const std::string value(400, 'v');
    const std::uint64_t before = resident_bytes();
    std::uint64_t most = before;
    tenon::memory_cache::MemoryCache cache{k_bytes, 16};
    for (int i = 0; i < 10'000'000; ++i) {
        const std::uint64_t any = random();
        const std::string key = "key" + std::to_string(any % 50'000'000);
        (void)cache.put(key, std::string_view{value}.substr(0, 50 + (any >> 40) % 350), 0, 1000);
        if (i % 100'000 == 0) {
            most = std::max(most, resident_bytes());
        }
    }
    CAPTURE(before, most, cache.counters().bytes, cache.counters().entries);
    CHECK(cache.counters().bytes <= k_bytes);
    CHECK(cache.counters().bytes > k_bytes * 9 / 10);
    // Sanitizers take memory of their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(most - before <= k_bytes * 105 / 100);
#endif
}
