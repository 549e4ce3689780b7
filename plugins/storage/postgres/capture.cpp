// SPDX-License-Identifier: Apache-2.0
// What a session tells of the statements it ran: to the log of statements, the metrics, and the
// log of slow ones.
#include "plugins/storage/postgres/connection.hpp"
#include "plugins/storage/postgres/plan_watch.hpp"

#include <algorithm>
#include <array>

namespace tenon::postgres {

bool writes_rows(const ScannedSql& sql) noexcept {
    static constexpr std::array<std::string_view, 4> k_verbs{"INSERT", "UPDATE", "DELETE", "MERGE"};
    return sql.statements.size() == 1 && !sql.statements[0].empty() &&
           std::find(k_verbs.begin(), k_verbs.end(), sql.statements[0][0]) != k_verbs.end();
}

StatementLog::Handle Connection::log_of(std::string_view sql, bool writes) {
    if (telemetry_.statements == nullptr) {
        return {};
    }
    std::vector<std::string> tables;
    if (const auto map = telemetry_.tables == nullptr ? nullptr : telemetry_.tables->map()) {
        tables = map->named_in(sql);
    }
    return telemetry_.statements->open(sql, writes, tables);
}

void Connection::note_time(Prepared& statement, bool failed) noexcept {
    if (!failed && statement.log_ && telemetry_.plans != nullptr &&
        !std::exchange(statement.watched_, true)) {
        (void)guard(nullptr, [&] { telemetry_.plans->add(statement.log_, statement.sql_); });
    }
    const bool changes = statement.columns_.empty() && statement.writes_ && !failed;
    const std::uint64_t rows = changes ? changes_ : statement.rows_;
    note_run({statement.log_, statement.sql_, statement.began_ns_, rows, failed});
}

void Connection::note_run(Run run) noexcept {
    const std::int64_t spent_ns = telemetry_.now_ns() - run.began_ns;
    if (telemetry_.query_duration != nullptr) {
        telemetry_.metrics->observe(telemetry_.metrics.self, telemetry_.query_duration, spent_ns);
    }
    const std::int64_t bound = settings_.slow_query_ms * k_ms;
    const bool slow = bound > 0 && spent_ns >= bound;
    if (slow) {
        Telemetry::count(telemetry_.slow_queries);
    }
    if (!run.log && !slow) {
        return;
    }
    (void)guard(nullptr, [&] {
        const std::int64_t real_ns = telemetry_.now_real_ns();
        run.log.record(
            {.duration_ns = spent_ns,
             .rows = run.rows,
             .real_ns = real_ns,
             .failed = run.failed,
             .slow = slow}
        );
        if (slow) {
            run.log.note_slow(spent_ns, real_ns);
            if (telemetry_.plans != nullptr) {
                telemetry_.plans->note_slow(run.log, run.sql, spent_ns);
            } else {
                telemetry_.log.warn(
                    "slow_query",
                    {{"ms", spent_ns / k_ms}, {"statement", normalise_sql(run.sql).text}}
                );
            }
        }
    });
}

// ---- the query cache's side of a write

void Connection::begin_touching(std::string_view sql, Tables::KnownWrites& known) {
    if (telemetry_.tables == nullptr || intent_ != TENON_INTENT_WRITE) {
        return;
    }
    telemetry_.tables->find_writes(sql, known);
    touched_writes_.add(known);
    if (alone()) {
        touched_writes_.mark();
    }
}

void Connection::end_touching(bool failed) noexcept {
    if (!alone() || touched_writes_.empty()) {
        return;
    }
    // The rows are there already: whoever is not told learns of them when the time to live ends.
    if (!failed) {
        (void)guard(nullptr, [&] { announce(); });
    }
    end_commit();
}

void Connection::announce() {
    const std::string message = touched_writes_.message();
    if (!message.empty()) {
        (void)run_text(
            "NOTIFY " + std::string{k_tables_channel} + ", " + wire_.literal(message),
            "cannot tell other servers"
        );
    }
}

void Connection::end_commit() noexcept {
    const bool is_other_schema = touched_writes_.changes_schema();
    touched_writes_.end();
    if (is_other_schema && telemetry_.plans != nullptr) {
        (void)guard(nullptr, [&] { telemetry_.plans->schema_changed(); });
    }
}

}  // namespace tenon::postgres
