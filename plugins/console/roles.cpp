// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/roles.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tenon::console {
namespace {

struct Role {
    std::uint32_t bit;
    std::string_view name;
    std::uint32_t rights;
};

constexpr std::array<Role, 5> k_roles{
    {{k_role_viewer, "viewer", k_right_account | k_right_watch},
     {k_role_trader, "trader", k_right_account | k_right_trade},
     {k_role_operator, "operator", k_right_watch | k_right_operate},
     {k_role_reader, "reader", k_right_account},
     {k_role_placer, "placer", k_right_trade}}};

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 4> k_rights{
    {{k_right_account, "account"},
     {k_right_trade, "trade"},
     {k_right_watch, "watch"},
     {k_right_operate, "operate"}}};

}  // namespace

std::uint32_t rights_of(std::uint32_t roles) noexcept {
    std::uint32_t rights = 0;
    for (const Role& role : k_roles) {
        rights |= (roles & role.bit) != 0 ? role.rights : 0;
    }
    return rights;
}

std::vector<std::string> role_names(std::uint32_t roles) {
    std::vector<std::string> names;
    for (const Role& role : k_roles) {
        if ((roles & role.bit) != 0) {
            names.emplace_back(role.name);
        }
    }
    return names;
}

std::vector<std::string> right_names(std::uint32_t rights) {
    std::vector<std::string> names;
    for (const auto& [bit, name] : k_rights) {
        if ((rights & bit) != 0) {
            names.emplace_back(name);
        }
    }
    return names;
}

std::optional<std::uint32_t> role_of(std::string_view name) noexcept {
    for (const Role& role : k_roles) {
        if (role.name == name && (role.bit & k_roles_all) != 0) {
            return role.bit;
        }
    }
    return std::nullopt;
}

const BoundAccount* Principal::account(std::string_view wanted) const noexcept {
    const auto found = std::find_if(accounts.begin(), accounts.end(), [&](const auto& bound) {
        return bound.name == wanted;
    });
    return found == accounts.end() ? nullptr : &*found;
}

const BoundAccount* Principal::account(std::uint64_t wanted) const noexcept {
    const auto found = std::find_if(accounts.begin(), accounts.end(), [&](const auto& bound) {
        return bound.id == wanted;
    });
    return found == accounts.end() ? nullptr : &*found;
}

}  // namespace tenon::console
