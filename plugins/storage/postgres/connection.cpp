// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/connection.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tenon::postgres {
namespace {

constexpr std::int64_t k_grace_ns = 2 * k_second;
// A host that is silent for less is not in question.
constexpr std::int64_t k_silence_ns = 500 * k_ms;
// To bring a session that comes back to rest; one that takes longer goes.
constexpr std::int64_t k_rest_ns = 5 * k_second;

using Keywords = std::vector<std::pair<std::string, std::string>>;

// Of the session, for its whole life: RESET ALL goes back to these.
std::string session_options(const Settings& settings) {
    const std::string timeout = std::to_string(std::int64_t{settings.command_timeout_ms});
    std::string options;
    for (const std::string& option : {
             "statement_timeout=" + timeout,
             std::string{"idle_in_transaction_session_timeout=600000"},
             std::string{"client_connection_check_interval=1000"},
             std::string{"jit=off"},
             // A statement by itself on a session for reading needs no transaction around it then.
             std::string{"default_transaction_read_only=on"},
             std::string{"DateStyle=ISO"},
             std::string{"IntervalStyle=iso_8601"},
             std::string{"TimeZone=UTC"},
             std::string{"bytea_output=hex"},
             std::string{"extra_float_digits=1"},
             std::string{"standard_conforming_strings=on"},
         }) {
        options.append("-c ").append(option).append(" ");
    }
    return options;
}

Keywords with_session(Keywords keywords, const Settings& settings) {
    keywords.emplace_back("client_encoding", "UTF8");
    keywords.emplace_back("application_name", settings.application_name);
    keywords.emplace_back("options", session_options(settings));
    keywords.emplace_back("keepalives_idle", "10");
    keywords.emplace_back("keepalives_interval", "3");
    keywords.emplace_back("keepalives_count", "3");
    keywords.emplace_back("tcp_user_timeout", "10000");
    return keywords;
}

// What a lessee can change that the next one would feel.
constexpr const char* k_state_sql =
    "SELECT pg_catalog.concat_ws('|', pg_catalog.current_setting('statement_timeout'), "
    "pg_catalog.current_setting('lock_timeout'), "
    "pg_catalog.current_setting('idle_in_transaction_session_timeout'), "
    "pg_catalog.current_setting('search_path'), pg_catalog.current_setting('role'), "
    "session_user, pg_catalog.current_setting('TimeZone'), "
    "pg_catalog.current_setting('DateStyle'), pg_catalog.current_setting('work_mem'), "
    "pg_catalog.current_setting('synchronous_commit'), "
    "pg_catalog.current_setting('default_transaction_read_only'), "
    "pg_catalog.current_setting('default_transaction_isolation'), "
    "pg_catalog.current_setting('session_replication_role'), "
    "pg_catalog.current_setting('row_security'))";
const std::string k_state_name = "tenon_state";

const char* durability_text(std::uint32_t durability) noexcept {
    return durability == TENON_DURABILITY_LOCAL ? "SET LOCAL synchronous_commit = off"
                                                : "SET LOCAL synchronous_commit = on";
}

}  // namespace

Connection::Connection(
    const Settings& settings,
    const Telemetry& telemetry,
    Keywords keywords,
    std::int64_t deadline_ns
)
    : settings_{settings},
      telemetry_{telemetry},
      wire_{with_session(std::move(keywords), settings), telemetry, deadline_ns},
      patience_ns_{settings.command_timeout_ms * k_ms + k_grace_ns},
      touched_writes_{telemetry.tables} {
    wire_.set_patience(patience_ns_);
    const Bound bound{*this, deadline_ns};
    wire_.send_prepare(k_state_name, k_state_sql);
    clean_state_ = ask_state();
}

void Connection::send_state() {
    wire_.send_execute(k_state_name, {}, false);
}

// Of one request; what failed is in the session's next failure.
std::string Connection::read_state() {
    std::string state;
    for (Result result = wire_.next(); result; result = wire_.next()) {
        if (PQntuples(result.get()) == 1) {
            state = PQgetvalue(result.get(), 0, 0);
        }
    }
    return state;
}

std::string Connection::ask_state() {
    send_state();
    wire_.sync();
    std::string state;
    Result failure;
    for (;;) {
        const Result result = wire_.next();
        if (!result) {
            continue;
        }
        if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) {
            break;
        }
        if (is_error(result.get())) {
            fail(result.get(), "cannot look at the session");
        }
        if (PQntuples(result.get()) == 1) {
            state = PQgetvalue(result.get(), 0, 0);
        }
    }
    return state;
}

void Connection::clean_session() {
    // DISCARD ALL would take our own statements along: those that SQL has prepared go by name.
    const std::string told = run_text(
        "RESET SESSION AUTHORIZATION; RESET ALL; SELECT pg_advisory_unlock_all(); "
        "UNLISTEN *; CLOSE ALL; DISCARD TEMP; DISCARD SEQUENCES; "
        "SELECT pg_catalog.quote_ident(name) FROM pg_catalog.pg_prepared_statements WHERE from_sql",
        "cannot clean the session"
    );
    for (std::string_view left = told; !left.empty();) {
        const std::string name{left.substr(0, left.find('\n'))};
        left.remove_prefix(name.size() + 1);
        if (!name.empty()) {
            (void)run_text("DEALLOCATE " + name, "cannot clean the session");
        }
    }
    if (ask_state() != clean_state_) {
        terminated_ = true;  // this one alone
        wire_.give_up();
        throw invalid("the session keeps what was set on it");
    }
    dirty_ = scrub_ = writable_ = false;
}

bool Connection::on_standby() const noexcept {
    const char* told = wire_.parameter("in_hot_standby");
    return told != nullptr && std::strcmp(told, "on") == 0;
}

Connection::Bound::Bound(Connection& connection, std::int64_t deadline_ns) noexcept
    : connection_{connection},
      began_ns_{connection.telemetry_.now_ns()},
      deadline_ns_{deadline_ns} {
    connection_.wire_.set_bound(deadline_ns);
}

Connection::Bound::~Bound() {
    const bool cut = connection_.broken() && connection_.telemetry_.now_ns() >= deadline_ns_;
    connection_.terminated_ =
        connection_.terminated_ || (cut && deadline_ns_ - began_ns_ < k_silence_ns);
    connection_.wire_.set_bound(INT64_MAX);
}

bool Connection::lend(std::uint32_t intent, std::int64_t deadline_ns) noexcept {
    intent_ = intent;
    position_.clear();
    position_wanted_ = false;
    bool alive = false;
    const Bound bound{*this, deadline_ns};
    (void)guard(nullptr, [&] { alive = wire_.is_quiet(); });
    return alive;
}

bool Connection::make_idle() noexcept {
    long_ = false;
    wire_.set_patience(patience_ns_);
    const bool was_whole = !broken();
    const std::int64_t until_ns = telemetry_.now_ns() + k_rest_ns;
    const Bound bound{*this, until_ns};
    const tenon_status status = guard(nullptr, [&] {
        reset_statements();
        if (state_ != State::none) {
            rollback();
        }
        if (dirty_ || scrub_) {
            clean_session();
        }
        const std::int64_t kept_ns = settings_.statement_idle_s * k_second;
        trim_statements(settings_.statement_cache - 1, telemetry_.now_ns() - kept_ns);
    });
    // A session that its last user left busy for too long says nothing about the server.
    terminated_ = terminated_ || (was_whole && broken() && telemetry_.now_ns() >= until_ns);
    return status == TENON_OK && !broken();
}

bool Connection::ping(std::int64_t deadline_ns) noexcept {
    const Bound bound{*this, deadline_ns};
    const tenon_status status = guard(nullptr, [&] {
        if (ask_state() != clean_state_) {
            clean_session();
        }
    });
    return status == TENON_OK && !broken();
}

void Connection::fail(const PGresult* failure, std::string_view what, bool may_have_written) {
    DatabaseError error = describe(failure, what);
    const bool gone = ends_session(error.sqlstate());
    if (error.sqlstate() == "25006" && intent_ == TENON_INTENT_READ) {
        error = DatabaseError{
            TENON_DENIED,
            std::string{what} + ": a write where only reading was declared [postgres 25006]",
            Failure::permanent,
            "25006"};
    } else if (gone) {
        wire_.give_up();
        terminated_ = error.sqlstate() == "57P01" || error.sqlstate() == "57P05" ||
                      error.sqlstate() == "25P03";
    }
    if (gone && may_have_written && error.sqlstate() != "25006") {
        error = DatabaseError{TENON_IN_DOUBT, error.what(), Failure::in_doubt, error.sqlstate()};
    }
    if (error.code() != TENON_CONFLICT) {
        Telemetry::count(telemetry_.errors);
    }
    if (state_ == State::open && !failure_) {
        failure_ = error;
    }
    throw error;
}

// ---- transactions

void Connection::begin() {
    settle();
    if (state_ != State::none) {
        throw invalid("a transaction is open already");
    }
    state_ = State::wanted;
    touched_writes_.drop();
    durability_ = TENON_DURABILITY_DEFAULT;
    failure_.reset();
}

void Connection::set_durability(std::uint32_t durability) {
    durability_ = durability;
}

std::string Connection::begin_text() const {
    if (intent_ == TENON_INTENT_READ) {
        return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    }
    return "BEGIN ISOLATION LEVEL " + settings_.isolation + " READ WRITE";
}

std::string Connection::begin_script() {
    if (state_ != State::wanted) {
        return {};
    }
    state_ = State::open;
    std::string text = begin_text() + "; ";
    if (durability_ != TENON_DURABILITY_DEFAULT && intent_ == TENON_INTENT_WRITE) {
        text.append(durability_text(durability_)).append("; ");
    }
    return text;
}

int Connection::send_begin() {
    if (state_ == State::none && intent_ == TENON_INTENT_READ) {
        state_ = State::open;  // the server's own, which ends with the statement
        implicit_ = true;
        failure_.reset();
        return 0;
    }
    if (state_ != State::wanted) {
        return 0;
    }
    wire_.send(begin_text().c_str());
    state_ = State::open;
    if (durability_ == TENON_DURABILITY_DEFAULT || intent_ == TENON_INTENT_READ) {
        return 1;
    }
    wire_.send(durability_text(durability_));
    return 2;
}

void Connection::read_begun(int requests) {
    for (; requests > 0; --requests) {
        Result failure;
        for (Result result = wire_.next(); result; result = wire_.next()) {
            if (is_error(result.get())) {
                failure = std::move(result);
            }
        }
        if (failure) {
            (void)wire_.finish();
            fail(failure.get(), "cannot begin");
        }
    }
}

void Connection::commit() {
    if (state_ == State::none || implicit_) {
        throw invalid("there is no transaction to commit");
    }
    settle();
    reset_statements();
    position_.clear();
    if (state_ == State::wanted) {
        state_ = State::none;
        return;
    }
    if (broken() || wire_.transaction_status() == PQTRANS_INERROR) {
        const std::optional<DatabaseError> first = failure_;
        rollback();
        if (first) {
            throw DatabaseError{
                first->code(),
                std::string{"not committed, a statement failed before: "} + first->what(),
                first->retryable() ? first->failure() : Failure::permanent,
                first->sqlstate()};
        }
        throw DatabaseError{
            TENON_UNAVAILABLE, "not committed, the connection is lost", Failure::other_host, ""};
    }
    if (intent_ == TENON_INTENT_READ) {
        state_ = State::none;
        wire_.send("COMMIT");
        wire_.sync();
        wire_.leave();
        return;
    }
    announce();
    touched_writes_.mark();
    try {
        commit_write();
    } catch (...) {
        end_commit();
        throw;
    }
    end_commit();
}

void Connection::fail_commit(std::string_view why) {
    throw DatabaseError{
        TENON_IN_DOUBT,
        "it is not known whether the transaction was committed: " + std::string{why},
        Failure::in_doubt,
        ""};
}

void Connection::commit_write() {
    if (!wire_.is_quiet()) {
        state_ = State::none;
        throw DatabaseError{
            TENON_UNAVAILABLE,
            "not committed, the server had ended the session",
            Failure::other_host,
            ""};
    }
    (void)wire_.take_warning();
    state_ = State::none;
    Result failure;
    std::string tag;
    try {
        wire_.send("COMMIT");
        if (position_wanted_) {
            // Flushed up to the commit at least; what is not synced yet has to be asked for.
            wire_.send(
                durability_ == TENON_DURABILITY_LOCAL
                    ? "SELECT pg_walfile_name(l), l FROM (SELECT pg_current_wal_insert_lsn()) p(l)"
                    : "SELECT pg_walfile_name(l), l FROM (SELECT pg_current_wal_flush_lsn()) p(l)"
            );
        }
        const bool looks = !dirty_ && !scrub_;
        if (looks) {
            send_state();
        }
        wire_.sync();
        for (Result result = wire_.next(); result; result = wire_.next()) {
            tag = PQcmdStatus(result.get());
            if (is_error(result.get())) {
                failure = std::move(result);
            }
        }
        if (position_wanted_ && !failure) {
            for (Result result = wire_.next(); result; result = wire_.next()) {
                if (PQntuples(result.get()) == 1) {
                    const std::string_view file = PQgetvalue(result.get(), 0, 0);
                    std::uint32_t timeline = 0;
                    std::from_chars(
                        file.data(),
                        file.data() + std::min<std::size_t>(8, file.size()),
                        timeline,
                        16
                    );
                    position_ = std::to_string(timeline) + ":" + PQgetvalue(result.get(), 0, 1);
                }
            }
        }
        if (looks && !failure) {
            dirty_ = read_state() != clean_state_;
        }
        (void)wire_.finish();
    } catch (const DatabaseError& e) {
        if (tag != "COMMIT") {
            fail_commit(e.what());
        }
    }
    if (failure) {
        const DatabaseError error = describe(failure.get(), "cannot commit");
        if (ends_session(error.sqlstate())) {
            wire_.give_up();
            fail_commit(error.what());
        }
        fail(failure.get(), "cannot commit");
    }
    if (tag == "ROLLBACK") {
        throw DatabaseError{
            TENON_CONFLICT, "not committed, a statement failed before", Failure::permanent, ""};
    }
    // "canceling the wait for synchronous replication": committed here, perhaps nowhere else.
    if (wire_.take_warning()) {
        fail_commit("no other server has confirmed it in time");
    }
    Telemetry::count(telemetry_.transactions);
}

void Connection::rollback() {
    reset_statements();  // before anything waits for rows that nobody wants
    settle();
    if (state_ == State::none) {
        throw invalid("there is no transaction to roll back");
    }
    const State was = std::exchange(state_, State::none);
    touched_writes_.drop();
    implicit_ = false;
    failure_.reset();
    // A lost session has rolled back by itself.
    if (was == State::wanted || broken()) {
        return;
    }
    wire_.send("ROLLBACK");
    wire_.sync();
    if (intent_ == TENON_INTENT_READ) {
        wire_.leave();
    } else if (const Result failure = wire_.finish()) {
        wire_.give_up();  // what is open on it is not known
        fail(failure.get(), "cannot roll back");
    }
}

void Connection::end_implicit() {
    if (!implicit_) {
        return;
    }
    implicit_ = false;
    state_ = State::none;
    failure_.reset();
}

void Connection::make_writable() {
    if (alone() && !std::exchange(writable_, true)) {
        dirty_ = true;
        (void)run_text("SET default_transaction_read_only = off", "cannot write");
    }
}

}  // namespace tenon::postgres
