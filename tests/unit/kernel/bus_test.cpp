// SPDX-License-Identifier: Apache-2.0
#include "kernel/registry/bus.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

using tenon::registry::Bus;
using tenon::runtime::Exec;

namespace {

struct Bench {
    Bench() { exec.start(); }

    ~Bench() { exec.stop(); }

    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    // Returns when the reactor has run all that was posted before.
    void settle() {
        for (int i = 0; i < 40; ++i) {
            (void)exec.call(
                0, [](void*) {}, nullptr
            );
        }
    }

    Exec exec{1, 2, 0};
    Bus bus{exec};
};

// Keeps what it gets.
struct Inbox {
    struct Got {
        std::string topic, type, data, source;
        std::uint64_t missed;
        bool on_reactor;
    };

    static void receive(void* self, const tenon_bus_message* message) {
        auto& mine = *static_cast<Inbox*>(self);
        const std::lock_guard lock{mine.mutex};
        mine.got.push_back(
            {std::string{tenon::view(message->topic)},
             std::string{tenon::view(message->type)},
             std::string{tenon::view(message->data)},
             std::string{tenon::view(message->source)},
             message->missed,
             tenon::runtime::Reactor::current() != nullptr}
        );
    }

    std::mutex mutex;
    std::vector<Got> got;
};

// Holds reactor 0 until it is let go.
struct Hold {
    explicit Hold(Exec& exec) {
        (void)exec.reactor(0).post(
            [](void* self) {
                auto& mine = *static_cast<Hold*>(self);
                mine.held.set_value();
                mine.go.get_future().wait();
            },
            this
        );
        held.get_future().wait();
    }

    std::promise<void> held, go;
};

}  // namespace

TEST_CASE("a subscriber gets its topics in order, on its reactor", "[bus][K5]") {
    Bench bench;
    Inbox one, under, all, other;
    std::uint64_t handle = 0;
    REQUIRE(bench.bus.subscribe("cache.gone", 0, &one, &Inbox::receive, &handle) == TENON_OK);
    REQUIRE(bench.bus.subscribe("cache.*", 0, &under, &Inbox::receive, &handle) == TENON_OK);
    REQUIRE(bench.bus.subscribe("*", 0, &all, &Inbox::receive, &handle) == TENON_OK);
    REQUIRE(bench.bus.subscribe("cach", 0, &other, &Inbox::receive, &handle) == TENON_OK);
    CHECK(bench.bus.publish("me", "cache.gone", "t/1", std::string{"a\0b", 3}) == TENON_OK);
    CHECK(bench.bus.publish("me", "cache.other", "t/1", "2") == TENON_OK);
    CHECK(bench.bus.publish("me", "cached", "t/1", "3") == TENON_OK);
    bench.settle();
    REQUIRE(one.got.size() == 1);
    CHECK(one.got[0].data == std::string{"a\0b", 3});
    CHECK(one.got[0].type == "t/1");
    CHECK(one.got[0].source == "me");
    CHECK(one.got[0].on_reactor);
    CHECK(under.got.size() == 2);
    REQUIRE(all.got.size() == 3);
    CHECK(all.got[2].topic == "cached");
    CHECK(other.got.empty());
}

TEST_CASE("a subscriber that lags is told how many it missed", "[bus][K5]") {
    Bench bench;
    Inbox inbox;
    std::uint64_t handle = 0;
    REQUIRE(bench.bus.subscribe("x", 0, &inbox, &Inbox::receive, &handle) == TENON_OK);
    {
        Hold hold{bench.exec};
        for (std::size_t i = 0; i < Bus::k_queue_max + 7; ++i) {
            REQUIRE(bench.bus.publish("me", "x", "t", std::to_string(i)) == TENON_OK);
        }
        CHECK(bench.bus.missed() == 7);
        hold.go.set_value();
        bench.settle();
    }
    REQUIRE(inbox.got.size() == Bus::k_queue_max);
    CHECK(inbox.got.back().missed == 0);
    CHECK(bench.bus.publish("me", "x", "t", "next") == TENON_OK);
    bench.settle();
    REQUIRE(inbox.got.size() == Bus::k_queue_max + 1);
    CHECK(inbox.got.back().missed == 7);
    for (std::size_t i = 0; i < Bus::k_queue_max; ++i) {
        REQUIRE(inbox.got[i].data == std::to_string(i));
    }
}

TEST_CASE("a queue is bounded in bytes too", "[bus][K5]") {
    Bench bench;
    Inbox inbox;
    std::uint64_t handle = 0;
    REQUIRE(bench.bus.subscribe("x", 0, &inbox, &Inbox::receive, &handle) == TENON_OK);
    const std::string large(TENON_BUS_DATA_MAX, 'x');
    Hold hold{bench.exec};
    for (int i = 0; i < 300; ++i) {
        REQUIRE(bench.bus.publish("me", "x", "t", large) == TENON_OK);
    }
    CHECK(bench.bus.missed() >= 300 - Bus::k_queue_bytes_max / TENON_BUS_DATA_MAX);
    hold.go.set_value();
    bench.settle();
    CHECK(inbox.got.size() + bench.bus.missed() == 300);
}

TEST_CASE("what one publisher sends arrives in its order; nothing is lost unsaid", "[bus][K5]") {
    Bench bench;
    Inbox inbox;
    std::uint64_t handle = 0;
    REQUIRE(bench.bus.subscribe("x.*", 0, &inbox, &Inbox::receive, &handle) == TENON_OK);
    std::vector<std::thread> threads;
    for (int who = 0; who < 3; ++who) {
        threads.emplace_back([&bench, who] {
            for (int i = 0; i < 5000; ++i) {
                (void)bench.bus.publish(std::to_string(who), "x.y", "t", std::to_string(i));
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    bench.settle();
    (void)bench.bus.publish("end", "x.end", "t", "");
    bench.settle();
    std::uint64_t missed = 0;
    std::map<std::string, int> last;
    for (const Inbox::Got& got : inbox.got) {
        missed += got.missed;
        if (got.source != "end") {
            const auto [at, fresh] = last.try_emplace(got.source, -1);
            REQUIRE(std::stoi(got.data) > at->second);
            at->second = std::stoi(got.data);
        }
    }
    CHECK(inbox.got.size() - 1 + missed == 15000);
    CHECK(missed == bench.bus.missed());
}

TEST_CASE("after unsubscribe nothing arrives, whatever was queued", "[bus][K5]") {
    Bench bench;
    Inbox inbox;
    std::uint64_t handle = 0;
    REQUIRE(bench.bus.subscribe("x", 0, &inbox, &Inbox::receive, &handle) == TENON_OK);
    auto hold = std::make_unique<Hold>(bench.exec);
    REQUIRE(bench.bus.publish("me", "x", "t", "late") == TENON_OK);
    std::thread let_go{[&] { hold->go.set_value(); }};
    bench.bus.unsubscribe(handle);
    let_go.join();
    const std::size_t before = inbox.got.size();
    REQUIRE(bench.bus.publish("me", "x", "t", "later") == TENON_OK);
    bench.settle();
    CHECK(inbox.got.size() == before);
    bench.bus.unsubscribe(handle);  // twice does no harm
}

TEST_CASE("topics, types and sizes are checked", "[bus][K5]") {
    Bench bench;
    std::uint64_t handle = 0;
    const std::string large(TENON_BUS_DATA_MAX + 1, 'x');
    CHECK(bench.bus.publish("me", "", "t", "") == TENON_INVALID);
    CHECK(bench.bus.publish("me", "a*", "t", "") == TENON_INVALID);
    CHECK(bench.bus.publish("me", "a b", "t", "") == TENON_INVALID);
    CHECK(bench.bus.publish("me", "a", "", "") == TENON_INVALID);
    CHECK(bench.bus.publish("me", "a", "t", large) == TENON_INVALID);
    CHECK(bench.bus.publish("me", "a", "t", "") == TENON_OK);
    CHECK(bench.bus.subscribe("a*", 0, nullptr, &Inbox::receive, &handle) == TENON_INVALID);
    CHECK(bench.bus.subscribe(".*", 0, nullptr, &Inbox::receive, &handle) == TENON_INVALID);
    CHECK(bench.bus.subscribe("a", 9, nullptr, &Inbox::receive, &handle) == TENON_INVALID);
    CHECK(bench.bus.subscribe("a", 0, nullptr, nullptr, &handle) == TENON_INVALID);
}

TEST_CASE("unsubscribe waits for a call that runs, though the queue is full", "[bus][K5]") {
    struct State {
        std::promise<void> entered;
        std::promise<void> go;
        std::atomic<int> calls{0};
        std::atomic<bool> inside{false};
    } state;

    Bench bench;
    std::uint64_t handle = 0;
    const auto receive = [](void* self, const tenon_bus_message*) {
        auto& mine = *static_cast<State*>(self);
        mine.inside = true;
        if (mine.calls++ == 0) {
            mine.entered.set_value();
            mine.go.get_future().wait();
        }
        mine.inside = false;
    };
    REQUIRE(bench.bus.subscribe("x", 0, &state, receive, &handle) == TENON_OK);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(bench.bus.publish("me", "x", "t", "data") == TENON_OK);
    }
    state.entered.get_future().wait();
    while (bench.exec.reactor(0).post([](void*) {}, nullptr)) {}
    std::promise<void> asked;
    auto gone = std::async(std::launch::async, [&] {
        asked.set_value();
        bench.bus.unsubscribe(handle);
        return state.inside.load();
    });
    asked.get_future().wait();
    // It may not come back before the call has: a wait that ends early is the defect.
    CHECK(gone.wait_for(std::chrono::milliseconds{50}) == std::future_status::timeout);
    state.go.set_value();
    CHECK_FALSE(gone.get());
    bench.settle();
    CHECK(state.calls == 1);
}
