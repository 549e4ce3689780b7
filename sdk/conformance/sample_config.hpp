// SPDX-License-Identifier: Apache-2.0
// Settings made from a config_schema: the plainest that it allows.
#pragma once

#include "sdk/manifest/plugin_manifest.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <string_view>

namespace tenon::conformance {

// What a plugin gets for a secret: made up, and looked for in logs and errors afterwards.
inline constexpr std::string_view k_secret_text = "kit-secret-5f1d0c9b7a3e";

// A value that the schema allows: default, const, first of enum, or the smallest.
[[nodiscard]] boost::json::value sample_value(const boost::json::object& schema);

// `given`, completed as the kernel does: defaults, and samples for what is required and has none.
[[nodiscard]] boost::json::object
sample_config(const manifest::PluginManifest& manifest, boost::json::object given);

// True when the schema accepts the value, with secrets in place of references.
[[nodiscard]] bool accepts(const boost::json::object& schema, boost::json::value value);

}  // namespace tenon::conformance
