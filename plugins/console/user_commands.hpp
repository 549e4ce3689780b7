// SPDX-License-Identifier: Apache-2.0
// `tenon users add|list|passwd|disable|enable|roles`: local users of the console. Passwords are
// made by the server, shown once, and kept as argon2id hashes.
#pragma once

#include "plugins/console/users.hpp"

#include <tenon/admin.hpp>

#include <functional>
#include <string>

namespace tenon::console {

struct UserCommandOptions {
    const UserStore* users = nullptr;
    std::int64_t timeout_ns = 0;
    std::function<std::int64_t()> now_ns, now_real_ns;
    // Told after a user has changed: his sessions are over.
    std::function<void(const std::string& name)> changed;
    // Writes it down before it is done; throws Error when that fails.
    std::function<void(std::string_view action, std::string_view name)> audit;
};

// [control]
void add_user_commands(AdminCommands& commands, UserCommandOptions options);

}  // namespace tenon::console
