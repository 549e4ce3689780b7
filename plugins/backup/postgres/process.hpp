// SPDX-License-Identifier: Apache-2.0
// Programs of PostgreSQL and of the system, each with a bounded time; none outlives its starter.
//
// PostgreSQL's programs refuse to run as root: where Tenon does, they run as the user `postgres`,
// to whom what they work on is given. What a program says on its standard error is in the error.
#pragma once

#include "plugins/backup/postgres/clock.hpp"

#include <tenon/plugin.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace tenon::backup_postgres {

struct Command {
    std::vector<std::string> words;        // the program first; a name is looked for in PATH
    std::vector<std::string> environment;  // NAME=VALUE, on top of the caller's
    std::string folder = "/";              // where it runs
    bool may_fail = false;                 // its status does not matter
};

struct Streams {
    std::function<void(std::string_view)> out = {};  // may throw; the program is then ended
    std::function<std::string()> in = {};            // the next bytes; empty: the end
};

struct Bounds {
    std::chrono::steady_clock::time_point deadline;
    std::function<bool()> cancelled = {};  // asked twice a second
};

// Gives back what it said on standard error, and on standard output where that goes nowhere else;
// 256 KiB at most. Throws TENON_UNAVAILABLE (it failed, or was cancelled) or TENON_TIMEOUT.
std::string run(const Command& command, const Streams& streams, const Bounds& bounds);

// A program in the background. Ended (SIGKILL) with the object.
class Daemon {
public:
    // Both outputs go to `log`.
    Daemon(const Command& command, const std::string& log);
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    [[nodiscard]] bool running();
    // Asks it to end; killed when it has not ended after that time.
    void stop(int signal, std::chrono::milliseconds patience) noexcept;

private:
    pid_t pid_ = -1;
};

// Gives a file or folder (not what is in it) to the user that the programs run as.
void give_to_server_user(const std::string& path);
// The name of that user; "" when programs run as Tenon itself does.
[[nodiscard]] std::string server_user();

// initdb, postgres, pg_basebackup…: in `folder`, or where Debian has those of that major version
// (0: the newest). Throws TENON_UNAVAILABLE when it is not there.
[[nodiscard]] std::string program(const std::string& folder, int major, const std::string& name);

}  // namespace tenon::backup_postgres
