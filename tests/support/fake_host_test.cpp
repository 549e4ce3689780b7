// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_host.hpp"

#include <catch2/catch.hpp>

#include <vector>

using tenon::test::FakeHost;
using tenon::test::FakeReactor;

TEST_CASE("a turn runs posts, due timers and then hooks by phase", "[fake]") {
    FakeHost host{FakeReactor::Mode::manual};
    auto exec = host.exec();
    static std::vector<int> order;
    order.clear();
    const auto note = [](void* ctx) { order.push_back(*static_cast<int*>(ctx)); };
    int post = 1, timer = 2, commit = 3, flush = 4;
    exec->at_turn_end(exec.self, TENON_TURN_FLUSH, note, &flush);
    exec->at_turn_end(exec.self, TENON_TURN_COMMIT, note, &commit);
    exec->timer(exec.self, host.reactor().now_ns() + 1'000'000'000, note, &timer);
    exec->post(exec.self, 0, note, &post);
    host.reactor().advance(1'000'000'000);
    host.reactor().turn();
    CHECK(order == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("a call runs on the reactor's thread and is waited for", "[fake]") {
    FakeHost host;
    int ran_on = -2;
    tenon::call_on_reactor(host.exec(), 0, [&] {
        ran_on = host.exec()->current_reactor(host.exec().self);
    });
    CHECK(ran_on == 0);
    CHECK(host.exec()->current_reactor(host.exec().self) == -1);
}
