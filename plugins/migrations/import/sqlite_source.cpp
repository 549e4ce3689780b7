// SPDX-License-Identifier: Apache-2.0
// SQLite through SOCI. A value's type is the value's own there, so each is read as a letter for
// its type with its text behind it, and floating point beside it as the double that it is.
#include "plugins/migrations/import/source.hpp"

// SOCI has SQLite's header inside a namespace: <sqlite3.h> cannot be included beside it.
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <charconv>
#include <cstring>

namespace tenon::importer {
namespace {

// Virtual-machine steps between two questions whether to go on.
constexpr int k_steps = 10'000;

// SOCI cuts its options at blanks, but for what is in double quotes, which it cannot escape.
std::string options_of(const std::string& file) {
    if (file.empty() || file.find('"') != std::string::npos) {
        throw Error{TENON_INVALID, "the name of a SQLite file is not empty and has no \""};
    }
    return "db=\"" + file + "\" readonly=true timeout=5";
}

class SqliteDialect final : public Dialect {
public:
    SqliteDialect(const std::string& file, Stops stops) : file_{file}, stops_{std::move(stops)} {
        try {
            session_.open(soci::sqlite3, options_of(file));
        } catch (const soci::soci_error& e) {
            throw Error{TENON_NOT_FOUND, "cannot open " + file + ": " + e.get_error_message()};
        }
        sqlite_api::sqlite3* const db =
            static_cast<soci::sqlite3_session_backend*>(session_.get_backend())->conn_;
        (void)sqlite_api::sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
        if (stops_) {
            sqlite_api::sqlite3_progress_handler(
                db,
                k_steps,
                [](void* self) { return static_cast<SqliteDialect*>(self)->stops_() ? 1 : 0; },
                this
            );
        }
        try {
            session_ << "PRAGMA query_only=1";
            session_ << "PRAGMA trusted_schema=0";
            session_ << "BEGIN";
            // The first read is what takes the snapshot, and finds out that a file is no database.
            long long tables = 0;
            session_ << "SELECT count(*) FROM sqlite_schema", soci::into(tables);
        } catch (const soci::soci_error& e) {
            throw Error{TENON_INVALID, file + ": " + e.get_error_message()};
        }
    }

    [[nodiscard]] std::string name() const override { return file_; }

    soci::session& session() override { return session_; }

    void recover() override {}  // a refused statement leaves the transaction as it was

    [[nodiscard]] std::uint32_t count_type() const noexcept override { return 0; }

    [[nodiscard]] std::vector<Item> describe(const std::string& sql) override {
        soci::statement statement{session_};
        statement.alloc();
        prepare(statement, sql, 0);
        auto* const raw = backend_of(statement);
        std::vector<Item> items;
        const int columns = raw->prepare_for_describe();
        for (int i = 1; i <= columns; ++i) {
            soci::data_type unused{};
            Item item;
            raw->describe_column(i, unused, item.sql);
            items.push_back(std::move(item));
        }
        return items;
    }

    [[nodiscard]] std::string as_text(const Item& item) const override {
        return "CASE typeof(" + item.sql +
               ") WHEN 'integer' THEN 'i' WHEN 'text' THEN 't' WHEN 'blob' THEN 'b' WHEN 'real' "
               "THEN 'r' END || coalesce(" +
               item.sql + ", '')";
    }

    [[nodiscard]] std::string as_real(const Item& item) const override {
        return "CASE typeof(" + item.sql + ") WHEN 'real' THEN " + item.sql + " END";
    }

    [[nodiscard]] SourceValue value(const Item&, const std::string& text, double real)
        const override {
        SourceValue out;
        const std::string_view rest = std::string_view{text}.substr(1);
        switch (text.front()) {
            case 'i':
                out.kind = TENON_VALUE_INT64;
                (void)std::from_chars(rest.data(), rest.data() + rest.size(), out.integer);
                return out;
            case 'r':
                out.kind = TENON_VALUE_REAL;
                out.real = real;
                return out;
            default:
                out.kind = text.front() == 't' ? TENON_VALUE_TEXT : TENON_VALUE_BLOB;
                out.bytes = rest;
                return out;
        }
    }

    void prepare(soci::statement& statement, const std::string& sql, std::size_t values) override {
        statement.prepare(sql);
        auto* const raw = backend_of(statement)->stmt_;
        // SQLite prepares the first statement of several, and keeps the text of that alone.
        if (raw == nullptr || std::strlen(sqlite_api::sqlite3_sql(raw)) != sql.size() ||
            sqlite_api::sqlite3_stmt_readonly(raw) == 0) {
            throw Error{TENON_INVALID, "not one statement that only reads"};
        }
        if (sqlite_api::sqlite3_bind_parameter_count(raw) != static_cast<int>(values)) {
            throw Error{TENON_INVALID, "a select has no parameters"};
        }
    }

    [[nodiscard]] bool is_stopped() const override { return stops_ && stops_(); }

private:
    static soci::sqlite3_statement_backend* backend_of(soci::statement& statement) {
        return static_cast<soci::sqlite3_statement_backend*>(statement.get_backend());
    }

    std::string file_;
    Stops stops_;
    soci::session session_;
};

}  // namespace

std::unique_ptr<Source> open_sqlite(const std::string& file, Stops stops) {
    return std::make_unique<Source>(std::make_unique<SqliteDialect>(file, std::move(stops)));
}

}  // namespace tenon::importer
