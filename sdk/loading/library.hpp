// SPDX-License-Identifier: Apache-2.0
// Opens a plugin's library and checks its entry (L01 to L05). A library is never closed:
// thread-local destructors and unique symbols of C++ make that unsafe.
#pragma once

#include "sdk/manifest/plugin_manifest.hpp"

#include <tenon/abi/base.h>

#include <functional>

namespace tenon::loader {

// [control] Throws Error whose message starts with the rule's code. `before` is told the rule that
// the plugin's own code can break next: L01 before its constructors, L03 before its entry.
[[nodiscard]] const tenon_entry* open_library(
    const manifest::PluginManifest& manifest,
    const std::function<void(const char* rule)>& before = [](const char*) {}
);

}  // namespace tenon::loader
