// SPDX-License-Identifier: Apache-2.0
#include "kernel/loader/plugin_slot.hpp"

#include "kernel/loader/binding.hpp"
#include "kernel/runtime/clock.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/serialize.hpp>

#include <array>
#include <type_traits>

namespace tenon::loader {

namespace {

using registry::PluginState;

constexpr int k_configured = 1;
constexpr int k_started = 2;

int level_of(PluginState state) {
    switch (state) {
        case PluginState::started:
        case PluginState::draining:
            return k_started;
        case PluginState::configured:
        case PluginState::failed:  // its admin commands may be what repairs the matter
        case PluginState::down:
            return k_configured;
        default:
            return 0;
    }
}

}  // namespace

// The tables as one plugin has them; `self` is the slot.
struct PluginSlot::Tables {
    static PluginSlot& of(void* self) noexcept { return *static_cast<PluginSlot*>(self); }

    // A shared table's function behind the check of the slot's state, in the slot's name.
    template <auto Member, auto Object, int Level>
    struct Gate;

    template <
        class Table,
        class R,
        class... A,
        R (*Table::*Member)(void*, A...),
        auto Object,
        int Level>
    struct Gate<Member, Object, Level> {
        static R call(void* self, A... arguments) noexcept {
            PluginSlot& slot = of(self);
            auto* const object = slot.services_->*Object;
            if (Level > 0 && !slot.allows(name_of(*object), Level)) {
                if constexpr (std::is_same_v<R, tenon_status>) {
                    return TENON_DENIED;
                } else {
                    return R();
                }
            }
            const runtime::CallScope scope{&slot.owner_, runtime::t_running.call};
            return (object->table().*Member)(object, arguments...);
        }
    };

    static std::string_view name_of(const runtime::Exec&) { return "tenon.exec/1"; }

    static std::string_view name_of(const runtime::Metrics&) { return "tenon.metrics/1"; }

    static std::string_view name_of(const sealing::SecretBox&) { return "tenon.secret/1"; }

    template <auto Member, int Level>
    static constexpr auto exec = &Gate<Member, &Services::exec, Level>::call;
    template <auto Member, int Level>
    static constexpr auto metrics = &Gate<Member, &Services::metrics, Level>::call;
    template <auto Member>
    static constexpr auto secret = &Gate<Member, &Services::secret, k_configured>::call;

    // What is not replaced here does not look at `self`, or gives something back.
    static const tenon_exec_1& exec_table() {
        static const tenon_exec_1 k_table = [] {
            tenon_exec_1 table = runtime::Exec::table();
            table.reactor_count = exec<&tenon_exec_1::reactor_count, 0>;
            table.post = exec<&tenon_exec_1::post, k_started>;
            table.watch = exec<&tenon_exec_1::watch, k_started>;
            table.timer = exec<&tenon_exec_1::timer, k_started>;
            table.at_turn_end = exec<&tenon_exec_1::at_turn_end, k_started>;
            table.run_blocking = exec<&tenon_exec_1::run_blocking, k_started>;
            table.call = exec<&tenon_exec_1::call, k_started>;
            return table;
        }();
        return k_table;
    }

    static const tenon_metrics_1& metrics_table() {
        static const tenon_metrics_1 k_table = [] {
            tenon_metrics_1 table = runtime::Metrics::table();
            table.counter = metrics<&tenon_metrics_1::counter, k_configured>;
            table.gauge = metrics<&tenon_metrics_1::gauge, k_configured>;
            table.histogram = metrics<&tenon_metrics_1::histogram, k_configured>;
            table.on_collect = metrics<&tenon_metrics_1::on_collect, k_configured>;
            table.remove_on_collect = metrics<&tenon_metrics_1::remove_on_collect, 0>;
            table.collect = metrics<&tenon_metrics_1::collect, k_configured>;
            return table;
        }();
        return k_table;
    }

    static tenon_status query(void* self, tenon_str id, tenon_iface* out) noexcept {
        PluginSlot& slot = of(self);
        const std::string_view name = view(id);
        if (name == "tenon.log/1") {
            *out = {slot.log_, &runtime::LogSource::table()};
            return TENON_OK;
        }
        if (name == "tenon.clock/1") {
            *out = {nullptr, &runtime::k_clock_table};
            return TENON_OK;
        }
        const void* table = nullptr;
        void* object = &slot;
        if (name == "tenon.environment/1") {
            table = &k_environment;
        } else if (name == "tenon.exec/1") {
            table = &exec_table();
        } else if (name == "tenon.metrics/1") {
            table = &metrics_table();
        } else if (name == "tenon.health/1") {
            table = &k_health;
        } else if (name == "tenon.services/1") {
            table = &k_services;
        } else if (name == "tenon.secret/1") {
            table = &k_secret;
        } else if (name == "tenon.admin/1") {
            table = &k_admin;
        } else if (name == "tenon.config/1") {
            table = &registry::Config::table();
            object = &slot.config_;
        } else if (name == "tenon.bus/1") {
            table = &k_bus;
        } else if (name == "tenon.audit/1") {
            table = &k_audit;
        } else {
            return TENON_UNSUPPORTED;
        }
        if (!slot.allows(name, k_configured)) {
            return TENON_DENIED;
        }
        *out = {object, table};
        return TENON_OK;
    }

    static tenon_status environment(void* self, tenon_str key, tenon_str* out) noexcept {
        const PluginSlot& slot = of(self);
        if (!slot.allows("tenon.environment/1", k_configured)) {
            return TENON_DENIED;
        }
        if (view(key) == "instance") {
            *out = str(slot.name());
            return TENON_OK;
        }
        const auto found = slot.services_->environment.find(view(key));
        if (found == slot.services_->environment.end()) {
            return TENON_NOT_FOUND;
        }
        *out = str(found->second);
        return TENON_OK;
    }

    static void
    health_set(void* self, tenon_str component, std::int32_t state, tenon_str reason) noexcept {
        PluginSlot& slot = of(self);
        if (!slot.allows("tenon.health/1", k_started)) {
            return;
        }
        (void)guard(nullptr, [&] {
            const std::lock_guard lock{slot.mutex_};
            slot.reports_[std::string{view(component)}] = {state, std::string{view(reason)}};
            if (!slot.trial_) {
                slot.services_->health->set(slot.name(), view(component), state, view(reason));
            }
        });
    }

    static tenon_status health_report(void* self, tenon_sink out) noexcept {
        return guard(nullptr, [&] {
            const std::string text = boost::json::serialize(of(self).services_->health->report());
            return out.put(out.ctx, bytes(text));
        });
    }

    static std::uint32_t health_ready(void* self) noexcept {
        return of(self).services_->health->ready() ? 1 : 0;
    }

    // The providers of a declared requirement, or nullptr.
    static const std::vector<const Binding*>* declared(const PluginSlot& slot, tenon_str id) {
        const auto found = slot.providers_.find(view(id));
        return found == slot.providers_.end() ? nullptr : &found->second;
    }

    static tenon_status find(void* self, tenon_str id, tenon_iface* out) noexcept {
        return guard(nullptr, [&]() -> tenon_status {
            if (manifest::is_host_interface(view(id))) {
                return query(self, id, out);
            }
            const auto* providers = declared(of(self), id);
            if (providers == nullptr || !of(self).allows("tenon.services/1", k_configured)) {
                return TENON_DENIED;
            }
            for (const Binding* provider : *providers) {
                if (provider->query(view(id), out) == TENON_OK) {
                    return TENON_OK;
                }
            }
            return TENON_NOT_FOUND;
        });
    }

    static tenon_status each(
        void* self,
        tenon_str id,
        void* ctx,
        tenon_status (*row)(void* ctx, tenon_str instance, tenon_iface iface)
    ) noexcept {
        return guard(nullptr, [&]() -> tenon_status {
            const auto* providers = declared(of(self), id);
            if (providers == nullptr || !of(self).allows("tenon.services/1", k_configured)) {
                return TENON_DENIED;
            }
            for (const Binding* provider : *providers) {
                tenon_iface iface{};
                if (provider->query(view(id), &iface) != TENON_OK) {
                    continue;
                }
                if (const tenon_status status = row(ctx, str(provider->name()), iface);
                    status != TENON_OK) {
                    return status;
                }
            }
            return TENON_OK;
        });
    }

    static tenon_status command(
        void* self,
        tenon_str name,
        tenon_str usage,
        void* ctx,
        tenon_status (*run)(void* ctx, tenon_str args_json, tenon_sink out, tenon_err*)
    ) noexcept {
        PluginSlot& slot = of(self);
        if (!slot.allows("tenon.admin/1", k_configured)) {
            return TENON_DENIED;
        }
        return guard(nullptr, [&]() -> tenon_status {
            const auto wrapped = [ctx, run, owner = &slot.owner_](std::string_view args) {
                if (owner->fenced.load(std::memory_order_relaxed)) {
                    throw Error{TENON_UNAVAILABLE, "the plugin is quarantined"};
                }
                const runtime::CallScope scope{owner, "an admin command"};
                StringSink out;
                ErrorBuffer err;
                if (const auto status = run(ctx, str(args), out.sink(), &err); status < 0) {
                    throw Error{status, std::string{err.message()}};
                }
                return std::move(out.text());
            };
            return slot.services_->admin->add(slot.name(), view(name), view(usage), wrapped, &slot)
                       ? TENON_OK
                       : TENON_CONFLICT;
        });
    }

    static void remove(void* self, tenon_str name) noexcept {
        PluginSlot& slot = of(self);
        (void
        )guard(nullptr, [&] { slot.services_->admin->remove(slot.name(), view(name), &slot); });
    }

    static tenon_status
    publish(void* self, tenon_str topic, tenon_str type, tenon_bytes data) noexcept {
        const PluginSlot& slot = of(self);
        return guard(nullptr, [&]() -> tenon_status {
            return slot.allows("tenon.bus/1", k_started)
                       ? slot.services_->bus->publish(
                             slot.name(), view(topic), view(type), view(data)
                         )
                       : TENON_DENIED;
        });
    }

    static tenon_status subscribe(
        void* self,
        tenon_str topic,
        std::uint32_t reactor,
        void* ctx,
        registry::Bus::Receive fn,
        std::uint64_t* handle
    ) noexcept {
        PluginSlot& slot = of(self);
        return guard(nullptr, [&]() -> tenon_status {
            const runtime::CallScope scope{&slot.owner_, "subscribe"};
            return slot.allows("tenon.bus/1", k_started)
                       ? slot.services_->bus->subscribe(view(topic), reactor, ctx, fn, handle)
                       : TENON_DENIED;
        });
    }

    static void unsubscribe(void* self, std::uint64_t handle) noexcept {
        (void)guard(nullptr, [&] { of(self).services_->bus->unsubscribe(handle); });
    }

    static tenon_status
    audit_record(void* self, const tenon_audit_event* event, tenon_err* err) noexcept {
        const PluginSlot& slot = of(self);
        return guard(err, [&]() -> tenon_status {
            if (!slot.allows("tenon.audit/1", k_started)) {
                return TENON_DENIED;
            }
            slot.services_->audit->record(slot.name(), *event, runtime::realtime_ns() / 1'000'000);
            return TENON_OK;
        });
    }

    static constexpr tenon_environment_1 k_environment{
        sizeof(tenon_environment_1),
        0,
        &environment};
    static constexpr tenon_health_1 k_health{
        sizeof(tenon_health_1),
        0,
        &health_set,
        &health_report,
        &health_ready};
    static constexpr tenon_services_1 k_services{sizeof(tenon_services_1), 0, &find, &each};
    static constexpr tenon_secret_1 k_secret{
        sizeof(tenon_secret_1),
        0,
        secret<&tenon_secret_1::seal>,
        secret<&tenon_secret_1::open>};
    static constexpr tenon_bus_1 k_bus{sizeof(tenon_bus_1), 0, &publish, &subscribe, &unsubscribe};
    static constexpr tenon_audit_1 k_audit{sizeof(tenon_audit_1), 0, &audit_record};
    static constexpr tenon_admin_1 k_admin{sizeof(tenon_admin_1), 0, &command, &remove};
};

PluginSlot::PluginSlot(const Services& services, const manifest::PlannedPlugin& plan, bool trial)
    : services_{&services},
      plan_{&plan},
      host_{sizeof(tenon_host), 0, this, &Tables::query},
      log_{&services.log->source(plan.instance.name)},
      config_{*services.generation, plan.config},
      trial_{trial} {
    owner_.instance = plan.instance.name;
    owner_.id = plan.manifest.id;
}

void PluginSlot::set_providers(std::string interface_id, std::vector<const Binding*> providers) {
    providers_[std::move(interface_id)] = std::move(providers);
}

void PluginSlot::set_state(PluginState state) {
    state_.store(state, std::memory_order_relaxed);
    if (state == PluginState::quarantined) {
        owner_.fenced.store(true, std::memory_order_relaxed);
    }
}

PluginSlot::Reports PluginSlot::reported() const {
    const std::lock_guard lock{mutex_};
    return reports_;
}

void PluginSlot::forget_reports() {
    const std::lock_guard lock{mutex_};
    reports_.clear();
}

void PluginSlot::end_trial() {
    const std::lock_guard lock{mutex_};
    trial_ = false;
    for (const auto& [component, report] : reports_) {
        services_->health->set(name(), component, report.first, report.second);
    }
}

bool PluginSlot::allows(std::string_view service, int level) const noexcept {
    if (level_of(state()) >= level) [[likely]] {
        return true;
    }
    (void)guard(nullptr, [&] {
        const std::array labels{
            tenon_label{str("plugin"), str(name())}, tenon_label{str("service"), str(service)}};
        std::uint64_t* total = services_->metrics->counter(
            "tenon_plugin_refused_calls_total",
            "Calls of host services that the plugin's state did not allow",
            {labels.begin(), labels.end()}
        );
        std::atomic_ref<std::uint64_t>{*total}.fetch_add(1, std::memory_order_relaxed);
        const std::lock_guard lock{mutex_};
        if (refused_.emplace(service).second) {
            services_->log->source("kernel").write(
                TENON_LOG_WARN,
                "call_refused",
                {{"name", name()}, {"service", service}, {"state", registry::state_name(state())}}
            );
        }
    });
    return false;
}

tenon_status PluginSlot::query(std::string_view id, tenon_iface* out) const {
    if (!offered_.load(std::memory_order_acquire)) {
        return TENON_UNAVAILABLE;
    }
    const runtime::CallScope scope{&owner_, "query"};
    return plugin_->vt->query(plugin_, str(id), out);
}

}  // namespace tenon::loader
