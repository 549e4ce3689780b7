// SPDX-License-Identifier: Apache-2.0
// What was typed: words that name a command, options that become its arguments.
#pragma once

#include <boost/json/object.hpp>

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace tenon::cli {

// Exit codes; --help prints them.
inline constexpr int k_exit_ok = 0;
inline constexpr int k_exit_failed = 1;      // the command was refused or failed
inline constexpr int k_exit_usage = 2;       // wrong usage
inline constexpr int k_exit_deployment = 3;  // the deployment is wrong
inline constexpr int k_exit_no_server = 4;   // no server answers, and none could be started

class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

struct Arguments {
    std::vector<std::string> words;  // "keys" "create"
    boost::json::object options;     // of the command: {"account":"demo","permissions":["trade"]}
    std::filesystem::path data_dir = "data";
    std::filesystem::path deployment;
    std::vector<std::filesystem::path> plugin_path;
    std::vector<std::string> overrides;
    bool json = false;
    bool help = false;

    [[nodiscard]] std::string command() const;  // "keys.create"
};

// `--some-name VALUE` and `--some-name=VALUE` give "some_name"; an option without a value is true;
// one that is repeated becomes a list. Lists (--permissions a,b) and numbers (--to N) are known by
// name, everything else is text. Throws UsageError.
[[nodiscard]] Arguments parse_arguments(const std::vector<std::string>& arguments);

}  // namespace tenon::cli
