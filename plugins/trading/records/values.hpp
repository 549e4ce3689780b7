// SPDX-License-Identifier: Apache-2.0
// Values between JSON, parameters and SQL: every one is checked against its field and bound; no
// text of a client ever becomes part of a statement.
#pragma once

#include "plugins/trading/records/resource.hpp"

#include <tenon/json.hpp>
#include <tenon/storage.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tenon::records {

// What is bound to a '?'.
using Bound = std::variant<std::nullptr_t, std::int64_t, std::string>;

void bind_values(Statement& statement, const std::vector<Bound>& values);

// An instrument, as far as prices and quantities need it.
struct Scales {
    std::int64_t instrument = 0;
    int price = 0, quantity = 0, quote = 0;
};

// Throws ApiFailure (404, at `where`) when there is no such symbol.
[[nodiscard]] Scales scales_of(Session& session, std::string_view symbol, std::string_view where);

// A member of a body as what its column holds. Throws ApiFailure with the pointer "/NAME".
[[nodiscard]] Bound value_of_json(const Field& field, const Json& json, const Scales& scales);

// The text of a filter; symbols are looked up. Throws ApiFailure with "?NAME".
[[nodiscard]] Bound value_of_parameter(Session& session, const Field& field, std::string_view text);

// Appends a column's value as JSON. `symbol` is the instrument's, for fields that show it.
void append_value(
    std::string& out,
    const Field& field,
    const tenon_value& value,
    const Scales& scales,
    std::string_view symbol
);

// A whole number of at most 63 bits; nothing for anything else.
[[nodiscard]] std::optional<std::int64_t> whole_number(std::string_view text) noexcept;

}  // namespace tenon::records
