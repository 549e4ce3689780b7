// SPDX-License-Identifier: Apache-2.0
// tenon.exec/1 for tests, on the conformance kit's reactor: one reactor over epoll, in a thread of
// its own or turned by the test, and a blocking pool of two threads.
//
// The clock is the system's monotonic one plus what the test added with advance(), so that tests of
// timeouts need not wait.
#pragma once

#include "sdk/conformance/host/reactor.hpp"

#include <tenon/abi/host.h>

#include <cstdint>

namespace tenon::test {

class FakeReactor {
public:
    using Mode = conformance::Reactor::Mode;

    explicit FakeReactor(Mode mode) : core_{mode} {}

    // One turn on the calling thread; mode manual only. Waits at most wait_ms for an event.
    void turn(int wait_ms = 0) { core_.turn(wait_ms); }

    void advance(std::int64_t duration_ns) { core_.advance(duration_ns); }

    [[nodiscard]] std::int64_t now_ns() const { return core_.now_ns(); }

    [[nodiscard]] tenon_iface iface() noexcept { return {this, &k_table}; }

private:
    static FakeReactor& of(void* self) noexcept { return *static_cast<FakeReactor*>(self); }

    [[nodiscard]] conformance::Reactor::Task task(tenon_fn fn, void* ctx) noexcept {
        return {&account_, fn, ctx};
    }

    static const tenon_exec_1 k_table;
    conformance::Account account_;  // nobody looks at it
    conformance::Reactor core_;
};

}  // namespace tenon::test
