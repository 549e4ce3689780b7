// SPDX-License-Identifier: Apache-2.0
// Settings marked x-secret hold a reference; the plugin is given what it stands for. The text is
// never logged, and the recorded deployment keeps the reference.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <filesystem>

namespace tenon::manifest {

// Replaces "file:PATH" (relative to the folder), "env:NAME" and "credential:NAME" (a file of
// $CREDENTIALS_DIRECTORY) wherever the schema says x-secret. One line end at the end of a file is
// left out. Throws Error that names the reference.
void resolve_secrets(
    const boost::json::object& schema,
    boost::json::value& value,
    const std::filesystem::path& folder
);

}  // namespace tenon::manifest
