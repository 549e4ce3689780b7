// SPDX-License-Identifier: Apache-2.0
#include "kernel/loader/plugin_slot.hpp"

#include "kernel/runtime/clock.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/serialize.hpp>

namespace tenon::loader {

// The tables whose answers depend on who asks; `self` is the slot.
struct PluginSlot::Tables {
    static PluginSlot& of(void* self) noexcept { return *static_cast<PluginSlot*>(self); }

    static tenon_status query(void* self, tenon_str id, tenon_iface* out) noexcept {
        PluginSlot& slot = of(self);
        const Services& services = *slot.services_;
        const std::string_view name = view(id);
        tenon_iface found{};
        if (name == "tenon.log/1") {
            found = {slot.log_, &runtime::LogSource::table()};
        } else if (name == "tenon.clock/1") {
            found = {nullptr, &runtime::k_clock_table};
        } else if (name == "tenon.environment/1") {
            found = {&slot, &k_environment};
        } else if (name == "tenon.exec/1") {
            found = {services.exec, &runtime::Exec::table()};
        } else if (name == "tenon.metrics/1") {
            found = {services.metrics, &runtime::Metrics::table()};
        } else if (name == "tenon.health/1") {
            found = {&slot, &k_health};
        } else if (name == "tenon.services/1") {
            found = {&slot, &k_services};
        } else if (name == "tenon.secret/1") {
            found = {services.secret, &runtime::SecretBox::table()};
        } else if (name == "tenon.admin/1") {
            found = {&slot, &k_admin};
        } else {
            return TENON_UNSUPPORTED;
        }
        *out = found;
        return TENON_OK;
    }

    static tenon_status environment(void* self, tenon_str key, tenon_str* out) noexcept {
        const PluginSlot& slot = of(self);
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
        const PluginSlot& slot = of(self);
        (void)guard(nullptr, [&] {
            slot.services_->health->set(slot.name(), view(component), state, view(reason));
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
    static const std::vector<const PluginSlot*>* declared(const PluginSlot& slot, tenon_str id) {
        const auto found = slot.providers_.find(view(id));
        return found == slot.providers_.end() ? nullptr : &found->second;
    }

    static tenon_status find(void* self, tenon_str id, tenon_iface* out) noexcept {
        return guard(nullptr, [&]() -> tenon_status {
            if (manifest::is_host_interface(view(id))) {
                return query(self, id, out);
            }
            const auto* providers = declared(of(self), id);
            if (providers == nullptr) {
                return TENON_DENIED;
            }
            for (const PluginSlot* provider : *providers) {
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
            if (providers == nullptr) {
                return TENON_DENIED;
            }
            for (const PluginSlot* provider : *providers) {
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
        return guard(nullptr, [&]() -> tenon_status {
            const auto wrapped = [ctx, run](std::string_view args) {
                StringSink out;
                ErrorBuffer err;
                (void)check(run(ctx, str(args), out.sink(), &err), err, "");
                return std::move(out.text());
            };
            return slot.services_->admin->add(slot.name(), view(name), view(usage), wrapped)
                       ? TENON_OK
                       : TENON_CONFLICT;
        });
    }

    static void remove(void* self, tenon_str name) noexcept {
        PluginSlot& slot = of(self);
        (void)guard(nullptr, [&] { slot.services_->admin->remove(slot.name(), view(name)); });
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
    static constexpr tenon_admin_1 k_admin{sizeof(tenon_admin_1), 0, &command, &remove};
};

PluginSlot::PluginSlot(const Services& services, const manifest::PlannedPlugin& plan)
    : services_{&services},
      plan_{&plan},
      host_{sizeof(tenon_host), 0, this, &Tables::query},
      log_{&services.log->source(plan.instance.name)} {}

void PluginSlot::set_providers(std::string interface_id, std::vector<const PluginSlot*> providers) {
    providers_[std::move(interface_id)] = std::move(providers);
}

tenon_status PluginSlot::query(std::string_view id, tenon_iface* out) const {
    if (!offered_.load(std::memory_order_acquire)) {
        return TENON_UNAVAILABLE;
    }
    return plugin_->vt->query(plugin_, str(id), out);
}

}  // namespace tenon::loader
