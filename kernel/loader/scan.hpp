// SPDX-License-Identifier: Apache-2.0
// Tries plugin libraries that the data folder does not know in a child process: opens them and
// calls their entry (L01 to L05), so that one whose constructors crash, hang or exit cannot take
// the server along. What passed is remembered in DATA_DIR/plugin-scan.json by path, time of change,
// size, SHA-256 and host version.
//
// It shows that a library can be opened, not that it is harmless: what it does later it does in the
// server's process.
#pragma once

#include "kernel/runtime/data_dir.hpp"
#include "sdk/manifest/plan.hpp"

#include <filesystem>
#include <map>
#include <string>

namespace tenon::loader {

// Why each library that failed must not be opened, with its rule. Forks: call it before any thread
// is made. Each library has its manifest's start_timeout_ms.
[[nodiscard]] std::map<std::filesystem::path, std::string>
scan_libraries(const manifest::Plan& plan, const runtime::DataDir& data_dir);

}  // namespace tenon::loader
