// SPDX-License-Identifier: Apache-2.0
// Advisor: what is created, what became of it, and what is withdrawn.
#include "plugins/storage/advisor/advisor.hpp"

#include <tenon/json.hpp>

#include <algorithm>

namespace tenon::advisor {
namespace {

constexpr std::uint64_t k_calls_after = 20;
constexpr double k_faster = 0.95;      // mean time after an index, to that before, to keep it
constexpr double k_least_left = 0.95;  // work after, to that before, to keep it

// When the storage began to count.
std::int64_t since_of(const std::string& statistics) {
    const Json all = Json::parse(statistics);
    const Json* since = all.find("since_real_ns");
    return since == nullptr ? 0 : since->integer<std::int64_t>();
}

// Work of the proposal's statements as the database is now; nothing where it cannot be told.
std::optional<double> work_of(const Proposal& proposal, const Dialect& dialect, Session& session) {
    double all = 0;
    for (const auto& sample : proposal.samples) {
        const std::optional<double> one = Trial::measure(*sample, dialect, session);
        if (!one) {
            return std::nullopt;
        }
        all += *one;
    }
    return all;
}

// Only one server at a time changes the indexes of a database.
class Turn {
public:
    Turn(const Dialect& dialect, Session& session) : dialect_{dialect}, session_{session} {
        if (!dialect_.try_lock(session_)) {
            throw Error{
                TENON_UNAVAILABLE, "another server is applying or withdrawing indexes; ask again"};
        }
    }

    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // A session that cannot unlock is lost, and its lock with it.
    ~Turn() {
        (void)guard(nullptr, [&] { session_.rollback(); });
        (void)guard(nullptr, [&] { dialect_.unlock(session_); });
    }

private:
    const Dialect& dialect_;
    Session& session_;
};

// Some plan of the proposal's statements has the index.
bool is_planned(const Proposal& proposal, Session& session) {
    return proposal.samples.empty() ||
           std::any_of(proposal.samples.begin(), proposal.samples.end(), [&](const auto& sample) {
               const std::string plan = session.plan(sample->sql);
               return plan.find('"' + proposal.candidate.index.name + '"') != std::string::npos;
           });
}

}  // namespace

void Advisor::create_history(std::int64_t deadline_ns) const {
    storage_.write(deadline_ns, [this](Session& session) {
        dialect_.queue(session);
        session.execute(
            "CREATE TABLE IF NOT EXISTS tenon_advised_indexes(name TEXT PRIMARY KEY NOT NULL, sql "
            "TEXT NOT NULL, applied_real_ns BIGINT NOT NULL, withdrawn_real_ns BIGINT);"
            "CREATE TABLE IF NOT EXISTS tenon_advised_statements(name TEXT NOT NULL, fingerprint "
            "TEXT NOT NULL, calls BIGINT NOT NULL, total_ns BIGINT NOT NULL, PRIMARY KEY (name, "
            "fingerprint));"
            "CREATE TABLE IF NOT EXISTS tenon_advised_since(name TEXT PRIMARY KEY NOT NULL, "
            "since_real_ns BIGINT NOT NULL)"
        );
    });
}

void Advisor::note_applied(
    Session& session,
    const Proposal& proposal,
    std::int64_t real_ns,
    const std::string& statistics
) const {
    const std::string& name = proposal.candidate.index.name;
    for (const char* table :
         {"tenon_advised_indexes", "tenon_advised_statements", "tenon_advised_since"}) {
        session.prepare("DELETE FROM " + std::string{table} + " WHERE name = ?")
            .bind_all(name)
            .run();
    }
    session
        .prepare("INSERT INTO tenon_advised_indexes(name, sql, applied_real_ns) VALUES (?, ?, ?)")
        .bind_all(name, proposal.sql, real_ns)
        .run();
    session.prepare("INSERT INTO tenon_advised_since(name, since_real_ns) VALUES (?, ?)")
        .bind_all(name, since_of(statistics))
        .run();
    const auto& mine = proposal.fingerprints;
    for (const Captured& one : read_captured(statistics)) {
        if (std::find(mine.begin(), mine.end(), one.fingerprint) != mine.end()) {
            session
                .prepare(
                    "INSERT INTO tenon_advised_statements(name, fingerprint, calls, total_ns) "
                    "VALUES (?, ?, ?, ?)"
                )
                .bind_all(name, one.fingerprint, one.calls, one.total_ns)
                .run();
        }
    }
}

// In one transaction with what is noted of it. A lease: building an index may take longer than a
// statement may otherwise. What is not committed goes with it.
Applied Advisor::apply_within(
    const Proposal& proposal,
    std::int64_t real_ns,
    std::int64_t deadline_ns,
    const std::string& statistics
) const {
    Applied applied{proposal.candidate.index.name, true, 0, 0};
    Lease lease = storage_.lease(TENON_INTENT_WRITE, deadline_ns);
    lease->begin();
    lease->execute(proposal.sql);
    lease->execute(dialect_.analyze_sql(proposal.candidate.index));
    if (!is_planned(proposal, *lease)) {
        lease->rollback();
        applied.is_kept = false;
        return applied;
    }
    note_applied(*lease, proposal, real_ns, statistics);
    lease->commit();
    return applied;
}

// Beside running work, which no transaction may contain: measured before and after, dropped when
// it does not gain, noted when it stays. A build that fails leaves an index that nobody can use.
Applied Advisor::apply_beside(
    Session& session,
    const Proposal& proposal,
    std::int64_t real_ns,
    std::int64_t deadline_ns,
    const std::string& statistics
) const {
    const Index& index = proposal.candidate.index;
    Applied applied{index.name, false, 0, 0};
    if (is_noted(session, index.name)) {
        applied.is_kept = true;  // by another server, after this one's search
        return applied;
    }
    storage_.read(deadline_ns, [&](Session& reader) {
        applied.work_before = work_of(proposal, dialect_, reader).value_or(0);
    });
    try {
        session.execute(proposal.sql);
        session.execute(dialect_.analyze_sql(index));
        storage_.read(deadline_ns, [&](Session& reader) {
            applied.work_after = work_of(proposal, dialect_, reader).value_or(0);
        });
    } catch (...) {
        (void)guard(nullptr, [&] { session.execute(dialect_.drop_sql(index, true)); });
        throw;
    }
    if (applied.work_after > applied.work_before * k_least_left) {
        session.execute(dialect_.drop_sql(index, true));
        return applied;
    }
    session.begin();
    note_applied(session, proposal, real_ns, statistics);
    session.commit();
    applied.is_kept = true;
    return applied;
}

std::vector<Applied> Advisor::apply(
    const std::vector<Proposal>& proposals,
    std::int64_t real_ns,
    std::int64_t deadline_ns
) const {
    create_history(deadline_ns);
    const std::string statistics = storage_.statements();
    std::vector<Applied> all;
    if (!dialect_.builds_beside()) {
        for (const Proposal& proposal : proposals) {
            all.push_back(apply_within(proposal, real_ns, deadline_ns, statistics));
        }
        return all;
    }
    Lease lease = storage_.lease(TENON_INTENT_WRITE, deadline_ns);
    const Turn turn{dialect_, *lease};
    lease->execute(dialect_.patience_sql());
    adopt(*lease, real_ns, deadline_ns, all);
    for (const Proposal& proposal : proposals) {
        all.push_back(apply_beside(*lease, proposal, real_ns, deadline_ns, statistics));
    }
    return all;
}

std::vector<Weak> Advisor::weak(std::int64_t deadline_ns) const {
    create_history(deadline_ns);

    struct Known {
        std::string name;
        bool gains = false;
        bool is_known = false;  // enough calls since
    };

    std::vector<Known> applied;
    std::map<std::string, const Captured*> now;
    const std::string statistics = storage_.statements();
    const std::int64_t since = since_of(statistics);
    const std::vector<Captured> captured = read_captured(statistics);
    for (const Captured& one : captured) {
        now.emplace(one.fingerprint, &one);
    }
    storage_.read(deadline_ns, [&](Session& session) {
        applied.clear();
        auto rows = session.prepare(
            "SELECT i.name, s.fingerprint, s.calls, s.total_ns, coalesce(b.since_real_ns, 0) FROM "
            "tenon_advised_indexes AS i JOIN tenon_advised_statements AS s ON s.name = i.name LEFT "
            "JOIN tenon_advised_since AS b ON b.name = i.name WHERE i.withdrawn_real_ns IS NULL "
            "ORDER BY i.name"
        );
        while (rows.step()) {
            if (applied.empty() || applied.back().name != rows.text(0)) {
                applied.push_back({std::string{rows.text(0)}, false, false});
            }
            const auto found = now.find(std::string{rows.text(1)});
            const auto calls = static_cast<std::uint64_t>(rows.integer(2));
            // Another process counted from nothing: all that it saw came after.
            const bool is_same = rows.integer(4) == since;
            const std::uint64_t skipped = is_same ? calls : 0;
            const std::int64_t skipped_ns = is_same ? rows.integer(3) : 0;
            if (found == now.end() || calls == 0 ||
                found->second->calls < skipped + k_calls_after) {
                continue;
            }
            const double before = static_cast<double>(rows.integer(3)) / static_cast<double>(calls);
            const double after = static_cast<double>(found->second->total_ns - skipped_ns) /
                                 static_cast<double>(found->second->calls - skipped);
            applied.back().is_known = true;
            applied.back().gains = applied.back().gains || after < before * k_faster;
        }
    });
    std::vector<Weak> out;
    for (const Known& one : applied) {
        if (one.is_known && !one.gains) {
            out.push_back({one.name, "no statement of it took 5 % less time on the average since"});
        }
    }
    return out;
}

void Advisor::withdraw(const std::string& name, std::int64_t real_ns, std::int64_t deadline_ns)
    const {
    create_history(deadline_ns);
    Index index;
    index.name = name;
    Lease lease = storage_.lease(TENON_INTENT_WRITE, deadline_ns);
    const Turn turn{dialect_, *lease};
    lease->begin();
    lease
        ->prepare(
            "UPDATE tenon_advised_indexes SET withdrawn_real_ns = ? WHERE name = ? AND "
            "withdrawn_real_ns IS NULL"
        )
        .bind_all(real_ns, name)
        .run();
    if (lease->changes() == 0) {
        throw Error{TENON_NOT_FOUND, "no applied index has the name " + name};
    }
    if (!dialect_.builds_beside()) {
        lease->execute(dialect_.drop_sql(index, true));
        lease->commit();
        return;
    }
    // It goes before its withdrawal is noted: who is interrupted can ask once more.
    lease->rollback();
    lease->execute(dialect_.patience_sql());
    lease->execute(dialect_.drop_sql(index, true));
    lease->begin();
    lease->prepare("UPDATE tenon_advised_indexes SET withdrawn_real_ns = ? WHERE name = ?")
        .bind_all(real_ns, name)
        .run();
    lease->commit();
}

}  // namespace tenon::advisor
