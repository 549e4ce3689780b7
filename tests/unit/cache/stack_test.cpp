// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cache/stack_fixture.hpp"

#include <tenon/json.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <condition_variable>
#include <future>
#include <thread>
#include <vector>

using tenon::test::eventually;
using tenon::test::FakeReactor;
using tenon::test::Gate;
using tenon::test::MapTier;
using tenon::test::StackFixture;

TEST_CASE("a value is loaded once and then answered from the tiers", "[cache][C4]") {
    StackFixture f;
    MapTier tier;
    f.add(tier, "memory");
    auto answer = f.fetch("balance", "u1", f.gives("100"));
    CHECK(answer.value == "100");
    CHECK(answer.how.source == TENON_CACHE_LOADED);
    answer = f.fetch("balance", "u1", f.gives("other"));
    CHECK(answer.value == "100");
    CHECK(answer.how.source == TENON_CACHE_HIT);
    CHECK(f.get("balance", "u1").value == "100");
    CHECK(f.get("order", "u1").status == TENON_NOT_FOUND);
    CHECK(f.loads == 1);
    f.pass(14);
    CHECK(f.get("balance", "u1").status == TENON_OK);
    f.pass(1);
    CHECK(f.get("balance", "u1").status == TENON_NOT_FOUND);
    CHECK(f.fetch("balance", "u1", f.gives("200")).value == "200");
}

TEST_CASE("without tiers, and with dead ones, every request loads", "[cache][C2]") {
    StackFixture f;
    CHECK(f.fetch("balance", "u1", f.gives("1")).value == "1");
    CHECK(f.fetch("balance", "u1", f.gives("2")).value == "2");
    CHECK(f.loads == 2);
}

TEST_CASE("a value in a lower tier comes up to those above", "[cache][C2]") {
    StackFixture f;
    MapTier memory;
    MapTier disk{true};
    f.add(memory, "memory");
    f.add(disk, "disk");
    CHECK(f.fetch("balance", "u1", f.gives("100")).value == "100");
    CHECK(disk.entries.size() == 1);
    memory.clear("");
    CHECK(f.get("balance", "u1").status == TENON_NOT_FOUND);  // get does not block
    const auto answer = f.fetch("balance", "u1", f.gives("x"));
    CHECK(answer.value == "100");
    CHECK(answer.how.tier == 1);
    CHECK(f.get("balance", "u1").value == "100");
    CHECK(f.loads == 1);
}

TEST_CASE("that there is none is kept for its own time", "[cache][C4]") {
    StackFixture f;
    MapTier tier;
    f.add(tier, "memory");
    const StackFixture::Loader none = [&](std::string&, tenon_cache_keep&) {
        ++f.loads;
        return TENON_NOT_FOUND;
    };
    CHECK(f.fetch("balance", "u1", none).status == TENON_NOT_FOUND);
    const auto again = f.fetch("balance", "u1", none);
    CHECK(again.status == TENON_NOT_FOUND);
    CHECK(again.how.source == TENON_CACHE_HIT);
    CHECK(f.get("balance", "u1").how.source == TENON_CACHE_HIT);
    CHECK(f.get("balance", "u2").how.source == TENON_CACHE_LOADED);
    CHECK(f.loads == 1);
    f.pass(5);
    CHECK(f.fetch("balance", "u1", none).status == TENON_NOT_FOUND);
    CHECK(f.loads == 2);
    CHECK(f.fetch("price", "x", none).status == TENON_NOT_FOUND);
    CHECK(f.fetch("price", "x", none).status == TENON_NOT_FOUND);
    CHECK(f.loads == 4);  // price keeps none
}

TEST_CASE("a failure goes to who asked and is not kept", "[cache][C4]") {
    StackFixture f;
    MapTier tier;
    f.add(tier, "memory");
    const auto answer =
        f.fetch("balance", "u1", [](std::string&, tenon_cache_keep&) -> tenon_status {
            throw tenon::Error{TENON_TIMEOUT, "the database is slow"};
        });
    CHECK(answer.status == TENON_TIMEOUT);
    CHECK(answer.message == "the database is slow");
    CHECK(f.fetch("balance", "u1", f.gives("1")).value == "1");
    CHECK(tier.entries.size() == 1);
}

TEST_CASE("loads of one key run once, whoever asks meanwhile waits", "[cache][C4]") {
    StackFixture f;
    MapTier tier;
    f.add(tier, "memory");
    Gate gate;
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i) {
        threads.emplace_back([&] {
            const auto answer = f.fetch("balance", "u1", [&](std::string& out, tenon_cache_keep&) {
                ++f.loads;
                gate.pass();
                out = "100";
                return TENON_OK;
            });
            right += answer.value == "100" ? 1 : 0;
        });
    }
    gate.wait_for_one();
    CHECK(f.fetch("balance", "u2", f.gives("7")).value == "7");  // another key does not wait
    const auto late = f.fetch("balance", "u1", f.gives("x"), 1'000'000);
    CHECK(late.status == TENON_TIMEOUT);
    gate.open();
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(right == 16);
    CHECK(f.loads == 2);
}

TEST_CASE("regression_an_erase_during_a_load_is_not_undone_by_it", "[cache][C3]") {
    StackFixture f;
    MapTier memory;
    MapTier disk{true};
    f.add(memory, "memory");
    f.add(disk, "disk");
    for (const bool by_tag : {false, true}) {
        Gate gate;
        StackFixture::Answer answer;
        std::thread loader{[&] {
            answer = f.fetch("balance", "u1", [&](std::string& out, tenon_cache_keep& keep) {
                static const tenon_str tag = tenon::str("user:1");
                keep.tags = &tag;
                keep.tag_count = 1;
                gate.pass();
                out = "old";
                return TENON_OK;
            });
        }};
        gate.wait_for_one();
        if (by_tag) {
            f.stack->invalidate_tag("user:1");
        } else {
            f.stack->erase(f.stack->open("balance"), "u1");
        }
        gate.open();
        loader.join();
        CHECK(answer.value == "old");
        CHECK(answer.how.expires_ns == 0);
        CHECK(f.get("balance", "u1").status == TENON_NOT_FOUND);
        CHECK(memory.entries.empty());
        CHECK(eventually([&] {
            const std::lock_guard lock{disk.mutex};
            return disk.entries.empty();
        }));
    }
}

TEST_CASE("a put during a load wins over it", "[cache][C3]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    Gate gate;
    std::thread loader{[&] {
        (void)f.fetch("balance", "u1", [&](std::string& out, tenon_cache_keep&) {
            gate.pass();
            out = "old";
            return TENON_OK;
        });
    }};
    gate.wait_for_one();
    f.stack->put(f.stack->open("balance"), "u1", "new", nullptr);
    gate.open();
    loader.join();
    CHECK(f.get("balance", "u1").value == "new");
}

TEST_CASE("a tag takes every entry that carries it, in every cache", "[cache][C3]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    const auto put = [&](std::string_view cache, std::string_view key, std::string_view tag) {
        auto keep = tenon::sized<tenon_cache_keep>();
        const tenon_str raw = tenon::str(tag);
        keep.tags = &raw;
        keep.tag_count = 1;
        f.stack->put(f.stack->open(cache), key, key, &keep);
    };
    put("balance", "a", "user:1");
    put("balance", "b", "user:2");
    put("price", "c", "user:1");
    put("price", "d", "symbol:BTCUSDT");
    f.stack->invalidate_tag("user:1");
    CHECK(f.get("balance", "a").status == TENON_NOT_FOUND);
    CHECK(f.get("balance", "b").value == "b");
    CHECK(f.get("price", "c").status == TENON_NOT_FOUND);
    put("balance", "a", "user:1");
    put("price", "c", "user:1");
    CHECK(f.get("balance", "a").value == "a");
    f.stack->event("order_placed", "user:1");
    CHECK(f.get("balance", "a").status == TENON_NOT_FOUND);
    CHECK(f.get("price", "c").value == "c");  // the event does not concern this cache
    f.stack->event("unheard_of", "user:1");
    f.stack->invalidate_cache("price");
    CHECK(f.get("price", "d").status == TENON_NOT_FOUND);
    CHECK(f.get("balance", "b").value == "b");
    f.stack->clear();
    CHECK(f.get("balance", "b").status == TENON_NOT_FOUND);
    CHECK_THROWS_AS(f.stack->invalidate_tag("user"), tenon::Error);
    CHECK_THROWS_AS(put("balance", "x", ":1"), tenon::Error);
}

TEST_CASE("a stale value is served while one refresh runs", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    const std::uint32_t price = f.stack->open("price");
    std::atomic<int> refreshes{0};
    const auto refresh = [](void* ctx,
                            tenon_bytes key,
                            std::int64_t,
                            tenon_sink value,
                            tenon_cache_keep*,
                            tenon_err*) {
        CHECK(tenon::view(key) == "BTC");
        const int run = ++*static_cast<std::atomic<int>*>(ctx);
        return value.put(value.ctx, tenon::bytes("fresh" + std::to_string(run)));
    };
    f.stack->refresh(price, &refreshes, refresh);
    CHECK(f.fetch("price", "BTC", f.gives("first")).value == "first");
    f.pass(6);
    const auto stale = f.get("price", "BTC");
    CHECK(stale.value == "first");
    CHECK(stale.how.source == TENON_CACHE_STALE);
    CHECK(eventually([&] { return f.get("price", "BTC").value == "fresh1"; }));
    CHECK(refreshes == 1);
    CHECK(f.loads == 1);
    f.pass(16);  // past the stale window: nothing is served
    CHECK(f.get("price", "BTC").status == TENON_NOT_FOUND);
    f.stack->refresh(price, nullptr, nullptr);
    CHECK(f.fetch("price", "BTC", f.gives("again")).value == "again");
    f.pass(6);
    CHECK(f.get("price", "BTC").status == TENON_NOT_FOUND);  // none refreshes it any more
}

TEST_CASE("a dead tier is left out, comes back by itself, and has missed nothing", "[cache][C2]") {
    StackFixture f;
    MapTier first;
    MapTier second;
    f.add(first, "first");
    f.add(second, "second");
    CHECK(f.fetch("balance", "u1", f.gives("1")).value == "1");
    CHECK(f.fetch("balance", "u2", f.gives("2")).value == "2");
    first.down = true;
    CHECK(f.get("balance", "u1").value == "1");
    CHECK(f.states == "first no connection;");
    const int asked = first.gets;
    CHECK(f.get("balance", "u2").value == "2");
    f.stack->erase(f.stack->open("balance"), "u1");
    CHECK(first.gets == asked);
    first.down = false;
    CHECK(f.get("balance", "u1").status == TENON_NOT_FOUND);
    f.pass(2);
    CHECK(f.get("balance", "u1").status == TENON_NOT_FOUND);
    CHECK(f.get("balance", "u2").value == "2");
    CHECK(f.states == "first no connection;first up;");
    CHECK(first.entries.empty());
}

TEST_CASE("a tier that is being emptied is not read meanwhile", "[cache][C2]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    f.stack->put(f.stack->open("balance"), "u1", "old", nullptr);
    const std::string key = tenon::cache_stack::TierKey{"balance", "u1"}.text;
    Gate gate;
    memory.clearing = [&] { gate.pass(); };
    tenon::cache_stack::Tier& tier = *f.stack->tiers()[0];
    const std::int64_t now = f.host.reactor().now_ns();
    REQUIRE(tier.get(key, now));
    std::thread emptying{[&] { tier.clear(now); }};
    gate.wait_for_one();
    auto read = std::async(std::launch::async, [&] { return tier.get(key, now).has_value(); });
    // An answer now would be the old value.
    CHECK(read.wait_for(std::chrono::milliseconds{50}) == std::future_status::timeout);
    gate.open();
    emptying.join();
    CHECK_FALSE(read.get());
}

TEST_CASE("what was invalidated stays so when the real time jumps", "[cache][C3]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    auto keep = tenon::sized<tenon_cache_keep>();
    const tenon_str tag = tenon::str("user:1");
    keep.tags = &tag;
    keep.tag_count = 1;
    f.stack->put(f.stack->open("balance"), "a", "old", &keep);
    f.stack->invalidate_tag("user:1");
    f.real_jump_ns = std::chrono::nanoseconds{std::chrono::hours{48}}.count();
    f.stack->sweep();
    CHECK(f.get("balance", "a").status == TENON_NOT_FOUND);
}

TEST_CASE("the pool's order does not bring back what was replaced or erased", "[cache][C3]") {
    StackFixture f;
    MapTier disk{true};
    f.add(disk, "disk");
    f.hold_pool();
    const std::uint32_t cache = f.stack->open("balance");
    f.stack->put(cache, "u1", "first", nullptr);
    f.stack->put(cache, "u1", "second", nullptr);
    f.run_held_backwards();
    CHECK(f.fetch("balance", "u1", f.gives("loaded")).value == "second");
    f.stack->put(cache, "u2", "gone", nullptr);
    f.stack->erase(cache, "u2");
    f.run_held_backwards();
    CHECK(f.fetch("balance", "u2", f.gives("loaded")).value == "loaded");
    // What is kept from a load comes after what was waiting.
    f.stack->put(cache, "u3", "put", nullptr);
    CHECK(f.fetch("balance", "u3", f.gives("loaded later")).value == "loaded later");
    f.run_held_backwards();
    CHECK(f.fetch("balance", "u3", f.gives("again")).value == "loaded later");
}

TEST_CASE("what was erased is not read while the pool has not erased it yet", "[cache][C3]") {
    StackFixture f;
    MapTier disk{true};
    f.add(disk, "disk");
    const std::uint32_t cache = f.stack->open("balance");
    CHECK(f.fetch("balance", "u1", f.gives("old")).value == "old");
    f.hold_pool();
    f.stack->erase(cache, "u1");
    CHECK(f.fetch("balance", "u1", f.gives("new")).value == "new");
    f.run_held_backwards();
    CHECK(f.fetch("balance", "u1", f.gives("x")).value == "new");
}

TEST_CASE(
    "what was loaded together does not expire together, nor later than it may",
    "[cache][C4]"
) {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    f.settings.configure(
        R"({"default_ttl_ms":100000,"default_negative_ttl_ms":100000,"refresh_timeout_ms":1000,
            "sweep_interval_ms":1000,"jitter_percent":10,"caches":[],"events":[]})",
        false
    );
    const StackFixture::Loader none = [](std::string&, tenon_cache_keep&) {
        return TENON_NOT_FOUND;
    };
    for (int i = 0; i < 200; ++i) {
        (void)f.fetch("balance", "k" + std::to_string(i), i % 2 == 0 ? f.gives("v") : none);
    }
    const std::int64_t now = f.host.reactor().now_ns();
    std::int64_t shortest = INT64_MAX;
    std::int64_t longest = 0;
    for (const auto& [key, value] : memory.entries) {
        shortest = std::min(shortest, value.expires_ns - now);
        longest = std::max(longest, value.expires_ns - now);
    }
    CHECK(memory.entries.size() == 200);
    CHECK(longest <= 100'000'000'000);
    CHECK(longest > 98'000'000'000);
    CHECK(shortest >= 90'000'000'000);
    CHECK(shortest < 92'000'000'000);
}

TEST_CASE("settings that change count for what is kept from then on", "[cache][C1]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    CHECK(f.fetch("balance", "u1", f.gives("1")).value == "1");
    f.settings.configure(
        R"({"default_ttl_ms":1000,"default_negative_ttl_ms":0,"refresh_timeout_ms":1000,
            "sweep_interval_ms":1000,"caches":[],"events":[]})",
        false
    );
    CHECK(f.fetch("balance", "u2", f.gives("2")).value == "2");
    f.pass(2);
    CHECK(f.get("balance", "u1").value == "1");
    CHECK(f.get("balance", "u2").status == TENON_NOT_FOUND);
}

TEST_CASE("a key longer than a tier takes is told apart by its whole", "[cache][C2]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    const std::string one = std::string(1023, 'k') + "1";
    const std::string two = std::string(1023, 'k') + "2";
    CHECK(f.fetch("balance", one, f.gives("one")).value == "one");
    CHECK(f.fetch("balance", two, f.gives("two")).value == "two");
    CHECK(f.get("balance", one).value == "one");
    CHECK(memory.entries.begin()->first.size() == TENON_CACHE_KEY_MAX);
    // The same place in the tier, and another key: no answer.
    const auto entry = memory.entries.begin()->second;
    for (auto& [key, value] : memory.entries) {
        value = entry;
    }
    const bool first = f.get("balance", one).status == TENON_OK;
    CHECK(first != (f.get("balance", two).status == TENON_OK));
    CHECK_THROWS_AS(f.get("balance", std::string(1025, 'k')), tenon::Error);
    CHECK_THROWS_AS(f.get("balance", ""), tenon::Error);
    CHECK_THROWS_AS(f.stack->open("Balance"), tenon::Error);
    CHECK_THROWS_AS(f.stack->open("tiers"), tenon::Error);
}

TEST_CASE("bytes of others in a tier are no entry", "[cache][C2]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    for (const std::string& bad :
         {std::string{""}, std::string{"x"}, std::string(24, '\xff'), std::string(24, '\x01')}) {
        memory.entries["balance:u1"] = {bad, INT64_MAX};
        CHECK(f.get("balance", "u1").status == TENON_NOT_FOUND);
    }
}

TEST_CASE("requests of a reactor are answered on it, later", "[cache][C4]") {
    StackFixture f{FakeReactor::Mode::manual};
    MapTier memory;
    MapTier disk{true};
    f.add(memory, "memory");
    f.add(disk, "disk");

    struct Got {
        int count = 0;
        tenon_status status = TENON_OK;
        std::string value;
        std::uint32_t source = 0;
    };

    const auto note = [](void* ctx,
                         tenon_status status,
                         tenon_bytes value,
                         const tenon_cache_answer* answer,
                         const tenon_err*) {
        auto& got = *static_cast<Got*>(ctx);
        ++got.count;
        got.status = status;
        got.value = tenon::view(value);
        got.source = answer->source;
    };
    Gate gate;
    StackFixture::Loader slow = [&](std::string& out, tenon_cache_keep&) {
        ++f.loads;
        gate.pass();
        out = "100";
        return TENON_OK;
    };
    auto request = tenon::sized<tenon_cache_request>();
    request.cache = f.stack->open("balance");
    request.key = tenon::bytes("u1");
    request.deadline_ns = f.host.reactor().now_ns() + 1'000'000'000;
    request.ctx = &slow;
    request.load = &StackFixture::load;
    Got first, second, third;
    f.stack->fetch_async(request, {&first, note});
    f.stack->fetch_async(request, {&second, note});
    CHECK(first.count + second.count == 0);
    gate.wait_for_one();
    f.pass(2);
    f.host.reactor().turn();
    CHECK(second.count == 1);
    CHECK(
        second.status == TENON_TIMEOUT
    );  // who joined gives up; the loader's own request does not
    CHECK(first.count == 0);
    gate.open();
    CHECK(eventually([&] {
        f.host.reactor().turn();
        return first.count == 1;
    }));
    CHECK(first.value == "100");
    CHECK(first.source == TENON_CACHE_LOADED);
    CHECK(second.count == 1);
    f.stack->fetch_async(request, {&third, note});
    CHECK(third.count == 0);
    CHECK(eventually([&] {
        f.host.reactor().turn();
        return third.count == 1;
    }));
    CHECK(third.source == TENON_CACHE_HIT);
    CHECK(f.loads == 1);
}

TEST_CASE("statistics show each cache and tier", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    (void)f.fetch("balance", "u1", f.gives("1"));
    for (int i = 0; i < 3; ++i) {
        (void)f.fetch("balance", "u1", f.gives("1"));
    }
    auto stats = tenon::Json::parse(f.stack->stats());
    const auto* const balance = stats.find("balance");
    REQUIRE(balance != nullptr);
    CHECK(balance->find("hit_rate")->number() == "0.750");
    CHECK(balance->find("size")->integer<int>() == 1);
    CHECK(balance->find("hits")->integer<int>() == 3);
    CHECK(balance->find("misses")->integer<int>() == 1);
    CHECK(stats.find("tiers")->find("memory")->find("entries")->integer<int>() == 1);
    memory.clear("");  // evicted, as far as the stack can see
    CHECK(f.get("balance", "u1").status == TENON_NOT_FOUND);
    stats = tenon::Json::parse(f.stack->stats());
    CHECK(stats.find("balance")->find("evictions")->integer<int>() == 1);
    CHECK(stats.find("balance")->find("size")->integer<int>() == 0);
}

namespace {

// The fixture's settings with one more.
void set(StackFixture& f, const std::string& member) {
    std::string text{tenon::test::k_stack_settings};
    text.insert(1, member + ",");
    f.settings.configure(text, false);
    f.stack->apply();
}

}  // namespace

TEST_CASE("tiers in memory that are off are neither read nor written", "[cache][K8]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    CHECK(f.fetch("balance", "u1", f.gives("1")).value == "1");
    set(f, R"("memory_tiers":false)");
    CHECK(f.fetch("balance", "u1", f.gives("2")).value == "2");
    CHECK(f.fetch("balance", "u1", f.gives("3")).value == "3");
    CHECK(f.loads == 3);
    f.stack->put(f.stack->open("balance"), "u1", "4", nullptr);
    CHECK(f.get("balance", "u1").status == TENON_NOT_FOUND);
    set(f, R"("memory_tiers":true)");
    CHECK(f.get("balance", "u1").status == TENON_NOT_FOUND);  // nothing old comes back
    CHECK(f.fetch("balance", "u1", f.gives("5")).value == "5");
    CHECK(f.get("balance", "u1").value == "5");
}

TEST_CASE("that there is none is asked each time while it is not to be kept", "[cache][K8]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    const StackFixture::Loader none = [&](std::string&, tenon_cache_keep&) {
        ++f.loads;
        return TENON_NOT_FOUND;
    };
    CHECK(f.fetch("balance", "u1", none).status == TENON_NOT_FOUND);
    CHECK(f.fetch("balance", "u1", none).status == TENON_NOT_FOUND);
    CHECK(f.loads == 1);
    set(f, R"("negative_entries":false)");
    CHECK(f.fetch("balance", "u1", none).status == TENON_NOT_FOUND);
    CHECK(f.fetch("balance", "u1", none).status == TENON_NOT_FOUND);
    CHECK(f.loads == 3);
    set(f, R"("negative_entries":true)");
    CHECK(f.fetch("balance", "u2", none).status == TENON_NOT_FOUND);
    CHECK(f.fetch("balance", "u2", none).status == TENON_NOT_FOUND);
    CHECK(f.loads == 4);
}

TEST_CASE("a stale value is not served while that is off", "[cache][K8]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    const std::uint32_t price = f.stack->open("price");
    const auto refresh =
        [](void*, tenon_bytes, std::int64_t, tenon_sink value, tenon_cache_keep*, tenon_err*) {
            return value.put(value.ctx, tenon::bytes("fresh"));
        };
    f.stack->refresh(price, nullptr, refresh);
    CHECK(f.fetch("price", "BTC", f.gives("first")).value == "first");
    set(f, R"("stale_while_refresh":false)");
    f.pass(6);
    const auto answer = f.fetch("price", "BTC", f.gives("second"));
    CHECK(answer.value == "second");
    CHECK(answer.how.source == TENON_CACHE_LOADED);
    f.stack->refresh(price, nullptr, nullptr);
}
