// SPDX-License-Identifier: Apache-2.0
// The commands behind tenon.admin/1: the kernel's own and those of plugins.
#pragma once

#include <tenon/abi/host.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
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

    // [control] False: the name is taken or empty. The same owner's by somebody else is covered
    // until either is removed: while a plugin is replaced it is there twice.
    [[nodiscard]] bool add(
        std::string_view owner,
        std::string_view name,
        std::string_view usage,
        Run run,
        const void* by = nullptr
    );
    static constexpr std::chrono::milliseconds k_patient = std::chrono::hours{24};

    // [control] Waits until the handler does not run; false, and not removed: not within the limit.
    // Only what this owner added by that is removed.
    bool remove(
        std::string_view owner,
        std::string_view name,
        const void* by = nullptr,
        std::chrono::milliseconds limit = k_patient
    );
    // [control] All of one owner, or only those that it added by that.
    // False: one ran on beyond the limit, and stays with those that were not looked at.
    [[nodiscard]] bool
    remove_all(std::string_view owner, std::chrono::milliseconds limit, const void* by = nullptr);
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
        const void* by = nullptr;
        int running = 0;
    };

    mutable std::mutex mutex_;
    std::condition_variable idle_;
    // guarded by mutex_; the last one of a name runs, none is empty
    std::map<std::string, std::list<Command>, std::less<>> commands_;
};

}  // namespace tenon::registry
