// SPDX-License-Identifier: Apache-2.0
// Local users of the console, in storage: name, roles, bound accounts, and an argon2id hash of the
// password (libsodium's crypto_pwhash, parameters within the hash). All [io]; failures of the
// storage are thrown as StorageError, what the caller did wrong as Error.
#pragma once

#include <tenon/storage.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::console {

struct User {
    std::string name;
    std::uint32_t roles = 0;
    bool disabled = false;
    std::vector<std::string> accounts;
    std::int64_t created_real_ns = 0, updated_real_ns = 0;
};

// [a-z0-9._-]{1,32}. Throws Error TENON_INVALID.
void check_user_name(std::string_view name);

// What argon2id costs; tests take the least.
struct PasswordCost {
    unsigned long long operations;
    std::size_t memory_bytes;

    [[nodiscard]] static PasswordCost interactive() noexcept;
};

[[nodiscard]] std::string hash_password(std::string_view password, PasswordCost cost);
[[nodiscard]] bool fits_password(const std::string& hash, std::string_view password) noexcept;
// 20 characters that are easy to tell apart: 100 bits.
[[nodiscard]] std::string random_password();

class UserStore {
public:
    UserStore(Storage storage, PasswordCost cost) : storage_{storage}, cost_{cost} {}

    // Throws Error TENON_CONFLICT when the name is taken.
    void add(const User& user, std::string_view password, std::int64_t deadline_ns) const;
    // The rest: TENON_NOT_FOUND when there is no such user.
    void set_password(
        std::string_view name,
        std::string_view password,
        std::int64_t now_real_ns,
        std::int64_t deadline_ns
    ) const;
    // By himself. False: `old_password` is not his, or he is disabled, or not there; that takes as
    // long. Throws Error TENON_CONFLICT when his password was changed meanwhile.
    [[nodiscard]] bool change_password(
        std::string_view name,
        std::string_view old_password,
        std::string_view new_password,
        std::int64_t now_real_ns,
        std::int64_t deadline_ns
    ) const;
    void set_disabled(
        std::string_view name,
        bool disabled,
        std::int64_t now_real_ns,
        std::int64_t deadline_ns
    ) const;
    // Sets roles and accounts of `user.name`.
    void set_roles(const User& user, std::int64_t deadline_ns) const;
    [[nodiscard]] std::vector<User> list(std::int64_t deadline_ns) const;

    // The user, when the password is his and he is not disabled. Takes as long when he is not
    // known.
    [[nodiscard]] std::optional<User>
    sign_in(std::string_view name, std::string_view password, std::int64_t deadline_ns) const;

private:
    struct Found {
        std::optional<User> user;
        std::string hash;
    };

    [[nodiscard]] Found find(std::string_view name, std::int64_t deadline_ns) const;
    // Takes as long for a user who is not there.
    [[nodiscard]] bool may_sign_in(const Found& found, std::string_view password) const;

    Storage storage_;
    PasswordCost cost_;
};

}  // namespace tenon::console
