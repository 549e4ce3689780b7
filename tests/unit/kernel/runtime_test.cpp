// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/clock.hpp"
#include "kernel/runtime/exec.hpp"
#include "tests/unit/kernel/scene.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>

namespace {

using tenon::runtime::Exec;

struct Running {
    explicit Running(std::uint32_t spin_us = 0) : exec{1, 2, spin_us} { exec.start(); }

    ~Running() { exec.stop(); }

    [[nodiscard]] tenon::Service<tenon_exec_1> service() { return {&exec, &Exec::table()}; }

    template <class Body>
    void on_reactor(Body body) {
        tenon::call_on_reactor(service(), 0, std::move(body));
    }

    Exec exec;
};

}  // namespace

TEST_CASE("posts run once, in order, on the reactor", "[kernel][exec]") {
    Running running{GENERATE(0U, 50U)};
    std::string order;
    for (char c = 'a'; c <= 'e'; ++c) {
        tenon::post(running.service(), 0, [&order, c] { order.push_back(c); });
    }
    std::int32_t reactor = -1;
    const auto exec = running.service();
    running.on_reactor([&] { reactor = exec->current_reactor(exec.self); });
    CHECK(order == "abcde");
    CHECK(reactor == 0);
    CHECK(exec->current_reactor(exec.self) == -1);
    CHECK(
        exec->post(
            exec.self, 7, [](void*) {}, nullptr
        ) == TENON_INVALID
    );
}

TEST_CASE("a full post queue refuses, a stopped reactor too", "[kernel][exec]") {
    Exec exec{1, 1, 0};
    std::size_t taken = 0;
    while (exec.reactor(0).post([](void*) {}, nullptr)) {
        ++taken;
    }
    CHECK(taken == tenon::runtime::Reactor::k_max_posted);
    exec.start();
    exec.stop();
    CHECK_FALSE(exec.reactor(0).post([](void*) {}, nullptr));
    CHECK(
        exec.call(
            0, [](void*) {}, nullptr
        ) == TENON_UNAVAILABLE
    );
    CHECK_FALSE(exec.pool().run([](void*) {}, nullptr));
}

TEST_CASE("call refuses to run on a reactor, which would wait for itself", "[kernel][exec]") {
    Running running;
    const auto exec = running.service();
    tenon_status status = TENON_OK;
    running.on_reactor([&] {
        status = exec->call(
            exec.self, 0, [](void*) {}, nullptr
        );
    });
    CHECK(status == TENON_INVALID);
}

TEST_CASE("timers fire by deadline, and cancelled ones never", "[kernel][exec]") {
    Running running{GENERATE(0U, 50U)};
    const auto exec = running.service();

    struct State {
        std::string order;
        std::promise<void> done;
    } state;

    running.on_reactor([&] {
        const std::int64_t now = tenon::runtime::monotonic_ns();
        const auto add = [&](std::int64_t ms, tenon_fn fn) {
            return exec->timer(exec.self, now + ms * 1'000'000, fn, &state);
        };
        (void)add(6, [](void* s) {
            static_cast<State*>(s)->order += 'c';
            static_cast<State*>(s)->done.set_value();
        });
        (void)add(2, [](void* s) { static_cast<State*>(s)->order += 'a'; });
        const auto cancelled = add(3, [](void* s) { static_cast<State*>(s)->order += 'x'; });
        (void)add(4, [](void* s) { static_cast<State*>(s)->order += 'b'; });
        exec->cancel_timer(exec.self, cancelled);
        exec->cancel_timer(exec.self, cancelled);
    });
    state.done.get_future().wait();
    running.on_reactor([] {});  // the timer's callback has returned
    CHECK(state.order == "abc");
}

TEST_CASE("turn hooks run by phase at the end of each turn", "[kernel][exec]") {
    Running running;
    const auto exec = running.service();

    struct State {
        std::string order;
        std::uint64_t commit = 0;
        std::uint64_t flush = 0;
    } state;

    running.on_reactor([&] {
        state.flush = exec->at_turn_end(
            exec.self,
            TENON_TURN_FLUSH,
            [](void* s) { static_cast<State*>(s)->order += 'f'; },
            &state
        );
        state.commit = exec->at_turn_end(
            exec.self,
            TENON_TURN_COMMIT,
            [](void* s) { static_cast<State*>(s)->order += 'c'; },
            &state
        );
    });
    std::string seen;
    running.on_reactor([&] { state.order += 'p'; });
    running.on_reactor([&] {
        seen = state.order;
        exec->remove_turn_hook(exec.self, state.commit);
        exec->remove_turn_hook(exec.self, state.flush);
    });
    CHECK(seen.ends_with("pcf"));
    running.on_reactor([&] { state.order.clear(); });
    running.on_reactor([&] { seen = state.order; });
    CHECK(seen.empty());
}

TEST_CASE("a watched descriptor reports until it is unwatched", "[kernel][exec]") {
    Running running;
    const auto exec = running.service();

    struct State {
        int fd = ::eventfd(0, EFD_NONBLOCK);
        std::atomic<int> reads{0};
        std::uint64_t handle = 0;
        std::promise<void> first;

        ~State() { ::close(fd); }
    } state;

    tenon_status watched = TENON_INTERNAL;
    running.on_reactor([&] {
        const auto fire = [](void* s, std::uint32_t ready) {
            auto& mine = *static_cast<State*>(s);
            eventfd_t value = 0;
            if ((ready & TENON_FD_READ) != 0 && ::eventfd_read(mine.fd, &value) == 0 &&
                ++mine.reads == 1) {
                mine.first.set_value();
            }
        };
        watched = exec->watch(exec.self, state.fd, TENON_FD_READ, fire, &state, &state.handle);
    });
    REQUIRE(watched == TENON_OK);
    REQUIRE(::eventfd_write(state.fd, 1) == 0);
    state.first.get_future().wait();
    running.on_reactor([&] {
        CHECK(exec->rewatch(exec.self, state.handle, 0) == TENON_OK);
        CHECK(exec->rewatch(exec.self, state.handle, TENON_FD_READ) == TENON_OK);
        exec->unwatch(exec.self, state.handle);
        CHECK(exec->rewatch(exec.self, state.handle, TENON_FD_READ) == TENON_INVALID);
    });
    REQUIRE(::eventfd_write(state.fd, 1) == 0);
    running.on_reactor([] {});
    running.on_reactor([] {});
    CHECK(state.reads == 1);
    CHECK(exec->watch(exec.self, state.fd, 1, nullptr, nullptr, &state.handle) == TENON_INVALID);
}

TEST_CASE("a callback that unwatches its neighbour silences it at once", "[kernel][exec]") {
    Running running;
    const auto exec = running.service();

    struct State {
        tenon::Service<tenon_exec_1> exec;
        int fds[2] = {::eventfd(1, 0), ::eventfd(1, 0)};
        std::uint64_t handles[2] = {0, 0};
        int calls = 0;
    } state;

    state.exec = exec;
    running.on_reactor([&] {
        const auto fire = [](void* s, std::uint32_t) {
            auto& mine = *static_cast<State*>(s);
            ++mine.calls;
            for (const std::uint64_t handle : mine.handles) {
                mine.exec->unwatch(mine.exec.self, handle);
            }
        };
        for (int i = 0; i < 2; ++i) {
            (void
            )exec->watch(exec.self, state.fds[i], TENON_FD_READ, fire, &state, &state.handles[i]);
        }
    });
    int calls = 0;
    for (int i = 0; i < 3; ++i) {
        running.on_reactor([&] { calls = state.calls; });
    }
    CHECK(calls == 1);
    ::close(state.fds[0]);
    ::close(state.fds[1]);
}

TEST_CASE("blocking work runs off the reactor and its queue is bounded", "[kernel][exec]") {
    struct State {
        std::promise<void> begun;
        std::promise<void> open;
        std::shared_future<void> gate{open.get_future()};
    } state;

    Exec exec{1, 1, 0};  // whose threads end before the state does

    REQUIRE(exec.pool().run(
        [](void* s) {
            auto& mine = *static_cast<State*>(s);
            mine.begun.set_value();
            mine.gate.wait();
        },
        &state
    ));
    state.begun.get_future().wait();
    std::size_t taken = 0;
    while (exec.pool().run([](void*) {}, nullptr)) {
        ++taken;
    }
    CHECK(taken == tenon::runtime::BlockingPool::k_max_queued);
    state.open.set_value();
}

TEST_CASE("a pool that stops names the task that goes on", "[kernel][exec]") {
    const tenon::runtime::Owner owner{"slow", "test.slow", "", 0, 0, false};
    std::promise<void> begun;
    std::promise<void> open;
    auto both = std::pair{&begun, open.get_future()};
    tenon::runtime::BlockingPool pool{2};
    {
        const tenon::runtime::CallScope scope{&owner, "start"};
        REQUIRE(pool.run(
            [](void* s) {
                auto& [first, second] = *static_cast<decltype(both)*>(s);
                first->set_value();
                second.wait();
            },
            &both
        ));
    }
    begun.get_future().wait();
    CHECK(pool.stop(std::chrono::milliseconds{1}) == std::vector<std::string>{"slow"});
    CHECK_FALSE(pool.run([](void*) {}, nullptr));
    open.set_value();
    CHECK(pool.stop(std::chrono::minutes{1}).empty());
}
