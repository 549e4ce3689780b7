// SPDX-License-Identifier: Apache-2.0
// Database: what its statements cost and how they run.
#include "plugins/storage/postgres/database.hpp"

namespace tenon::postgres {
namespace {

constexpr std::int64_t k_explain_ns = 2 * k_second;

}  // namespace

Telemetry Database::with_own(Telemetry telemetry) noexcept {
    telemetry.statements = settings_.statements_max == 0 ? nullptr : &statements_;
    telemetry.plans = nullptr;
    telemetry.tables = settings_.trial ? nullptr : &tables_;
    return telemetry;
}

std::string Database::statements() {
    const Inside inside{*this};
    if (settings_.statements_max == 0) {
        throw Error{TENON_UNSUPPORTED, "statements_max is 0: statements are not captured"};
    }
    return statements_.to_json();
}

// Behind a migration's locks nobody waits for a plan.
std::string Database::plan_beside(const std::string& sql) {
    HostPool::Lease lease = acquire(TENON_INTENT_READ, telemetry_.now_ns() + k_explain_ns, "plans");
    lease->begin();
    lease->execute("SET LOCAL lock_timeout = '100ms'");
    std::string plan = lease->plan(sql, {});
    lease->rollback();
    if (const auto map = tables_.map()) {
        // It may have been opened before the map was known.
        (void)statements_.open(sql, false, map->named_in(sql));
    }
    return plan;
}

void Database::load_tables() {
    if (tables_.map()) {
        return;
    }
    const std::uint64_t generation = tables_.generation();
    auto map = std::make_shared<TableMap>();
    HostPool::Lease lease =
        acquire(TENON_INTENT_READ, telemetry_.now_ns() + k_explain_ns, "catalogue");
    lease->begin();
    const auto each = [&](const char* sql, const std::function<void(const Prepared&)>& take) {
        Prepared& rows = lease->prepare(sql);
        while (rows.step()) {
            take(rows);
        }
    };
    const auto text = [](const Prepared& row, std::uint32_t i) {
        const tenon_value value = row.column(i);
        return std::string{view(value.b)};
    };
    each(relations_sql(), [&](const Prepared& row) {
        map->add_relation(row.column(0).i, text(row, 1), text(row, 2).at(0));
    });
    each(functions_sql(), [&](const Prepared& row) {
        map->add_function(text(row, 0), row.column(1).i != 0, row.column(2).i != 0);
    });
    each(reaches_sql(), [&](const Prepared& row) {
        map->add_reach(row.column(0).i, row.column(1).i);
    });
    each(anything_sql(), [&](const Prepared& row) { map->add_anything(row.column(0).i); });
    each(triggers_sql(), [&](const Prepared& row) {
        map->add_trigger(row.column(0).i, text(row, 1), text(row, 2));
    });
    lease->commit();
    tables_.take(std::move(map), generation);
}

}  // namespace tenon::postgres
