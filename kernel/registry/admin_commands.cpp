// SPDX-License-Identifier: Apache-2.0
#include "kernel/registry/admin_commands.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>

namespace tenon::registry {

bool AdminCommands::add(
    std::string_view owner,
    std::string_view name,
    std::string_view usage,
    Run run,
    const void* by
) {
    const std::lock_guard lock{mutex_};
    const auto found = commands_.find(name);
    if (name.empty() ||
        (found != commands_.end() &&
         std::any_of(found->second.begin(), found->second.end(), [&](const Command& have) {
             return have.owner != owner || have.by == by;
         }))) {
        return false;
    }
    commands_[std::string{name}].push_back(
        {std::string{owner}, std::string{usage}, std::move(run), by}
    );
    return true;
}

bool AdminCommands::remove(
    std::string_view owner,
    std::string_view name,
    const void* by,
    std::chrono::milliseconds limit
) {
    std::unique_lock lock{mutex_};
    const auto found = commands_.find(name);
    if (found == commands_.end()) {
        return true;
    }
    std::list<Command>& all = found->second;
    const auto mine = std::find_if(all.begin(), all.end(), [&](const Command& have) {
        return have.owner == owner && have.by == by;
    });
    if (mine == all.end()) {
        return true;
    }
    // Only this thread removes, so the iterator stays valid while it waits.
    if (!idle_.wait_for(lock, limit, [&] { return mine->running == 0; })) {
        return false;
    }
    all.erase(mine);
    if (all.empty()) {
        commands_.erase(found);
    }
    return true;
}

bool AdminCommands::remove_all(
    std::string_view owner,
    std::chrono::milliseconds limit,
    const void* by
) {
    std::vector<std::pair<std::string, const void*>> all;
    {
        const std::lock_guard lock{mutex_};
        for (const auto& [name, commands] : commands_) {
            for (const Command& command : commands) {
                if (by == nullptr || command.by == by) {
                    all.emplace_back(name, command.by);
                }
            }
        }
    }
    return std::all_of(all.begin(), all.end(), [&](const auto& one) {
        return remove(owner, one.first, one.second, limit);  // only if it is the owner's
    });
}

std::string AdminCommands::run(std::string_view name, std::string_view args_json) {
    Command* command = nullptr;
    {
        const std::lock_guard lock{mutex_};
        const auto found = commands_.find(name);
        if (found == commands_.end()) {
            throw Error{TENON_NOT_FOUND, "no command \"" + std::string{name} + "\""};
        }
        command = &found->second.back();
        ++command->running;
    }

    struct Leave {
        AdminCommands* commands;
        Command* command;

        ~Leave() {
            {
                const std::lock_guard lock{commands->mutex_};
                --command->running;
            }
            commands->idle_.notify_all();
        }
    } leave{this, command};

    return command->run(args_json);
}

std::vector<AdminCommands::Usage> AdminCommands::list() const {
    const std::lock_guard lock{mutex_};
    std::vector<Usage> out;
    for (const auto& [name, commands] : commands_) {
        out.push_back({name, commands.back().usage, commands.back().owner});
    }
    return out;
}

std::vector<std::string> AdminCommands::running() const {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> out;
    for (const auto& [name, commands] : commands_) {
        if (std::any_of(commands.begin(), commands.end(), [](const Command& command) {
                return command.running != 0;
            })) {
            out.push_back(name);
        }
    }
    return out;
}

}  // namespace tenon::registry
