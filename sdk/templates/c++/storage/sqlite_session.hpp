// SPDX-License-Identifier: Apache-2.0
// One connection to SQLite as a session of the contract. Not thread-safe: it is leased to one
// caller at a time. Failures are thrown as tenon::StorageError.
#pragma once

#include <tenon/storage_provider.hpp>

#include <sqlite3.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>

[[noreturn]] inline void throw_sqlite(sqlite3* db, int code) {
    const std::string message = db == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db);
    switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            throw tenon::StorageError{
                TENON_UNAVAILABLE, message, tenon::Failure::retry_transaction};
        case SQLITE_FULL:
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_NOMEM:
            throw tenon::StorageError{TENON_UNAVAILABLE, message, tenon::Failure::permanent};
        case SQLITE_CONSTRAINT:
            throw tenon::StorageError{TENON_CONFLICT, message, tenon::Failure::constraint};
        case SQLITE_READONLY:
            throw tenon::StorageError{TENON_DENIED, message, tenon::Failure::permanent};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            throw tenon::StorageError{TENON_CORRUPT, message, tenon::Failure::permanent};
        default:
            throw tenon::StorageError{TENON_INVALID, message, tenon::Failure::permanent};
    }
}

class SqliteStatement final : public tenon::StorageStatement {
public:
    SqliteStatement(sqlite3* db, std::string_view sql) : db_{db} {
        sqlite3_stmt* raw = nullptr;
        const char* tail = nullptr;
        const int code =
            sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &raw, &tail);
        if (code != SQLITE_OK) {
            throw_sqlite(db, code);
        }
        raw_.reset(raw);
        if (raw == nullptr || tail != sql.data() + sql.size()) {
            throw tenon::StorageError{
                TENON_INVALID, "prepare takes exactly one statement", tenon::Failure::permanent};
        }
    }

    void bind(std::uint32_t index, const tenon_value& value) override {
        const int at = static_cast<int>(index);
        const auto length = static_cast<sqlite3_uint64>(value.b.n);
        const char* const bytes = value.b.n == 0 ? "" : static_cast<const char*>(value.b.p);
        int code = SQLITE_MISUSE;
        switch (value.kind) {
            case TENON_VALUE_NULL:
                code = sqlite3_bind_null(raw_.get(), at);
                break;
            case TENON_VALUE_INT64:
                code = sqlite3_bind_int64(raw_.get(), at, value.i);
                break;
            case TENON_VALUE_REAL:
                code = sqlite3_bind_double(raw_.get(), at, value.r);
                break;
            case TENON_VALUE_TEXT:
                code = sqlite3_bind_text64(
                    raw_.get(), at, bytes, length, SQLITE_TRANSIENT, SQLITE_UTF8
                );
                break;
            case TENON_VALUE_BLOB:
                code = sqlite3_bind_blob64(raw_.get(), at, bytes, length, SQLITE_TRANSIENT);
                break;
            default:
                throw tenon::StorageError{
                    TENON_INVALID, "unknown kind of value", tenon::Failure::permanent};
        }
        if (code != SQLITE_OK) {
            throw_sqlite(db_, code);
        }
    }

    [[nodiscard]] bool step() override {
        const int code = sqlite3_step(raw_.get());
        if (code == SQLITE_ROW) {
            return true;
        }
        const int reset = sqlite3_reset(raw_.get());
        if (code != SQLITE_DONE) {
            throw_sqlite(db_, reset == SQLITE_OK ? code : reset);
        }
        return false;
    }

    [[nodiscard]] std::uint32_t column_count() const override {
        return static_cast<std::uint32_t>(sqlite3_column_count(raw_.get()));
    }

    [[nodiscard]] std::string_view column_name(std::uint32_t index) const override {
        const char* const name = sqlite3_column_name(raw_.get(), static_cast<int>(index));
        return name == nullptr ? "" : name;
    }

    [[nodiscard]] tenon_value column(std::uint32_t index) const override {
        if (index >= column_count()) {
            throw tenon::StorageError{
                TENON_INVALID, "there is no such column", tenon::Failure::permanent};
        }
        const int at = static_cast<int>(index);
        tenon_value out{};
        switch (sqlite3_column_type(raw_.get(), at)) {
            case SQLITE_INTEGER:
                out.kind = TENON_VALUE_INT64;
                out.i = sqlite3_column_int64(raw_.get(), at);
                break;
            case SQLITE_FLOAT:
                out.kind = TENON_VALUE_REAL;
                out.r = sqlite3_column_double(raw_.get(), at);
                break;
            case SQLITE_TEXT:
                out.kind = TENON_VALUE_TEXT;
                out.b.p = sqlite3_column_text(raw_.get(), at);
                out.b.n = static_cast<std::size_t>(sqlite3_column_bytes(raw_.get(), at));
                break;
            case SQLITE_BLOB:
                out.kind = TENON_VALUE_BLOB;
                out.b.p = sqlite3_column_blob(raw_.get(), at);
                out.b.n = static_cast<std::size_t>(sqlite3_column_bytes(raw_.get(), at));
                break;
            default:
                break;
        }
        return out;
    }

    void reset() noexcept {
        sqlite3_reset(raw_.get());
        sqlite3_clear_bindings(raw_.get());
    }

private:
    struct Finalize {
        void operator()(sqlite3_stmt* raw) const noexcept { sqlite3_finalize(raw); }
    };

    sqlite3* db_;
    std::unique_ptr<sqlite3_stmt, Finalize> raw_;
};

class SqliteSession final : public tenon::StorageSession {
public:
    SqliteSession(const std::string& file, int busy_timeout_ms) {
        sqlite3* raw = nullptr;
        const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
        const int code = sqlite3_open_v2(file.c_str(), &raw, flags, nullptr);
        db_.reset(raw);
        if (code != SQLITE_OK) {
            throw_sqlite(raw, code);
        }
        sqlite3_busy_timeout(raw, busy_timeout_ms);
        execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    }

    // What its transactions may do.
    void set_intent(bool write) {
        write_ = write;
        execute(write ? "PRAGMA query_only = OFF" : "PRAGMA query_only = ON");
    }

    void begin() override { execute(write_ ? "BEGIN IMMEDIATE" : "BEGIN"); }

    void commit() override {
        reset_statements();
        execute("COMMIT");
        ++commits_;
    }

    [[nodiscard]] std::uint64_t commits() const noexcept { return commits_; }

    void rollback() override {
        reset_statements();
        if (sqlite3_get_autocommit(db_.get()) == 0) {
            execute("ROLLBACK");
        }
    }

    void execute(std::string_view sql) override {
        const int code =
            sqlite3_exec(db_.get(), std::string{sql}.c_str(), nullptr, nullptr, nullptr);
        if (code != SQLITE_OK) {
            throw_sqlite(db_.get(), code);
        }
    }

    [[nodiscard]] tenon::StorageStatement& prepare(std::string_view sql) override {
        auto found = statements_.find(sql);
        if (found == statements_.end()) {
            found =
                statements_
                    .emplace(std::string{sql}, std::make_unique<SqliteStatement>(db_.get(), sql))
                    .first;
        }
        found->second->reset();
        return *found->second;
    }

    [[nodiscard]] std::uint64_t changes() const override {
        return static_cast<std::uint64_t>(sqlite3_changes64(db_.get()));
    }

    void bulk_insert(
        std::string_view table,
        std::span<const tenon_str> columns,
        std::span<const tenon_value> values
    ) override {
        std::string names, marks;
        for (const tenon_str& column : columns) {
            names += (names.empty() ? "" : ", ") + quoted(tenon::view(column));
            marks += marks.empty() ? "?" : ", ?";
        }
        tenon::StorageStatement& insert =
            prepare("INSERT INTO " + quoted(table) + " (" + names + ") VALUES (" + marks + ")");
        for (std::size_t row = 0; row < values.size(); row += columns.size()) {
            for (std::size_t i = 0; i < columns.size(); ++i) {
                insert.bind(static_cast<std::uint32_t>(i + 1), values[row + i]);
            }
            (void)insert.step();
        }
    }

    [[nodiscard]] std::string explain(std::string_view sql) override {
        SqliteStatement plan{db_.get(), "EXPLAIN QUERY PLAN " + std::string{sql}};
        std::string out;
        while (plan.step()) {
            out.append(tenon::view(plan.column(3).b)).push_back('\n');
        }
        return out;
    }

private:
    struct Close {
        void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
    };

    static std::string quoted(std::string_view name) {
        std::string out = "\"";
        for (const char c : name) {
            out.append(c == '"' ? 2 : 1, c);
        }
        return out + "\"";
    }

    void reset_statements() noexcept {
        for (const auto& [sql, statement] : statements_) {
            statement->reset();
        }
    }

    std::unique_ptr<sqlite3, Close> db_;
    std::map<std::string, std::unique_ptr<SqliteStatement>, std::less<>> statements_;
    bool write_ = false;
    std::atomic<std::uint64_t> commits_{0};  // read while somebody else has the lease
};
