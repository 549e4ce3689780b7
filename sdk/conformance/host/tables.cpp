// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/host/tables.hpp"

#include <algorithm>
#include <chrono>

namespace tenon::conformance {
namespace {

std::string_view level_name(std::int32_t level) {
    static constexpr std::string_view k_names[] = {"trace", "debug", "info", "warn", "error"};
    return level >= 0 && level <= TENON_LOG_ERROR ? k_names[level] : "unknown";
}

// tenon_<area>_<what>_<unit>: lower case, digits, underscores.
bool is_metric_name(std::string_view name) {
    return name.starts_with("tenon_") && std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
           });
}

}  // namespace

void HostTables::write_log(
    void* self,
    std::int32_t level,
    tenon_str event,
    const tenon_log_field* fields,
    std::uint32_t count
) {
    const PluginScope scope{false};
    Host& host = Host::of(self);
    const Host::Site site{"tenon.log/1", "write"};
    (void)host.enter(site);
    if (level < TENON_LOG_TRACE || level > TENON_LOG_ERROR) {
        host.blame(Fault::argument, site, "unknown level " + std::to_string(level));
    }
    if (view(event).empty()) {
        host.blame(Fault::argument, site, "the event is empty");
    }
    if (fields == nullptr && count != 0) {
        host.blame(Fault::argument, site, "fields are NULL with a count");
        count = 0;
    }
    std::string line{level_name(level)};
    if (host.check_text(site, event, "the event")) {
        line.append(" ").append(view(event));
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        const tenon_log_field& field = fields[i];
        if (field.kind > TENON_FIELD_NUMBER) {
            host.blame(Fault::argument, site, "a field of unknown kind");
        }
        if (host.check_text(site, field.key, "a field's key") &&
            host.check_text(site, field.value, "a field's value")) {
            line.append(" ").append(view(field.key)).append("=").append(view(field.value));
        }
    }
    const std::lock_guard lock{host.mutex_};
    host.log_.push_back(std::move(line));
}

const tenon_log_1 HostTables::k_log{
    sizeof(tenon_log_1),
    0,
    [](void* self, std::int32_t) -> std::uint32_t {
        (void)Host::of(self).enter({"tenon.log/1", "enabled"});
        return 1;
    },
    &write_log};

const tenon_clock_1 HostTables::k_clock{
    sizeof(tenon_clock_1),
    0,
    [](void* self) -> std::int64_t {
        (void)Host::of(self).enter({"tenon.clock/1", "now_ns"});
        return Host::of(self).reactor_.now_ns();
    },
    [](void* self) -> std::int64_t {
        (void)Host::of(self).enter({"tenon.clock/1", "now_real_ns"});
        return std::chrono::system_clock::now().time_since_epoch().count();
    }};

const tenon_environment_1 HostTables::k_environment{
    sizeof(tenon_environment_1),
    0,
    [](void* self, tenon_str key, tenon_str* out) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{"tenon.environment/1", "get", Host::When::from_configure};
        (void)host.enter(site);
        if (!host.check_text(site, key, "the key")) {
            return TENON_INVALID;
        }
        const auto found = host.options_.environment.find(std::string{view(key)});
        if (found == host.options_.environment.end()) {
            return TENON_NOT_FOUND;
        }
        *out = str(found->second);
        return TENON_OK;
    }};

Host::Series* HostTables::make_series(
    Host& host,
    std::string_view call,
    tenon_str name,
    tenon_str help,
    const tenon_label* labels,
    std::uint32_t count
) {
    const PluginScope scope{false};
    const Host::Site site{
        "tenon.metrics/1", call, Host::When::from_configure, Host::Tag::any, true};
    const bool fails = host.enter(site);
    bool good = host.check_text(site, name, "the name") && host.check_text(site, help, "the help");
    if (good && !is_metric_name(view(name))) {
        host.blame(Fault::argument, site, "bad name \"" + std::string{view(name)} + "\"");
        good = false;
    }
    if (labels == nullptr && count != 0) {
        host.blame(Fault::argument, site, "labels are NULL with a count");
        good = false;
    }
    for (std::uint32_t i = 0; good && i < count; ++i) {
        good = host.check_text(site, labels[i].name, "a label's name") &&
               host.check_text(site, labels[i].value, "a label's value");
    }
    return fails || !good ? nullptr : &host.series(name, labels, count);
}

const tenon_metrics_1 HostTables::k_metrics{
    sizeof(tenon_metrics_1),
    0,
    [](void* self, tenon_str name, tenon_str help, const tenon_label* labels, std::uint32_t count
    ) -> std::uint64_t* {
        auto* made = make_series(Host::of(self), "counter", name, help, labels, count);
        return made == nullptr ? nullptr : &made->counter;
    },
    [](void* self, tenon_str name, tenon_str help, const tenon_label* labels, std::uint32_t count
    ) -> std::int64_t* {
        auto* made = make_series(Host::of(self), "gauge", name, help, labels, count);
        if (made != nullptr) {
            made->is_gauge = true;
        }
        return made == nullptr ? nullptr : &made->gauge;
    },
    [](void* self, tenon_str name, tenon_str help, const tenon_label* labels, std::uint32_t count) {
        // The histogram is its own count; the contract keeps the type opaque.
        return reinterpret_cast<tenon_histogram*>(
            make_series(Host::of(self), "histogram", name, help, labels, count)
        );
    },
    [](void* self, tenon_histogram* histogram, std::int64_t) {
        const Host::Site site{"tenon.metrics/1", "observe", Host::When::from_configure};
        (void)Host::of(self).enter(site);
        if (histogram == nullptr) {
            Host::of(self).blame(Fault::argument, site, "the histogram is NULL");
            return;
        }
        auto* series = reinterpret_cast<Host::Series*>(histogram);
        std::atomic_ref{series->counter}.fetch_add(1, std::memory_order_relaxed);
    },
    [](void* self, tenon_fn fn, void* ctx) -> std::uint64_t {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{"tenon.metrics/1", "on_collect", Host::When::from_configure};
        (void)host.enter(site);
        if (fn == nullptr) {
            host.blame(Fault::argument, site, "the callback is NULL");
            return 0;
        }
        const std::lock_guard lock{host.mutex_};
        host.collectors_.emplace(host.next_collector_, std::pair{fn, ctx});
        ++host.account_.collectors;
        return host.next_collector_++;
    },
    [](void* self, std::uint64_t handle) {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        (void)host.enter({"tenon.metrics/1", "remove_on_collect", Host::When::removal});
        const std::lock_guard lock{host.mutex_};
        host.account_.collectors -= static_cast<std::int64_t>(host.collectors_.erase(handle));
    },
    [](void* self, tenon_sink out) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        (void)host.enter({"tenon.metrics/1", "collect", Host::When::started});
        host.collect();
        std::string text;
        {
            const std::lock_guard lock{host.mutex_};
            for (const auto& [name, cell] : host.series_) {
                text.append(name).append(" 0\n");
            }
        }
        return out.put(out.ctx, bytes(text));
    },
    0,
    nullptr};

const tenon_health_1 HostTables::k_health{
    sizeof(tenon_health_1),
    0,
    [](void* self, tenon_str component, std::int32_t state, tenon_str reason) {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{"tenon.health/1", "set", Host::When::started};
        (void)host.enter(site);
        if (state < TENON_HEALTHY || state > TENON_CRITICAL) {
            host.blame(Fault::argument, site, "unknown state " + std::to_string(state));
            return;
        }
        if (host.check_text(site, component, "the component") &&
            host.check_text(site, reason, "the reason")) {
            const std::lock_guard lock{host.mutex_};
            host.health_[std::string{view(component)}] = state;
        }
    },
    [](void* self, tenon_sink out) -> tenon_status {
        const PluginScope scope{false};
        (void)Host::of(self).enter({"tenon.health/1", "report", Host::When::started});
        return out.put(
            out.ctx, bytes(R"({"state":"healthy","ready":true,"components":[],"plugins":[]})")
        );
    },
    [](void* self) -> std::uint32_t {
        (void)Host::of(self).enter({"tenon.health/1", "ready", Host::When::started});
        return 1;
    }};

}  // namespace tenon::conformance
