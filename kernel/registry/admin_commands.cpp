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

void AdminCommands::remove(std::string_view owner, std::string_view name, const void* by) {
    std::unique_lock lock{mutex_};
    const auto found = commands_.find(name);
    if (found == commands_.end()) {
        return;
    }
    std::list<Command>& all = found->second;
    const auto mine = std::find_if(all.begin(), all.end(), [&](const Command& have) {
        return have.owner == owner && have.by == by;
    });
    if (mine == all.end()) {
        return;
    }
    // Only this thread removes, so the iterator stays valid while it waits.
    idle_.wait(lock, [&] { return mine->running == 0; });
    all.erase(mine);
    if (all.empty()) {
        commands_.erase(found);
    }
}

void AdminCommands::remove_all(std::string_view owner, const void* by) {
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
    for (const auto& [name, adder] : all) {
        remove(owner, name, adder);  // only if it is the owner's
    }
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
