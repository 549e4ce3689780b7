// SPDX-License-Identifier: Apache-2.0
// What a captured statement asks of which table: conditions, order, columns.
//
// Read from normalised SQL by its tokens, not by a grammar: a statement with OR, a subquery or a
// compound gives no shape (analysed() is false) rather than a wrong one.
#pragma once

#include "plugins/storage/advisor/catalog.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::advisor {

enum class Test { equal, range, is_null, not_null };

struct Condition {
    std::string table;
    std::string column;
    Test test = Test::equal;
    std::optional<std::uint32_t> mark;  // the '?' compared with; none: another column
};

struct Order {
    std::string table;
    std::string column;
    bool descending = false;
};

// A captured statement.
struct Captured {
    std::string fingerprint;
    std::string sql;
    std::uint64_t calls = 0;
    std::uint64_t rows = 0;
    std::int64_t total_ns = 0;
    bool writes = false;
    std::vector<std::string> tables;
    std::vector<std::string> plan_indexes;
    std::map<std::uint32_t, std::string> constants;  // by '?', as SQL
};

// From the JSON of the storage's slot `statements`.
[[nodiscard]] std::vector<Captured> read_captured(const std::string& json);

struct Shape {
    bool analysed = false;
    std::string verb;    // "select", "insert", "update" or "delete"
    std::string target;  // of a write
    std::vector<Condition> conditions;
    std::vector<Order> order;
    std::vector<std::string> changed;                         // columns that an UPDATE sets
    std::map<std::string, std::vector<std::string>> columns;  // used, by table
    bool selects_all = false;                                 // "*": no index can cover
    std::uint32_t marks = 0;                                  // number of '?'
};

[[nodiscard]] Shape read_shape(std::string_view sql, const Catalog& catalog);

}  // namespace tenon::advisor
