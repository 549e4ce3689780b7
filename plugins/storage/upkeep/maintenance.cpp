// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/upkeep/maintenance.hpp"

namespace tenon::upkeep {
namespace {

// As an identifier of SQL.
std::string quoted(std::string_view name) {
    std::string text{"\""};
    for (const char c : name) {
        text.append(c == '"' ? 2 : 1, c);
    }
    return text.append("\"");
}

}  // namespace

void MaintenanceRound::plan() {
    const bool is_sqlite = context_.storage.dialect() == "sqlite";
    context_.storage.read(context_.deadline_ns(), [&](Session& session) {
        tables_.clear();
        // On PostgreSQL those that were written to since they were last looked after.
        Statement rows = session.prepare(
            is_sqlite ? "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE "
                        "'sqlite\\_%' ESCAPE '\\' ORDER BY name"
                      : "SELECT relname::text FROM pg_catalog.pg_stat_user_tables WHERE schemaname "
                        "= pg_catalog.current_schema() AND (n_dead_tup > 0 OR "
                        "n_mod_since_analyze > 0) ORDER BY relname"
        );
        while (rows.step()) {
            tables_.emplace_back(rows.text(0));
        }
    });
    is_planned_ = true;
}

bool MaintenanceRound::step() {
    if (!is_planned_) {
        plan();
    }
    if (next_ == tables_.size()) {
        return false;
    }
    tend(tables_[next_++]);
    ++done_;
    return true;
}

void MaintenanceRound::tend(const std::string& table) {
    if (context_.storage.dialect() == "sqlite") {
        context_.storage.write(context_.deadline_ns(), [&](Session& session) {
            session.execute("ANALYZE " + quoted(table));
        });
        return;
    }
    // VACUUM takes no transaction around it.
    Lease lease = context_.storage.lease(TENON_INTENT_WRITE, context_.deadline_ns());
    lease->execute("VACUUM (ANALYZE) " + quoted(table));
}

}  // namespace tenon::upkeep
