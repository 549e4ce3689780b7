// SPDX-License-Identifier: Apache-2.0
// Rows of archives without putting them back, a bounded page at a time. Only the frames whose times
// fit are read.
#pragma once

#include "plugins/archive/folder.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tenon::archive {

struct Query {
    std::string table;  // of a policy, or a table: all policies of it
    std::int64_t from_real_ns = INT64_MIN, to_real_ns = INT64_MAX;  // both belong to it
    std::vector<std::pair<std::string, std::string>> where;  // column = value, as CSV shows it
    bool as_json = false;  // a line of JSON for each row; else CSV
    std::string cursor;    // "" for the first page, else what the last page gave
};

struct Page {
    std::string text;  // whole lines; CSV begins with the header on the first page
    std::uint64_t rows = 0, frames_read = 0;
    std::string cursor;  // "" after the last page
};

// Reads at most one frame and gives at most about a megabyte. Throws TENON_INVALID for a table,
// column or cursor that is not there, TENON_CORRUPT.
[[nodiscard]] Page read_page(const Folder& folder, const Query& query);

// "2026-05-04", "2026-05-04T03:02:01Z", with a fraction too, or nanoseconds since 1970. `is_end`: a
// day alone means its last nanosecond. Throws TENON_INVALID.
[[nodiscard]] std::int64_t parse_time(const std::string& text, bool is_end);

}  // namespace tenon::archive
