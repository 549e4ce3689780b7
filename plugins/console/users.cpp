// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/users.hpp"

#include <algorithm>
#include <sodium.h>

namespace tenon::console {
namespace {

constexpr std::size_t k_name_max = 32;

constexpr std::string_view k_user =
    "SELECT name, roles, disabled, created_real_ns, updated_real_ns, password_hash "
    "FROM console_users WHERE name = ?";
constexpr std::string_view k_all =
    "SELECT name, roles, disabled, created_real_ns, updated_real_ns "
    "FROM console_users ORDER BY name";
constexpr std::string_view k_accounts =
    "SELECT account FROM console_user_accounts WHERE user_name = ? ORDER BY account";

User user_of(const Statement& row) {
    User user;
    user.name = row.text(0);
    user.roles = row.as<std::uint32_t>(1);
    user.disabled = row.integer(2) != 0;
    user.created_real_ns = row.integer(3);
    user.updated_real_ns = row.integer(4);
    return user;
}

void read_accounts(Session& session, User& user) {
    Statement rows = session.prepare(k_accounts);
    rows.bind_all(user.name);
    while (rows.step()) {
        user.accounts.emplace_back(rows.text(0));
    }
}

void write_accounts(Session& session, const User& user) {
    session.prepare("DELETE FROM console_user_accounts WHERE user_name = ?")
        .bind_all(user.name)
        .run();
    for (const std::string& account : user.accounts) {
        session.prepare("INSERT INTO console_user_accounts (user_name, account) VALUES (?, ?)")
            .bind_all(user.name, account)
            .run();
    }
}

void require_change(const Session& session, std::string_view name) {
    if (session.changes() == 0) {
        throw Error{TENON_NOT_FOUND, "there is no user \"" + std::string{name} + "\""};
    }
}

}  // namespace

void check_user_name(std::string_view name) {
    const bool good = !name.empty() && name.size() <= k_name_max &&
                      std::all_of(name.begin(), name.end(), [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
                                 c == '_' || c == '-';
                      });
    if (!good) {
        throw Error{TENON_INVALID, "args/name: 1 to 32 characters of a-z, 0-9, '.', '_', '-'"};
    }
}

PasswordCost PasswordCost::interactive() noexcept {
    return {crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE};
}

std::string hash_password(std::string_view password, PasswordCost cost) {
    std::string hash(crypto_pwhash_STRBYTES, '\0');
    if (crypto_pwhash_str_alg(
            hash.data(),
            password.data(),
            password.size(),
            cost.operations,
            cost.memory_bytes,
            crypto_pwhash_ALG_ARGON2ID13
        ) != 0) {
        throw Error{TENON_UNAVAILABLE, "no memory to hash the password with"};
    }
    hash.resize(hash.find('\0'));
    return hash;
}

bool fits_password(const std::string& hash, std::string_view password) noexcept {
    return hash.size() < crypto_pwhash_STRBYTES &&
           crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
}

std::string random_password() {
    constexpr std::string_view k_letters = "abcdefghijkmnpqrstuvwxyz23456789";
    static_assert(k_letters.size() == 32);
    std::string password;
    for (int i = 0; i < 20; ++i) {
        password.push_back(k_letters[randombytes_uniform(32)]);
    }
    return password;
}

void UserStore::add(const User& user, std::string_view password, std::int64_t deadline_ns) const {
    check_user_name(user.name);
    const std::string hash = hash_password(password, cost_);
    storage_.write(deadline_ns, [&](Session& session) {
        Statement there = session.prepare(k_user);
        there.bind_all(user.name);
        if (there.step()) {
            throw Error{TENON_CONFLICT, "there is a user \"" + user.name + "\" already"};
        }
        session
            .prepare(
                "INSERT INTO console_users (name, password_hash, roles, disabled, "
                "created_real_ns, updated_real_ns) VALUES (?, ?, ?, 0, ?, ?)"
            )
            .bind_all(user.name, hash, user.roles, user.created_real_ns, user.updated_real_ns)
            .run();
        write_accounts(session, user);
    });
}

void UserStore::set_password(
    std::string_view name,
    std::string_view password,
    std::int64_t now_real_ns,
    std::int64_t deadline_ns
) const {
    const std::string hash = hash_password(password, cost_);
    storage_.write(deadline_ns, [&](Session& session) {
        session
            .prepare(
                "UPDATE console_users SET password_hash = ?, updated_real_ns = ? "
                "WHERE name = ?"
            )
            .bind_all(hash, now_real_ns, name)
            .run();
        require_change(session, name);
    });
}

void UserStore::set_disabled(
    std::string_view name,
    bool disabled,
    std::int64_t now_real_ns,
    std::int64_t deadline_ns
) const {
    storage_.write(deadline_ns, [&](Session& session) {
        session.prepare("UPDATE console_users SET disabled = ?, updated_real_ns = ? WHERE name = ?")
            .bind_all(disabled ? 1 : 0, now_real_ns, name)
            .run();
        require_change(session, name);
    });
}

void UserStore::set_roles(const User& user, std::int64_t deadline_ns) const {
    storage_.write(deadline_ns, [&](Session& session) {
        session.prepare("UPDATE console_users SET roles = ?, updated_real_ns = ? WHERE name = ?")
            .bind_all(user.roles, user.updated_real_ns, user.name)
            .run();
        require_change(session, user.name);
        write_accounts(session, user);
    });
}

std::vector<User> UserStore::list(std::int64_t deadline_ns) const {
    std::vector<User> users;
    storage_.read(deadline_ns, [&](Session& session) {
        users.clear();
        Statement rows = session.prepare(k_all);
        while (rows.step()) {
            users.push_back(user_of(rows));
        }
        for (User& user : users) {
            read_accounts(session, user);
        }
    });
    return users;
}

UserStore::Found UserStore::find(std::string_view name, std::int64_t deadline_ns) const {
    Found found;
    storage_.read(deadline_ns, [&](Session& session) {
        found = {};
        Statement row = session.prepare(k_user);
        row.bind_all(name);
        if (row.step()) {
            found.user = user_of(row);
            found.hash = row.text(5);
            row.run();
            read_accounts(session, *found.user);
        }
    });
    return found;
}

bool UserStore::may_sign_in(const Found& found, std::string_view password) const {
    if (!found.user) {
        // As much work as for a user who is there; what is hashed is thrown away.
        (void)hash_password(password, cost_);
        return false;
    }
    return fits_password(found.hash, password) && !found.user->disabled;
}

std::optional<User> UserStore::sign_in(
    std::string_view name,
    std::string_view password,
    std::int64_t deadline_ns
) const {
    const Found found = find(name, deadline_ns);
    return may_sign_in(found, password) ? found.user : std::nullopt;
}

bool UserStore::change_password(
    std::string_view name,
    std::string_view old_password,
    std::string_view new_password,
    std::int64_t now_real_ns,
    std::int64_t deadline_ns
) const {
    const Found found = find(name, deadline_ns);
    if (!may_sign_in(found, old_password)) {
        return false;
    }
    const std::string hash = hash_password(new_password, cost_);
    storage_.write(deadline_ns, [&](Session& session) {
        session
            .prepare(
                "UPDATE console_users SET password_hash = ?, updated_real_ns = ? "
                "WHERE name = ? AND password_hash = ? AND disabled = 0"
            )
            .bind_all(hash, now_real_ns, name, found.hash)
            .run();
        if (session.changes() == 0) {
            throw Error{TENON_CONFLICT, "the user was changed meanwhile: sign in again"};
        }
    });
    return true;
}

}  // namespace tenon::console
