// SPDX-License-Identifier: Apache-2.0
// Tries plugin libraries that the data folder does not know in a child process: opens them and
// calls their entry (L01 to L05), so that one whose constructors crash, hang or exit cannot take
// the server along. What passed is remembered in DATA_DIR/plugin-scan.json by path, time of change,
// size, SHA-256 and host version.
//
// It shows that a library can be opened, not that it is harmless: what it does later it does in the
// server's process.
#pragma once

#include "sdk/manifest/plan.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace tenon::loader {

// Replaces a file of the data folder.
using Write = std::function<void(std::string_view name, std::string_view text)>;

// Why each library that failed must not be opened, with its rule. Forks: call it before any thread
// is made. Each library has its manifest's start_timeout_ms.
[[nodiscard]] std::map<std::filesystem::path, std::string> scan_libraries(
    const manifest::Plan& plan,
    const std::filesystem::path& data_dir,
    const Write& write
);

// [any] Why one library must not be opened, "" for none: the same in a child process that begins
// with this program's main(), since a server that runs has threads.
[[nodiscard]] std::string try_library(const manifest::PluginManifest& manifest);
// What that child does, told on standard output: `tenond --try-library FILE ID VERSION`.
inline constexpr const char* k_try_library = "--try-library";
[[noreturn]] void try_library_here(char** arguments);

}  // namespace tenon::loader
