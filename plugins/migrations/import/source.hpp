// SPDX-License-Identifier: Apache-2.0
// The database that is taken over. Only ever read, and as it was when reading began: one
// transaction for the life of the object.
//
// Everything goes through SOCI, and nothing through its conversions: SOCI makes doubles of exact
// numerics, and decides by a declared type what SQLite decides for each value. A dialect writes
// each column as text that it can read back without loss, and says what it was.
//
// Not thread-safe. Everything blocks, and throws Error: TENON_NOT_FOUND when the database cannot be
// opened, TENON_INVALID for what it refuses, TENON_UNAVAILABLE when `stops` ended it.
#pragma once

#include "plugins/migrations/import/mapping.hpp"

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace soci {
class session;
class statement;
}  // namespace soci

namespace tenon::importer {

// Asked now and then while a statement runs; true interrupts it.
using Stops = std::function<bool()>;

// Something to select: SQL, and the dialect's number of its type.
struct Item {
    std::string sql;
    std::uint32_t type = 0;
};

// What differs between the databases that SOCI connects to.
class Dialect {
public:
    Dialect() = default;
    virtual ~Dialect() = default;
    Dialect(const Dialect&) = delete;
    Dialect& operator=(const Dialect&) = delete;

    // What messages and provenance call the database; no secret.
    [[nodiscard]] virtual std::string name() const = 0;

    virtual soci::session& session() = 0;
    // After a statement that failed: the next is not to fail because of it.
    virtual void recover() = 0;

    // The type of count(*).
    [[nodiscard]] virtual std::uint32_t count_type() const noexcept = 0;
    // The names and types of what `sql` gives.
    [[nodiscard]] virtual std::vector<Item> describe(const std::string& sql) = 0;
    // SQL for the item as text, and for the part of it that goes as a double ("": none).
    [[nodiscard]] virtual std::string as_text(const Item& item) const = 0;
    [[nodiscard]] virtual std::string as_real(const Item& item) const = 0;
    // The value of both, neither of them NULL by SQL.
    [[nodiscard]] virtual SourceValue value(const Item& item, const std::string& text, double real)
        const = 0;
    // Refuses what is not one statement with `values` parameters.
    virtual void
    prepare(soci::statement& statement, const std::string& sql, std::size_t values) = 0;
    // Tells one reading that ended because of `stops` from one that failed.
    [[nodiscard]] virtual bool is_stopped() const = 0;
};

class Source {
public:
    explicit Source(std::unique_ptr<Dialect> dialect);
    ~Source();
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    // What messages and provenance call it.
    [[nodiscard]] std::string name() const { return dialect_->name(); }

    [[nodiscard]] std::vector<std::string> columns(const TableMap& table);
    [[nodiscard]] std::int64_t rows(const TableMap& table);
    // A key that two rows have, or that holds NULL; "" when there is none.
    [[nodiscard]] std::string bad_key(const TableMap& table);
    // The next rows after the key, by key: values of `columns`.
    [[nodiscard]] std::vector<SourceRow> page(
        const TableMap& table,
        const std::vector<std::string>& columns,
        const SourceRow& after,
        std::size_t limit
    );

private:
    using RowFn = std::function<void(const SourceRow&)>;

    [[nodiscard]] const std::vector<Item>& described(const TableMap& table);
    [[nodiscard]] std::vector<Item>
    items_of(const TableMap& table, const std::vector<std::string>& columns);
    // Turns whatever SOCI throws into Error, without the values it shows.
    void guarded(const std::function<void()>& work);
    void run(
        const std::vector<Item>& items,
        const std::string& rest,
        const SourceRow& values,
        const RowFn& row
    );

    std::unique_ptr<Dialect> dialect_;
    std::map<std::string, std::vector<Item>> described_;
};

// A SQLite file, opened read-only. Writers of a database in WAL mode do not wait for it; those of
// another do.
[[nodiscard]] std::unique_ptr<Source> open_sqlite(const std::string& file, Stops stops = {});

// A PostgreSQL server, by libpq's "host=… dbname=…" or its URI, without a password in it.
[[nodiscard]] std::unique_ptr<Source>
open_postgres(const std::string& conninfo, const std::string& password, Stops stops = {});

// "sqlite:FILE" or a file's name alone, "postgresql:host=… dbname=…", "postgresql://host/…". The
// password is for a server. Throws Error TENON_INVALID for what is neither.
[[nodiscard]] std::unique_ptr<Source>
open_source(const std::string& source, const std::string& password, Stops stops = {});

[[nodiscard]] std::string quoted(std::string_view name);

}  // namespace tenon::importer
