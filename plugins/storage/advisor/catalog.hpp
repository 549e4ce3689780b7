// SPDX-License-Identifier: Apache-2.0
// Tables and indexes of a database, and what differs between dialects.
#pragma once

#include <tenon/storage.hpp>

#include <optional>
#include <span>
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
    std::vector<std::string> included;  // carried along, not searched
    std::string where;                  // of a partial one, as SQL
    bool unique = false;                // also a primary key: never named as superfluous
    bool plain = true;                  // columns only: no expressions, no other collation
    bool used = false;                  // as the database itself counts
};

struct Table {
    std::string name;
    std::vector<std::string> columns;
    std::string row_key;  // the column that is the row's own number; empty: none
    std::vector<std::vector<std::string>> foreign_keys;  // columns of each
    std::vector<std::string> filled{};                   // by the database, when a row comes
    // Their values may be longer than an index can hold, which would fail the write of such a row.
    std::vector<std::string> wide{};
    std::vector<std::string> required{};  // never NULL

    [[nodiscard]] bool has(std::string_view column) const noexcept;
    [[nodiscard]] bool is_wide(std::string_view column) const noexcept;
    [[nodiscard]] bool is_required(std::string_view column) const noexcept;
    // The column as it is written in the schema; as it is given when there is none.
    [[nodiscard]] std::string spelling(std::string_view column) const;
};

struct Catalog {
    std::vector<Table> tables;
    std::vector<Index> indexes;

    // Case does not matter. Null: not there.
    [[nodiscard]] const Table* find(std::string_view table) const noexcept;
};

[[nodiscard]] bool same_name(std::string_view a, std::string_view b) noexcept;
[[nodiscard]] std::string quoted(std::string_view name);

// Of every index that the advisor makes; what begins with tenon_ is no drift of the schema.
inline constexpr std::string_view k_index_prefix = "tenon_advised_";

// One SQL dialect. Methods read through the session that they get.
class Dialect {
public:
    virtual ~Dialect() = default;
    [[nodiscard]] virtual Catalog read_catalog(Session& session) const = 0;
    // `live`: beside running work, outside a transaction.
    [[nodiscard]] virtual std::string create_sql(const Index& index, bool live) const = 0;
    [[nodiscard]] virtual std::string drop_sql(const Index& index, bool live) const = 0;
    [[nodiscard]] virtual std::string analyze_sql(const Index& index) const = 0;

    // An index is built and dropped beside running work, which no transaction may contain.
    [[nodiscard]] virtual bool builds_beside() const noexcept { return false; }

    // Indexes can carry columns along.
    [[nodiscard]] virtual bool includes() const noexcept { return false; }

    // Makes a copy's statistics and its visibility map those of a database that rests.
    [[nodiscard]] virtual std::string settle_sql() const { return "ANALYZE"; }

    // Lets a leased session take its time; "": it does.
    [[nodiscard]] virtual std::string patience_sql() const { return {}; }

    // A build that failed has left this index, which nobody can use.
    [[nodiscard]] virtual bool is_broken(Session&, const std::string&) const { return false; }

    // What a row can be told from another by, whatever the table.
    [[nodiscard]] virtual std::string row_address() const { return "rowid"; }

    // Keeps other servers from applying and withdrawing until unlock() or the session's end. False:
    // one does.
    [[nodiscard]] virtual bool try_lock(Session&) const { return true; }

    virtual void unlock(Session&) const {}

    // Others wait here until the transaction's end: two cannot make one table at the same time.
    virtual void queue(Session&) const {}

    // A statement that fails takes its transaction along.
    [[nodiscard]] virtual bool fails_whole() const noexcept { return false; }

    // Runs the statement and gives back its work; nothing: the storage's statistics tell it.
    [[nodiscard]] virtual std::optional<double>
    work_of(Session&, const std::string& /*sql*/, std::span<const tenon_value>) const {
        return std::nullopt;
    }
};

[[nodiscard]] const Dialect& postgres_dialect() noexcept;

// Throws Error TENON_UNSUPPORTED for another name than "sqlite" and "postgres".
[[nodiscard]] const Dialect& dialect_of(std::string_view name);

}  // namespace tenon::advisor
