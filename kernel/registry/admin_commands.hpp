// SPDX-License-Identifier: Apache-2.0
// The commands behind tenon.admin/1: the kernel's own and those of plugins.
#pragma once

#include <tenon/abi/host.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::registry {

class AdminCommands {
public:
    // Takes the arguments as JSON text, returns one JSON value; throws Error.
    using Run = std::function<std::string(std::string_view args_json)>;

    struct Usage {
        std::string name;
        std::string text;
        std::string owner;
    };

    // [control] False: the name is taken or empty.
    [[nodiscard]] bool
    add(std::string_view owner, std::string_view name, std::string_view usage, Run run);
    // [control] Waits until the handler does not run. Only the owner's command is removed.
    void remove(std::string_view owner, std::string_view name);
    // [control] All of one owner.
    void remove_all(std::string_view owner);
    // [io] Throws Error: TENON_NOT_FOUND for an unknown command.
    [[nodiscard]] std::string run(std::string_view name, std::string_view args_json);
    [[nodiscard]] std::vector<Usage> list() const;
    // Names of those that run.
    [[nodiscard]] std::vector<std::string> running() const;

private:
    struct Command {
        std::string owner;
        std::string usage;
        Run run;
        int running = 0;
    };

    mutable std::mutex mutex_;
    std::condition_variable idle_;
    std::map<std::string, Command, std::less<>> commands_;  // guarded by mutex_
};

}  // namespace tenon::registry
