// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/listing.hpp"

#include "plugins/trading/records/failure.hpp"

namespace tenon::records {
namespace {

constexpr std::int64_t k_ns_per_us = 1'000;

[[nodiscard]] std::int64_t integer_parameter(
    const std::string& text,
    std::string_view where,
    std::int64_t min,
    std::int64_t max
) {
    const auto number = whole_number(text);
    if (!number || *number < min || *number > max) {
        throw invalid(
            where, "expected an integer from " + std::to_string(min) + " to " + std::to_string(max)
        );
    }
    return *number;
}

}  // namespace

std::int64_t limit_of(Parameters& parameters) {
    const std::string* const text = parameters.find("limit");
    return text == nullptr ? k_limit_default : integer_parameter(*text, "?limit", 1, k_limit_max);
}

void add_owner(
    Condition& where,
    const Resource& resource,
    const User& user,
    Parameters& parameters
) {
    if (!resource.is_owned) {
        return;
    }
    const std::string* const asked = parameters.find("user_id");
    if (asked == nullptr) {
        where.add("r.user_id = ?", {user.id});
        return;
    }
    const std::int64_t id = integer_parameter(*asked, "?user_id", 1, INT64_MAX);
    if (id != user.id && !user.is_admin) {
        throw ApiFailure{403, "forbidden", "other users' rows are for administrators", "?user_id"};
    }
    where.add("r.user_id = ?", {id});
}

void add_times(Condition& where, const Resource& resource, Parameters& parameters) {
    const std::string column = "r." + std::string{resource.time_column};
    constexpr std::int64_t k_last_us = INT64_MAX / k_ns_per_us - 1;
    if (const std::string* const from = parameters.find("from_us")) {
        const std::int64_t us = integer_parameter(*from, "?from_us", 0, k_last_us);
        where.add(column + " >= ?", {us * k_ns_per_us});
    }
    if (const std::string* const to = parameters.find("to_us")) {
        const std::int64_t us = integer_parameter(*to, "?to_us", 0, k_last_us);
        where.add(column + " <= ?", {us * k_ns_per_us + k_ns_per_us - 1});
    }
}

}  // namespace tenon::records
