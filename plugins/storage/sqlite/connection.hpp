// SPDX-License-Identifier: Apache-2.0
// One connection to a SQLite database with its prepared statements.
//
// A connection is used by one thread at a time (it is opened without SQLite's own mutex); who has
// it leased hands it over under a lock. Transactions are begun and ended by the functions here
// only: SQL text that tries to, or that changes the connection's settings, is refused by an
// authorizer.
#pragma once

#include "plugins/storage/sqlite/error.hpp"
#include "plugins/storage/sqlite/kept_snapshot.hpp"
#include "plugins/storage/sqlite/plan.hpp"
#include "plugins/storage/sqlite/settings.hpp"
#include "plugins/storage/sqlite/table_use.hpp"

#include <tenon/abi/storage.h>
#include <tenon/query_cache.hpp>
#include <tenon/statement_log.hpp>

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace tenon::sqlite {

enum class Role { writer, reader };

class Connection;

// Hears of the commits of a connection, on the thread that made them.
class CommitListener {
public:
    virtual ~CommitListener() = default;
    // Throws when the commit may not be acknowledged.
    virtual void committed() = 0;
};

// A prepared statement of a connection's cache: what tenon_statement* points to.
class Prepared {
public:
    Prepared(Connection& connection, std::string sql, sqlite3_stmt* statement, TableUse use);
    ~Prepared();
    Prepared(const Prepared&) = delete;
    Prepared& operator=(const Prepared&) = delete;

    void bind(std::uint32_t index, const tenon_value& value);
    // True when a row is there; false: over, and reset.
    bool step();
    // Runs it once for each row of `columns` values, as one call of the statistics; stops at the
    // first row that fails. Values are not copied. The time-out counts k_rows_per_timeout rows.
    void run_rows(std::span<const tenon_value> values, std::uint32_t columns);
    void reset() noexcept;
    void clear_bindings() noexcept;
    [[nodiscard]] std::uint32_t column_count() const noexcept;
    [[nodiscard]] std::string_view column_name(std::uint32_t index) const noexcept;
    // Borrowed until the next step. Throws Error when there is no such column or no row.
    [[nodiscard]] tenon_value column(std::uint32_t index) const;

    [[nodiscard]] const std::string& sql() const noexcept { return sql_; }

    // Grows when the schema changed and SQLite compiled the statement again.
    [[nodiscard]] const TableUse& use() const noexcept { return use_; }

private:
    friend class Connection;
    using Release = void (*)(void*);  // of SQLite: SQLITE_STATIC or SQLITE_TRANSIENT
    static constexpr std::size_t k_rows_per_timeout = 1024;

    void bind(std::uint32_t index, const tenon_value& value, Release release);
    void allow_time(std::int64_t from_ns) noexcept;
    void end_rows() noexcept;
    void begin_run();
    void finish() noexcept;
    void note_plan();

    Connection& connection_;
    std::string sql_;
    sqlite3_stmt* statement_;
    std::int64_t began_ns_ = 0;
    std::int64_t spent_ns_ = 0;
    std::uint64_t rows_ = 0;
    TableUse use_;
    StatementLog::Handle log_;
    int parameters_;
    int compiled_ = 0;  // SQLite's count of compilations when the plan was looked at
    bool plan_known_ = false;
    bool writes_ = false;
    bool failed_ = false;
    bool running_ = false;
    bool has_row_ = false;
    bool touched_ = false;  // handed out since the last reset_statements()
};

struct Checkpoint {
    int log_frames = 0;
    int done_frames = 0;
    bool busy = false;
};

class Connection {
public:
    // Opens and sets up the file. A writer creates it when it is not there.
    Connection(const Settings& settings, const Telemetry& telemetry, Role role);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    [[nodiscard]] Role role() const noexcept { return role_; }

    Prepared& prepare(std::string_view sql);
    void execute(std::string_view sql);
    void bulk_insert(
        std::string_view table,
        const tenon_str* columns,
        std::uint32_t column_count,
        const tenon_value* values,
        std::uint64_t row_count
    );
    [[nodiscard]] std::string explain(std::string_view sql);
    // How a statement would run; it does not run.
    [[nodiscard]] Plan plan(std::string_view sql);

    // Rows that the last statement that writes has changed.
    [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }

    // A writer takes the write lock at once, a reader its snapshot at the first read.
    void begin();
    void commit();
    void rollback();
    void savepoint();
    void release_savepoint();
    void rollback_to_savepoint();
    [[nodiscard]] bool in_transaction() const noexcept;
    [[nodiscard]] bool has_unresolved_foreign_keys() const noexcept;

    // A reader's transactions whose snapshot may be kept. take() comes first when a caller gets the
    // connection from the pool.
    void take() noexcept;
    // Reads from now on see every commit that was acknowledged before this. False: in a transaction
    // of its own; statements that were prepared before are reset.
    bool begin_current();
    // In place of commit(): make_idle() may keep the snapshot.
    void finish_current();
    // No transaction is open, and none is kept.
    void end_snapshot();
    // [any] Ends the snapshot that is kept while the connection is in the pool.
    void end_unused_snapshot() noexcept;

    // finish_current() was the last that happened.
    [[nodiscard]] bool is_finished() const noexcept { return snapshot_ == Snapshot::finished; }

    // Ends every statement that was handed out: none of them keeps a snapshot or a value.
    void reset_statements() noexcept;
    // As new: no transaction, no running statement. False: it has to be thrown away.
    [[nodiscard]] bool make_idle() noexcept;
    // Answers a read within the time of a statement.
    [[nodiscard]] bool is_alive() noexcept;

    void set_busy_timeout(std::int64_t ms) noexcept;

    // Statements may run as long as they need, until cancel(): for leases that migrate.
    void set_unlimited(bool unlimited) noexcept { unlimited_ = unlimited; }

    // Whether a commit is on disk when it returns; outside of transactions.
    void sync_commits(bool sync);

    Checkpoint checkpoint(bool truncate);
    void optimize();
    // Another process committed since the last time: forgets what was read before.
    void look_for_strangers();

    // Frames in the WAL after the newest commit of this connection.
    [[nodiscard]] int wal_frames() const noexcept { return wal_frames_; }

    // Grows when another connection has committed.
    [[nodiscard]] std::int64_t data_version() { return pragma_value("PRAGMA data_version"); }

    [[nodiscard]] std::uint32_t page_size() {
        return static_cast<std::uint32_t>(pragma_value("PRAGMA page_size"));
    }

    // Bytes of the database file, past SQLite's cache and log; by the descriptor that is open, for
    // closing another one would drop the locks.
    void read_file(std::uint64_t offset, unsigned char* to, std::uint32_t bytes) const;

    // Frames were written into the log by hand: SQLite reads all of it again, and other connections
    // see what is there. The caller is the only one that writes, and holds no snapshot.
    void rebuild_log_index();
    // Up to the newest commit, as everyone sees it.
    [[nodiscard]] std::uint32_t log_index_frames() const;

    void set_commit_listener(CommitListener* listener) noexcept { listener_ = listener; }

    // The last connection to close takes the WAL along. Off while the file at the path is not ours.
    void keep_wal_on_close(bool keep) noexcept;
    // Begins a read whose snapshot is taken now; gives back the database's bytes in it.
    [[nodiscard]] std::uint64_t pin_snapshot();
    // Copies the whole database into a new file, synced. With `pages`, that many at a time, until
    // the deadline or cancel(): within a snapshot, for else a write would start it anew.
    void copy_to(const std::string& file, int pages = -1, std::int64_t deadline_ns = INT64_MAX);

    // [any] Ends the running statement soon, and every later one.
    void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }

private:
    friend class Prepared;

    enum Control : std::size_t {
        control_begin,
        control_commit,
        control_rollback,
        control_savepoint,
        control_release,
        control_rollback_to,
        control_count
    };

    enum class Snapshot : std::uint8_t { none, open, finished };

    void open();
    void configure();
    [[nodiscard]] unsigned char volatile* log_index() const;
    [[nodiscard]] bool keep_snapshot() noexcept;
    void attach_header();
    void pragma(const std::string& text);
    std::int64_t pragma_value(const char* text);
    void control(Control which, const char* what);
    void run_text(std::string_view sql, const char* what);
    void shrink_cache();
    sqlite3_stmt* compile(std::string_view sql, unsigned flags, TableUse& use, const char** tail);
    [[nodiscard]] Plan plan_of(std::string_view sql, const TableUse& use);
    void mark_writes(const TableUse& use);
    void end_writes_outside_transaction() noexcept;
    [[nodiscard]] DatabaseError failure(int code, std::string_view what) const;
    static int on_progress(void* self) noexcept;
    static int on_wal(void* self, sqlite3*, const char*, int frames) noexcept;
    static int on_authorize(
        void* self,
        int action,
        const char* a,
        const char* b,
        const char* database,
        const char* by
    ) noexcept;

    const Settings& settings_;
    const Telemetry& telemetry_;
    Role role_;
    sqlite3* db_ = nullptr;
    sqlite3_stmt* controls_[control_count] = {};
    TableUse* collecting_ = nullptr;  // of the statement that is compiled now
    WriteMarks marks_;                // tables that the open transaction writes
    std::int64_t data_version_ = 0;
    CommitListener* listener_ = nullptr;
    bool privileged_ = false;  // the authorizer lets the connection's own statements through
    bool syncs_commits_ = true;
    int wal_frames_ = 0;
    std::uint64_t changes_ = 0;
    std::int64_t expires_ns_ = INT64_MAX;
    bool unlimited_ = false;
    std::atomic<bool> cancelled_{false};
    WalHeader header_;
    WalHeader::Words seen_{};  // the header when the current transaction began
    std::int64_t snapshot_began_ns_ = 0;
    Snapshot snapshot_ = Snapshot::none;
    std::mutex unused_mutex_;
    bool is_unused_ = false;          // in the pool, with a snapshot
    std::list<Prepared> statements_;  // newest use first
    std::unordered_map<std::string_view, std::list<Prepared>::iterator> by_text_;
    std::vector<Prepared*> touched_;
};

}  // namespace tenon::sqlite
