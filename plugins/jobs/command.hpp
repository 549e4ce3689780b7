// SPDX-License-Identifier: Apache-2.0
// Admin commands as jobs: upkeep that a schedule asks this server for. A text as on the command
// line, "backup create --label nightly", becomes the payload of a job of kind `command` in queue
// `tenon`.
#pragma once

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

namespace tenon::jobs {

inline constexpr std::string_view k_command_queue = "tenon", k_command_kind = "command";

struct Command {
    std::string name;  // of the admin command: backup.create
    boost::json::object args;
};

// Throws Error TENON_INVALID: it is none, or none that a schedule may give (what only looks after
// what there is: backups, archives, checks, advice).
[[nodiscard]] Command parse_command(std::string_view line);
[[nodiscard]] std::string payload_of(const Command& command);
// Throws as parse_command.
[[nodiscard]] Command command_of(std::string_view payload);

}  // namespace tenon::jobs
