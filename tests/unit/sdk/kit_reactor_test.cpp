// SPDX-License-Identifier: Apache-2.0
// The reactor of the conformance kit's host.
#include "sdk/conformance/host/reactor.hpp"

#include <catch2/catch.hpp>

namespace tenon::conformance {
namespace {

TEST_CASE(
    "a timer that sets itself again without delay leaves the kit's reactor its turn",
    "[kit][K6]"
) {
    struct Again {
        Account account;
        Reactor reactor{Reactor::Mode::manual};
        int runs = 0;

        void set() {
            const auto fire = [](void* ctx) {
                auto& self = *static_cast<Again*>(ctx);
                ++self.runs;
                self.set();
            };
            reactor.timer(reactor.turn_now_ns(), {&account, fire, this});
        }
    } again;

    again.set();
    again.reactor.turn();
    CHECK(again.runs == 1);
    again.reactor.turn();
    CHECK(again.runs == 2);
}

}  // namespace
}  // namespace tenon::conformance
