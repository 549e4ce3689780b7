// SPDX-License-Identifier: Apache-2.0
// A deployment with everything decided: manifest, complete settings and providers of each instance,
// and the order of the start. Making one opens no library.
#pragma once

#include "sdk/manifest/deployment.hpp"
#include "sdk/manifest/plugin_manifest.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::manifest {

struct PlannedPlugin {
    Instance instance;
    PluginManifest manifest;
    boost::json::object config;    // in force: validated, defaults filled in
    boost::json::object deployed;  // the same without what was overridden; see overrides.hpp
    // Requirement's interface to indices in Plan::plugins, in the order of the deployment. Empty
    // for an optional one that nobody provides.
    std::map<std::string, std::vector<std::size_t>, std::less<>> providers;
};

struct Plan {
    Deployment deployment;
    std::vector<PlannedPlugin> plugins;  // in the order of the start
    Problems problems;                   // all of them, of every file

    [[nodiscard]] bool good() const { return !has_errors(problems); }
};

// Reads the deployment and the manifests that it uses, and applies rules M01 to M19. Plugins are
// looked for in `plugin_path`; when that is empty, where the deployment says; or else in
// `default_plugin_path`.
[[nodiscard]] Plan make_plan(
    const std::filesystem::path& deployment_file,
    const std::vector<Override>& overrides,
    const std::vector<std::filesystem::path>& plugin_path,
    const std::vector<std::filesystem::path>& default_plugin_path
);

// The plugin of that name and all that are bound to it, directly or not, as indices in the order of
// the start: what stops with it. Empty when there is none of that name.
[[nodiscard]] std::vector<std::size_t> with_dependants(const Plan& plan, std::string_view name);

}  // namespace tenon::manifest
