// SPDX-License-Identifier: Apache-2.0
// What is said to a provider of predictions and what it answers, as JSON.
//
//   {"model":"m","inputs":[{"symbol":"BTCUSDT","input":{…}}, …]}
//   {"predictions":[{…} | {"error":"why"}, …],"cost":"0.0012"}     as many, in the same order
// The cost is an exact decimal and may be missing; then each good prediction has the price of the
// settings. It sends nothing.
#pragma once

#include "plugins/trading/predictor/predictor.hpp"

#include <tenon/json.hpp>

#include <span>
#include <string>
#include <string_view>

namespace tenon::predictor {

[[nodiscard]] std::string request_body(std::string_view model, std::span<const Question> questions);

// Throws Error TENON_CORRUPT: the body is not of that form.
[[nodiscard]] BatchAnswer
read_answer(std::string_view body, std::size_t questions, std::int64_t price_each);

// As it was read, without the spaces.
[[nodiscard]] std::string to_text(const Json& json);

// A decimal of at most 8 places, not below zero, as the integer that costs are counted in. Throws
// Error TENON_INVALID.
[[nodiscard]] std::int64_t cost_of(std::string_view text);

}  // namespace tenon::predictor
