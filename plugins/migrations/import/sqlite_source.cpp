// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/source.hpp"

#include <sqlite3.h>

namespace tenon::importer {
namespace {

// Virtual-machine steps between two questions whether to go on.
constexpr int k_steps = 10'000;

class SqliteSource final : public Source {
public:
    SqliteSource(const std::string& file, std::function<bool()> stops)
        : file_{file}, stops_{std::move(stops)} {
        const int opened = sqlite3_open_v2(
            file.c_str(), &db_, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr
        );
        if (opened != SQLITE_OK) {
            const std::string reason = db_ == nullptr ? "out of memory" : sqlite3_errmsg(db_);
            (void)sqlite3_close(db_);
            throw Error{TENON_NOT_FOUND, "cannot open " + file + ": " + reason};
        }
        try {
            begin();
        } catch (...) {
            (void)sqlite3_close_v2(db_);
            throw;
        }
    }

    ~SqliteSource() override { (void)sqlite3_close_v2(db_); }

    SqliteSource(const SqliteSource&) = delete;
    SqliteSource& operator=(const SqliteSource&) = delete;

    [[nodiscard]] std::string name() const override { return file_; }

protected:
    void run(
        const std::string& sql,
        const SourceRow& values,
        std::vector<std::string>* names,
        const RowFn& row
    ) override {
        const Prepared statement{*this, sql};
        bind(statement.raw, values);
        const int columns = sqlite3_column_count(statement.raw);
        if (names != nullptr) {
            for (int i = 0; i < columns; ++i) {
                names->emplace_back(sqlite3_column_name(statement.raw, i));
            }
        }
        SourceRow current(static_cast<std::size_t>(columns));
        int result = 0;
        while ((result = sqlite3_step(statement.raw)) == SQLITE_ROW) {
            for (int i = 0; i < columns; ++i) {
                take(statement.raw, i, current[static_cast<std::size_t>(i)]);
            }
            row(current);
        }
        if (result == SQLITE_INTERRUPT) {
            throw Error{TENON_UNAVAILABLE, "the import is being interrupted"};
        }
        require(result == SQLITE_DONE);
    }

private:
    struct Prepared {
        Prepared(const SqliteSource& source, const std::string& sql) {
            const char* tail = nullptr;
            source.require(
                sqlite3_prepare_v2(
                    source.db_, sql.c_str(), static_cast<int>(sql.size()), &raw, &tail
                ) == SQLITE_OK
            );
            if (raw == nullptr || *tail != '\0' || sqlite3_stmt_readonly(raw) == 0) {
                (void)sqlite3_finalize(raw);
                throw Error{TENON_INVALID, source.file_ + ": not one statement that only reads"};
            }
        }

        ~Prepared() { (void)sqlite3_finalize(raw); }

        Prepared(const Prepared&) = delete;
        Prepared& operator=(const Prepared&) = delete;

        sqlite3_stmt* raw = nullptr;
    };

    void begin() {
        constexpr int k_busy_ms = 5'000;
        (void)sqlite3_busy_timeout(db_, k_busy_ms);
        (void)sqlite3_limit(db_, SQLITE_LIMIT_ATTACHED, 0);
        if (stops_) {
            sqlite3_progress_handler(
                db_,
                k_steps,
                [](void* self) { return static_cast<SqliteSource*>(self)->stops_() ? 1 : 0; },
                this
            );
        }
        // The first read is what takes the snapshot, and finds out that a file is no database.
        require(
            sqlite3_exec(
                db_,
                "PRAGMA query_only=1; PRAGMA trusted_schema=0; BEGIN; SELECT count(*) FROM "
                "sqlite_schema",
                nullptr,
                nullptr,
                nullptr
            ) == SQLITE_OK
        );
    }

    void require(bool good) const {
        if (!good) {
            throw Error{TENON_INVALID, file_ + ": " + sqlite3_errmsg(db_)};
        }
    }

    void bind(sqlite3_stmt* statement, const SourceRow& values) const {
        for (std::size_t i = 0; i < values.size(); ++i) {
            const int at = static_cast<int>(i + 1);
            const SourceValue& value = values[i];
            require(
                (value.kind == TENON_VALUE_INT64 ? sqlite3_bind_int64(statement, at, value.integer)
                                                 : sqlite3_bind_text64(
                                                       statement,
                                                       at,
                                                       value.bytes.data(),
                                                       value.bytes.size(),
                                                       nullptr,
                                                       SQLITE_UTF8
                                                   )) == SQLITE_OK
            );
        }
    }

    static void take(sqlite3_stmt* statement, int column, SourceValue& out) {
        switch (sqlite3_column_type(statement, column)) {
            case SQLITE_INTEGER:
                out.kind = TENON_VALUE_INT64;
                out.integer = sqlite3_column_int64(statement, column);
                return;
            case SQLITE_FLOAT:
                out.kind = TENON_VALUE_REAL;
                out.real = sqlite3_column_double(statement, column);
                return;
            case SQLITE_NULL:
                out.kind = TENON_VALUE_NULL;
                return;
            default:
                break;
        }
        out.kind = sqlite3_column_type(statement, column) == SQLITE_TEXT ? TENON_VALUE_TEXT
                                                                         : TENON_VALUE_BLOB;
        const void* const data = sqlite3_column_blob(statement, column);
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
        out.bytes.assign(size == 0 ? "" : static_cast<const char*>(data), size);
    }

    std::string file_;
    std::function<bool()> stops_;
    sqlite3* db_ = nullptr;
};

}  // namespace

std::unique_ptr<Source> open_sqlite(const std::string& file, std::function<bool()> stops) {
    return std::make_unique<SqliteSource>(file, std::move(stops));
}

}  // namespace tenon::importer
