// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/connection.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tenon::postgres {
namespace {

constexpr std::int64_t k_grace_ns = 2 * k_second;

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

const char* durability_text(std::uint32_t durability) noexcept {
    return durability == TENON_DURABILITY_LOCAL ? "SET LOCAL synchronous_commit = off"
                                                : "SET LOCAL synchronous_commit = on";
}

bool is_error(const PGresult* result) noexcept {
    const ExecStatusType status = PQresultStatus(result);
    return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE;
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
      wire_{with_session(std::move(keywords), settings), telemetry, deadline_ns} {
    wire_.set_patience(settings.command_timeout_ms * k_ms + k_grace_ns);
}

bool Connection::on_standby() const noexcept {
    const char* told = wire_.parameter("in_hot_standby");
    return told != nullptr && std::strcmp(told, "on") == 0;
}

bool Connection::lend(std::uint32_t intent) noexcept {
    intent_ = intent;
    position_.clear();
    position_wanted_ = false;
    bool alive = false;
    (void)guard(nullptr, [&] { alive = wire_.is_quiet(); });
    return alive;
}

bool Connection::make_idle() noexcept {
    const tenon_status status = guard(nullptr, [&] {
        reset_statements();
        if (state_ != State::none) {
            rollback();
        }
        if (dirty_ || scrub_) {
            (void)run_text(
                "RESET SESSION AUTHORIZATION; RESET ALL; SELECT pg_advisory_unlock_all(); "
                "UNLISTEN *; CLOSE ALL; DISCARD TEMP",
                "cannot clean the session"
            );
            dirty_ = scrub_ = false;
        }
        const std::int64_t kept_ns = settings_.statement_idle_s * k_second;
        trim_statements(settings_.statement_cache, telemetry_.now_ns() - kept_ns);
    });
    return status == TENON_OK && !broken();
}

bool Connection::ping() noexcept {
    const tenon_status status = guard(nullptr, [&] {
        wire_.send("SELECT 1");
        wire_.sync();
        if (const Result failure = wire_.finish()) {
            fail(failure.get(), "cannot ping");
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
        state_ = State::wanted;
        implicit_ = true;
        failure_.reset();
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
    commit_write();
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
    settle();
    reset_statements();
    if (state_ == State::none) {
        throw invalid("there is no transaction to roll back");
    }
    const State was = std::exchange(state_, State::none);
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
    if (!broken()) {
        wire_.send(wire_.transaction_status() == PQTRANS_INERROR ? "ROLLBACK" : "COMMIT");
        wire_.sync();
        wire_.leave();
    }
}

// ---- statements

void Connection::check_text(const ScannedSql& sql) {
    if (const std::string reason = refused(sql); !reason.empty()) {
        throw invalid(reason);
    }
    dirty_ = dirty_ || sql.touches_session;
}

std::string Connection::run_text(const std::string& sql, std::string_view what) {
    ++queries_;
    wire_.query(sql);
    std::string rows;
    Result failure;
    for (Result result = wire_.next(); result; result = wire_.next()) {
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_COPY_IN) {
            wire_.copy_end("rows do not come with SQL text");
        } else if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            wire_.give_up();
            throw invalid("COPY TO STDOUT is not for SQL text");
        } else if (is_error(result.get())) {
            failure = std::move(result);
            if (broken()) {
                break;
            }
        } else {
            note_done(result.get());
            for (int i = 0; i < PQntuples(result.get()) && PQnfields(result.get()) > 0; ++i) {
                rows.append(PQgetvalue(result.get(), i, 0)).append("\n");
            }
        }
    }
    if (failure) {
        fail(failure.get(), what, alone());
    }
    return rows;
}

void Connection::execute(std::string_view sql) {
    check_text(scan(sql));
    settle();
    const bool implicit = state_ == State::none && intent_ == TENON_INTENT_READ;
    if (implicit) {
        begin();
    }
    // In one message; a statement that has to be alone is alone outside of a transaction.
    const std::string text = begin_script() + std::string{sql};
    try {
        (void)run_text(text, "cannot run");
    } catch (const DatabaseError& e) {
        if (implicit && !broken()) {
            rollback();
        }
        if (alone() && e.failure() == Failure::other_host) {
            throw DatabaseError{TENON_IN_DOUBT, e.what(), Failure::in_doubt, e.sqlstate()};
        }
        throw;
    }
    if (implicit) {
        commit();
    }
}

void Connection::note_done(const PGresult* result) {
    // "INSERT 0 3", "UPDATE 3": what a SELECT counts is not a change.
    const std::string_view tag = PQcmdStatus(const_cast<PGresult*>(result));
    for (const std::string_view kind : {"INSERT", "UPDATE", "DELETE", "MERGE", "COPY"}) {
        if (tag.substr(0, kind.size()) == kind) {
            const std::string_view count = PQcmdTuples(const_cast<PGresult*>(result));
            changes_ = 0;
            std::from_chars(count.data(), count.data() + count.size(), changes_);
        }
    }
}

void Connection::note_time(Prepared& statement) noexcept {
    const std::int64_t spent_ns = telemetry_.now_ns() - statement.began_ns_;
    if (telemetry_.query_duration != nullptr) {
        telemetry_.metrics->observe(telemetry_.metrics.self, telemetry_.query_duration, spent_ns);
    }
    const std::int64_t bound = settings_.slow_query_ms * k_ms;
    if (bound > 0 && spent_ns >= bound) {
        Telemetry::count(telemetry_.slow_queries);
        (void)guard(nullptr, [&] {
            telemetry_.log.warn(
                "slow_query", {{"ms", spent_ns / k_ms}, {"statement", statement.sql_}}
            );
        });
    }
}

Prepared& Connection::prepare(std::string_view sql) {
    const auto found = by_text_.find(sql);
    if (found != by_text_.end() && !found->second->stale_) {
        Prepared& known = *found->second;
        ++hits_;
        statements_.splice(statements_.begin(), statements_, found->second);
        if (known.running_) {
            stop(known);
        }
        known.clear_bindings();
        if (!std::exchange(known.touched_, true)) {
            touched_.push_back(&known);
        }
        return known;
    }
    if (found != by_text_.end() && !found->second->touched_) {
        const auto stale = found->second;
        by_text_.erase(found);
        statements_.erase(stale);
    }
    ++misses_;
    ScannedSql scanned = scan(sql);
    if (scanned.statements.empty()) {
        throw invalid("there is no statement in the text");
    }
    check_text(scanned);
    settle();
    statements_.emplace_front(*this, std::string{sql}, "tenon" + std::to_string(++names_));
    Prepared& made = statements_.front();
    made.touched_ = true;  // not to be trimmed
    try {
        prepare_on_server(made, scanned.text);
    } catch (...) {
        statements_.pop_front();
        throw;
    }
    // A stale one of the same text that is still in somebody's hands loses its place.
    by_text_.erase(made.sql_);
    by_text_.emplace(made.sql_, statements_.begin());
    touched_.push_back(&made);
    return made;
}

void Connection::prepare_on_server(Prepared& statement, const std::string& text) {
    ++queries_;
    trim_statements(settings_.statement_cache, INT64_MIN);
    const int requests = state_ == State::wanted ? send_begin() : 0;
    wire_.send_prepare(statement.name_, text);
    wire_.send_describe(statement.name_);
    wire_.sync();
    read_begun(requests);
    Result failure;
    for (int i = 0; i < 2; ++i) {
        for (Result result = wire_.next(); result; result = wire_.next()) {
            if (is_error(result.get())) {
                failure = std::move(result);
                if (broken()) {
                    break;
                }
            } else if (i == 1) {
                statement.take(result.get());
            }
        }
        if (broken()) {
            break;
        }
    }
    if (!failure) {
        failure = wire_.finish();
    } else if (!broken()) {
        (void)wire_.finish();
    }
    if (failure) {
        fail(failure.get(), "cannot prepare");
    }
    statement.used_ns_ = telemetry_.now_ns();
}

void Connection::trim_statements(std::size_t keep, std::int64_t used_before_ns) {
    bool sent = false;
    auto at = statements_.end();
    while (at != statements_.begin()) {
        --at;
        if (at->touched_) {
            continue;
        }
        if (statements_.size() <= keep && at->used_ns_ >= used_before_ns) {
            break;
        }
        wire_.send(("DEALLOCATE " + at->name_).c_str());
        sent = true;
        if (const auto known = by_text_.find(at->sql_);
            known != by_text_.end() && known->second == at) {
            by_text_.erase(known);
        }
        at = statements_.erase(at);
    }
    // By itself: what comes next may have to be the first of its transaction.
    if (sent) {
        wire_.sync();
        wire_.leave();
    }
}

void Connection::start(Prepared& statement) {
    settle();
    ++queries_;
    statement.began_ns_ = statement.used_ns_ = telemetry_.now_ns();
    try {
        const int requests = send_begin();
        wire_.send_execute(statement.name_, statement.parameters_, statement.binary_);
        wire_.sync();
        read_begun(requests);
    } catch (const DatabaseError& e) {
        if (alone() && e.failure() == Failure::other_host) {
            throw DatabaseError{TENON_IN_DOUBT, e.what(), Failure::in_doubt, e.sqlstate()};
        }
        throw;
    }
    wire_.by_row();
    streaming_ = &statement;
    statement.forget_rows();
    statement.running_ = true;
}

Result Connection::next_row(Prepared& statement) {
    Result result;
    try {
        result = wire_.next();
        if (result && PQresultStatus(result.get()) == PGRES_SINGLE_TUPLE) {
            return result;
        }
        streaming_ = nullptr;
        if (result && !is_error(result.get())) {
            note_done(result.get());
            if (Result failure = wire_.finish()) {
                result = std::move(failure);
            }
        } else if (!broken()) {
            (void)wire_.finish();
        }
    } catch (const DatabaseError& e) {
        streaming_ = nullptr;
        statement.forget_rows();
        if (std::exchange(implicit_, false)) {
            state_ = State::none;
        }
        if (alone() && e.failure() == Failure::other_host) {
            throw DatabaseError{TENON_IN_DOUBT, e.what(), Failure::in_doubt, e.sqlstate()};
        }
        throw;
    }
    note_time(statement);
    if (result && is_error(result.get())) {
        statement.forget_rows();
        try {
            fail(result.get(), "cannot run", alone());
        } catch (const DatabaseError& e) {
            statement.stale_ = e.sqlstate() == "26000" || e.sqlstate() == "0A000";
            end_implicit();
            throw;
        }
    }
    end_implicit();
    return nullptr;
}

void Connection::settle() {
    if (streaming_ == nullptr) {
        return;
    }
    Prepared& statement = *streaming_;
    while (Result row = next_row(statement)) {
        statement.keep(std::move(row));
    }
}

void Connection::stop(Prepared& statement) {
    if (streaming_ == &statement) {
        while (next_row(statement)) {}
    }
    statement.forget_rows();
}

void Connection::reset_statements() noexcept {
    for (Prepared* statement : touched_) {
        if (statement->running_) {
            (void)guard(nullptr, [&] { stop(*statement); });
            statement->forget_rows();
        }
        statement->clear_bindings();
        statement->touched_ = false;
    }
    touched_.clear();
    streaming_ = nullptr;
}

std::string Connection::ask(const std::string& sql, std::span<const tenon_value> values) {
    Prepared& statement = prepare(sql);
    for (std::size_t i = 0; i < values.size(); ++i) {
        statement.bind(static_cast<std::uint32_t>(i + 1), values[i]);
    }
    std::string answer;
    while (statement.step()) {
        const tenon_value value = statement.column(0);
        answer =
            value.kind == TENON_VALUE_INT64 ? std::to_string(value.i) : std::string{view(value.b)};
    }
    return answer;
}

}  // namespace tenon::postgres
