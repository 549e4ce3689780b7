// SPDX-License-Identifier: Apache-2.0
// The command line of `tenon plugin check`, as tenon-plugin-check takes it.
#pragma once

#include <boost/json/object.hpp>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace tenon::conformance {

inline constexpr int k_exit_passed = 0;
inline constexpr int k_exit_failed = 1;  // a check failed, crashed or timed out
inline constexpr int k_exit_usage = 2;   // wrong usage, or there is no such file

struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Options {
    std::vector<std::filesystem::path> files;
    std::vector<std::filesystem::path> plugin_path;  // providers of what the plugin requires
    std::filesystem::path deployment_dir;  // of tenon.environment/1; the manifest's folder
    std::filesystem::path junit;
    std::filesystem::path self_test_dir;
    std::string profile;  // an interface: only its suite and what is for all
    std::string only, skip;
    // Settings by plugin id, in place of those made from the schema: {"org.example.x":{…}}.
    boost::json::object settings;
    std::uint64_t seed = 0;
    std::int64_t timeout_ms = 30'000;
    std::uint32_t jobs = 0;  // 0: as many as cores
    bool reproduce = false;  // --reproduce SEED: the fuzz checks alone, with that seed
    bool json = false;
    bool in_process = false;
    bool list = false;
    bool self_test = false;
    bool verbose = false;
    bool help = false;
};

// Throws UsageError.
[[nodiscard]] Options parse_options(const std::vector<std::string>& arguments);

[[nodiscard]] std::string help_text();

}  // namespace tenon::conformance
