// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_reactor.hpp"

namespace tenon::test {

const tenon_exec_1 FakeReactor::k_table{
    sizeof(tenon_exec_1),
    0,
    [](void*) -> std::uint32_t { return 1; },
    [](void* self) -> std::int32_t { return of(self).core_.on_reactor() ? 0 : -1; },
    [](void* self, std::uint32_t reactor, tenon_fn fn, void* ctx) -> tenon_status {
        if (reactor != 0) {
            return TENON_INVALID;
        }
        of(self).core_.post(of(self).task(fn, ctx));
        return TENON_OK;
    },
    [](void* self,
       std::int32_t fd,
       std::uint32_t events,
       tenon_fd_fn fn,
       void* ctx,
       std::uint64_t* handle) -> tenon_status {
        return of(self).core_.watch({&of(self).account_, fd, fn, ctx}, events, handle);
    },
    [](void* self, std::uint64_t handle, std::uint32_t events) -> tenon_status {
        return of(self).core_.rewatch(handle, events);
    },
    [](void* self, std::uint64_t handle) { (void)of(self).core_.unwatch(handle); },
    [](void* self, std::int64_t deadline_ns, tenon_fn fn, void* ctx) -> std::uint64_t {
        return of(self).core_.timer(deadline_ns, of(self).task(fn, ctx));
    },
    [](void* self, std::uint64_t id) { of(self).core_.cancel_timer(id); },
    [](void* self, std::int32_t phase, tenon_fn fn, void* ctx) -> std::uint64_t {
        return of(self).core_.at_turn_end(phase, of(self).task(fn, ctx));
    },
    [](void* self, std::uint64_t handle) { (void)of(self).core_.remove_turn_hook(handle); },
    [](void* self) -> std::int64_t { return of(self).core_.turn_now_ns(); },
    [](void* self, tenon_fn fn, void* ctx) -> tenon_status {
        of(self).core_.run_blocking(of(self).task(fn, ctx));
        return TENON_OK;
    },
    [](void* self, std::uint32_t reactor, tenon_fn fn, void* ctx) -> tenon_status {
        if (reactor != 0) {
            return TENON_INVALID;
        }
        of(self).core_.call(of(self).task(fn, ctx));
        return TENON_OK;
    },
};

}  // namespace tenon::test
