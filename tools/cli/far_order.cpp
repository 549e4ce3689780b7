// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/verify.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <cstdint>
#include <stdexcept>

namespace tenon::cli {

namespace json = boost::json;

namespace {

constexpr std::int64_t k_unit = 100'000'000;  // eight decimals, as the API has them
__extension__ using Wide = __int128;

std::int64_t parse(const std::string& text) {
    const auto point = std::min(text.find('.'), text.size());
    std::string digits = text.substr(0, point);
    std::string fraction = point < text.size() ? text.substr(point + 1) : std::string{};
    fraction.resize(8, '0');
    digits += fraction;
    if (digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) {
        throw std::runtime_error{"\"" + text + "\" is no amount"};
    }
    return std::stoll(digits);
}

std::string print(std::int64_t value) {
    std::string fraction = std::to_string(value % k_unit);
    fraction.insert(0, 8 - fraction.size(), '0');
    return std::to_string(value / k_unit) + "." + fraction;
}

// A number of the symbol's filters, or `absent`.
std::int64_t filter_value(
    const json::object& symbol,
    std::string_view type,
    std::string_view key,
    std::int64_t absent
) {
    const json::value* filters = symbol.if_contains("filters");
    if (filters == nullptr || !filters->is_array()) {
        return absent;
    }
    for (const json::value& filter : filters->get_array()) {
        const json::object& object = filter.as_object();
        if (object.at("filterType") == json::value(type) && object.contains(key)) {
            return parse(std::string{object.at(key).as_string()});
        }
    }
    return absent;
}

}  // namespace

FarOrder far_order(const json::object& symbol, const std::string& last_price) {
    const std::int64_t tick =
        std::max<std::int64_t>(1, filter_value(symbol, "PRICE_FILTER", "tickSize", 1));
    const std::int64_t step =
        std::max<std::int64_t>(1, filter_value(symbol, "LOT_SIZE", "stepSize", 1));
    const std::int64_t least = filter_value(symbol, "LOT_SIZE", "minQty", step);
    const std::int64_t worth = filter_value(symbol, "NOTIONAL", "minNotional", 0);
    const std::int64_t price = parse(last_price) / 2 / tick * tick;
    if (price <= 0) {
        throw std::runtime_error{"no price to go by: " + last_price};
    }
    // Twice what is asked for, rounded up to the step.
    const Wide exact = (Wide{worth} * 2 * k_unit + price - 1) / price;
    const std::int64_t wanted = std::max(static_cast<std::int64_t>(exact), least);
    return {print(price), print((wanted + step - 1) / step * step)};
}

}  // namespace tenon::cli
