// SPDX-License-Identifier: Apache-2.0
// What a reactor wants done while the pool is full.
#include "tests/unit/cache/stack_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <mutex>
#include <string>

using tenon::cache_stack::Backlog;
using tenon::test::eventually;
using tenon::test::FakeReactor;
using tenon::test::MapTier;
using tenon::test::StackFixture;

namespace {

// The test's thread is the reactor.
struct OnReactor : StackFixture {
    OnReactor() : StackFixture{FakeReactor::Mode::manual} { add(disk, "disk"); }

    // Until it holds, the reactor turning.
    template <class Condition>
    bool in_time(Condition condition) {
        return eventually([&] {
            pass(1);
            host.reactor().turn();
            return condition();
        });
    }

    // Whether the tier has an entry of the key.
    bool disk_has(const std::string& key) {
        const std::lock_guard lock{disk.mutex};
        return std::any_of(disk.entries.begin(), disk.entries.end(), [&](const auto& entry) {
            return entry.first.ends_with(key);
        });
    }

    MapTier disk{true};
};

}  // namespace

TEST_CASE("a reactor does not do itself what a full pool refuses", "[cache][C3]") {
    OnReactor f;
    const std::uint32_t cache = f.stack->open("balance");
    CHECK(f.fetch("balance", "u1", f.gives("old")).value == "old");
    CHECK(f.fetch("balance", "u2", f.gives("old")).value == "old");
    REQUIRE(f.disk_has("u1"));
    f.fill_pool();
    f.stack->erase(cache, "u1");
    f.stack->erase(cache, "u2");
    f.stack->put(cache, "u3", "put", nullptr);
    CHECK(f.disk_has("u1"));
    CHECK_FALSE(f.disk_has("u3"));
    f.pass(1);
    f.host.reactor().turn();  // asked again, and refused again
    CHECK(f.fetch("balance", "u1", f.gives("new")).value == "new");
    f.fill_pool(false);
    CHECK(f.in_time([&] { return f.disk_has("u3") && !f.disk_has("u2"); }));
    CHECK(f.fetch("balance", "u1", f.gives("unused")).value == "new");
    CHECK(f.fetch("balance", "u2", f.gives("newer")).value == "newer");
    CHECK(f.fetch("balance", "u3", f.gives("unused")).value == "put");
}

TEST_CASE("what is too much for the backlog takes the tier's entries with it", "[cache][C3]") {
    OnReactor f;
    const std::uint32_t cache = f.stack->open("balance");
    CHECK(f.fetch("balance", "last", f.gives("old")).value == "old");
    CHECK(f.fetch("balance", "other", f.gives("old")).value == "old");
    f.fill_pool();
    for (std::size_t i = 0; i < Backlog::k_most; ++i) {
        f.stack->erase(cache, "u" + std::to_string(i));
    }
    f.stack->erase(cache, "last");
    CHECK(f.disk_has("last"));
    SECTION("before it is asked again") {
        CHECK(f.fetch("balance", "last", f.gives("new")).value == "new");
    }
    SECTION("soon, also when nobody asks it") {
        f.fill_pool(false);
        CHECK(f.in_time([&] { return !f.disk_has("last") && !f.disk_has("other"); }));
    }
    f.fill_pool(false);
    f.stack->put(cache, "since", "1", nullptr);
    CHECK(f.in_time([&] { return f.disk_has("since"); }));
}
