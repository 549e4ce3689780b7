// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/connection.hpp"

#include <sqlite3.h>

#include <cmath>
#include <utility>

namespace tenon::sqlite {

Prepared::Prepared(Connection& connection, std::string sql, sqlite3_stmt* statement, TableUse use)
    : connection_{connection},
      sql_{std::move(sql)},
      statement_{statement},
      use_{std::move(use)},
      parameters_{sqlite3_bind_parameter_count(statement)},
      writes_{sqlite3_stmt_readonly(statement) == 0} {
    if (connection.telemetry_.statements != nullptr) {
        log_ = connection.telemetry_.statements->open(sql_, writes_, use_.tables());
    }
}

Prepared::~Prepared() {
    reset();
    sqlite3_finalize(statement_);
}

void Prepared::bind(std::uint32_t index, const tenon_value& value) {
    if (running_) {
        reset();
    }
    bind(index, value, SQLITE_TRANSIENT);  // NOLINT(performance-no-int-to-ptr)
}

void Prepared::bind(std::uint32_t index, const tenon_value& value, Release release) {
    const int at = static_cast<int>(index);
    if (index == 0 || at > parameters_) {
        throw Error{
            TENON_INVALID,
            "parameter " + std::to_string(index) + ": there are " + std::to_string(parameters_)};
    }
    int code = SQLITE_OK;
    switch (value.kind) {
        case TENON_VALUE_NULL:
            code = sqlite3_bind_null(statement_, at);
            break;
        case TENON_VALUE_INT64:
            code = sqlite3_bind_int64(statement_, at, value.i);
            break;
        case TENON_VALUE_REAL:
            // SQLite would store NULL and say nothing.
            if (std::isnan(value.r)) {
                throw Error{TENON_INVALID, "parameter " + std::to_string(index) + ": not a number"};
            }
            code = sqlite3_bind_double(statement_, at, value.r);
            break;
        case TENON_VALUE_TEXT:
            code = sqlite3_bind_text64(
                statement_,
                at,
                value.b.n == 0 ? "" : static_cast<const char*>(value.b.p),
                value.b.n,
                release,
                SQLITE_UTF8
            );
            break;
        case TENON_VALUE_BLOB:
            code = value.b.n == 0
                       ? sqlite3_bind_zeroblob(statement_, at, 0)
                       : sqlite3_bind_blob64(statement_, at, value.b.p, value.b.n, release);
            break;
        default:
            throw Error{
                TENON_INVALID,
                "parameter " + std::to_string(index) + ": unknown kind " +
                    std::to_string(value.kind)};
    }
    if (code != SQLITE_OK) {
        throw connection_.failure(code, "cannot bind parameter " + std::to_string(index));
    }
}

void Prepared::begin_run() {
    if (writes_) {
        connection_.mark_writes(use_);
    }
    running_ = true;
    failed_ = false;
    spent_ns_ = 0;
    rows_ = 0;
}

void Prepared::allow_time(std::int64_t from_ns) noexcept {
    connection_.expires_ns_ = connection_.unlimited_
                                  ? INT64_MAX
                                  : from_ns + connection_.settings_.query_timeout_ms * k_ms;
}

void Prepared::run_rows(std::span<const tenon_value> values, std::uint32_t columns) {
    reset();
    begin_run();
    began_ns_ = connection_.telemetry_.now_ns();
    connection_.collecting_ = &use_;
    try {
        for (std::size_t row = 0; row < values.size() / columns; ++row) {
            if (row % k_rows_per_timeout == 0) {
                allow_time(connection_.telemetry_.now_ns());
            }
            for (std::uint32_t i = 0; i < columns; ++i) {
                bind(i + 1, values[row * columns + i], SQLITE_STATIC);
            }
            if (const int code = sqlite3_step(statement_); code != SQLITE_DONE) {
                throw connection_.failure(code, "cannot run");
            }
            sqlite3_reset(statement_);
            ++rows_;
        }
    } catch (...) {
        failed_ = true;
        end_rows();
        throw;
    }
    end_rows();
}

void Prepared::end_rows() noexcept {
    connection_.collecting_ = nullptr;
    connection_.expires_ns_ = INT64_MAX;
    spent_ns_ = connection_.telemetry_.now_ns() - began_ns_;
    connection_.mark_writes(use_);
    reset();
    clear_bindings();  // they point to what the caller takes back
}

bool Prepared::step() {
    const std::int64_t before = connection_.telemetry_.now_ns();
    if (!running_) {
        begin_run();
        began_ns_ = before;
    }
    allow_time(began_ns_);
    // SQLite compiles again when the schema changed: new triggers may touch more tables.
    connection_.collecting_ = &use_;
    const int code = sqlite3_step(statement_);
    connection_.collecting_ = nullptr;
    connection_.expires_ns_ = INT64_MAX;
    spent_ns_ += connection_.telemetry_.now_ns() - before;
    if (writes_) {
        connection_.mark_writes(use_);
    }
    has_row_ = code == SQLITE_ROW;
    if (has_row_) {
        ++rows_;
        return true;
    }
    if (code != SQLITE_DONE) {
        failed_ = true;
        const DatabaseError error = connection_.failure(code, "cannot run");
        reset();
        throw error;
    }
    if (writes_ && rows_ == 0) {
        rows_ = static_cast<std::uint64_t>(sqlite3_changes64(connection_.db_));
    }
    reset();
    return false;
}

void Prepared::reset() noexcept {
    if (running_) {
        sqlite3_reset(statement_);
        if (writes_) {
            // Now: finish() may explain the statement, and that counts as a write of no rows.
            connection_.changes_ = static_cast<std::uint64_t>(sqlite3_changes64(connection_.db_));
        }
        finish();
    }
}

void Prepared::finish() noexcept {
    running_ = false;
    has_row_ = false;
    connection_.end_writes_outside_transaction();
    const Telemetry& telemetry = connection_.telemetry_;
    if (telemetry.query_duration != nullptr) {
        telemetry.metrics->observe(telemetry.metrics.self, telemetry.query_duration, spent_ns_);
    }
    const std::int64_t bound = connection_.settings_.slow_query_ms * k_ms;
    const bool slow = bound > 0 && spent_ns_ >= bound;
    if (slow) {
        Telemetry::count(telemetry.slow_queries);
    }
    (void)guard(nullptr, [&] {
        const std::int64_t now = telemetry.now_real_ns();
        if (log_) {
            log_.record(
                {.duration_ns = spent_ns_,
                 .rows = rows_,
                 .work = static_cast<std::uint64_t>(
                     sqlite3_stmt_status(statement_, SQLITE_STMTSTATUS_VM_STEP, 1)
                 ),
                 .real_ns = now,
                 .failed = failed_,
                 .slow = slow}
            );
            note_plan();
        }
        if (slow) {
            log_.note_slow(spent_ns_, now);
            const std::string text = log_ ? std::string{log_.sql()} : normalise_sql(sql_).text;
            telemetry.log.warn(
                "slow_query",
                {{"ms", spent_ns_ / k_ms},
                 {"statement", text},
                 {"plan", connection_.plan_of(sql_, use_).brief()}}
            );
        }
    });
}

// Of a text that is new, and of one that SQLite compiled again because the schema changed.
void Prepared::note_plan() {
    const int compiled = sqlite3_stmt_status(statement_, SQLITE_STMTSTATUS_REPREPARE, 0);
    if (plan_known_ && compiled == compiled_) {
        return;
    }
    const bool is_new = !plan_known_ && compiled == 0;
    plan_known_ = true;
    compiled_ = compiled;
    if (failed_ || sqlite3_stmt_isexplain(statement_) != 0 || use_.tables().empty() ||
        (is_new && log_.has_plan())) {
        return;
    }
    const Plan plan = connection_.plan_of(sql_, use_);
    if (log_.note_plan(plan.hash(), plan.json(), connection_.telemetry_.now_real_ns())) {
        Telemetry::count(connection_.telemetry_.plan_changes);
        connection_.telemetry_.log.warn(
            "plan_changed", {{"statement", log_.sql()}, {"plan", plan.brief()}}
        );
    }
}

void Prepared::clear_bindings() noexcept {
    sqlite3_clear_bindings(statement_);
}

std::uint32_t Prepared::column_count() const noexcept {
    return static_cast<std::uint32_t>(sqlite3_column_count(statement_));
}

std::string_view Prepared::column_name(std::uint32_t index) const noexcept {
    const char* name =
        index < column_count() ? sqlite3_column_name(statement_, static_cast<int>(index)) : nullptr;
    return name == nullptr ? std::string_view{} : std::string_view{name};
}

tenon_value Prepared::column(std::uint32_t index) const {
    if (!has_row_ || index >= column_count()) {
        throw Error{
            TENON_INVALID,
            !has_row_ ? "there is no row" : "there is no column " + std::to_string(index)};
    }
    const int at = static_cast<int>(index);
    tenon_value value{};
    switch (sqlite3_column_type(statement_, at)) {
        case SQLITE_INTEGER:
            value.kind = TENON_VALUE_INT64;
            value.i = sqlite3_column_int64(statement_, at);
            break;
        case SQLITE_FLOAT:
            value.kind = TENON_VALUE_REAL;
            value.r = sqlite3_column_double(statement_, at);
            break;
        case SQLITE_TEXT:
            value.kind = TENON_VALUE_TEXT;
            value.b.p = sqlite3_column_text(statement_, at);
            value.b.n = static_cast<std::size_t>(sqlite3_column_bytes(statement_, at));
            break;
        case SQLITE_BLOB:
            value.kind = TENON_VALUE_BLOB;
            value.b.p = sqlite3_column_blob(statement_, at);
            value.b.n = static_cast<std::size_t>(sqlite3_column_bytes(statement_, at));
            break;
        default:
            value.kind = TENON_VALUE_NULL;
    }
    return value;
}

// `use` is that of the statement: compiling its EXPLAIN is not noted.
Plan Connection::plan_of(std::string_view sql, const TableUse& use) {
    const std::string text = "EXPLAIN QUERY PLAN " + std::string{sql};
    sqlite3_stmt* statement = nullptr;
    TableUse* const collecting = std::exchange(collecting_, nullptr);
    int code = sqlite3_prepare_v2(db_, text.c_str(), -1, &statement, nullptr);
    collecting_ = collecting;
    std::vector<PlanLine> lines;
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            const auto* detail = reinterpret_cast<const char*>(sqlite3_column_text(statement, 3));
            lines.push_back(
                {sqlite3_column_int64(statement, 0),
                 sqlite3_column_int64(statement, 1),
                 detail == nullptr ? "" : detail}
            );
        }
    }
    sqlite3_finalize(statement);
    if (code != SQLITE_DONE) {
        throw failure(code, "cannot explain");
    }
    return Plan{lines, sql, use.tables(), use.operation(), use.target()};
}

}  // namespace tenon::sqlite
