// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/plugin_manifest.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace tenon::manifest {

namespace {

struct Version {
    std::array<std::uint32_t, 3> part{};
    int count = 0;
};

std::optional<Version> numbers(std::string_view text) {
    Version version;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (version.count < 3) {
        const auto index = static_cast<std::size_t>(version.count);
        const auto [next, ec] = std::from_chars(at, end, version.part[index]);
        if (ec != std::errc{} || (next - at > 1 && *at == '0')) {
            return std::nullopt;
        }
        ++version.count;
        at = next;
        if (at == end) {
            return version;
        }
        if (*at != '.') {
            return std::nullopt;
        }
        ++at;
    }
    return std::nullopt;
}

bool is_tail(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '-' || c == '.';
    });
}

}  // namespace

bool is_semver(std::string_view text) {
    if (const auto plus = text.find('+'); plus != std::string_view::npos) {
        if (!is_tail(text.substr(plus + 1))) {
            return false;
        }
        text = text.substr(0, plus);
    }
    if (const auto dash = text.find('-'); dash != std::string_view::npos) {
        if (!is_tail(text.substr(dash + 1))) {
            return false;
        }
        text = text.substr(0, dash);
    }
    const auto version = numbers(text);
    return version && version->count == 3;
}

bool is_version_range(std::string_view range) {
    if (range.starts_with('^')) {
        return numbers(range.substr(1)).has_value();
    }
    return is_semver(range);
}

bool version_fits(std::string_view version, std::string_view range) {
    if (!range.starts_with('^')) {
        return version == range;
    }
    const auto have = numbers(version.substr(0, version.find_first_of("-+")));
    const auto low = numbers(range.substr(1));
    if (!have || !low || have->part < low->part) {
        return false;
    }
    // "^0.1" is 0.1.x, "^1.2" is 1.x from 1.2 on.
    const bool young = low->part[0] == 0 && low->count > 1;
    return have->part[0] == low->part[0] && (!young || have->part[1] == low->part[1]);
}

bool is_plugin_id(std::string_view id) {
    bool dot = false;
    bool part = false;
    for (const char c : id) {
        if (c == '.') {
            if (!part) {
                return false;
            }
            dot = true;
            part = false;
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-') {
            part = true;
        } else {
            return false;
        }
    }
    return dot && part;
}

bool is_interface_id(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == text.size()) {
        return false;
    }
    const std::string_view name = text.substr(0, slash);
    const std::string_view revision = text.substr(slash + 1);
    return name.find('.') != std::string_view::npos &&
           std::all_of(
               name.begin(),
               name.end(),
               [](char c) {
                   return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
                          c == '_' || c == '-';
               }
           ) &&
           std::all_of(revision.begin(), revision.end(), [](char c) {
               return c >= '0' && c <= '9';
           });
}

std::optional<AbiVersion> abi_version(std::string_view text) {
    const auto version = numbers(text);
    if (!version || version->count != 2) {
        return std::nullopt;
    }
    return AbiVersion{version->part[0], version->part[1]};
}

const std::vector<std::string>& host_interfaces() {
    static const std::vector<std::string> k_host{
        "tenon.log/1",
        "tenon.clock/1",
        "tenon.environment/1",
        "tenon.exec/1",
        "tenon.metrics/1",
        "tenon.health/1",
        "tenon.services/1",
        "tenon.secret/1",
        "tenon.admin/1",
        "tenon.config/1",
        "tenon.bus/1",
        "tenon.audit/1"};
    return k_host;
}

bool is_host_interface(std::string_view interface_id) {
    const std::vector<std::string>& all = host_interfaces();
    return std::find(all.begin(), all.end(), interface_id) != all.end();
}

}  // namespace tenon::manifest
