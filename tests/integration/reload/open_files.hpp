// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <sys/types.h>
#include <system_error>

namespace tenon::test {

// How many of each kind a process has open: sockets, pipes, files, … Those of its data folder
// apart: the journal, the database and what they are captured in open one more and one less as they
// go on.
[[nodiscard]] inline std::map<std::string, int> open_files(pid_t pid) {
    std::map<std::string, int> kinds;
    for (const auto& one :
         std::filesystem::directory_iterator{"/proc/" + std::to_string(pid) + "/fd"}) {
        std::error_code gone;  // closed since it was listed
        const std::string target = std::filesystem::read_symlink(one.path(), gone).string();
        if (!gone) {
            const bool data = target.find("/data/") != std::string::npos;
            const std::string file = data ? "data" : "file";
            ++kinds[target.starts_with("/") ? file : target.substr(0, target.find(":["))];
        }
    }
    return kinds;
}

[[nodiscard]] inline std::string told(const std::map<std::string, int>& kinds) {
    std::string out;
    for (const auto& [kind, count] : kinds) {
        out.append(kind + "=" + std::to_string(count) + " ");
    }
    return out;
}

}  // namespace tenon::test
