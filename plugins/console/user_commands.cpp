// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/user_commands.hpp"

#include "plugins/console/roles.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace tenon::console {
namespace {

namespace json = boost::json;

constexpr std::size_t k_accounts_max = 64, k_account_name_max = 32;

// "a,b" or ["a","b"].
std::vector<std::string> words(const Settings& args, std::string_view key) {
    const Json* const value = args.json().find(key);
    if (value == nullptr) {
        return {};
    }
    std::vector<std::string> found;
    const auto split = [&](const std::string& text) {
        for (std::size_t at = 0; at <= text.size();) {
            const std::size_t end = std::min(text.find(',', at), text.size());
            if (end > at) {
                found.push_back(text.substr(at, end - at));
            }
            at = end + 1;
        }
    };
    if (value->is(Json::Kind::array)) {
        for (const Json& item : value->items()) {
            split(item.text());
        }
    } else {
        split(value->text());
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

std::uint32_t roles_of(const Settings& args) {
    std::uint32_t roles = 0;
    for (const std::string& name : words(args, "roles")) {
        const auto role = role_of(name);
        if (!role) {
            throw Error{
                TENON_INVALID,
                "args/roles: found \"" + name + "\", expected viewer, trader or operator"};
        }
        roles |= *role;
    }
    if (roles == 0) {
        throw Error{TENON_INVALID, "args/roles: at least one of viewer, trader, operator"};
    }
    return roles;
}

std::vector<std::string> accounts_of(const Settings& args) {
    std::vector<std::string> accounts = words(args, "accounts");
    const bool too_long = std::any_of(accounts.begin(), accounts.end(), [](const auto& name) {
        return name.size() > k_account_name_max;
    });
    if (accounts.size() > k_accounts_max || too_long) {
        throw Error{TENON_INVALID, "args/accounts: at most 64 names of at most 32 characters"};
    }
    return accounts;
}

std::string name_of(const Settings& args) {
    std::string name = args.get<std::string>("name");
    check_user_name(name);
    return name;
}

json::object shown(const User& user) {
    json::array roles;
    for (std::string& role : role_names(user.roles)) {
        roles.emplace_back(std::move(role));
    }
    json::array accounts;
    for (const std::string& account : user.accounts) {
        accounts.emplace_back(account);
    }
    return {
        {"name", user.name},
        {"roles", std::move(roles)},
        {"accounts", std::move(accounts)},
        {"disabled", user.disabled}};
}

class UserCommands {
public:
    explicit UserCommands(UserCommandOptions options) : options_{std::move(options)} {}

    std::string add(const Settings& args) const {
        User user;
        user.name = name_of(args);
        user.roles = roles_of(args);
        user.accounts = accounts_of(args);
        user.created_real_ns = options_.now_real_ns();
        user.updated_real_ns = user.created_real_ns;
        const std::string password = random_password();
        options_.audit("console.user_add", user.name);
        options_.users->add(user, password, deadline());
        json::object answer = shown(user);
        answer.emplace("password", password);
        return json::serialize(answer);
    }

    std::string list(const Settings&) const {
        json::array all;
        for (const User& user : options_.users->list(deadline())) {
            all.push_back(shown(user));
        }
        return json::serialize(all);
    }

    std::string passwd(const Settings& args) const {
        const std::string name = name_of(args);
        const std::string password = random_password();
        options_.audit("console.user_passwd", name);
        options_.users->set_password(name, password, options_.now_real_ns(), deadline());
        options_.changed(name);
        return json::serialize(json::object{{"name", name}, {"password", password}});
    }

    std::string set_disabled(const Settings& args, bool disabled) const {
        const std::string name = name_of(args);
        options_.audit(disabled ? "console.user_disable" : "console.user_enable", name);
        options_.users->set_disabled(name, disabled, options_.now_real_ns(), deadline());
        options_.changed(name);
        return json::serialize(json::object{{"name", name}, {"disabled", disabled}});
    }

    std::string roles(const Settings& args) const {
        User user;
        user.name = name_of(args);
        user.roles = roles_of(args);
        user.accounts = accounts_of(args);
        user.updated_real_ns = options_.now_real_ns();
        options_.audit("console.user_roles", user.name);
        options_.users->set_roles(user, deadline());
        options_.changed(user.name);
        return json::serialize(shown(user));
    }

private:
    [[nodiscard]] std::int64_t deadline() const { return options_.now_ns() + options_.timeout_ns; }

    UserCommandOptions options_;
};

}  // namespace

void add_user_commands(AdminCommands& commands, UserCommandOptions options) {
    const auto users = std::make_shared<UserCommands>(std::move(options));
    commands.add(
        "users.add",
        "users add {\"name\",\"roles\":\"viewer,trader,operator\",\"accounts\":\"a,b\"?}: a user "
        "of "
        "the console; shows the password once",
        [users](const Settings& args) { return users->add(args); }
    );
    commands.add("users.list", "users list: users of the console", [users](const Settings& args) {
        return users->list(args);
    });
    commands.add(
        "users.passwd",
        "users passwd {\"name\"}: a new password, shown once; ends the user's sessions",
        [users](const Settings& args) { return users->passwd(args); }
    );
    commands.add(
        "users.disable",
        "users disable {\"name\"}: no more sign-ins; ends the user's sessions",
        [users](const Settings& args) { return users->set_disabled(args, true); }
    );
    commands.add(
        "users.enable",
        "users enable {\"name\"}: may sign in again",
        [users](const Settings& args) { return users->set_disabled(args, false); }
    );
    commands.add(
        "users.roles",
        "users roles {\"name\",\"roles\",\"accounts\"?}: sets both anew; ends the user's sessions",
        [users](const Settings& args) { return users->roles(args); }
    );
}

}  // namespace tenon::console
