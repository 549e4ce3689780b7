// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/admin_args.hpp"

#include <tenon/decimal.hpp>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace tenon::engine {

namespace json = boost::json;

json::object parse_args(std::string_view args, std::initializer_list<std::string_view> known) {
    if (args.empty()) {
        return {};
    }
    boost::system::error_code failure;
    json::value parsed = json::parse({args.data(), args.size()}, failure);
    if (failure || !parsed.is_object()) {
        throw Error{TENON_INVALID, "args: a JSON object expected"};
    }
    for (const auto& [key, value] : parsed.as_object()) {
        if (std::find(known.begin(), known.end(), std::string_view{key}) == known.end()) {
            throw Error{TENON_INVALID, "args/" + std::string{key} + ": not known"};
        }
    }
    return parsed.as_object();
}

std::string text(const json::object& args, std::string_view key) {
    const json::value* value = args.if_contains(key);
    if (value == nullptr || !value->is_string() || value->as_string().empty()) {
        throw Error{TENON_INVALID, "args/" + std::string{key} + ": text expected"};
    }
    return std::string{value->as_string()};
}

std::string decimal(std::int64_t value, int scale) {
    std::array<char, k_decimal_chars> out{};
    return {out.data(), format_decimal(out.data(), value, scale, 0)};
}

}  // namespace tenon::engine
