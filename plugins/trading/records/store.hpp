// SPDX-License-Identifier: Apache-2.0
// Reading and writing the rows of a resource in a transaction that the caller opened. SQL is put
// together from the descriptions in resource.cpp alone; whatever a client sent is bound.
//
// A page is a stable one: rows are ordered by time and id, newest first, and the cursor holds those
// of the last row, so rows that are inserted meanwhile move nothing.
#pragma once

#include "plugins/trading/records/request.hpp"
#include "plugins/trading/records/values.hpp"

#include <tenon/storage.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace tenon::records {

inline constexpr std::int64_t k_limit_default = 100, k_limit_max = 1000;

// Who asks, as the database knows it.
struct User {
    std::int64_t id = 0;
    bool is_admin = false;
};

// {"data":[…],"next_cursor":"…"|null}. Parameters: limit, cursor, from_us, to_us, the resource's
// filters, and user_id for administrators. Throws ApiFailure.
[[nodiscard]] std::string
list_rows(Session& session, const Resource& resource, const User& user, Parameters& parameters);

// One row as JSON. Throws ApiFailure 404, also for another user's row.
[[nodiscard]] std::string
get_row(Session& session, const Resource& resource, const User& user, std::int64_t id);

// What a body says besides a resource's fields: read by the caller, allowed here.
struct Extra {
    std::map<std::string_view, Bound> columns;       // set besides the body's
    std::span<const std::string_view> members = {};  // that the caller reads itself
};

// Inserts a row from a body; gives back its id. `owner` is the row's user, where it has one.
[[nodiscard]] std::int64_t insert_row(
    Session& session,
    const Resource& resource,
    std::int64_t owner,
    const Json& body,
    const Extra& extra
);

// Changes what the body names. 404 when there is no such row of the user, 409 when it may not be
// changed any more.
void change_row(
    Session& session,
    const Resource& resource,
    const User& user,
    std::int64_t id,
    const Json& body
);

// `use`: k_create or k_change. The columns that the body sets, checked. Throws ApiFailure for
// members that are unknown or not settable, and for required ones that are missing.
[[nodiscard]] std::map<std::string_view, Bound> columns_of(
    const Resource& resource,
    const Json& body,
    unsigned use,
    const Scales& scales,
    std::span<const std::string_view> members
);

// "r.column, …" of all fields, then id, owner and scales; append_row reads a row of it.
[[nodiscard]] std::string select_of(const Resource& resource);
void append_row(std::string& out, const Resource& resource, const Statement& row);

}  // namespace tenon::records
