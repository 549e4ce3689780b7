// SPDX-License-Identifier: Apache-2.0
// The part of the migrator that runs statements.
#include "plugins/migrations/sql/migrator.hpp"

namespace tenon::migrations {
namespace {

// Tries to build an index whose build was broken off by a deadlock or a lost race.
constexpr int k_build_attempts = 3;

void check_foreign_keys(Session& session, Dialect dialect, const std::string& what) {
    if (dialect != Dialect::sqlite) {
        return;
    }
    std::string fault;
    for (Statement row = session.prepare("PRAGMA foreign_key_check"); row.step();) {
        if (fault.empty()) {
            fault = what + ": a row of " + std::string{row.text(0)} + " refers to nothing in " +
                    std::string{row.text(2)};
        }
    }
    if (!fault.empty()) {
        throw Error{TENON_CONFLICT, fault};
    }
}

enum class Index { absent, valid, invalid };

Index look_at_index(Session& session, const std::string& name) {
    Index found = Index::absent;
    Statement row = session.prepare(
        "SELECT CASE WHEN indisvalid AND indisready THEN CAST(1 AS BIGINT) ELSE 0 END "
        "FROM pg_index WHERE indexrelid = to_regclass(?)"
    );
    row.bind(1, name);
    while (row.step()) {
        found = row.integer(0) != 0 ? Index::valid : Index::invalid;
    }
    return found;
}

std::string at_statement(const Unit& unit, std::size_t position) {
    const ScriptStatement& statement = unit.script->statements[position];
    return unit.what() + ", line " + std::to_string(statement.sql.line) + " (" +
           summary_of(statement.sql, 60) + "): ";
}

}  // namespace

void Migrator::run_statement(Run& run, const Unit& unit, std::size_t position) {
    const ScriptStatement& statement = unit.script->statements[position];
    const StatementSeen before{
        label(unit.version, unit.name), unit.direction, position, &statement, 0};
    run.prove();
    if (observer_ != nullptr) {
        observer_->before(run.session(), before);
    }
    const std::int64_t began = clock_->now_ns(clock_.self);
    try {
        if (statement.alone == Alone::no) {
            run.session().execute(statement.sql.text);
        } else if (statement.alone == Alone::create_index) {
            build_index(run, unit, statement);
        } else {
            run.alone(statement.sql.text);
        }
    } catch (const StorageError& e) {
        throw StorageError{e.code(), at_statement(unit, position) + e.what(), e.failure()};
    }
    if (observer_ != nullptr) {
        StatementSeen after = before;
        after.duration_ns = clock_->now_ns(clock_.self) - began;
        observer_->after(run.session(), after);
    }
}

// What a broken-off build leaves is an INVALID index of this name: it goes first.
void Migrator::build_index(Run& run, const Unit& unit, const ScriptStatement& statement) {
    for (int attempt = 1;; ++attempt) {
        if (look_at_index(run.session(), statement.index) == Index::invalid) {
            log_.warn("invalid_index_dropped", {{"index", statement.index}});
            run.alone("DROP INDEX CONCURRENTLY IF EXISTS " + statement.index);
        }
        try {
            run.alone(statement.sql.text);
            return;
        } catch (const StorageError& e) {
            log_.warn("index_build_failed", {{"migration", unit.what()}, {"message", e.what()}});
            run.prove();  // else there is no session to clean up with
            if (look_at_index(run.session(), statement.index) == Index::invalid) {
                run.alone("DROP INDEX CONCURRENTLY IF EXISTS " + statement.index);
            }
            if (e.failure() != Failure::retry_transaction || attempt == k_build_attempts) {
                throw;
            }
        }
    }
}

// In the transaction of the caller.
void Migrator::perform(Run& run, const Unit& unit) {
    Session& session = run.session();
    switch (unit.kind) {
        case Unit::Kind::whole:
            for (std::size_t i = 0; i < unit.script->statements.size(); ++i) {
                run_statement(run, unit, i);
                run.at("statement_ran");
            }
            break;
        case Unit::Kind::statement:
            run_statement(run, unit, unit.position);
            run.at("statement_ran");
            write_journal(session, unit.journal(real_ns()));
            break;
        case Unit::Kind::end:
            break;
    }
    check_foreign_keys(session, dialect_, unit.what());
    if (unit.kind != Unit::Kind::statement) {
        finish(run, unit);
    }
    run.at("recorded");
}

void Migrator::finish(Run& run, const Unit& unit) {
    Session& session = run.session();
    const std::int64_t now = real_ns();
    const std::int64_t took = now - unit.began_real_ns;
    if (unit.direction == Direction::up) {
        Applied row = applied_row(*unit.migration);
        row.applied_real_ns = now;
        row.duration_ns = took > 0 ? took : 0;
        write_applied(session, row, options_.writer);
    } else {
        erase_applied(session, unit.version);
    }
    erase_journal(session, unit.version);
    const std::string what = label(unit.version, unit.name);
    if (unit.direction == Direction::up) {
        log_.info("migration_applied", {{"migration", what}, {"ms", took / 1'000'000}});
    } else {
        log_.warn("migration_taken_back", {{"migration", what}, {"ms", took / 1'000'000}});
    }
}

void Migrator::perform_alone(Run& run, const Unit& unit) {
    const ScriptStatement& statement = unit.statement();
    bool done = false;
    if (unit.started_before && statement.alone != Alone::repeatable) {
        // Killed after it had come to its end, or while the server still worked for a client that
        // was gone: whose lock has been waited for.
        const Index now = look_at_index(run.session(), statement.index);
        done = statement.alone == Alone::create_index ? now == Index::valid : now == Index::absent;
    }
    if (!done) {
        run_statement(run, unit, unit.position);
    }
    run.at("alone_ran");
    run.transaction([&](Session& session) { write_journal(session, unit.journal(real_ns())); });
    run.at("alone_recorded");
}

}  // namespace tenon::migrations
