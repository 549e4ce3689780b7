// SPDX-License-Identifier: Apache-2.0
// What a request costs of the exchange's weight limit, from a table in JSON:
//   {"GET /api/v3/time": 1,
//    "GET /api/v3/depth": {"by": "limit", "absent": 5, "steps": [[100, 5]], "beyond": 250}}
// by "limit": the number in that parameter, steps are [up to, weight]. by "symbols": with "symbol"
// "one", else steps by the number of symbols. by another parameter: "beyond" when it is there, else
// "absent". A request that is not in the table costs k_unknown.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::binance_venue {

class RequestWeights {
public:
    static constexpr std::uint32_t k_unknown = 50;

    // Throws Error TENON_INVALID with the entry.
    explicit RequestWeights(std::string_view json_text);

    // `query` as it is sent, without what signing adds.
    [[nodiscard]] std::uint32_t
    of(std::string_view method, std::string_view path, std::string_view query) const;

private:
    struct Weight {
        std::string by;  // empty: always `one`
        std::uint32_t one = 1, absent = 1, beyond = 1;
        std::vector<std::pair<std::uint64_t, std::uint32_t>> steps;
    };

    std::map<std::string, Weight, std::less<>> by_endpoint_;
};

// The value of a parameter in a query string, as it stands; empty: it has none.
[[nodiscard]] std::string_view parameter_of(std::string_view query, std::string_view name) noexcept;

}  // namespace tenon::binance_venue
