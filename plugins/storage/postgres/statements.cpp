// SPDX-License-Identifier: Apache-2.0
// What a session runs: its prepared statements, their rows, and SQL text.
#include "plugins/storage/postgres/connection.hpp"

#include <algorithm>
#include <charconv>

namespace tenon::postgres {
namespace {

constexpr std::int64_t k_long_patience_ns = 30 * 86'400 * k_second;

}  // namespace

void Connection::check_text(const ScannedSql& sql) {
    if (const std::string reason = refused(sql); !reason.empty()) {
        throw invalid(reason);
    }
    dirty_ = dirty_ || sql.touches_session;
    if (long_ && sql.sets_config) {
        wire_.set_patience(k_long_patience_ns);
    }
    for (const auto& words : sql.statements) {
        if (long_ && words[0] == "SET" &&
            std::find(words.begin(), words.end(), "STATEMENT_TIMEOUT") != words.end()) {
            wire_.set_patience(k_long_patience_ns);
        }
    }
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
    const ScannedSql scanned = scan(sql);
    check_text(scanned);
    settle();
    make_writable();
    const bool writes = writes_rows(scanned);
    StatementLog::Handle log = writes ? log_of(sql, true) : StatementLog::Handle{};
    const std::int64_t began_ns = telemetry_.now_ns();
    Tables::KnownWrites known;
    begin_touching(sql, known);
    const bool implicit = state_ == State::none && intent_ == TENON_INTENT_READ;
    if (implicit) {
        begin();
    }
    // In one message; a statement that has to be alone is alone outside of a transaction.
    const std::string text = begin_script() + std::string{sql};
    try {
        (void)run_text(text, "cannot run");
        note_run({log, sql, began_ns, writes ? changes_ : 0, false});
        end_touching(false);
    } catch (const DatabaseError& e) {
        note_run({log, sql, began_ns, 0, true});
        end_touching(true);
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

Prepared& Connection::prepare(std::string_view sql) {
    const auto found = by_text_.find(sql);
    if (found != by_text_.end() && !found->second->stale_) {
        Prepared& known = *found->second;
        ++hits_;
        dirty_ = dirty_ || known.touches_session_;
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
    made.touches_session_ = scanned.touches_session;
    made.writes_ = writes_rows(scanned);
    made.log_ = log_of(sql, made.writes_);
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

Prepared Connection::look_at(const std::string& sql) {
    Prepared unnamed{*this, sql, ""};
    prepare_on_server(unnamed, sql);
    return unnamed;
}

void Connection::prepare_on_server(Prepared& statement, const std::string& text) {
    ++queries_;
    trim_statements(settings_.statement_cache - 1, INT64_MIN);
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
    make_writable();
    ++queries_;
    statement.began_ns_ = statement.used_ns_ = telemetry_.now_ns();
    begin_touching(statement.sql_, statement.touches_);
    try {
        const int requests = send_begin();
        wire_.send_execute(statement.name_, statement.parameters_, statement.binary_);
        wire_.sync();
        read_begun(requests);
        wire_.by_row();
    } catch (const DatabaseError& e) {
        end_touching(true);
        if (alone() && e.failure() == Failure::other_host) {
            throw DatabaseError{TENON_IN_DOUBT, e.what(), Failure::in_doubt, e.sqlstate()};
        }
        throw;
    }
    streaming_ = &statement;
    statement.forget_rows();
    statement.running_ = true;
    statement.rows_ = 0;
}

Result Connection::next_row(Prepared& statement) {
    Result result;
    try {
        result = wire_.next();
        if (result && PQresultStatus(result.get()) == PGRES_SINGLE_TUPLE) {
            ++statement.rows_;
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
        end_touching(true);
        if (alone() && e.failure() == Failure::other_host) {
            throw DatabaseError{TENON_IN_DOUBT, e.what(), Failure::in_doubt, e.sqlstate()};
        }
        throw;
    }
    note_time(statement, result && is_error(result.get()));
    end_touching(result && is_error(result.get()));
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
