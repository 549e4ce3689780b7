// SPDX-License-Identifier: Apache-2.0
// Two servers over one shared tier, step by step: what one invalidates does not live on at another.
#include "tests/unit/cache/shared_fixture.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <thread>

using tenon::test::Gate;
using tenon::test::SharedMap;
using tenon::test::SharingServer;

namespace {

// A loader of a value under a tag.
SharingServer::Loader tagged(const std::string& value) {
    return [value](std::string& out, tenon_cache_keep& keep) {
        static const tenon_str k_tag = tenon::str("user:7");
        keep.tags = &k_tag;
        keep.tag_count = 1;
        out = value;
        return tenon_status{TENON_OK};
    };
}

void tell(SharingServer& server, std::uint32_t kind) {
    auto event = tenon::sized<tenon_cache_tier_event>();
    event.kind = kind;
    server.stack->heard(*server.stack->tiers()[1], event);
}

}  // namespace

TEST_CASE("a tag reaches caches that only another server has opened", "[cache][C3]") {
    SharedMap map;
    SharingServer one{map, 0};
    SharingServer two{map, 1};
    const std::string name = GENERATE("notes", "balance", "price");
    CAPTURE(name);
    CHECK(two.fetch(name, "k", tagged("old")).value == "old");
    CHECK(two.fetch(name, "k", tagged("new")).value == "old");
    one.stack->invalidate_tag("user:7");  // it has opened no cache at all
    two.hear(map);
    CHECK(two.fetch(name, "k", tagged("new")).value == "new");
}

TEST_CASE("clearing all caches clears those of other servers", "[cache][C3]") {
    SharedMap map;
    SharingServer one{map, 0};
    SharingServer two{map, 1};
    CHECK(two.fetch("notes", "k", two.gives("old")).value == "old");
    one.stack->clear();
    two.hear(map);
    CHECK(two.fetch("notes", "k", two.gives("new")).value == "new");
}

TEST_CASE("what was loaded before another server's erase is not written after it", "[cache][C3]") {
    SharedMap map;
    SharingServer one{map, 0};
    SharingServer two{map, 1};
    CHECK(
        one.fetch(
               "price",
               "k",
               [&](std::string& out, tenon_cache_keep&) {
                   out = "old";
                   two.stack->erase(two.stack->open("price"), "k");
                   return tenon_status{TENON_OK};
               }
        ).value == "old"
    );
    // Two never had it, and did not hear of the load: what is in the tier is what it goes by.
    CHECK(two.fetch("price", "k", two.gives("new")).value == "new");
    one.hear(map);
    CHECK(one.fetch("price", "k", one.gives("other")).value != "old");
}

TEST_CASE("a value that nothing was done to meanwhile is shared", "[cache][C3]") {
    SharedMap map;
    SharingServer one{map, 0};
    SharingServer two{map, 1};
    CHECK(one.fetch("price", "k", one.gives("v")).value == "v");
    CHECK(two.fetch("price", "k", two.gives("w")).value == "v");
    CHECK(two.loads == 0);
}

TEST_CASE("a stamp that another server made meanwhile is not put over", "[cache][C3]") {
    SharedMap map;
    SharingServer one{map, 0};
    SharingServer two{map, 1};
    CHECK(one.fetch("notes", "a", tagged("old")).value == "old");
    // The store evicts all stamps; while one makes them anew for another key of the tag, two
    // invalidates the tag. What one hears of must end what it has in memory.
    std::erase_if(map.entries, [](const auto& entry) { return entry.first.starts_with("~s:"); });
    map.news.clear();
    bool done = false;
    one.port.before = [&](std::string_view step, std::string_view) {
        if (!done && (step == "put" || step == "token" || step == "put_if")) {
            done = true;
            two.stack->invalidate_tag("user:7");
        }
    };
    CHECK(one.fetch("notes", "b", tagged("other")).value == "other");
    REQUIRE(done);
    // A tier tells nothing of keys that the server itself has put since.
    std::vector<std::pair<std::size_t, std::string>> told;
    for (std::size_t i = 0; i < map.news.size(); ++i) {
        bool own_since = false;
        for (std::size_t j = i + 1; j < map.news.size(); ++j) {
            own_since =
                own_since || (map.news[j].second == map.news[i].second && map.news[j].first == 0);
        }
        if (!own_since) {
            told.push_back(map.news[i]);
        }
    }
    map.news = told;
    one.hear(map);
    CHECK(one.fetch("notes", "a", tagged("new")).value == "new");
}

TEST_CASE("what came from another server goes by this one's order of things", "[cache][C3]") {
    SharedMap map;
    SharingServer one{map, 0, 3'600'000'000'000};  // its clock is an hour ahead
    SharingServer two{map, 1};
    CHECK(one.fetch("price", "k", tagged("old")).value == "old");
    CHECK(two.fetch("price", "k", tagged("unused")).value == "old");
    CHECK(two.get("price", "k").value == "old");  // in its memory, too
    two.stack->invalidate_tag("user:7");
    CHECK(two.get("price", "k").status == TENON_NOT_FOUND);
}

TEST_CASE("after a break nothing is read that a server is still to take away", "[cache][C2]") {
    SharedMap map;
    SharingServer one{map, 0};
    SharingServer two{map, 1};
    bool cut_off = false;
    one.port.before = [&](std::string_view, std::string_view) {
        if (cut_off) {
            throw tenon::Error{TENON_UNAVAILABLE, "no connection"};
        }
    };
    CHECK(two.fetch("balance", "k", tagged("old")).value == "old");
    cut_off = true;
    for (SharingServer* const server : {&one, &two}) {
        tell(*server, TENON_CACHE_TIER_SUSPECT);
    }
    // Two is back, has loaded anew and not heard of what one does now, which is not back yet.
    tell(two, TENON_CACHE_TIER_TRUSTED);
    CHECK(two.fetch("balance", "k", tagged("old")).value == "old");
    one.stack->invalidate_tag("user:7");
    CHECK(two.fetch("balance", "k", tagged("new")).value == "new");
    SECTION("what it could not take away goes as soon as it is back") {
        cut_off = false;
        tell(one, TENON_CACHE_TIER_TRUSTED);
        CHECK(map.entries.empty());
    }
    SECTION("what it takes away later it takes away at once, though it has not asked again yet") {
        cut_off = false;
        one.stack->invalidate_tag("user:7");
        CHECK(map.entries.size() == 2);  // the two stamps
    }
    two.pass(3);
    CHECK(two.fetch("balance", "k", tagged("newer")).value == "newer");
    CHECK(two.fetch("balance", "k", tagged("unused")).value == "newer");  // it is a cache again
}

TEST_CASE("who joins a load after a break is not given what was before it asked", "[cache][C2]") {
    SharedMap map;
    SharingServer one{map, 0};
    SharingServer two{map, 1};
    one.port.before = [](std::string_view, std::string_view) {
        throw tenon::Error{TENON_UNAVAILABLE, "no connection"};
    };
    for (SharingServer* const server : {&one, &two}) {
        tell(*server, TENON_CACHE_TIER_SUSPECT);
    }
    tell(two, TENON_CACHE_TIER_TRUSTED);
    Gate loaded;
    std::string first;
    std::thread began{[&] {
        first = two.fetch(
                       "balance",
                       "k",
                       [&](std::string& out, tenon_cache_keep& keep) {
                           const tenon_status status = tagged("old")(out, keep);
                           loaded.pass();
                           return status;
                       }
        ).value;
    }};
    loaded.wait_for_one();
    one.stack->invalidate_tag("user:7");  // an order of one's, which cannot tell yet
    std::string second;
    std::thread joined{[&] { second = two.fetch("balance", "k", tagged("new")).value; }};
    const bool waits = tenon::test::eventually([&] {
        return two.stack->stats().find("\"balance\":{\"hit_rate\":0.000,") != std::string::npos &&
               two.stack->stats().find("\"joined\":1") != std::string::npos;
    });
    loaded.open();
    began.join();
    joined.join();
    CHECK(waits);
    CHECK(first == "old");  // it asked before
    CHECK(second == "new");
}

TEST_CASE("how old an entry may be unheard does not hang on the wall clock", "[cache][C3]") {
    SharedMap map;
    SharingServer one{map, 0};
    CHECK(one.fetch("ticker", "k", one.gives("1")).value == "1");
    tell(one, TENON_CACHE_TIER_SUSPECT);
    one.real_jump_ns = -3'600'000'000'000;  // set back
    one.pass(4);
    CHECK(one.get("ticker", "k").value == "1");
    one.pass(2);
    CHECK(one.get("ticker", "k").status == TENON_NOT_FOUND);
}

TEST_CASE("a tier whose news are not heard is not back because a command passes", "[cache][C2]") {
    SharedMap map;
    SharingServer one{map, 0};
    tenon::cache_stack::Tier& tier = *one.stack->tiers()[1];
    constexpr std::int64_t k_second = 1'000'000'000;
    bool cut_off = true;
    one.port.before = [&](std::string_view, std::string_view) {
        if (cut_off) {
            throw tenon::Error{TENON_UNAVAILABLE, "no connection"};
        }
    };
    tell(one, TENON_CACHE_TIER_SUSPECT);
    CHECK_FALSE(tier.put("k", "1", k_second, k_second));
    cut_off = false;
    CHECK(tier.put("k", "1", k_second, k_second, true));
    CHECK(tier.up());
    CHECK_FALSE(tier.settled(100 * k_second, 3 * k_second));
    tell(one, TENON_CACHE_TIER_TRUSTED);
    CHECK(tier.settled(one.host.reactor().now_ns() + 3 * k_second, 3 * k_second));
}

TEST_CASE("a server that leaves the shared tier out still tells what is outdated", "[cache][K8]") {
    SharedMap map;
    SharingServer one{map, 0};
    SharingServer two{map, 1};
    const std::string name = GENERATE("notes", "balance", "price");
    CAPTURE(name);
    std::string text{tenon::test::k_shared_settings};
    text.insert(1, R"("shared_tiers":false,)");
    CHECK(two.fetch(name, "k", two.gives("old")).value == "old");
    one.settings.configure(text, false);
    one.stack->apply();
    CHECK(one.fetch(name, "k", one.gives("mine")).value == "mine");
    CHECK(one.loads == 1);
    one.stack->erase(one.stack->open(name), "k");
    two.hear(map);
    CHECK(two.fetch(name, "k", two.gives("new")).value == "new");
}
