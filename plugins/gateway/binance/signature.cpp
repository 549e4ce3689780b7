// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/signature.hpp"

#include "plugins/gateway/binance/errors.hpp"

#include <tenon/decimal.hpp>

#include <algorithm>

namespace tenon::binance {
namespace {

// Where "signature=…" stands, with the ampersand that goes with it.
struct Cut {
    std::size_t from, to;
};

[[nodiscard]] Cut find_signature(std::string_view text) noexcept {
    constexpr std::string_view k_name = "signature=";
    std::size_t from = 0;
    while (from < text.size()) {
        const std::size_t end = std::min(text.find('&', from), text.size());
        if (text.substr(from, end - from).substr(0, k_name.size()) == k_name) {
            if (from > 0) {
                return {from - 1, end};
            }
            return {from, std::min(end + 1, text.size())};
        }
        from = end + 1;
    }
    return {text.size(), text.size()};
}

void add(SignedParts& out, std::string_view text) noexcept {
    if (!text.empty()) {
        out.parts[out.count++] = {text.data(), text.size()};
    }
}

}  // namespace

SignedParts signed_parts(std::string_view query, std::string_view body) noexcept {
    SignedParts out;
    for (const std::string_view text : {query, body}) {
        const Cut cut = find_signature(text);
        add(out, text.substr(0, cut.from));
        add(out, text.substr(cut.to));
    }
    return out;
}

void check_timestamp(std::int64_t timestamp, std::int64_t window_us, std::int64_t now_us) {
    constexpr std::int64_t k_first_micros = 100'000'000'000'000;
    constexpr std::int64_t k_second_us = 1'000'000;
    const std::int64_t sent_us = timestamp >= k_first_micros ? timestamp : timestamp * 1'000;
    if (sent_us >= now_us + k_second_us) {
        throw errors::ahead_of_server();
    }
    if (now_us - sent_us > window_us) {
        throw errors::outside_window();
    }
}

std::int64_t parse_window_us(std::string_view text) {
    const ParsedDecimal parsed = parse_decimal(text, 3);
    if (parsed.status == DecimalStatus::precision) {
        throw errors::precision("recvWindow");
    }
    if (parsed.status == DecimalStatus::malformed || text.front() == '-') {
        throw errors::illegal("recvWindow", R"(^([0-9]{1,20})(\.[0-9]{1,3})?$)");
    }
    if (parsed.status == DecimalStatus::overflow || parsed.value > k_max_window_us) {
        throw ApiError{-1131, "recvWindow must be less than 60000."};
    }
    return parsed.value;
}

}  // namespace tenon::binance
