// SPDX-License-Identifier: Apache-2.0
// The mapping file: which rows of the source become which rows here. README.md has the format.
//
// Parsing checks the file by itself, and collects every mistake with its JSON pointer; what depends
// on the two databases is checked by the importer.
#pragma once

#include "plugins/migrations/import/convert.hpp"
#include "plugins/migrations/import/targets.hpp"
#include "sdk/manifest/problem.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::importer {

// How one column of the target gets its value.
struct ColumnMap {
    std::string pointer;
    const TargetColumn* target = nullptr;
    std::vector<std::string> from;  // columns of the source; empty: `constant`
    // Words of the mapping; nothing is NULL.
    std::optional<std::string> constant;
    std::optional<std::string> if_null;
    std::map<std::string, std::string, std::less<>> map;
    std::optional<std::string> map_else;
    std::string remove;  // characters that are taken out
    TimeUnit unit = TimeUnit::iso;
    std::optional<int> zone_minutes;
    Rounds rounds = Rounds::never;
    int source_scale = 0;
    std::string row_of;  // the mapping's table whose rows are meant
};

// A table of the source, or a query over it, and the table here that its rows go to.
struct TableMap {
    std::string pointer;
    std::string name;  // in this mapping: what a row's provenance says
    const Target* target = nullptr;
    std::string table, select;  // either
    std::vector<std::string> key;
    std::vector<ColumnMap> columns;  // by target column; those that are not mapped are absent

    // "orders", or "(select)".
    [[nodiscard]] std::string relation() const {
        return table.empty() ? "(" + select + ")" : table;
    }
};

struct Mapping {
    std::string name;
    bool skip_bad_rows = false;
    std::vector<std::string> users;               // made where they do not exist
    std::map<std::string, std::string> accounts;  // made likewise; of which user, "": none
    std::vector<TableMap> tables;                 // in the order of filling
    std::string digest;                           // of the file, 32 hexadecimal digits

    [[nodiscard]] const TableMap* table(std::string_view name) const noexcept;
};

// Reports to `problems`, which has errors when the mapping cannot be used.
[[nodiscard]] Mapping
parse_mapping(std::string_view text, const std::string& file, manifest::Problems& problems);

// The same; throws Error TENON_INVALID with one line for each problem.
[[nodiscard]] Mapping parse_mapping(std::string_view text, const std::string& file);

// 32 hexadecimal digits: BLAKE2b of 128 bits.
[[nodiscard]] std::string digest_of(std::string_view bytes);

// "error …" lines as one text.
[[nodiscard]] std::string lines_of(const manifest::Problems& problems);

}  // namespace tenon::importer
