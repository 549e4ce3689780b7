// SPDX-License-Identifier: Apache-2.0
// The storages that a deployment binds to a plugin that takes several, by their names.
//
//   "requires": [{ "interface": "tenon.storage/1", "many": true }]
//   storages_ = tenon::bound_storages(host());                    // in start
//   const Storage& old = tenon::storage_named(storages_, "old").storage;
#pragma once

#include <tenon/storage.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace tenon {

struct NamedStorage {
    Storage storage;
    std::string name;  // of the instance in the deployment
};

// [control] As the deployment has them, from start on.
[[nodiscard]] inline std::vector<NamedStorage> bound_storages(const Host& host) {
    std::vector<NamedStorage> found;
    const auto services = host.service<tenon_services_1>("tenon.services/1");
    const auto add = [](void* out, tenon_str name, tenon_iface iface) noexcept {
        return guard(nullptr, [&] {
            static_cast<std::vector<NamedStorage>*>(out)->push_back(
                {Storage{service_from<tenon_storage_1>(iface)}, std::string{view(name)}}
            );
        });
    };
    (void)services->each(services.self, str("tenon.storage/1"), &found, add);
    return found;
}

// Throws Error TENON_INVALID with the names that there are. `storages`: anything with `name`.
template <class Storages>
[[nodiscard]] const auto& storage_named(const Storages& storages, std::string_view name) {
    std::string known;
    for (const auto& one : storages) {
        if (one.name == name) {
            return one;
        }
        known.append(known.empty() ? "" : ", ").append(one.name);
    }
    throw Error{
        TENON_INVALID,
        "no storage \"" + std::string{name} + "\" is bound to this plugin; there are: " + known};
}

}  // namespace tenon
