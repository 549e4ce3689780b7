// SPDX-License-Identifier: Apache-2.0
#include "kernel/registry/admin_commands.hpp"

#include <tenon/plugin.hpp>

namespace tenon::registry {

bool AdminCommands::add(
    std::string_view owner,
    std::string_view name,
    std::string_view usage,
    Run run
) {
    const std::lock_guard lock{mutex_};
    return !name.empty() && commands_
                                .try_emplace(
                                    std::string{name},
                                    Command{std::string{owner}, std::string{usage}, std::move(run)}
                                )
                                .second;
}

void AdminCommands::remove(std::string_view owner, std::string_view name) {
    std::unique_lock lock{mutex_};
    const auto found = commands_.find(name);
    if (found == commands_.end() || found->second.owner != owner) {
        return;
    }
    // Only this thread removes, so the iterator stays valid while it waits.
    idle_.wait(lock, [&] { return found->second.running == 0; });
    commands_.erase(found);
}

void AdminCommands::remove_all(std::string_view owner) {
    for (const Usage& usage : list()) {
        remove(owner, usage.name);  // only if it is the owner's
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
        command = &found->second;
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
    for (const auto& [name, command] : commands_) {
        out.push_back({name, command.usage, command.owner});
    }
    return out;
}

std::vector<std::string> AdminCommands::running() const {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> out;
    for (const auto& [name, command] : commands_) {
        if (command.running != 0) {
            out.push_back(name);
        }
    }
    return out;
}

}  // namespace tenon::registry
