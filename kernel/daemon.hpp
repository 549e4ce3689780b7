// SPDX-License-Identifier: Apache-2.0
// tenond: reads its options, checks the deployment, holds the data folder, runs the plugins until
// it is told to stop.
#pragma once

#include "sdk/process/options.hpp"

#include <filesystem>

namespace tenon {

// Exit codes; --help prints them.
inline constexpr int k_exit_ok = 0;
inline constexpr int k_exit_failure = 1;   // while running
inline constexpr int k_exit_usage = 2;     // wrong options
inline constexpr int k_exit_manifest = 3;  // the deployment is wrong; nothing was started
inline constexpr int k_exit_in_use = 4;    // data folder or port not to be had
inline constexpr int k_exit_plugin = 5;    // a plugin with on_failure "stop" failed

// Seen from the folder of this program: ../lib/tenon/plugins of an installed server when it is
// there, else ../plugins of a build.
[[nodiscard]] std::filesystem::path default_plugin_path();

// Runs to the end and gives the exit code. Call with all signals that it handles still unblocked
// and before any thread is made.
[[nodiscard]] int run_daemon(const DaemonOptions& options);

}  // namespace tenon
