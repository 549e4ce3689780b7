// SPDX-License-Identifier: Apache-2.0
// One session on a PostgreSQL server with its prepared statements: a session of the contract.
//
// One thread at a time, but for cancel(). A transaction begins on the server with its first
// statement, in the same message; the end of a read transaction is sent and not waited for. Rows
// come one by one while no other statement needs the session; then the rest is kept, up to
// k_rows_kept_max bytes. A session's settings are told with each commit of a write, in the same
// message: what a function has changed is undone too. A failed statement ends what a transaction
// can do, but for ROLLBACK TO a savepoint: commit() then rolls back and says so.
#pragma once

#include "plugins/storage/postgres/placeholder.hpp"
#include "plugins/storage/postgres/tables.hpp"
#include "plugins/storage/postgres/value.hpp"
#include "plugins/storage/postgres/wire.hpp"

#include <tenon/statement_log.hpp>
#include <tenon/storage_provider.hpp>

#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tenon::postgres {

class Connection;

// One statement that inserts, updates, deletes or merges.
[[nodiscard]] bool writes_rows(const ScannedSql& sql) noexcept;

inline constexpr std::size_t k_rows_kept_max = std::size_t{64} << 20U;

// A statement prepared on the server.
class Prepared final : public StorageStatement {
public:
    Prepared(Connection& connection, std::string sql, std::string name);

    void bind(std::uint32_t index, const tenon_value& value) override;
    [[nodiscard]] bool step() override;
    [[nodiscard]] std::uint32_t column_count() const override;
    [[nodiscard]] std::string_view column_name(std::uint32_t index) const override;
    [[nodiscard]] tenon_value column(std::uint32_t index) const override;

    [[nodiscard]] const std::string& sql() const noexcept { return sql_; }

private:
    friend class Connection;

    struct Column {
        std::string name;
        Oid type;
    };

    // What the server said of it.
    void take(const PGresult* description);
    void forget_rows() noexcept;
    void clear_bindings() noexcept;
    void keep(Result row);

    Connection& connection_;
    std::string sql_;
    std::string name_;
    std::vector<Oid> types_;  // of parameters
    std::vector<Parameter> parameters_;
    std::vector<std::string> storage_;
    std::vector<Column> columns_;
    mutable std::vector<std::string> scratch_;
    bool binary_ = true;  // its rows come in binary format
    bool stale_ = false;  // to be prepared anew
    bool running_ = false;
    bool touched_ = false;          // handed out in this transaction
    bool touches_session_ = false;  // each run leaves the session to be cleaned
    Result row_;
    std::deque<Result> kept_;
    std::size_t kept_bytes_ = 0;
    bool overflowed_ = false;  // more rows than are kept
    std::int64_t used_ns_ = 0;
    std::int64_t began_ns_ = 0;
    std::uint64_t rows_ = 0;  // given by this run
    StatementLog::Handle log_;
    bool watched_ = false;  // its plan is looked up
    bool writes_ = false;
    Tables::KnownWrites touches_;
};

class Connection final : public StorageSession {
public:
    // Connects, or throws DatabaseError. `keywords` as of libpq; session settings come on top.
    Connection(
        const Settings& settings,
        const Telemetry& telemetry,
        std::vector<std::pair<std::string, std::string>> keywords,
        std::int64_t deadline_ns
    );
    ~Connection() = default;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // For one who got it from the pool. False: it died in the pool, or has not come to rest by the
    // deadline.
    [[nodiscard]] bool lend(std::uint32_t intent, std::int64_t deadline_ns) noexcept;

    // For longer work by a caller's own hand: what it sets on the session is undone at the end.
    // Where it sets a statement_timeout of its own, that alone bounds its statements.
    void lend_for_long() noexcept {
        scrub_ = true;
        long_ = true;
    }

    [[nodiscard]] bool is_clean() const noexcept { return state_ == State::none && !dirty_; }

    // As new: no transaction, no row on its way, nothing set. False: it has to be thrown away.
    [[nodiscard]] bool make_idle() noexcept;
    [[nodiscard]] bool ping(std::int64_t deadline_ns) noexcept;

    // [any] Ends what runs on it, and itself.
    void cancel() noexcept { wire_.shut(); }

    void begin() override;
    void commit() override;
    void rollback() override;
    void execute(std::string_view sql) override;
    [[nodiscard]] Prepared& prepare(std::string_view sql) override;

    [[nodiscard]] std::uint64_t changes() const override { return changes_; }

    void bulk_insert(
        std::string_view table,
        std::span<const tenon_str> columns,
        std::span<const tenon_value> values
    ) override;
    [[nodiscard]] std::string explain(std::string_view sql) override;
    [[nodiscard]] std::string plan(std::string_view sql, std::span<const tenon_value> values)
        override;
    // EXPLAIN (VERBOSE, FORMAT JSON), for every value.
    [[nodiscard]] std::string verbose_plan(std::string_view sql);

    // For the transaction that begin() opened: TENON_DURABILITY_*.
    void set_durability(std::uint32_t durability);

    // commit() of a write then asks for its place in the log.
    void want_position() noexcept { position_wanted_ = true; }

    // "TIMELINE:HIGH/LOW" of the last commit that wanted it; "" when nothing was written.
    [[nodiscard]] const std::string& position() const noexcept { return position_; }

    // The pool that it belongs to.
    [[nodiscard]] const void* home() const noexcept { return home_; }

    void set_home(const void* pool) noexcept { home_ = pool; }

    [[nodiscard]] bool broken() const noexcept { return wire_.broken(); }

    // The server was a standby when it last told.
    [[nodiscard]] bool on_standby() const noexcept;

    // The host is in question, and not only this session.
    [[nodiscard]] bool host_lost() const noexcept { return broken() && !terminated_; }

    [[nodiscard]] std::uint64_t queries() const noexcept { return queries_; }

    [[nodiscard]] std::uint64_t statement_hits() const noexcept { return hits_; }

    [[nodiscard]] std::uint64_t statement_misses() const noexcept { return misses_; }

    [[nodiscard]] std::size_t statements() const noexcept { return statements_.size(); }

    // A text of one column and row; "" when there is none. Of our own SQL, with values bound.
    [[nodiscard]] std::string ask(const std::string& sql, std::span<const tenon_value> values = {});

    // While it lives no wait for the server goes on past the deadline. A session that it cut is
    // broken, and says nothing about its host when there was little time.
    class Bound {
    public:
        Bound(Connection& connection, std::int64_t deadline_ns) noexcept;
        ~Bound();
        Bound(const Bound&) = delete;
        Bound& operator=(const Bound&) = delete;

    private:
        Connection& connection_;
        std::int64_t began_ns_;
        std::int64_t deadline_ns_;
    };

private:
    friend class Prepared;

    enum class State : std::uint8_t {
        none,    // no transaction
        wanted,  // begun here, not yet on the server
        open,    // on the server
    };

    void start(Prepared& statement);
    // Nobody wants the rest of its rows.
    void stop(Prepared& statement);
    // Null after the last row.
    [[nodiscard]] Result next_row(Prepared& statement);
    // The session is free for another statement: the rows of the one that runs are kept.
    void settle();
    // Sends what begins the transaction, where one is to begin; gives back how many requests.
    [[nodiscard]] int send_begin();
    void read_begun(int requests);
    [[nodiscard]] std::string begin_text() const;
    // What goes before a simple query's text; the transaction counts as begun.
    [[nodiscard]] std::string begin_script();
    void end_implicit();
    void reset_statements() noexcept;
    void prepare_on_server(Prepared& statement, const std::string& text);
    // Takes the least used out of the cache, here and on the server.
    void trim_statements(std::size_t keep, std::int64_t used_before_ns);
    void note_done(const PGresult* result);
    void note_time(Prepared& statement, bool failed) noexcept;

    struct Run {
        StatementLog::Handle& log;
        std::string_view sql;
        std::int64_t began_ns;
        std::uint64_t rows;
        bool failed;
    };

    void note_run(Run run) noexcept;
    // Before what writes is sent; without a transaction the commit begins with it.
    void begin_touching(std::string_view sql, Tables::KnownWrites& known);
    // A statement is over that ran without a transaction.
    void end_touching(bool failed) noexcept;
    // Tells other servers, within the transaction that is about to be committed.
    void announce();
    void end_commit() noexcept;
    [[nodiscard]] StatementLog::Handle log_of(std::string_view sql, bool writes);
    // A simple query to its end; gives back the first column of its rows, a line each.
    std::string run_text(const std::string& sql, std::string_view what);
    [[noreturn]] void
    fail(const PGresult* failure, std::string_view what, bool may_have_written = false);
    void commit_write();
    // What a lessee may have left on the session, as one text.
    void send_state();
    [[nodiscard]] std::string read_state();
    [[nodiscard]] std::string ask_state();
    void clean_session();
    // Before a write that is its own transaction: sessions only read where nothing else is said.
    void make_writable();
    [[noreturn]] void fail_commit(std::string_view why);

    [[nodiscard]] bool alone() const noexcept {
        return state_ == State::none && intent_ == TENON_INTENT_WRITE;
    }

    void note_bulk(
        std::string_view table,
        std::span<const tenon_str> columns,
        std::int64_t began_ns
    ) noexcept;
    // What the server says of a statement that is not kept.
    [[nodiscard]] Prepared look_at(const std::string& sql);
    [[nodiscard]] static std::string quoted_table(std::string_view table);
    [[nodiscard]] static bool check_rows(
        std::span<const tenon_str> columns,
        std::span<const Oid> types,
        std::span<const tenon_value> values
    );
    void copy_rows(
        const std::string& sql,
        std::span<const Oid> types,
        std::span<const tenon_value> values
    );
    void copy_through(
        const std::string& sql,
        std::span<const Oid> types,
        std::span<const tenon_value> values
    );
    void send_rows(std::span<const Oid> types, std::span<const tenon_value> values, bool binary);
    [[nodiscard]] std::string
    explain_as(std::string_view format, std::string_view sql, std::span<const tenon_value> values);
    [[nodiscard]] std::string
    explain_with(const std::string& sql, std::span<const tenon_value> values);
    [[nodiscard]] std::string explain_generic(const std::string& explain, const ScannedSql& sql);
    void check_text(const ScannedSql& sql);

    const Settings& settings_;
    const Telemetry& telemetry_;
    Wire wire_;
    std::uint32_t intent_ = TENON_INTENT_READ;
    State state_ = State::none;
    bool implicit_ = false;  // a transaction of one statement, on a session for reading
    bool dirty_ = false;     // text was run that sets something on the session
    bool long_ = false;      // lent to write for long
    std::int64_t patience_ns_;
    bool scrub_ = false;     // cleaned at the end in any case
    bool writable_ = false;  // without BEGIN READ WRITE, too
    std::string clean_state_;
    const void* home_ = nullptr;
    bool terminated_ = false;  // this session alone was ended
    bool position_wanted_ = false;
    std::uint32_t durability_ = TENON_DURABILITY_DEFAULT;
    std::string position_;
    Touched touched_writes_;
    std::optional<DatabaseError> failure_;  // the first of the transaction
    Prepared* streaming_ = nullptr;
    std::uint64_t changes_ = 0;
    std::uint64_t queries_ = 0;
    std::uint64_t hits_ = 0;
    std::uint64_t misses_ = 0;
    std::uint64_t names_ = 0;
    std::list<Prepared> statements_;  // newest use first
    std::unordered_map<std::string_view, std::list<Prepared>::iterator> by_text_;
    std::vector<Prepared*> touched_;
};

}  // namespace tenon::postgres
