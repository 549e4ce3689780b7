// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/plugin_check.hpp"

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <unistd.h>

namespace tenon::cli {

bool is_plugin_check(const std::vector<std::string>& arguments) {
    return arguments.size() >= 2 && arguments[0] == "plugin" && arguments[1] == "check";
}

void run_plugin_check(const std::vector<std::string>& arguments) {
    std::error_code ec;
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", ec);
    std::string program = (self.parent_path() / "tenon-plugin-check").string();
    std::vector<std::string> words{program};
    words.insert(words.end(), arguments.begin() + 2, arguments.end());
    std::vector<char*> raw;
    for (std::string& word : words) {
        raw.push_back(word.data());
    }
    raw.push_back(nullptr);
    (void)::execv(program.c_str(), raw.data());
    throw std::system_error{errno, std::generic_category(), "cannot run " + program};
}

}  // namespace tenon::cli
