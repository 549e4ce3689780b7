// SPDX-License-Identifier: Apache-2.0
#include "sdk/triggers/trigger_book.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <iostream>
#include <map>
#include <random>
#include <vector>

using tenon::Trigger;
using tenon::TriggerBook;

TEST_CASE("of a range of prices all and only what they reach comes out, by ids", "[triggers][T2]") {
    const unsigned seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    CAPTURE(seed);
    std::mt19937 random{seed};
    TriggerBook book;
    std::map<std::uint64_t, Trigger> plain;
    for (std::uint64_t id = 1; id <= 20'000; ++id) {
        const auto stop_price = static_cast<std::int64_t>(1 + random() % 1'000);
        const Trigger trigger{id, stop_price, random() % 2 == 0};
        REQUIRE(book.add(trigger));
        REQUIRE_FALSE(book.add(trigger));
        plain[id] = trigger;
        if (random() % 3 == 0) {
            const std::uint64_t victim = 1 + random() % id;
            REQUIRE(book.erase(victim) == (plain.erase(victim) == 1));
        }
        if (random() % 50 == 0) {
            const auto low = static_cast<std::int64_t>(1 + random() % 1'000);
            const auto high = low + static_cast<std::int64_t>(random() % 3);
            std::vector<std::uint64_t> expected;
            for (const auto& [each, one] : plain) {
                if (one.rising ? one.stop_price <= high : one.stop_price >= low) {
                    expected.push_back(each);
                }
            }
            if (low == high) {
                std::vector<std::uint64_t> seen;
                book.for_each_triggered(low, [&](std::uint64_t one) { seen.push_back(one); });
                std::sort(seen.begin(), seen.end());
                REQUIRE(seen == expected);
            }
            std::vector<std::uint64_t> taken;
            book.take_triggered(low, high, taken);
            REQUIRE(taken == expected);
            for (const std::uint64_t one : taken) {
                plain.erase(one);
            }
        }
        REQUIRE(book.size() == plain.size());
    }
    std::size_t visited = 0;
    book.for_each([&](const Trigger& trigger) {
        ++visited;
        const Trigger& same = plain.at(trigger.order_id);
        REQUIRE(same.stop_price == trigger.stop_price);
        REQUIRE(same.rising == trigger.rising);
    });
    CHECK(visited == plain.size());
}
