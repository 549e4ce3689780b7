// SPDX-License-Identifier: Apache-2.0
#include "sdk/forward/cell.hpp"
#include "sdk/forward/passage.hpp"

#include <tenon/abi/cache_tier.h>
#include <tenon/abi/probe.h>

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using tenon::forward::Cell;
using tenon::forward::Passage;
using tenon::forward::quiesce;

namespace {

bool never() {
    return false;
}

// A probe that is well until it is gone.
struct Target {
    std::atomic<bool> gone{false};
    std::atomic<bool> entered{false};
    std::atomic<bool> may_leave{true};

    static tenon_status check(void* self, std::uint32_t, std::int64_t, tenon_err*) {
        auto& mine = *static_cast<Target*>(self);
        mine.entered = true;
        while (!mine.may_leave) {
            std::this_thread::yield();
        }
        return mine.gone ? TENON_UNAVAILABLE : TENON_OK;
    }

    [[nodiscard]] tenon_iface iface() {
        static constexpr tenon_probe_1 k_table{sizeof(tenon_probe_1), 0, &check};
        return {this, &k_table};
    }
};

tenon_status ask(const tenon_iface& probe) {
    return static_cast<const tenon_probe_1*>(probe.vt)->check(probe.self, 0, 0, nullptr);
}

}  // namespace

TEST_CASE("once quiesce returned nobody is in what was pointed at before", "[forward][K5]") {
    constexpr int k_swaps = 50000;
    Cell cell{"tenon.probe/1"};
    std::array<Target, 2> targets;
    cell.point(targets[0].iface());
    const tenon_iface probe = cell.iface();
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> asked{0};
    std::atomic<std::uint64_t> failed{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            while (!stop) {
                failed += ask(probe) == TENON_OK ? 0 : 1;
                ++asked;
            }
        });
    }
    for (std::size_t i = 1; i <= k_swaps; ++i) {
        Target& next = targets[i % 2];
        next.gone = false;
        cell.point(next.iface());
        REQUIRE(quiesce(never));
        cell.settle();
        targets[(i + 1) % 2].gone = true;
    }
    stop = true;
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(asked > 0);
    CHECK(failed == 0);
}

TEST_CASE("a call that is under way is waited for, a later one is not", "[forward][K5]") {
    Cell cell{"tenon.probe/1"};
    Target old;
    Target fresh;
    old.may_leave = false;
    cell.point(old.iface());
    std::thread inside{[&] { CHECK(ask(cell.iface()) == TENON_OK); }};
    while (!old.entered) {
        std::this_thread::yield();
    }
    cell.point(fresh.iface());
    CHECK(ask(cell.iface()) == TENON_OK);
    CHECK(fresh.entered);
    int looks = 0;
    CHECK_FALSE(quiesce([&] { return ++looks == 100; }));
    old.may_leave = true;
    inside.join();
    CHECK(quiesce(never));
}

TEST_CASE("a call within a call is one passage", "[forward][K5]") {
    const Passage outer;
    { const Passage inner; }
    std::thread other{[] { CHECK_FALSE(quiesce([] { return true; })); }};
    other.join();
}

TEST_CASE("what keeps something behind cannot be passed on to", "[forward][K5]") {
    tenon_cache_tier_1 table{};
    table.size = sizeof table;
    const tenon_iface tier{&table, &table};
    CHECK(Cell{"tenon.cache_tier/1"}.objection(tier).find("gaps") != std::string::npos);
    table.get = [](auto...) -> tenon_status { return TENON_OK; };
    table.put = [](auto...) -> tenon_status { return TENON_OK; };
    table.erase = [](auto...) -> tenon_status { return TENON_OK; };
    table.clear = [](auto...) -> tenon_status { return TENON_OK; };
    table.stats = [](auto...) -> tenon_status { return TENON_OK; };
    Cell cell{"tenon.cache_tier/1"};
    CHECK(cell.objection(tier).empty());
    cell.point(tier);
    table.flags = TENON_CACHE_TIER_BLOCKING;
    CHECK(cell.objection(tier).find("other flags") != std::string::npos);
    table.flags = TENON_CACHE_TIER_SHARED;
    CHECK(cell.objection(tier).find("shared") != std::string::npos);
    table.flags = 0;
    table.watch = [](auto...) -> tenon_status { return TENON_OK; };
    CHECK(cell.objection(tier).find("callbacks") != std::string::npos);
    CHECK(Cell{"tenon.storage/1"}.objection(tier).find("cannot be replaced") != std::string::npos);
}
