// SPDX-License-Identifier: Apache-2.0
// plugin.json: what a plugin is, provides, needs and can be set to. Shipped beside its library,
// never changed by an operator. Reading one opens no library.
#pragma once

#include "sdk/manifest/problem.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tenon::manifest {

struct Provision {
    std::string interface_id;  // "tenon.storage/1"
    std::int64_t score = 0;    // sorts suggestions; the kit takes the highest
};

struct Requirement {
    std::string interface_id;
    std::string as;  // the name that `bind` may use; the interface's when not given
    bool optional = false;
    bool many = false;
};

struct PluginManifest {
    std::filesystem::path file;
    std::filesystem::path library;
    std::string sha256;  // empty: not stamped
    std::string platform;
    std::string id;
    std::string version;
    std::string name;
    std::vector<Provision> provides;
    std::vector<Requirement> requirements;
    std::vector<std::string> after;   // interfaces that start earlier when present
    std::vector<std::string> before;  // interfaces that start later when present
    std::vector<std::string> conflicts;
    std::vector<std::string> permissions;
    std::vector<std::string> drafts;
    std::vector<std::string> metrics;
    boost::json::object config_schema;
    bool schema_usable = false;
    bool single_instance = false;
    bool replaceable = false;  // reload "replace": old and new code may run side by side
    bool critical = false;
    bool heals = false;  // the server may restart it by itself
    std::int64_t start_timeout_ms = 30'000;
    std::int64_t drain_timeout_ms = 10'000;
    std::int64_t stop_timeout_ms = 30'000;
    Problems problems;  // M01 to M07, M15, M19; reported when a deployment uses the plugin

    [[nodiscard]] const Requirement* requirement(std::string_view interface_id) const;
    [[nodiscard]] bool offers(std::string_view interface_id) const;
};

// Parses and checks one file. The id is empty when not even that could be read.
[[nodiscard]] PluginManifest read_plugin_manifest(const std::filesystem::path& file);

// Rules M08 and M09: the library beside the manifest is a regular file, inside one of the folders,
// writable by its owner alone, and has the stamped hash. Gives the hash that it has, or "".
std::string check_library(
    const PluginManifest& manifest,
    const std::vector<std::filesystem::path>& plugin_path,
    Report& report
);

// SHA-256 in lower-case hexadecimal.
[[nodiscard]] std::string sha256_of(std::string_view text);

// {"count","bytes","sha256"} of a list, of its JSON text.
[[nodiscard]] boost::json::object digest(const boost::json::array& list);

// Reads every FOLDER/NAME/plugin.json. A folder that is missing is M09 of `report`.
[[nodiscard]] std::vector<PluginManifest>
discover(const std::vector<std::filesystem::path>& plugin_path, Report& report);

// "1.2.3", optionally with "-pre" and "+build".
[[nodiscard]] bool is_semver(std::string_view text);
// `range` is "1.2.3" (exactly) or "^1.2" (same leading non-zero part, not lower).
[[nodiscard]] bool is_version_range(std::string_view range);
[[nodiscard]] bool version_fits(std::string_view version, std::string_view range);
// "org.example.cache": ^[a-z0-9-]+(\.[a-z0-9-]+)+$
[[nodiscard]] bool is_plugin_id(std::string_view text);
// "tenon.storage/1".
[[nodiscard]] bool is_interface_id(std::string_view text);

struct AbiVersion {
    std::uint32_t major = 0;
    std::uint32_t minor = 0;

    bool operator==(const AbiVersion&) const = default;
};

// "1.3".
[[nodiscard]] std::optional<AbiVersion> abi_version(std::string_view text);

// True when a host of this ABI has all that a plugin with this minimum needs. An older or a newer
// minor version than the plugin was built with does, as tables only grow.
[[nodiscard]] constexpr bool abi_serves(AbiVersion host, AbiVersion min) {
    return host.major == min.major && min.minor <= host.minor;
}

// Interfaces of the kernel: always there, whether required or not.
[[nodiscard]] const std::vector<std::string>& host_interfaces();
[[nodiscard]] bool is_host_interface(std::string_view interface_id);

}  // namespace tenon::manifest
