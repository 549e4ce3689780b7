// SPDX-License-Identifier: Apache-2.0
// Tables and indexes of a database, and what differs between dialects.
#pragma once

#include <tenon/storage.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace tenon::advisor {

struct IndexColumn {
    std::string name;
    bool descending = false;

    bool operator==(const IndexColumn&) const = default;
};

struct Index {
    std::string name;
    std::string table;
    std::vector<IndexColumn> columns;
    std::string where;    // of a partial one, as SQL
    bool unique = false;  // also a primary key: never named as superfluous
    bool plain = true;    // columns only: no expressions, no other collation
};

struct Table {
    std::string name;
    std::vector<std::string> columns;
    std::string row_key;  // the column that is the row's own number; empty: none
    std::vector<std::vector<std::string>> foreign_keys;  // columns of each

    [[nodiscard]] bool has(std::string_view column) const noexcept;
};

struct Catalog {
    std::vector<Table> tables;
    std::vector<Index> indexes;

    // Case does not matter. Null: not there.
    [[nodiscard]] const Table* find(std::string_view table) const noexcept;
};

[[nodiscard]] bool same_name(std::string_view a, std::string_view b) noexcept;
[[nodiscard]] std::string quoted(std::string_view name);

// One SQL dialect. Methods read through the session that they get.
class Dialect {
public:
    virtual ~Dialect() = default;
    [[nodiscard]] virtual Catalog read_catalog(Session& session) const = 0;
    // `live`: beside running work, outside a transaction.
    [[nodiscard]] virtual std::string create_sql(const Index& index, bool live) const = 0;
    [[nodiscard]] virtual std::string drop_sql(const Index& index, bool live) const = 0;
    [[nodiscard]] virtual std::string analyze_sql(const Index& index) const = 0;
};

// Throws Error TENON_UNSUPPORTED for another name than "sqlite".
[[nodiscard]] const Dialect& dialect_of(std::string_view name);

}  // namespace tenon::advisor
