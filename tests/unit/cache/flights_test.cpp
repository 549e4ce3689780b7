// SPDX-License-Identifier: Apache-2.0
// What has gone wrong with single flights and with refreshes elsewhere, by behaviour.
#include "tests/unit/cache/stack_fixture.hpp"

#include <catch2/catch.hpp>

#include <future>
#include <thread>
#include <vector>

using tenon::test::eventually;
using tenon::test::FakeReactor;
using tenon::test::Gate;
using tenon::test::MapTier;
using tenon::test::StackFixture;

namespace {

// A refresh of the cache "price" that does what the test says, with how often it ran.
struct Refresh {
    explicit Refresh(StackFixture& f, StackFixture::Loader loader)
        : fixture{f}, cache{f.stack->open("price")}, body{std::move(loader)} {
        f.stack->refresh(
            cache,
            this,
            [](auto* ctx, auto, auto deadline_ns, auto value, auto* keep, auto* err) {
                auto& mine = *static_cast<Refresh*>(ctx);
                ++mine.runs;
                return StackFixture::load(&mine.body, deadline_ns, value, keep, err);
            }
        );
    }

    ~Refresh() { fixture.stack->refresh(cache, nullptr, nullptr); }

    Refresh(const Refresh&) = delete;
    Refresh& operator=(const Refresh&) = delete;

    StackFixture& fixture;
    std::uint32_t cache;
    StackFixture::Loader body;
    std::atomic<int> runs{0};
};

// A request in a thread of its own.
std::future<StackFixture::Answer>
ask(StackFixture& f, StackFixture::Loader loader, std::int64_t wait_ns = 60'000'000'000) {
    return std::async(std::launch::async, [&f, loader, wait_ns] {
        return f.fetch("balance", "k", loader, wait_ns);
    });
}

StackFixture::Loader gated(StackFixture& f, Gate& gate, std::string value) {
    return [&f, &gate, value](std::string& out, tenon_cache_keep&) {
        ++f.loads;
        gate.pass();
        out = value;
        return TENON_OK;
    };
}

// So many have joined a flight since the start.
bool joined(StackFixture& f, std::uint64_t count) {
    return eventually([&] {
        std::uint64_t sum = 0;
        f.stack->each_cache([&](const std::string&, const auto& counters, auto) {
            sum += counters.joined.load();
        });
        return sum >= count;
    });
}

}  // namespace

TEST_CASE("regression_a_refresh_slower_than_the_stale_window_keeps_nothing_alive", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    Gate gate;
    Refresh refresh{f, gated(f, gate, "fresh")};
    CHECK(f.fetch("price", "BTC", f.gives("old")).value == "old");
    f.pass(6);
    CHECK(f.get("price", "BTC").how.source == TENON_CACHE_STALE);
    gate.wait_for_one();
    f.pass(8);
    CHECK(f.get("price", "BTC").value == "old");
    f.pass(1);  // its time and the stale window are over, and the refresh still runs
    CHECK(f.get("price", "BTC").status == TENON_NOT_FOUND);
    CHECK(refresh.runs == 1);
    gate.open();
    CHECK(eventually([&] { return f.get("price", "BTC").value == "fresh"; }));
    f.pass(4);
    CHECK(f.get("price", "BTC").how.source == TENON_CACHE_HIT);  // its time began when it came
}

TEST_CASE("regression_past_its_time_no_value_is_served_while_it_is_refreshed", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    Gate gate;
    Refresh refresh{f, gated(f, gate, "fresh")};
    CHECK(f.fetch("price", "BTC", f.gives("old")).value == "old");
    f.pass(6);
    (void)f.get("price", "BTC");
    gate.wait_for_one();
    f.pass(30);
    // Who asks now waits for the refresh; nobody is given what is past its time.
    auto waiting = std::async(std::launch::async, [&] {
        return f.fetch("price", "BTC", f.gives("never loaded"));
    });
    CHECK(joined(f, 1));
    CHECK(f.get("price", "BTC").status == TENON_NOT_FOUND);
    gate.open();
    CHECK(waiting.get().value == "fresh");
}

TEST_CASE("regression_a_refresh_that_failed_is_not_the_last_one", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    std::atomic<bool> broken{true};
    Refresh refresh{f, [&](std::string& out, tenon_cache_keep&) -> tenon_status {
                        if (broken) {
                            throw tenon::Error{TENON_UNAVAILABLE, "no upstream"};
                        }
                        out = "fresh";
                        return TENON_OK;
                    }};
    CHECK(f.fetch("price", "BTC", f.gives("old")).value == "old");
    f.pass(6);
    CHECK(f.get("price", "BTC").value == "old");
    CHECK(eventually([&] { return refresh.runs == 1; }));
    broken = false;
    CHECK(eventually([&] { return f.get("price", "BTC").value == "fresh"; }));
    CHECK(refresh.runs >= 2);
}

TEST_CASE("regression_a_load_under_way_is_no_entry", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    Gate gate;
    auto first = ask(f, gated(f, gate, "value"));
    gate.wait_for_one();
    CHECK(f.get("balance", "k").status == TENON_NOT_FOUND);
    CHECK(memory.entries.empty());
    f.pass(100);  // longer than an entry lives
    gate.open();
    CHECK(first.get().value == "value");
    CHECK(f.get("balance", "k").value == "value");
    f.pass(16);  // its time is counted from when it came, and it does end
    CHECK(f.get("balance", "k").status == TENON_NOT_FOUND);
}

TEST_CASE("regression_after_an_erase_during_a_load_one_new_load_serves_all", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    Gate old_gate, new_gate;
    auto old = ask(f, gated(f, old_gate, "old"));
    old_gate.wait_for_one();
    f.stack->erase(f.stack->open("balance"), "k");
    auto first = ask(f, gated(f, new_gate, "new"));
    new_gate.wait_for_one();
    old_gate.open();  // the end of the old load does not make room for a third one
    CHECK(old.get().value == "old");
    std::vector<std::future<StackFixture::Answer>> more;
    for (int i = 0; i < 8; ++i) {
        more.push_back(ask(f, gated(f, new_gate, "third")));
    }
    CHECK(joined(f, 8));
    new_gate.open();
    CHECK(first.get().value == "new");
    for (auto& answer : more) {
        CHECK(answer.get().value == "new");
    }
    CHECK(f.loads == 2);
    CHECK(f.get("balance", "k").value == "new");
}

TEST_CASE("regression_a_loader_that_throws_leaves_nobody_waiting", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    Gate gate;
    const StackFixture::Loader thrower = [&](std::string&, tenon_cache_keep&) -> tenon_status {
        gate.pass();
        throw std::runtime_error{"broken loader"};
    };
    auto first = ask(f, thrower);
    gate.wait_for_one();
    std::vector<std::future<StackFixture::Answer>> more;
    for (int i = 0; i < 4; ++i) {
        more.push_back(ask(f, thrower));
    }
    CHECK(joined(f, 4));
    gate.open();
    CHECK(first.get().status == TENON_INTERNAL);
    for (auto& answer : more) {
        CHECK(answer.get().message.find("broken loader") != std::string::npos);
    }
    CHECK(f.fetch("balance", "k", f.gives("1")).value == "1");
}

TEST_CASE("regression_who_gives_up_does_not_end_the_load_of_others", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    Gate gate;
    auto first = ask(f, gated(f, gate, "value"));
    gate.wait_for_one();
    auto patient = ask(f, f.gives("second load"));
    CHECK(joined(f, 1));
    CHECK(f.fetch("balance", "k", f.gives("x"), 0).status == TENON_TIMEOUT);
    // The key's flight is still there: whoever comes now joins it.
    auto late = ask(f, f.gives("third load"));
    CHECK(joined(f, 3));
    gate.open();
    CHECK(first.get().value == "value");
    CHECK(patient.get().value == "value");
    CHECK(late.get().value == "value");
    CHECK(f.loads == 1);
}

TEST_CASE("regression_the_failure_of_one_request_is_not_the_next_ones", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    const auto failed =
        f.fetch("balance", "k", [](std::string&, tenon_cache_keep&) -> tenon_status {
            throw tenon::Error{TENON_TIMEOUT, "the caller's deadline"};
        });
    CHECK(failed.status == TENON_TIMEOUT);
    const auto next = f.fetch("balance", "k", f.gives("1"));
    CHECK(next.status == TENON_OK);
    CHECK(next.message.empty());
}

TEST_CASE("regression_a_load_that_hangs_past_its_deadline_takes_no_key_with_it", "[cache][C4]") {
    StackFixture f;
    MapTier memory;
    f.add(memory, "memory");
    Gate gate;
    auto hanging = ask(f, gated(f, gate, "late"), 1'000'000'000);
    gate.wait_for_one();
    f.pass(2);
    auto second = ask(f, gated(f, gate, "second"), 1'000'000'000);
    CHECK(eventually([&] { return f.loads == 2; }));
    f.pass(2);
    // No third beside two that hang: who comes now waits for its own time.
    CHECK(f.fetch("balance", "k", f.gives("third"), 0).status == TENON_TIMEOUT);
    CHECK(f.loads == 2);
    f.stack->erase(f.stack->open("balance"), "k");
    CHECK(f.fetch("balance", "k", f.gives("now")).value == "now");
    gate.open();
    CHECK(second.get().value == "second");
    CHECK(hanging.get().value == "late");  // who began it gets what it brought
    CHECK(f.get("balance", "k").value == "now");
}

TEST_CASE("ten thousand misses of one key at once are one load", "[cache][C4]") {
    StackFixture f{FakeReactor::Mode::manual};
    MapTier memory;
    f.add(memory, "memory");
    Gate gate;
    StackFixture::Loader loader = gated(f, gate, "value");

    struct Count {
        int right = 0, all = 0;
    } count;

    const auto note = [](void* ctx,
                         tenon_status status,
                         tenon_bytes value,
                         const tenon_cache_answer*,
                         const tenon_err*) {
        auto& mine = *static_cast<Count*>(ctx);
        ++mine.all;
        mine.right += status == TENON_OK && tenon::view(value) == "value" ? 1 : 0;
    };
    auto request = tenon::sized<tenon_cache_request>();
    request.cache = f.stack->open("balance");
    request.key = tenon::bytes("k");
    request.deadline_ns = f.host.reactor().now_ns() + 60'000'000'000;
    request.ctx = &loader;
    request.load = &StackFixture::load;
    constexpr int k_requests = 10'000;
    for (int i = 0; i < k_requests; ++i) {
        f.stack->fetch_async(request, {&count, note});
    }
    gate.wait_for_one();
    CHECK(count.all == 0);
    gate.open();
    CHECK(eventually([&] {
        f.host.reactor().turn();
        return count.all == k_requests;
    }));
    CHECK(count.right == k_requests);
    CHECK(f.loads == 1);
}
