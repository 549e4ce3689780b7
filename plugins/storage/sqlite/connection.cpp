// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/connection.hpp"

#include "plugins/storage/sqlite/open_pragmas.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace tenon::sqlite {
namespace {

constexpr int k_progress_instructions = 4000;
constexpr int k_retry_ms = 5;

constexpr std::array<const char*, 6> k_control_text{
    "",  // BEGIN depends on the role
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT tenon_request",
    "RELEASE tenon_request",
    "ROLLBACK TO tenon_request"};

// New files are the owner's alone; -wal and -shm take their mode from the database.
void create_private(const std::string& file) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        ::close(fd);
    } else if (errno != EEXIST) {
        throw DatabaseError{
            TENON_UNAVAILABLE,
            "cannot create " + file + ": " + std::strerror(errno),
            Failure::permanent};
    }
}

std::string quoted(std::string_view name) {
    std::string text{"\""};
    for (const char c : name) {
        text.push_back(c);
        if (c == '"') {
            text.push_back(c);
        }
    }
    text.push_back('"');
    return text;
}

}  // namespace

Connection::Connection(const Settings& settings, const Telemetry& telemetry, Role role)
    : settings_{settings},
      telemetry_{telemetry},
      role_{role},
      marks_{role == Role::writer ? telemetry.queries : nullptr} {
    try {
        open();
        configure();
    } catch (...) {
        sqlite3_close_v2(db_);
        throw;
    }
}

Connection::~Connection() {
    if (telemetry_.snapshots != nullptr && header_.is_attached()) {
        telemetry_.snapshots->remove(*this);
    }
    by_text_.clear();
    statements_.clear();
    for (sqlite3_stmt* statement : controls_) {
        sqlite3_finalize(statement);
    }
    if (sqlite3_close(db_) != SQLITE_OK) {
        telemetry_.log.error("database_connection_leaked", {{"reason", sqlite3_errmsg(db_)}});
        sqlite3_close_v2(db_);
    }
}

void Connection::open() {
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (role_ == Role::writer) {
        create_private(settings_.file);
        flags |= SQLITE_OPEN_READWRITE;
    } else {
        flags |= SQLITE_OPEN_READONLY;
    }
    const int code = sqlite3_open_v2(settings_.file.c_str(), &db_, flags, nullptr);
    if (code != SQLITE_OK) {
        throw describe(db_, code, "cannot open " + settings_.file);
    }
    set_busy_timeout(settings_.busy_timeout_ms);
}

void Connection::configure() {
    privileged_ = true;
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    keep_wal_on_close(true);
    pragma("temp_store=MEMORY");
    if (role_ == Role::writer) {
        pragma("page_size=" + std::to_string(settings_.page_size));  // before the first page
        pragma("journal_mode=WAL");
        pragma("synchronous=" + settings_.synchronous);
        syncs_commits_ = settings_.synchronous == "full";
        pragma("cache_size=-" + std::to_string(std::uint64_t{settings_.cache_mb} * 1024));
        pragma("mmap_size=0");
        pragma(
            "journal_size_limit=" +
            std::to_string(std::uint64_t{settings_.wal_checkpoint_mb} << 20U)
        );
        pragma("analysis_limit=400");
        if (settings_.max_page_count != 0) {
            pragma("max_page_count=" + std::to_string(settings_.max_page_count));
        }
    } else {
        pragma("query_only=ON");
        pragma("cache_size=-" + std::to_string(std::uint64_t{settings_.reader_cache_mb} * 1024));
        pragma("mmap_size=" + std::to_string(std::uint64_t{settings_.mmap_mb} << 20U));
    }
    pragma("foreign_keys=ON");
    // A damaged or foreign file shows itself here and not at the first request.
    (void)pragma_value("PRAGMA schema_version");
    sqlite3_wal_autocheckpoint(db_, 0);
    if (role_ == Role::writer) {
        sqlite3_wal_hook(db_, &Connection::on_wal, this);
    }
    sqlite3_set_authorizer(db_, &Connection::on_authorize, this);
    sqlite3_progress_handler(db_, k_progress_instructions, &Connection::on_progress, this);
    for (std::size_t i = 0; i < control_count; ++i) {
        const char* text = i != control_begin      ? k_control_text[i]
                           : role_ == Role::writer ? "BEGIN IMMEDIATE"
                                                   : "BEGIN";
        const int code =
            sqlite3_prepare_v3(db_, text, -1, SQLITE_PREPARE_PERSISTENT, &controls_[i], nullptr);
        if (code != SQLITE_OK) {
            throw describe(db_, code, "cannot prepare the transaction statements");
        }
    }
    if (role_ == Role::reader) {
        attach_header();
    }
    privileged_ = false;
}

void Connection::pragma(const std::string& text) {
    const std::string sql = "PRAGMA " + text;
    // Two that make a file a WAL database at once would wait for each other: SQLite lets one fail
    // at once instead, whatever the timeout. It has let go of its lock then and can try again.
    int code = SQLITE_OK;
    for (std::int64_t left_ms = settings_.busy_timeout_ms;
         (code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr)) == SQLITE_BUSY &&
         left_ms > 0;
         left_ms -= k_retry_ms) {
        sqlite3_sleep(k_retry_ms);
    }
    if (code != SQLITE_OK) {
        throw describe(db_, code, "cannot set up " + settings_.file + " (" + text + ")");
    }
}

std::int64_t Connection::pragma_value(const char* text) {
    sqlite3_stmt* statement = nullptr;
    int code = sqlite3_prepare_v2(db_, text, -1, &statement, nullptr);
    std::int64_t value = 0;
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    }
    sqlite3_finalize(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        throw describe(db_, code, "cannot read " + settings_.file);
    }
    return value;
}

int Connection::on_progress(void* self) noexcept {
    const auto& mine = *static_cast<Connection*>(self);
    return mine.cancelled_.load(std::memory_order_relaxed) ||
                   mine.telemetry_.now_ns() >= mine.expires_ns_
               ? 1
               : 0;
}

int Connection::on_wal(void* self, sqlite3*, const char*, int frames) noexcept {
    static_cast<Connection*>(self)->wal_frames_ = frames;
    return SQLITE_OK;
}

int Connection::on_authorize(
    void* self,
    int action,
    const char* a,
    const char* b,
    const char*,
    const char* by
) noexcept {
    const auto& mine = *static_cast<Connection*>(self);
    if (mine.collecting_ != nullptr) {
        const tenon_status noted =
            guard(nullptr, [&] { mine.collecting_->note(action, a, b, by != nullptr); });
        if (noted != TENON_OK) {
            return SQLITE_DENY;
        }
    }
    if (mine.privileged_ || by != nullptr) {
        return SQLITE_OK;
    }
    switch (action) {
        case SQLITE_TRANSACTION:
        case SQLITE_ATTACH:
        case SQLITE_DETACH:
            return SQLITE_DENY;
        case SQLITE_SAVEPOINT:
            return b != nullptr && sqlite3_strnicmp(b, "tenon_", 6) == 0 ? SQLITE_DENY : SQLITE_OK;
        case SQLITE_PRAGMA:
            return is_open_pragma(a) ? SQLITE_OK : SQLITE_DENY;
        default:
            return SQLITE_OK;
    }
}

DatabaseError Connection::failure(int code, std::string_view what) const {
    DatabaseError error = describe(db_, code, what);
    if ((code & 0xff) == SQLITE_INTERRUPT) {
        const bool cancelled = cancelled_.load(std::memory_order_relaxed);
        error = DatabaseError{
            cancelled ? TENON_UNAVAILABLE : TENON_TIMEOUT,
            std::string{what} +
                (cancelled
                     ? ": the database is stopping"
                     : ": longer than " + std::to_string(std::int64_t{settings_.query_timeout_ms}) +
                           " ms, interrupted"),
            cancelled ? Failure::permanent : Failure::timeout,
            error.extended()};
    }
    if (error.code() != TENON_CONFLICT) {
        Telemetry::count(telemetry_.errors);
    }
    return error;
}

sqlite3_stmt*
Connection::compile(std::string_view sql, unsigned flags, TableUse& use, const char** tail) {
    sqlite3_stmt* statement = nullptr;
    collecting_ = &use;
    const int code =
        sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), flags, &statement, tail);
    collecting_ = nullptr;
    if (code != SQLITE_OK) {
        throw failure(code, "cannot prepare");
    }
    return statement;
}

Prepared& Connection::prepare(std::string_view sql) {
    const auto found = by_text_.find(sql);
    if (found != by_text_.end()) {
        Telemetry::count(telemetry_.statement_hits);
        Prepared& known = *found->second;
        statements_.splice(statements_.begin(), statements_, found->second);
        known.reset();
        known.clear_bindings();
        if (!known.touched_) {
            known.touched_ = true;
            touched_.push_back(&known);
        }
        return known;
    }
    Telemetry::count(telemetry_.statement_misses);
    const char* tail = nullptr;
    TableUse use;
    sqlite3_stmt* statement = compile(sql, SQLITE_PREPARE_PERSISTENT, use, &tail);
    const std::string_view rest{tail, static_cast<std::size_t>(sql.data() + sql.size() - tail)};
    if (statement == nullptr || rest.find_first_not_of(" \t\r\n;") != std::string_view::npos) {
        sqlite3_finalize(statement);
        throw Error{TENON_INVALID, "prepare takes exactly one statement"};
    }
    statements_.emplace_front(*this, std::string{sql}, statement, std::move(use));
    by_text_.emplace(statements_.front().sql(), statements_.begin());
    statements_.front().touched_ = true;
    touched_.push_back(&statements_.front());
    shrink_cache();
    return statements_.front();
}

void Connection::shrink_cache() {
    // Statements handed out in this transaction stay: somebody may hold them.
    for (auto it = statements_.end();
         statements_.size() > settings_.statement_cache && it != statements_.begin();) {
        --it;
        if (!it->touched_) {
            by_text_.erase(it->sql());
            it = statements_.erase(it);
        }
    }
}

void Connection::reset_statements() noexcept {
    for (Prepared* statement : touched_) {
        statement->reset();
        statement->clear_bindings();
        statement->touched_ = false;
    }
    touched_.clear();
    if (statements_.size() > settings_.statement_cache) {
        shrink_cache();
    }
}

void Connection::run_text(std::string_view sql, const char* what) {
    while (!sql.empty()) {
        const char* tail = nullptr;
        TableUse use;
        sqlite3_stmt* statement = nullptr;
        collecting_ = &use;
        int code =
            sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &statement, &tail);
        collecting_ = nullptr;
        const auto length = static_cast<std::size_t>(tail - sql.data());
        if (code == SQLITE_OK && statement != nullptr) {
            Prepared once{*this, std::string{sql.substr(0, length)}, statement, std::move(use)};
            while (once.step()) {}
        } else if (code != SQLITE_OK) {
            throw failure(code, what);
        }
        sql.remove_prefix(length);
    }
}

void Connection::execute(std::string_view sql) {
    run_text(sql, "cannot execute");
}

void Connection::bulk_insert(
    std::string_view table,
    const tenon_str* columns,
    std::uint32_t column_count,
    const tenon_value* values,
    std::uint64_t row_count
) {
    if (column_count == 0) {
        throw Error{TENON_INVALID, "bulk_insert needs a column"};
    }
    std::string sql = "INSERT INTO " + quoted(table) + " (";
    std::string marks;
    for (std::uint32_t i = 0; i < column_count; ++i) {
        sql.append(i == 0 ? "" : ",").append(quoted(view(columns[i])));
        marks.append(i == 0 ? "?" : ",?");
    }
    sql.append(") VALUES (").append(marks).append(")");
    prepare(sql).run_rows({values, row_count * column_count}, column_count);
}

std::string Connection::explain(std::string_view sql) {
    Prepared& statement = prepare("EXPLAIN QUERY PLAN " + std::string{sql});
    std::string plan;
    std::unordered_map<std::int64_t, std::size_t> depth;
    while (statement.step()) {
        const auto parent = depth.find(statement.column(1).i);
        const std::size_t level = parent == depth.end() ? 0 : parent->second + 1;
        depth[statement.column(0).i] = level;
        plan.append(level * 2, ' ').append(view(statement.column(3).b)).push_back('\n');
    }
    return plan;
}

Plan Connection::plan(std::string_view sql) {
    // An EXPLAIN does not look whether the schema changed; what runs does.
    (void)pragma_value("SELECT 1 FROM sqlite_schema LIMIT 1");
    TableUse use;
    const char* tail = nullptr;
    sqlite3_stmt* statement = compile(sql, 0, use, &tail);
    const bool is_one = statement != nullptr;
    sqlite3_finalize(statement);
    if (!is_one) {
        throw Error{TENON_INVALID, "plan takes a statement"};
    }
    return plan_of(sql.substr(0, static_cast<std::size_t>(tail - sql.data())), use);
}

void Connection::mark_writes(const TableUse& use) {
    for (const std::uint16_t slot : use.written()) {
        marks_.add(slot);
    }
}

// What was written without a transaction is committed when its statement ends. A statement that has
// rows to return keeps its write open until then, whatever autocommit says and others do meanwhile.
void Connection::end_writes_outside_transaction() noexcept {
    if (!marks_.empty() && sqlite3_txn_state(db_, nullptr) != SQLITE_TXN_WRITE) {
        marks_.end();
    }
}

void Connection::control(Control which, const char* what) {
    privileged_ = true;
    expires_ns_ = INT64_MAX;
    const int code = sqlite3_step(controls_[which]);
    privileged_ = false;
    end_writes_outside_transaction();
    if (code != SQLITE_DONE) {
        const DatabaseError error = failure(code, what);
        sqlite3_reset(controls_[which]);
        throw error;
    }
    sqlite3_reset(controls_[which]);
}

void Connection::begin() {
    snapshot_ = Snapshot::none;
    control(control_begin, "cannot begin");
}

void Connection::commit() {
    reset_statements();
    control(control_commit, "cannot commit");
    if (listener_ != nullptr) {
        listener_->committed();
    }
}

void Connection::rollback() {
    reset_statements();
    if (in_transaction()) {
        control(control_rollback, "cannot roll back");
    }
    end_writes_outside_transaction();
}

void Connection::savepoint() {
    control(control_savepoint, "cannot set a savepoint");
}

void Connection::release_savepoint() {
    control(control_release, "cannot release a savepoint");
}

void Connection::rollback_to_savepoint() {
    control(control_rollback_to, "cannot roll back to a savepoint");
    release_savepoint();
}

bool Connection::in_transaction() const noexcept {
    return sqlite3_get_autocommit(db_) == 0;
}

bool Connection::has_unresolved_foreign_keys() const noexcept {
    int current = 0;
    int highest = 0;
    return sqlite3_db_status(db_, SQLITE_DBSTATUS_DEFERRED_FKS, &current, &highest, 0) ==
               SQLITE_OK &&
           current != 0;
}

bool Connection::make_idle() noexcept {
    if (is_finished() && keep_snapshot()) {
        return true;
    }
    snapshot_ = Snapshot::none;
    try {
        rollback();
    } catch (const Error& e) {
        telemetry_.log.warn("database_connection_dropped", {{"reason", e.what()}});
        return false;
    }
    // A statement that still ran would hold its snapshot open.
    const bool is_reading = sqlite3_txn_state(db_, nullptr) != SQLITE_TXN_NONE;
    return !is_reading && !in_transaction() && !cancelled_.load(std::memory_order_relaxed);
}

bool Connection::is_alive() noexcept {
    const std::lock_guard lock{unused_mutex_};  // it may be in the pool
    is_unused_ = false;
    try {
        end_snapshot();
        (void)pragma_value("SELECT count(*) FROM sqlite_schema");
        return true;
    } catch (const Error& e) {
        telemetry_.log.warn("database_connection_check_failed", {{"reason", e.what()}});
        return false;
    }
}

void Connection::set_busy_timeout(std::int64_t ms) noexcept {
    sqlite3_busy_timeout(db_, static_cast<int>(std::clamp<std::int64_t>(ms, 0, INT32_MAX)));
}

void Connection::sync_commits(bool sync) {
    if (sync == syncs_commits_) {
        return;
    }
    privileged_ = true;
    const int code = sqlite3_exec(
        db_,
        sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
        nullptr,
        nullptr,
        nullptr
    );
    privileged_ = false;
    if (code != SQLITE_OK) {
        throw failure(code, "cannot set when commits are synced");
    }
    syncs_commits_ = sync;
}

Checkpoint Connection::checkpoint(bool truncate) {
    Checkpoint result;
    const int code = sqlite3_wal_checkpoint_v2(
        db_,
        nullptr,
        truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
        &result.log_frames,
        &result.done_frames
    );
    result.busy = (code & 0xff) == SQLITE_BUSY;
    if (code != SQLITE_OK && !result.busy) {
        throw failure(code, "cannot checkpoint");
    }
    if (!result.busy && truncate) {
        wal_frames_ = 0;
    }
    return result;
}

void Connection::optimize() {
    privileged_ = true;
    const int code = sqlite3_exec(db_, "PRAGMA optimize", nullptr, nullptr, nullptr);
    privileged_ = false;
    if (code != SQLITE_OK) {
        throw failure(code, "cannot optimize");
    }
}

void Connection::look_for_strangers() {
    // It counts the commits of every other connection; readers here make none.
    const std::int64_t version = pragma_value("PRAGMA data_version");
    if (std::exchange(data_version_, version) != version && telemetry_.queries != nullptr) {
        telemetry_.queries->invalidate_all();
    }
}

std::uint64_t Connection::pin_snapshot() {
    begin();
    (void)pragma_value("SELECT count(*) FROM sqlite_schema");
    return static_cast<std::uint64_t>(pragma_value("PRAGMA page_count")) *
           static_cast<std::uint64_t>(pragma_value("PRAGMA page_size"));
}

void Connection::copy_to(const std::string& file, int pages, std::int64_t deadline_ns) {
    create_private(file);
    sqlite3* target = nullptr;
    int code = sqlite3_open_v2(
        file.c_str(), &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr
    );
    bool late = false;
    if (code == SQLITE_OK) {
        sqlite3_backup* backup = sqlite3_backup_init(target, "main", db_, "main");
        if (backup != nullptr) {
            do {
                late = telemetry_.now_ns() >= deadline_ns;
                code = late || cancelled_.load(std::memory_order_relaxed)
                           ? SQLITE_INTERRUPT
                           : sqlite3_backup_step(backup, pages);
            } while (code == SQLITE_OK);
            const int finished = sqlite3_backup_finish(backup);
            code = code == SQLITE_DONE ? finished : code;
        } else {
            code = sqlite3_errcode(target);
        }
    }
    if (code == SQLITE_INTERRUPT) {
        sqlite3_close(target);
        throw DatabaseError{
            late ? TENON_TIMEOUT : TENON_UNAVAILABLE,
            late ? "the copy was not done by its deadline" : "the database is stopping",
            late ? Failure::timeout : Failure::permanent};
    }
    if (code != SQLITE_OK) {
        const DatabaseError error = describe(target, code, "cannot copy the database to " + file);
        sqlite3_close(target);
        throw error;
    }
    sqlite3_close(target);
}

}  // namespace tenon::sqlite
