// SPDX-License-Identifier: Apache-2.0
// A plugin of the build folder on a fake host: loaded, configured, started; stopped at the end.
#pragma once

#include "tests/support/fake_host.hpp"

#include <tenon/plugin.hpp>

#include <string>
#include <string_view>

namespace tenon::test {

class LoadedPlugin {
public:
    // `name` as in tenon_add_plugin; the build folder is TENON_BUILD_DIR of the environment.
    // `config` is the whole configuration. Throws Error with the plugin's message.
    LoadedPlugin(FakeHost& host, const std::string& name, std::string_view config);
    ~LoadedPlugin();
    LoadedPlugin(const LoadedPlugin&) = delete;
    LoadedPlugin& operator=(const LoadedPlugin&) = delete;

    // As a live reload with `config`, again the whole. Throws Error with the plugin's message.
    void reload(std::string_view config);
    void stop();
    [[nodiscard]] tenon_iface query(std::string_view interface_id) const;

private:
    tenon_plugin* plugin_ = nullptr;
};

}  // namespace tenon::test
