// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/host/tables.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace tenon::conformance {
namespace {

// "area.event", of lower-case letters, digits, '_', '-'.
bool is_topic(std::string_view topic) {
    if (topic.empty() || topic.front() == '.' || topic.back() == '.') {
        return false;
    }
    return topic.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == topic.npos;
}

bool is_pattern(std::string_view pattern) {
    if (pattern.ends_with(".*")) {
        pattern.remove_suffix(2);
    }
    return pattern == "*" || is_topic(pattern);
}

}  // namespace

const tenon_config_1 HostEvents::k_config{
    sizeof(tenon_config_1),
    0,
    [](void* self) -> std::uint64_t {
        Host& host = Host::of(self);
        (void)host.enter({"tenon.config/1", "generation", Host::When::from_configure});
        const std::lock_guard lock{host.mutex_};
        return host.generation_;
    },
    [](void* self, tenon_sink out) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        (void)host.enter({"tenon.config/1", "get", Host::When::from_configure});
        std::string text;
        {
            const std::lock_guard lock{host.mutex_};
            text = host.config_;
        }
        return out.put(out.ctx, bytes(text));
    },
    [](void* self, tenon_str pointer, tenon_sink out) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{"tenon.config/1", "value", Host::When::from_configure};
        (void)host.enter(site);
        if (!host.check_text(site, pointer, "the pointer")) {
            return TENON_INVALID;
        }
        std::string text;
        {
            const std::lock_guard lock{host.mutex_};
            const boost::json::value config = boost::json::parse(host.config_);
            boost::system::error_code error;
            const auto* const found =
                config.find_pointer(boost::json::string_view{pointer.p, pointer.n}, error);
            if (found == nullptr) {
                return TENON_NOT_FOUND;
            }
            text = boost::json::serialize(*found);
        }
        return out.put(out.ctx, bytes(text));
    },
    [](void* self, void* ctx, void (*fn)(void*, std::uint64_t), std::uint64_t* handle
    ) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{
            "tenon.config/1", "on_change", Host::When::from_configure, Host::Tag::control, true};
        if (host.enter(site)) {
            return TENON_UNAVAILABLE;
        }
        if (fn == nullptr || handle == nullptr) {
            host.blame(Fault::argument, site, "the callback or the handle is NULL");
            return TENON_INVALID;
        }
        const std::lock_guard lock{host.mutex_};
        *handle = host.next_handle_++;
        host.watchers_.emplace(*handle, Host::Watcher{ctx, fn});
        ++host.account_.subscriptions;
        return TENON_OK;
    },
    [](void* self, std::uint64_t handle) {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        (void
        )host.enter({"tenon.config/1", "remove_on_change", Host::When::removal, Host::Tag::control}
        );
        const std::lock_guard lock{host.mutex_};
        host.account_.subscriptions -= static_cast<std::int64_t>(host.watchers_.erase(handle));
    }};

tenon_status HostEvents::publish(void* self, tenon_str topic, tenon_str type, tenon_bytes data) {
    const PluginScope scope{false};
    Host& host = Host::of(self);
    const Host::Site site{"tenon.bus/1", "publish", Host::When::started};
    (void)host.enter(site);
    const bool good = host.check_text(site, topic, "the topic") && is_topic(view(topic)) &&
                      host.check_text(site, type, "the type") && data.n <= TENON_BUS_DATA_MAX &&
                      (data.p != nullptr || data.n == 0);
    if (!good) {
        host.blame(Fault::argument, site, "a bad topic, type or length");
        return TENON_INVALID;
    }
    host.deliver(std::string{view(topic)}, std::string{view(type)}, std::string{view(data)});
    return TENON_OK;
}

tenon_status HostEvents::subscribe(
    void* self,
    tenon_str topic,
    std::uint32_t reactor,
    void* ctx,
    void (*fn)(void*, const tenon_bus_message*),
    std::uint64_t* handle
) {
    const PluginScope scope{false};
    Host& host = Host::of(self);
    const Host::Site site{
        "tenon.bus/1", "subscribe", Host::When::started, Host::Tag::control, true};
    if (host.enter(site)) {
        return TENON_UNAVAILABLE;
    }
    if (!host.check_text(site, topic, "the topic") || !is_pattern(view(topic)) || reactor != 0 ||
        fn == nullptr || handle == nullptr) {
        host.blame(Fault::argument, site, "a bad topic, reactor, callback or handle");
        return TENON_INVALID;
    }
    const std::lock_guard lock{host.mutex_};
    *handle = host.next_handle_++;
    host.subscriptions_.emplace(*handle, Host::Subscription{std::string{view(topic)}, ctx, fn});
    ++host.account_.subscriptions;
    return TENON_OK;
}

// What is under way is waited for, so that fn does not run once it has returned.
const tenon_bus_1 HostEvents::k_bus{
    sizeof(tenon_bus_1),
    0,
    &publish,
    &subscribe,
    [](void* self, std::uint64_t handle) {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        (void)host.enter({"tenon.bus/1", "unsubscribe", Host::When::removal, Host::Tag::control});
        {
            const std::lock_guard lock{host.mutex_};
            host.account_.subscriptions -=
                static_cast<std::int64_t>(host.subscriptions_.erase(handle));
        }
        host.reactor_.call({&host.bus_account_, [](void*) {}, nullptr});
    }};

const tenon_audit_1 HostEvents::k_audit{
    sizeof(tenon_audit_1),
    0,
    [](void* self, const tenon_audit_event* event, tenon_err* err) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{
            "tenon.audit/1", "record", Host::When::started, Host::Tag::off_reactor, true};
        if (host.enter(site)) {
            return fail(err, TENON_UNAVAILABLE, "injected: the disk is full");
        }
        if (event == nullptr || !TENON_HOLDS(event, tenon_audit_event, detail) ||
            view(event->actor).empty() || view(event->action).empty() ||
            !host.check_text(site, event->actor, "the actor") ||
            !host.check_text(site, event->action, "the action") ||
            !host.check_text(site, event->subject, "the subject") ||
            !host.check_text(site, event->detail, "the detail")) {
            host.blame(Fault::argument, site, "an event without actor or action");
            return fail(err, TENON_INVALID, "an event needs an actor and an action");
        }
        std::string line{view(event->actor)};
        line.append(" ").append(view(event->action)).append(" ").append(view(event->subject));
        line.append(" ").append(view(event->detail));
        const std::lock_guard lock{host.mutex_};
        host.audited_.push_back(std::move(line));
        return TENON_OK;
    }};

}  // namespace tenon::conformance
