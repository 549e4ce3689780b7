// SPDX-License-Identifier: Apache-2.0
// The command line of tenond.
#pragma once

#include "sdk/manifest/deployment.hpp"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace tenon {

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

}  // namespace tenon
