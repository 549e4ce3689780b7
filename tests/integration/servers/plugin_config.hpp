// SPDX-License-Identifier: Apache-2.0
// A plugin's settings as its manifest has them, with some replaced.
#pragma once

#include <boost/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace tenon::test {

// `plugin` is its folder below plugins/: "cache/stack".
[[nodiscard]] inline std::string
config_of(const std::string& plugin, const boost::json::object& replaced = {}) {
    const char* const source = std::getenv("TENON_SOURCE_DIR");
    if (source == nullptr) {
        throw std::runtime_error{"TENON_SOURCE_DIR is not set; run by ctest"};
    }
    const std::ifstream file{std::filesystem::path{source} / "plugins" / plugin / "plugin.json"};
    std::ostringstream text;
    text << file.rdbuf();
    const auto manifest = boost::json::parse(text.str());
    boost::json::object out;
    for (const auto& [name, schema] : manifest.at("config_schema").at("properties").as_object()) {
        if (const auto* const value = schema.as_object().if_contains("default")) {
            out[name] = *value;
        }
    }
    for (const auto& [name, value] : replaced) {
        if (!manifest.at("config_schema").at("properties").as_object().contains(name)) {
            throw std::runtime_error{plugin + " has no setting " + std::string{name}};
        }
        out[name] = value;
    }
    return boost::json::serialize(out);
}

}  // namespace tenon::test
