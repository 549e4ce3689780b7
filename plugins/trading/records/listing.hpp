// SPDX-License-Identifier: Apache-2.0
// What all lists of the native API have in common: whose rows, from when to when, how many.
#pragma once

#include "plugins/trading/records/request.hpp"
#include "plugins/trading/records/store.hpp"
#include "plugins/trading/records/values.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::records {

// A WHERE that grows, with what is bound to it.
class Condition {
public:
    void add(std::string_view sql, std::initializer_list<Bound> values) {
        sql_.append(sql_.empty() ? " WHERE " : " AND ").append(sql);
        values_.insert(values_.end(), values.begin(), values.end());
    }

    [[nodiscard]] const std::string& sql() const noexcept { return sql_; }

    [[nodiscard]] std::vector<Bound>& values() noexcept { return values_; }

private:
    std::string sql_;
    std::vector<Bound> values_;
};

// The parameters limit, user_id, and from_us and to_us. Columns are those of the table that the
// statement calls r. Throw ApiFailure.
[[nodiscard]] std::int64_t limit_of(Parameters& parameters);
void add_owner(
    Condition& where,
    const Resource& resource,
    const User& user,
    Parameters& parameters
);
void add_times(Condition& where, const Resource& resource, Parameters& parameters);

}  // namespace tenon::records
