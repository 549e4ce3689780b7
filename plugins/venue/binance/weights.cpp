// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/weights.hpp"

#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>

namespace tenon::binance_venue {
namespace {

namespace json = boost::json;

[[nodiscard]] std::uint32_t number(std::string_view endpoint, const json::value& value) {
    boost::system::error_code failed;
    const auto result = value.to_number<std::uint32_t>(failed);
    if (failed || result > 1'000'000) {
        throw Error{
            TENON_INVALID,
            "weights: \"" + std::string{endpoint} + "\": expected a number from 0 to 1000000"};
    }
    return result;
}

[[nodiscard]] std::uint64_t symbols_in(std::string_view list) {
    // A JSON array, percent-encoded or not.
    std::uint64_t commas = static_cast<std::uint64_t>(std::count(list.begin(), list.end(), ','));
    for (std::size_t at = list.find("%2C"); at != std::string_view::npos;
         at = list.find("%2C", at + 3)) {
        ++commas;
    }
    return commas + 1;
}

}  // namespace

std::string_view parameter_of(std::string_view query, std::string_view name) noexcept {
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
            return pair.substr(name.size() + 1);
        }
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return {};
}

RequestWeights::RequestWeights(std::string_view json_text) {
    boost::system::error_code failed;
    const json::value document = json::parse({json_text.data(), json_text.size()}, failed);
    if (failed || !document.is_object()) {
        throw Error{TENON_INVALID, "weights: not a JSON object: " + failed.message()};
    }
    for (const auto& [key, value] : document.as_object()) {
        const std::string endpoint{key.data(), key.size()};
        Weight weight;
        if (const json::object* const fields = value.if_object()) {
            for (const auto& [name, field] : *fields) {
                if (name == "by" && field.is_string()) {
                    weight.by = field.as_string().c_str();
                } else if (name == "one") {
                    weight.one = number(endpoint, field);
                } else if (name == "absent") {
                    weight.absent = number(endpoint, field);
                } else if (name == "beyond") {
                    weight.beyond = number(endpoint, field);
                } else if (name == "steps" && field.is_array()) {
                    for (const json::value& step : field.as_array()) {
                        const json::array* const pair = step.if_array();
                        if (pair == nullptr || pair->size() != 2) {
                            throw Error{
                                TENON_INVALID,
                                "weights: \"" + endpoint + "\": a step is [number, weight]"};
                        }
                        weight.steps.emplace_back(
                            number(endpoint, (*pair)[0]), number(endpoint, (*pair)[1])
                        );
                    }
                } else {
                    throw Error{
                        TENON_INVALID,
                        "weights: \"" + endpoint + "\": unknown field \"" +
                            std::string{name.data(), name.size()} + "\""};
                }
            }
        } else {
            weight.one = number(endpoint, value);
        }
        by_endpoint_.emplace(endpoint, std::move(weight));
    }
}

std::uint32_t
RequestWeights::of(std::string_view method, std::string_view path, std::string_view query) const {
    const auto found = by_endpoint_.find(std::string{method}.append(" ").append(path));
    if (found == by_endpoint_.end()) {
        return k_unknown;
    }
    const Weight& weight = found->second;
    if (weight.by.empty()) {
        return weight.one;
    }
    if (weight.by == "symbols" && !parameter_of(query, "symbol").empty()) {
        return weight.one;
    }
    const std::string_view value = parameter_of(query, weight.by);
    if (value.empty()) {
        return weight.absent;
    }
    std::uint64_t size = 0;
    if (weight.by == "symbols") {
        size = symbols_in(value);
    } else if (weight.by == "limit") {
        const auto parsed = std::from_chars(value.data(), value.data() + value.size(), size);
        size = parsed.ec == std::errc{} ? size : UINT64_MAX;
    } else {
        return weight.beyond;
    }
    for (const auto& [bound, cost] : weight.steps) {
        if (size <= bound) {
            return cost;
        }
    }
    return weight.beyond;
}

}  // namespace tenon::binance_venue
