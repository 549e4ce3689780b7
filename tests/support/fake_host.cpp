// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_host.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>

namespace tenon::test {
namespace {

FakeHost& of(void* self) noexcept {
    return *static_cast<FakeHost*>(self);
}

std::string_view level_name(std::int32_t level) {
    static constexpr std::string_view k_names[] = {"trace", "debug", "info", "warn", "error"};
    return level >= 0 && level <= TENON_LOG_ERROR ? k_names[level] : "unknown";
}

}  // namespace

struct FakeHost::Tables {
    static tenon_status query(void* self, tenon_str id, tenon_iface* out) noexcept;

    static void write_log(
        void* self,
        std::int32_t level,
        tenon_str event,
        const tenon_log_field* fields,
        std::uint32_t count
    ) {
        std::string line{level_name(level)};
        line.append(" ").append(view(event));
        for (std::uint32_t i = 0; i < count; ++i) {
            line.append(" ").append(view(fields[i].key)).append("=").append(view(fields[i].value));
        }
        const std::lock_guard lock{of(self).mutex_};
        of(self).log_.push_back(std::move(line));
    }

    static tenon_status get_environment(void* self, tenon_str key, tenon_str* out) {
        const auto found = of(self).environment_.find(std::string{view(key)});
        if (found == of(self).environment_.end()) {
            return TENON_NOT_FOUND;
        }
        *out = str(found->second);
        return TENON_OK;
    }

    static tenon_status find(void* self, tenon_str id, tenon_iface* out) {
        for (const Provider& provider : of(self).providers_) {
            if (provider.interface_id == view(id)) {
                *out = provider.iface;
                return TENON_OK;
            }
        }
        return TENON_NOT_FOUND;
    }

    static tenon_status
    each(void* self, tenon_str id, void* ctx, tenon_status (*row)(void*, tenon_str, tenon_iface)) {
        for (const Provider& provider : of(self).providers_) {
            if (provider.interface_id == view(id)) {
                const tenon_status status = row(ctx, str(provider.instance), provider.iface);
                if (status != TENON_OK) {
                    return status;
                }
            }
        }
        return TENON_OK;
    }

    static tenon_status
    seal(void*, tenon_str context, tenon_bytes plain, tenon_sink out, tenon_err*) {
        std::string sealed{"sealed:"};
        sealed.append(view(context)).append(":").append(view(plain));
        return out.put(out.ctx, bytes(sealed));
    }

    static tenon_status
    open(void*, tenon_str context, tenon_bytes sealed, tenon_sink out, tenon_err* err) {
        const std::string prefix = "sealed:" + std::string{view(context)} + ":";
        if (view(sealed).substr(0, prefix.size()) != prefix) {
            return fail(err, TENON_CORRUPT, "the seal does not open");
        }
        return out.put(out.ctx, bytes(view(sealed).substr(prefix.size())));
    }

    static const tenon_log_1 k_log;
    static const tenon_clock_1 k_clock;
    static const tenon_environment_1 k_environment;
    static const tenon_metrics_1 k_metrics;
    static const tenon_health_1 k_health;
    static const tenon_services_1 k_services;
    static const tenon_secret_1 k_secret;
    static const tenon_admin_1 k_admin;
};

const tenon_log_1 FakeHost::Tables::k_log{
    sizeof(tenon_log_1),
    0,
    [](void*, std::int32_t) -> std::uint32_t { return 1; },
    &write_log};

const tenon_clock_1 FakeHost::Tables::k_clock{
    sizeof(tenon_clock_1),
    0,
    [](void* self) -> std::int64_t { return of(self).reactor_.now_ns(); },
    [](void*) -> std::int64_t {
        return std::chrono::system_clock::now().time_since_epoch().count();
    }};

const tenon_environment_1 FakeHost::Tables::k_environment{
    sizeof(tenon_environment_1),
    0,
    &get_environment};

const tenon_metrics_1 FakeHost::Tables::k_metrics{
    sizeof(tenon_metrics_1),
    0,
    [](void* self, tenon_str name, tenon_str, const tenon_label* labels, std::uint32_t count) {
        return &of(self).series(name, labels, count).counter;
    },
    [](void* self, tenon_str name, tenon_str, const tenon_label* labels, std::uint32_t count) {
        Series& series = of(self).series(name, labels, count);
        series.is_gauge = true;
        return &series.gauge;
    },
    [](void* self, tenon_str name, tenon_str, const tenon_label* labels, std::uint32_t count) {
        // The histogram is its own count; the contract keeps the type opaque.
        return reinterpret_cast<tenon_histogram*>(&of(self).series(name, labels, count));
    },
    [](void*, tenon_histogram* histogram, std::int64_t) {
        std::atomic_ref{reinterpret_cast<Series*>(histogram)->counter}.fetch_add(1);
    },
    [](void* self, tenon_fn fn, void* ctx) -> std::uint64_t {
        const std::lock_guard lock{of(self).mutex_};
        of(self).collectors_.emplace(of(self).next_collector_, std::pair{fn, ctx});
        return of(self).next_collector_++;
    },
    [](void* self, std::uint64_t handle) {
        const std::lock_guard lock{of(self).mutex_};
        of(self).collectors_.erase(handle);
    },
    [](void* self, tenon_sink out) -> tenon_status {
        std::string text;
        of(self).collect_metrics(text);
        return out.put(out.ctx, bytes(text));
    },
    0,
    nullptr};

const tenon_health_1 FakeHost::Tables::k_health{
    sizeof(tenon_health_1),
    0,
    [](void* self, tenon_str component, std::int32_t state, tenon_str reason) {
        const std::lock_guard lock{of(self).mutex_};
        of(self).health_[std::string{view(component)}] = {state, std::string{view(reason)}};
    },
    [](void* self, tenon_sink out) -> tenon_status {
        const std::string text = of(self).health_report();
        return out.put(out.ctx, bytes(text));
    },
    [](void* self) -> std::uint32_t { return of(self).ready_ ? 1 : 0; }};

const tenon_services_1 FakeHost::Tables::k_services{sizeof(tenon_services_1), 0, &find, &each};
const tenon_secret_1 FakeHost::Tables::k_secret{sizeof(tenon_secret_1), 0, &seal, &open};

const tenon_admin_1 FakeHost::Tables::k_admin{
    sizeof(tenon_admin_1),
    0,
    [](void* self,
       tenon_str name,
       tenon_str,
       void* ctx,
       tenon_status (*run)(void*, tenon_str, tenon_sink, tenon_err*)) -> tenon_status {
        const std::lock_guard lock{of(self).mutex_};
        const bool made =
            of(self).commands_.try_emplace(std::string{view(name)}, Command{ctx, run}).second;
        return made ? TENON_OK : TENON_CONFLICT;
    },
    [](void* self, tenon_str name) {
        const std::lock_guard lock{of(self).mutex_};
        of(self).commands_.erase(std::string{view(name)});
    }};

tenon_status FakeHost::Tables::query(void* self, tenon_str id, tenon_iface* out) noexcept {
    struct Entry {
        std::string_view id;
        const void* table;
    };

    static constexpr Entry k_entries[] = {
        {"tenon.log/1", &k_log},
        {"tenon.clock/1", &k_clock},
        {"tenon.environment/1", &k_environment},
        {"tenon.metrics/1", &k_metrics},
        {"tenon.health/1", &k_health},
        {"tenon.services/1", &k_services},
        {"tenon.secret/1", &k_secret},
        {"tenon.admin/1", &k_admin},
    };
    if (view(id) == "tenon.exec/1") {
        *out = of(self).reactor_.iface();
        return TENON_OK;
    }
    for (const Entry& entry : k_entries) {
        if (entry.id == view(id)) {
            *out = {self, entry.table};
            return TENON_OK;
        }
    }
    return TENON_UNSUPPORTED;
}

FakeHost::FakeHost(FakeReactor::Mode mode)
    : reactor_{mode}, host_{sizeof(tenon_host), 0, this, &Tables::query} {
    environment_["version"] = "0.0.0-test";
    environment_["instance"] = "fake";
    environment_["listen"] = "";
}

FakeHost::~FakeHost() = default;

void FakeHost::set_environment(const std::string& key, const std::string& value) {
    environment_[key] = value;
}

void FakeHost::bind(
    const std::string& interface_id,
    tenon_iface iface,
    const std::string& instance
) {
    providers_.push_back({interface_id, instance, iface});
}

std::vector<std::string> FakeHost::log_lines() const {
    const std::lock_guard lock{mutex_};
    return log_;
}

std::int32_t FakeHost::health_of(const std::string& component) const {
    const std::lock_guard lock{mutex_};
    const auto found = health_.find(component);
    return found == health_.end() ? TENON_HEALTHY : found->second.state;
}

std::int64_t FakeHost::metric(const std::string& name, const std::string& labels) const {
    const std::lock_guard lock{mutex_};
    const auto found = series_.find(labels.empty() ? name : name + "{" + labels + "}");
    if (found == series_.end()) {
        return 0;
    }
    Series& cell = const_cast<Series&>(found->second);
    return cell.is_gauge ? std::atomic_ref{cell.gauge}.load()
                         : static_cast<std::int64_t>(std::atomic_ref{cell.counter}.load());
}

std::string FakeHost::admin(const std::string& name, std::string_view args_json) {
    Command command{};
    {
        const std::lock_guard lock{mutex_};
        const auto found = commands_.find(name);
        if (found == commands_.end()) {
            throw Error{TENON_NOT_FOUND, "no admin command " + name};
        }
        command = found->second;
    }
    StringSink sink;
    ErrorBuffer err;
    check(command.run(command.ctx, str(args_json), sink.sink(), &err), err, name);
    return sink.text();
}

FakeHost::Series& FakeHost::series(tenon_str name, const tenon_label* labels, std::uint32_t count) {
    std::string key{view(name)};
    for (std::uint32_t i = 0; i < count; ++i) {
        key.append(i == 0 ? "{" : ",").append(view(labels[i].name)).append("=\"");
        key.append(view(labels[i].value)).append("\"");
    }
    if (count != 0) {
        key.append("}");
    }
    const std::lock_guard lock{mutex_};
    return series_[key];
}

std::string FakeHost::health_report() const {
    static constexpr std::string_view k_states[] = {"healthy", "degraded", "critical"};
    const std::lock_guard lock{mutex_};
    std::int32_t worst = TENON_HEALTHY;
    std::string components;
    for (const auto& [name, health] : health_) {
        worst = std::max(worst, health.state);
        components.append(components.empty() ? "" : ",");
        components.append(R"({"plugin":"fake","component":")").append(name);
        components.append(R"(","state":")").append(k_states[health.state]);
        components.append(R"(","reason":")").append(health.reason);
        components.append(R"(","since":"2026-01-01T00:00:00Z"})");
    }
    return std::string{R"({"state":")"}.append(k_states[worst]) + R"(","ready":)" +
           (ready_ ? "true" : "false") + R"(,"components":[)" + components +
           R"(],"plugins":[{"name":"fake","id":"tenon.test.fake","version":"0.1.0",)" +
           R"("state":"started","error":""}]})";
}

void FakeHost::collect_metrics(std::string& out) {
    std::map<std::uint64_t, std::pair<tenon_fn, void*>> collectors;
    {
        const std::lock_guard lock{mutex_};
        collectors = collectors_;
    }
    for (const auto& [handle, collector] : collectors) {
        collector.first(collector.second);
    }
    const std::lock_guard lock{mutex_};
    for (auto& [name, cell] : series_) {
        const std::int64_t value =
            cell.is_gauge ? std::atomic_ref{cell.gauge}.load()
                          : static_cast<std::int64_t>(std::atomic_ref{cell.counter}.load());
        out.append(name).append(" ").append(std::to_string(value)).append("\n");
    }
}

}  // namespace tenon::test
