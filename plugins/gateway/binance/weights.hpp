// SPDX-License-Identifier: Apache-2.0
// What a request weighs: a table of data, since Binance changes the numbers often.
//
// The table is JSON, keyed by "METHOD path". A value is a number, or an object:
//   {"on_failure": 1}                  nothing when the request succeeds
//   {"by": "limit", "absent": 5, "steps": [[100, 5], …], "beyond": 250}
//                                      by a parameter's number: the first step that is not below it
//   {"by": "symbols", "one": 2, …}     by how many symbols are asked for: `one` for ?symbol=
//   {"by": "orderId", "absent": 20, "beyond": 5}    by whether a parameter was sent
// An endpoint that is not in the table weighs 1.
#pragma once

#include "plugins/gateway/binance/params.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::binance {

struct Weight {
    enum class Kind : std::uint8_t { constant, number, symbols, presence };

    Kind kind = Kind::constant;
    bool on_failure = false;
    std::string parameter;
    std::uint32_t one = 1;     // constant: the weight itself
    std::uint32_t absent = 1;  // the parameter was not sent
    std::uint32_t beyond = 1;  // above every step
    std::vector<std::pair<std::uint64_t, std::uint32_t>> steps;

    [[nodiscard]] std::uint32_t of(const Params& params) const;
};

class Weights {
public:
    // Throws Error (TENON_INVALID) that names the entry at fault.
    explicit Weights(std::string_view json);

    [[nodiscard]] const Weight& of(std::string_view method, std::string_view path) const;

private:
    std::map<std::string, Weight, std::less<>> by_endpoint_;
    Weight fallback_;
};

// The table that the plugin was built with.
[[nodiscard]] std::string_view builtin_weights() noexcept;

}  // namespace tenon::binance
