// SPDX-License-Identifier: Apache-2.0
// Advisor: indexes that a server built beside running work and did not live to note.
#include "plugins/storage/advisor/advisor.hpp"

#include <algorithm>

namespace tenon::advisor {
namespace {

constexpr double k_least_left = 0.95;  // work with it, to that without, to keep it

struct Found {
    std::string name;
    bool is_valid = false;
};

std::vector<Found> advised_indexes(Session& session) {
    std::vector<Found> out;
    auto rows = session.prepare(
        "SELECT c.relname::text, i.indisvalid::int FROM pg_catalog.pg_index i JOIN "
        "pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisunique AND c.relname ~ ? "
        "AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY c.relname"
    );
    rows.bind(1, "^" + std::string{k_index_prefix} + "[0-9a-f]{16}$");
    while (rows.step()) {
        out.push_back({std::string{rows.text(0)}, rows.integer(1) != 0});
    }
    return out;
}

}  // namespace

bool Advisor::is_noted(Session& session, const std::string& index) const {
    const std::vector<Found> there = advised_indexes(session);
    const bool is_there = std::any_of(there.begin(), there.end(), [&](const Found& found) {
        return found.name == index && found.is_valid;
    });
    auto row = session.prepare(
        "SELECT count(*) FROM tenon_advised_indexes WHERE name = ? AND withdrawn_real_ns IS NULL"
    );
    row.bind(1, index);
    return row.step() && row.integer(0) != 0 && is_there;
}

void Advisor::adopt(
    Session& session,
    std::int64_t real_ns,
    std::int64_t deadline_ns,
    std::vector<Applied>& to
) const {
    for (const Found& found : advised_indexes(session)) {
        Index index;
        index.name = found.name;
        if (!found.is_valid) {
            session.execute(dialect_.drop_sql(index, true));
            continue;
        }
        if (is_noted(session, found.name)) {
            continue;
        }
        const Catalog catalog = dialect_.read_catalog(session);
        const auto whole =
            std::find_if(catalog.indexes.begin(), catalog.indexes.end(), [&](const Index& one) {
                return one.name == found.name;
            });
        if (whole != catalog.indexes.end()) {
            to.push_back(adopt_one(session, *whole, real_ns, deadline_ns));
        }
    }
}

// What its statements cost without it cannot be seen any more but on a copy. Their times before are
// not known either, so none are noted, and weak() never names it.
Applied Advisor::adopt_one(
    Session& session,
    const Index& index,
    std::int64_t real_ns,
    std::int64_t deadline_ns
) const {
    Applied out{index.name, false, 0, 0, true};
    const std::vector<Captured> captured = read_captured(storage_.statements());
    {
        const StorageClone copy = storage_.clone(true, deadline_ns);
        Catalog catalog;
        copy->read(deadline_ns, [&](Session& reader) { catalog = dialect_.read_catalog(reader); });
        const Trial trial{*copy, catalog, dialect_, deadline_ns};
        trial.execute(dialect_.settle_sql());
        std::vector<Trial::Replay> replays;
        for (const Captured& one : captured) {
            const Shape shape = read_shape(one.sql, catalog);
            const bool is_its = shape.analysed && shape.columns.count(index.table) != 0;
            if (auto replay = is_its ? trial.prepare(one, shape) : std::nullopt) {
                replays.push_back(std::move(*replay));
            }
        }
        std::vector<const Trial::Replay*> pointers;
        for (const Trial::Replay& replay : replays) {
            pointers.push_back(&replay);
        }
        for (const double one : trial.measure(pointers)) {
            out.work_after += one;
        }
        trial.execute(dialect_.drop_sql(index, false));
        for (const double one : trial.measure(pointers)) {
            out.work_before += one;
        }
    }
    if (out.work_before == 0 || out.work_after > out.work_before * k_least_left) {
        session.execute(dialect_.drop_sql(index, true));
        return out;
    }
    Proposal proposal;
    proposal.candidate.index = index;
    proposal.sql = dialect_.create_sql(index, true);
    session.begin();
    note_applied(session, proposal, real_ns, storage_.statements());
    session.commit();
    out.is_kept = true;
    return out;
}

}  // namespace tenon::advisor
