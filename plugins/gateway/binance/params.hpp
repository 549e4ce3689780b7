// SPDX-License-Identifier: Apache-2.0
// The parameters of one request: query string and form body, percent-decoded, each read once.
//
// The same name in both: the query's value counts. Twice in one place is an error. Values are views
// into the request or into this object; both must outlive the use. Every getter throws ApiError
// with Binance's own code and message.
#pragma once

#include "plugins/gateway/binance/errors.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::binance {

// Decimals that a price or quantity may have before it is "too precise" for any asset.
inline constexpr int k_precision = 8;

class Params {
public:
    static constexpr std::size_t k_max = 64;

    // Replaces what was there. -1100 for a broken percent escape and what is not UTF-8, -1101 for
    // duplicates or more than k_max parameters.
    void parse(std::string_view query, std::string_view body);

    [[nodiscard]] std::size_t count() const noexcept { return count_; }

    // Without counting it as read.
    [[nodiscard]] std::optional<std::string_view> peek(std::string_view name) const noexcept;

    // Absent: nothing. Empty: -1105.
    [[nodiscard]] std::optional<std::string_view> text(std::string_view name);
    // Absent: -1102. Empty: -1105.
    [[nodiscard]] std::string_view mandatory(std::string_view name);
    // ^[0-9]{1,20}$, else -1100; beyond 63 bits -1108.
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name);
    [[nodiscard]] std::optional<bool> boolean(std::string_view name);
    // A number with at most k_precision decimals, at that scale: -1100, -1108, -1111.
    [[nodiscard]] std::optional<std::int64_t> decimal(std::string_view name);
    // Milliseconds or (from 10^14 on) microseconds since the epoch, as nanoseconds: the first and
    // the last nanosecond that the number can mean; never 0, and times past 2116 count as 2116.
    [[nodiscard]] std::optional<std::int64_t> time_from(std::string_view name);
    [[nodiscard]] std::optional<std::int64_t> time_to(std::string_view name);
    // A page length: absent `fallback`, 0 is -1130, more than `max` counts as max.
    [[nodiscard]] std::uint32_t limit(std::uint32_t fallback, std::uint32_t max);
    // A symbol's spelling is checked (-1100), its existence is not.
    [[nodiscard]] std::optional<std::string_view> symbol(std::string_view name = "symbol");
    // A JSON array of symbols; -1100, -1151 when one stands twice.
    [[nodiscard]] std::optional<std::vector<std::string_view>> symbols(std::string_view name);
    // ^[a-zA-Z0-9-_]{1,36}$
    [[nodiscard]] std::optional<std::string_view> client_id(std::string_view name);

    // Every parameter has been read: else -1104, or -1101 when more were sent than the endpoint
    // has.
    void finish(std::size_t expected_max) const;

private:
    struct Entry {
        std::string_view name, value;
        bool read;
        bool from_body;
    };

    void add_all(std::string_view text, bool from_body);
    void add(std::string_view name, std::string_view value, bool from_body);
    [[nodiscard]] std::string_view decode(std::string_view text, bool keep_plus);
    [[nodiscard]] Entry* find(std::string_view name) noexcept;
    [[nodiscard]] std::optional<std::int64_t> time_ns(std::string_view name, bool last);

    std::array<Entry, k_max> entries_;
    std::size_t count_ = 0;
    std::string decoded_;
};

}  // namespace tenon::binance
