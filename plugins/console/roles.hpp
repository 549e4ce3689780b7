// SPDX-License-Identifier: Apache-2.0
// Who may do what. A role is a set of rights; who signs in has one role or several, and the
// accounts that are bound to him. Orders and balances are shown and changed of bound accounts
// alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::console {

inline constexpr std::uint32_t k_right_account = 1;  // sees orders and balances of his accounts
inline constexpr std::uint32_t k_right_trade = 2;    // places and cancels orders of his accounts
inline constexpr std::uint32_t k_right_watch = 4;    // sees how the server works inside
inline constexpr std::uint32_t k_right_operate = 8;  // changes how it works

// As they are stored: never renumber.
inline constexpr std::uint32_t k_role_viewer = 1;
inline constexpr std::uint32_t k_role_trader = 2;
inline constexpr std::uint32_t k_role_operator = 4;
// Of API keys alone: what their permissions are.
inline constexpr std::uint32_t k_role_reader = 8;   // sees its account
inline constexpr std::uint32_t k_role_placer = 16;  // places and cancels, sees nothing
inline constexpr std::uint32_t k_roles_all = k_role_viewer | k_role_trader | k_role_operator;

[[nodiscard]] std::uint32_t rights_of(std::uint32_t roles) noexcept;
// "viewer", "trader", "operator".
[[nodiscard]] std::vector<std::string> role_names(std::uint32_t roles);
[[nodiscard]] std::vector<std::string> right_names(std::uint32_t rights);
// Nothing for a name that is no role.
[[nodiscard]] std::optional<std::uint32_t> role_of(std::string_view name) noexcept;

struct BoundAccount {
    std::uint64_t id = 0;
    std::string name;
};

// Who is signed in.
struct Principal {
    std::string actor;    // "user:anna", "key:abcd1234", as the audit log has it
    std::string name;     // as the page shows it
    std::string api_key;  // signed in with this one; empty: a user
    std::uint32_t roles = 0;
    std::vector<BoundAccount> accounts;

    [[nodiscard]] bool may(std::uint32_t right) const noexcept {
        return (rights_of(roles) & right) == right;
    }

    // NULL when the account is not bound to him.
    [[nodiscard]] const BoundAccount* account(std::string_view wanted) const noexcept;
    [[nodiscard]] const BoundAccount* account(std::uint64_t wanted) const noexcept;
};

}  // namespace tenon::console
