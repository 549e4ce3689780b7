// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/host/tables.hpp"

namespace tenon::conformance {

bool HostServices::declared(Host& host, const Host::Site& site, tenon_str id) {
    const bool known =
        host.check_text(site, id, "the id") && host.options_.declared.contains(view(id));
    if (!known) {
        host.blame(
            Fault::argument, site, std::string{view(id)} + " is not in the manifest's requires"
        );
    }
    return known;
}

const tenon_services_1 HostServices::k_services{
    sizeof(tenon_services_1),
    0,
    [](void* self, tenon_str id, tenon_iface* out) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{"tenon.services/1", "find", Host::When::from_configure};
        (void)host.enter(site);
        if (!declared(host, site, id)) {
            return TENON_DENIED;
        }
        for (const Host::Provider& provider : host.providers_) {
            if (provider.interface_id == view(id)) {
                *out = provider.iface;
                return TENON_OK;
            }
        }
        return TENON_NOT_FOUND;
    },
    [](void* self, tenon_str id, void* ctx, tenon_status (*row)(void*, tenon_str, tenon_iface)
    ) -> tenon_status {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        const Host::Site site{"tenon.services/1", "each", Host::When::from_configure};
        (void)host.enter(site);
        if (!declared(host, site, id)) {
            return TENON_DENIED;
        }
        for (const Host::Provider& provider : host.providers_) {
            if (provider.interface_id == view(id)) {
                const tenon_status status = row(ctx, str(provider.instance), provider.iface);
                if (status != TENON_OK) {
                    return status;
                }
            }
        }
        return TENON_OK;
    }};

const tenon_secret_1 HostServices::k_secret{
    sizeof(tenon_secret_1),
    0,
    [](void* self, tenon_str context, tenon_bytes plain, tenon_sink out, tenon_err* err
    ) -> tenon_status {
        const PluginScope scope{false};
        const Host::Site site{
            "tenon.secret/1", "seal", Host::When::from_configure, Host::Tag::any, true};
        if (Host::of(self).enter(site)) {
            return fail(err, TENON_UNAVAILABLE, "injected: sealing fails");
        }
        std::string sealed{"sealed:"};
        sealed.append(view(context)).append(":").append(view(plain));
        return out.put(out.ctx, bytes(sealed));
    },
    [](void* self, tenon_str context, tenon_bytes sealed, tenon_sink out, tenon_err* err
    ) -> tenon_status {
        const PluginScope scope{false};
        const Host::Site site{
            "tenon.secret/1", "open", Host::When::from_configure, Host::Tag::any, true};
        const std::string prefix = "sealed:" + std::string{view(context)} + ":";
        if (Host::of(self).enter(site) || !view(sealed).starts_with(prefix)) {
            return fail(err, TENON_CORRUPT, "the seal does not open");
        }
        return out.put(out.ctx, bytes(view(sealed).substr(prefix.size())));
    }};

tenon_status HostServices::add_command(
    void* self,
    tenon_str name,
    tenon_str usage,
    void* ctx,
    tenon_status (*run)(void*, tenon_str, tenon_sink, tenon_err*)
) {
    const PluginScope scope{false};
    Host& host = Host::of(self);
    const Host::Site site{
        "tenon.admin/1", "command", Host::When::from_configure, Host::Tag::control, true};
    const bool fails = host.enter(site);
    if (run == nullptr) {
        host.blame(Fault::argument, site, "the handler is NULL");
        return TENON_INVALID;
    }
    if (!host.check_text(site, name, "the name") || !host.check_text(site, usage, "the usage")) {
        return TENON_INVALID;
    }
    if (fails) {
        return TENON_CONFLICT;
    }
    const std::lock_guard lock{host.mutex_};
    const bool made =
        host.commands_.try_emplace(std::string{view(name)}, Host::Command{ctx, run}).second;
    host.account_.commands += made ? 1 : 0;
    return made ? TENON_OK : TENON_CONFLICT;
}

const tenon_admin_1 HostServices::k_admin{
    sizeof(tenon_admin_1),
    0,
    &add_command,
    [](void* self, tenon_str name) {
        const PluginScope scope{false};
        Host& host = Host::of(self);
        (void)host.enter({"tenon.admin/1", "remove", Host::When::removal});
        const std::lock_guard lock{host.mutex_};
        host.account_.commands -=
            static_cast<std::int64_t>(host.commands_.erase(std::string{view(name)}));
    }};

}  // namespace tenon::conformance
