// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/weights.hpp"

#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

namespace tenon::binance {
namespace {

namespace json = boost::json;

[[noreturn]] void refuse(std::string_view endpoint, std::string_view what) {
    throw Error{TENON_INVALID, "weights: \"" + std::string{endpoint} + "\": " + std::string{what}};
}

[[nodiscard]] std::uint64_t number(std::string_view endpoint, const json::value& value) {
    boost::system::error_code failed;
    const auto result = value.to_number<std::uint32_t>(failed);
    if (failed) {
        refuse(endpoint, "expected a number from 0 to 4294967295");
    }
    return result;
}

void read_field(
    Weight& weight,
    std::string_view endpoint,
    std::string_view key,
    const json::value& value
) {
    if (key == "by" && value.is_string()) {
        weight.parameter = value.as_string().c_str();
    } else if (key == "one") {
        weight.one = static_cast<std::uint32_t>(number(endpoint, value));
    } else if (key == "absent") {
        weight.absent = static_cast<std::uint32_t>(number(endpoint, value));
    } else if (key == "beyond") {
        weight.beyond = static_cast<std::uint32_t>(number(endpoint, value));
    } else if (key == "on_failure") {
        weight.on_failure = true;
        weight.one = static_cast<std::uint32_t>(number(endpoint, value));
    } else if (key == "steps" && value.is_array()) {
        for (const json::value& step : value.as_array()) {
            if (!step.is_array() || step.as_array().size() != 2) {
                refuse(endpoint, "a step is [number, weight]");
            }
            weight.steps.emplace_back(
                number(endpoint, step.as_array()[0]),
                static_cast<std::uint32_t>(number(endpoint, step.as_array()[1]))
            );
        }
    } else {
        refuse(endpoint, "unknown field \"" + std::string{key} + "\"");
    }
}

[[nodiscard]] Weight read_weight(std::string_view endpoint, const json::value& value) {
    Weight weight;
    if (!value.is_object()) {
        weight.one = static_cast<std::uint32_t>(number(endpoint, value));
        return weight;
    }
    for (const auto& [key, field] : value.as_object()) {
        read_field(weight, endpoint, {key.data(), key.size()}, field);
    }
    if (weight.parameter == "limit") {
        weight.kind = Weight::Kind::number;
    } else if (weight.parameter == "symbols") {
        weight.kind = Weight::Kind::symbols;
    } else if (!weight.parameter.empty()) {
        weight.kind = Weight::Kind::presence;
    }
    return weight;
}

[[nodiscard]] std::uint32_t step_for(const Weight& weight, std::uint64_t number) {
    for (const auto& [bound, cost] : weight.steps) {
        if (number <= bound) {
            return cost;
        }
    }
    return weight.beyond;
}

}  // namespace

std::uint32_t Weight::of(const Params& params) const {
    switch (kind) {
        case Kind::constant:
            return one;
        case Kind::number: {
            const auto text = params.peek(parameter);
            if (!text) {
                return absent;
            }
            std::uint64_t number = 0;
            const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
            return parsed.ec == std::errc{} ? step_for(*this, number) : absent;
        }
        case Kind::symbols: {
            if (params.peek("symbol")) {
                return one;
            }
            const auto list = params.peek("symbols");
            if (!list) {
                return absent;
            }
            return step_for(
                *this, static_cast<std::uint64_t>(std::count(list->begin(), list->end(), ',')) + 1
            );
        }
        case Kind::presence:
            return params.peek(parameter) ? beyond : absent;
    }
    return one;
}

Weights::Weights(std::string_view json_text) {
    boost::system::error_code failed;
    const json::value document = json::parse({json_text.data(), json_text.size()}, failed);
    if (failed || !document.is_object()) {
        throw Error{TENON_INVALID, "weights: not a JSON object: " + failed.message()};
    }
    for (const auto& [key, value] : document.as_object()) {
        const std::string endpoint{key.data(), key.size()};
        by_endpoint_.emplace(endpoint, read_weight(endpoint, value));
    }
}

const Weight& Weights::of(std::string_view method, std::string_view path) const {
    std::string key{method};
    key.append(" ").append(path);
    const auto found = by_endpoint_.find(key);
    return found == by_endpoint_.end() ? fallback_ : found->second;
}

}  // namespace tenon::binance
