// SPDX-License-Identifier: Apache-2.0
#include "tests/support/loaded_plugin.hpp"

#include <cstdlib>
#include <dlfcn.h>

namespace tenon::test {

LoadedPlugin::LoadedPlugin(FakeHost& host, const std::string& name, std::string_view config) {
    const char* const build = std::getenv("TENON_BUILD_DIR");
    if (build == nullptr) {
        throw Error{TENON_INVALID, "TENON_BUILD_DIR is not set; run by ctest"};
    }
    const std::string file = std::string{build} + "/plugins/" + name + "/" + name + ".so";
    void* const image = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (image == nullptr) {
        throw Error{TENON_NOT_FOUND, dlerror()};
    }
    using Entry = const tenon_entry* (*)();
    const auto entry = reinterpret_cast<Entry>(dlsym(image, TENON_ENTRY_SYMBOL));
    ErrorBuffer err;
    check(entry()->create(host.raw(), &plugin_, &err), err, "create");
    try {
        check(plugin_->vt->configure(plugin_, str(config), 0, &err), err, "configure");
        check(plugin_->vt->start(plugin_, &err), err, "start");
    } catch (...) {
        plugin_->vt->destroy(plugin_);
        throw;
    }
}

LoadedPlugin::~LoadedPlugin() {
    stop();
    plugin_->vt->destroy(plugin_);
}

void LoadedPlugin::reload(std::string_view config) {
    ErrorBuffer err;
    for (const std::uint32_t dry_run : {1U, 0U}) {
        check(plugin_->vt->configure(plugin_, str(config), dry_run, &err), err, "configure");
    }
}

void LoadedPlugin::stop() {
    plugin_->vt->stop(plugin_);
}

tenon_iface LoadedPlugin::query(std::string_view interface_id) const {
    tenon_iface iface{};
    if (plugin_->vt->query(plugin_, str(interface_id), &iface) != TENON_OK) {
        throw Error{TENON_UNSUPPORTED, "the plugin has no " + std::string{interface_id}};
    }
    return iface;
}

}  // namespace tenon::test
