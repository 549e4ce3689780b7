// SPDX-License-Identifier: Apache-2.0
// tenond: reads its options, checks the deployment, holds the data folder, runs the plugins until
// it is told to stop.
#pragma once

#include "sdk/manifest/deployment.hpp"

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace tenon {

// Exit codes; --help prints them.
inline constexpr int k_exit_ok = 0;
inline constexpr int k_exit_failure = 1;   // while running
inline constexpr int k_exit_usage = 2;     // wrong options
inline constexpr int k_exit_manifest = 3;  // the deployment is wrong; nothing was started
inline constexpr int k_exit_in_use = 4;    // data folder or port not to be had
inline constexpr int k_exit_plugin = 5;    // a plugin with on_failure "stop" failed

struct DaemonOptions {
    std::filesystem::path deployment;
    std::filesystem::path data_dir;
    std::string listen = "127.0.0.1:8765";
    bool no_listen = false;  // plugins run, the port stays closed, no plugin's failure ends it
    bool safe_mode = true;   // hold back what crashed at the last start
    bool check = false;      // say what is wrong with the deployment, start nothing
    bool version = false;
    bool help = false;
    std::vector<manifest::Override> overrides;
    std::vector<std::filesystem::path> plugin_path;
};

class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// Throws UsageError.
[[nodiscard]] DaemonOptions parse_daemon_options(const std::vector<std::string>& arguments);
[[nodiscard]] std::string daemon_help();

// Seen from the folder of this program: ../lib/tenon/plugins of an installed server when it is
// there, else ../plugins of a build.
[[nodiscard]] std::filesystem::path default_plugin_path();

// Runs to the end and gives the exit code. Call with all signals that it handles still unblocked
// and before any thread is made.
[[nodiscard]] int run_daemon(const DaemonOptions& options);

}  // namespace tenon
