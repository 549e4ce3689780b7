// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/host/tables.hpp"

namespace tenon::conformance {
namespace {

constexpr std::string_view k_id = "tenon.exec/1";
constexpr std::uint32_t k_fd_events = TENON_FD_READ | TENON_FD_WRITE | TENON_FD_ERROR;

}  // namespace

bool HostExec::callback(Host& host, const Host::Site& site, bool given) {
    if (!given) {
        host.blame(Fault::argument, site, "the callback is NULL");
    }
    return given;
}

// A call from the wrong thread is answered with a failure: the reactor's lists are its own.
const tenon_exec_1 HostExec::k_exec{
    sizeof(tenon_exec_1),
    0,
    [](void* self) -> std::uint32_t {
        (void)Host::of(self).enter({k_id, "reactor_count"});
        return 1;
    },
    [](void* self) -> std::int32_t {
        (void)Host::of(self).enter({k_id, "current_reactor"});
        return Host::of(self).reactor_.on_reactor() ? 0 : -1;
    },
    [](void* self, std::uint32_t reactor, tenon_fn fn, void* ctx) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{k_id, "post", Host::When::started, Host::Tag::any, true};
        const bool fails = host.enter(site);
        if (reactor != 0) {
            host.blame(Fault::argument, site, "there is no reactor " + std::to_string(reactor));
            return TENON_INVALID;
        }
        if (!callback(host, site, fn != nullptr) || fails) {
            return fn == nullptr ? TENON_INVALID : TENON_UNAVAILABLE;
        }
        host.reactor_.post({&host.account_, fn, ctx});
        return TENON_OK;
    },
    [](void* self,
       std::int32_t fd,
       std::uint32_t events,
       tenon_fd_fn fn,
       void* ctx,
       std::uint64_t* handle) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{k_id, "watch", Host::When::started, Host::Tag::reactor, true};
        const bool fails = host.enter(site);
        if ((events & ~k_fd_events) != 0) {
            host.blame(Fault::argument, site, "unknown events");
        }
        if (!callback(host, site, fn != nullptr) || !host.reactor_.on_reactor() || fails) {
            return fails ? TENON_UNAVAILABLE : TENON_INVALID;
        }
        return host.reactor_.watch({&host.account_, fd, fn, ctx}, events, handle);
    },
    [](void* self, std::uint64_t handle, std::uint32_t events) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        (void)host.enter({k_id, "rewatch", Host::When::started, Host::Tag::reactor});
        return host.reactor_.on_reactor() ? host.reactor_.rewatch(handle, events) : TENON_INVALID;
    },
    [](void* self, std::uint64_t handle) {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{k_id, "unwatch", Host::When::removal, Host::Tag::reactor};
        (void)host.enter(site);
        if (host.reactor_.on_reactor() && !host.reactor_.unwatch(handle)) {
            host.blame(Fault::argument, site, "an unknown handle");
        }
    },
    [](void* self, std::int64_t deadline_ns, tenon_fn fn, void* ctx) -> std::uint64_t {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{k_id, "timer", Host::When::started, Host::Tag::reactor};
        (void)host.enter(site);
        if (!callback(host, site, fn != nullptr) || !host.reactor_.on_reactor()) {
            return 0;
        }
        return host.reactor_.timer(deadline_ns, {&host.account_, fn, ctx});
    },
    [](void* self, std::uint64_t id) {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        (void)host.enter({k_id, "cancel_timer", Host::When::removal, Host::Tag::reactor});
        if (host.reactor_.on_reactor()) {
            host.reactor_.cancel_timer(id);
        }
    },
    [](void* self, std::int32_t phase, tenon_fn fn, void* ctx) -> std::uint64_t {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{k_id, "at_turn_end", Host::When::started, Host::Tag::reactor};
        (void)host.enter(site);
        if (!callback(host, site, fn != nullptr) || !host.reactor_.on_reactor()) {
            return 0;
        }
        return host.reactor_.at_turn_end(phase, {&host.account_, fn, ctx});
    },
    [](void* self, std::uint64_t handle) {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{k_id, "remove_turn_hook", Host::When::removal, Host::Tag::reactor};
        (void)host.enter(site);
        if (host.reactor_.on_reactor() && !host.reactor_.remove_turn_hook(handle)) {
            host.blame(Fault::argument, site, "an unknown handle");
        }
    },
    [](void* self) -> std::int64_t {
        Host& host = Host::of(self);
        (void)host.enter({k_id, "turn_now_ns", Host::When::started, Host::Tag::reactor});
        return host.reactor_.turn_now_ns();
    },
    [](void* self, tenon_fn fn, void* ctx) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{k_id, "run_blocking", Host::When::started, Host::Tag::any, true};
        const bool fails = host.enter(site);
        if (!callback(host, site, fn != nullptr) || fails) {
            return fn == nullptr ? TENON_INVALID : TENON_UNAVAILABLE;
        }
        host.reactor_.run_blocking({&host.account_, fn, ctx});
        return TENON_OK;
    },
    // Not made to fail: it is how stop removes what start registered.
    [](void* self, std::uint32_t reactor, tenon_fn fn, void* ctx) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{k_id, "call", Host::When::removal, Host::Tag::off_reactor};
        (void)host.enter(site);
        if (reactor != 0) {
            host.blame(Fault::argument, site, "there is no reactor " + std::to_string(reactor));
            return TENON_INVALID;
        }
        if (!callback(host, site, fn != nullptr)) {
            return TENON_INVALID;
        }
        host.reactor_.call({&host.account_, fn, ctx});
        return TENON_OK;
    },
};

}  // namespace tenon::conformance
