// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/migrator.hpp"

#include <algorithm>

namespace tenon::migrations {

Migrator::Migrator(
    Storage storage,
    Service<tenon_clock_1> clock,
    Log log,
    std::vector<Migration> migrations,
    MigratorOptions options
)
    : storage_{storage},
      clock_{clock},
      log_{log},
      migrations_{std::move(migrations)},
      options_{std::move(options)},
      dialect_{dialect_of(storage.dialect())} {}

void Migrator::require_fit(const HistoryState& state) const {
    std::vector<std::string> warnings;
    std::string text;
    for (const std::string& fault : compare(state, migrations_, warnings)) {
        text.append(text.empty() ? "" : "\n").append(fault);
    }
    for (const std::string& warning : warnings) {
        log_.warn("migration_drift", {{"what", warning}});
    }
    if (!text.empty()) {
        throw Error{TENON_CONFLICT, "schema history: " + text};
    }
}

Unit Migrator::unit_down(const Applied& row) const {
    const std::string what = label(row.version, row.name);
    if (sha256_hex(row.down_sql) != row.down_sha256) {
        throw Error{TENON_CORRUPT, "the down SQL kept for " + what + " does not fit its checksum"};
    }
    Unit unit;
    unit.direction = Direction::down;
    unit.version = row.version;
    unit.name = row.name;
    unit.script = std::make_shared<const Script>(
        make_script("the down SQL kept for " + what, row.down_sql, dialect_)
    );
    return unit;
}

Unit Migrator::unit_up(const Migration& migration) const {
    Unit unit;
    unit.version = migration.version;
    unit.name = migration.name;
    unit.script = std::shared_ptr<const Script>{std::shared_ptr<const void>{}, &migration.up};
    unit.migration = &migration;
    return unit;
}

void Migrator::require_leave(const std::string& what, const Script& down, const Goal& goal) {
    if (down.metadata.destructive && !goal.confirm) {
        throw Error{TENON_DENIED, "taking back " + what + " destroys data: say \"confirm\":true"};
    }
}

// What the last run left half done goes first, in the direction that it had.
Unit Migrator::unit_half(const HistoryState& state) const {
    const HalfDone& half = *state.half;
    Unit unit;
    if (half.direction == Direction::up) {
        if (half.version > latest() || half.version != state.applied.size() + 1) {
            throw Error{
                TENON_CONFLICT,
                "version " + std::to_string(half.version) +
                    " is half applied, and this server's files do not have it as the next one: "
                    "finish it with the server that began"};
        }
        unit = unit_up(migrations_[half.version - 1]);
    } else {
        if (state.applied.empty() || state.applied.back().version != half.version) {
            throw Error{
                TENON_CORRUPT,
                "version " + std::to_string(half.version) +
                    " is half taken back, but is not the newest of the history"};
        }
        unit = unit_down(state.applied.back());
    }
    unit.began_real_ns = half.began_real_ns;
    unit.take_up(half);
    return unit;
}

std::optional<Unit> Migrator::next_unit(const HistoryState& state, const Goal& goal) const {
    Unit unit;
    if (state.half) {
        return unit_half(state);
    }
    if (goal.direction == Direction::up) {
        if (state.applied.size() >= goal.to) {
            return std::nullopt;
        }
        const Migration& next = migrations_[state.applied.size()];
        if (next.up.metadata.phase == "contract" && !goal.allow_contract) {
            log_.warn("migration_held_back", {{"migration", label(next.version, next.name)}});
            return std::nullopt;
        }
        unit = unit_up(next);
    } else {
        if (state.applied.empty() || state.applied.back().version <= goal.to) {
            return std::nullopt;
        }
        unit = unit_down(state.applied.back());
        require_leave(label(unit.version, unit.name), *unit.script, goal);
    }
    unit.began_real_ns = real_ns();
    if (!unit.script->metadata.transaction) {
        unit.take_up({});
    }
    return unit;
}

// One unit: a whole migration, or a statement of one. False: there was nothing left to do.
bool Migrator::advance(Run& run, const Goal& goal) {
    std::optional<Unit> alone;
    bool more = false;
    run.transaction([&](Session& session) {
        alone.reset();
        const HistoryState state = read_state(session, dialect_);
        if (goal.direction == Direction::up) {
            require_fit(state);
        }
        version_ = state.applied.empty() ? 0 : state.applied.back().version;
        const std::optional<Unit> unit = next_unit(state, goal);
        more = unit.has_value();
        if (!unit) {
            return;
        }
        if (unit->kind == Unit::Kind::statement && unit->statement().alone != Alone::no) {
            // That it begins is on record first: the next run knows whose leftovers it finds.
            write_journal(session, unit->journal(0));
            alone = unit;
            return;
        }
        perform(run, *unit);
    });
    if (alone) {
        run.at("alone_started");
        perform_alone(run, *alone);
    }
    return more;
}

void Migrator::check_goal(const HistoryState& state, Goal& goal) const {
    if (goal.direction == Direction::down) {
        for (const Applied& row : state.applied) {
            if (row.version > goal.to) {
                require_leave(label(row.version, row.name), *unit_down(row).script, goal);
            }
        }
        // One that is half applied is finished first and then taken back like the others.
        if (state.half && state.half->direction == Direction::up && state.half->version > goal.to &&
            state.half->version <= latest()) {
            const Migration& half = migrations_[state.half->version - 1];
            require_leave(label(half.version, half.name), half.down, goal);
        }
        return;
    }
    require_fit(state);
    if (goal.to > latest()) {
        throw Error{
            TENON_INVALID,
            "there is no version " + std::to_string(goal.to) + ", the newest is " +
                std::to_string(latest())};
    }
    goal.allow_contract = goal.allow_contract || (state.applied.empty() && !state.half);
    for (std::size_t i = state.applied.size(); i < goal.to; ++i) {
        const Migration& next = migrations_[i];
        if (next.up.metadata.phase == "contract" && !goal.allow_contract &&
            !goal.stop_at_contract) {
            throw Error{
                TENON_DENIED,
                label(next.version, next.name) +
                    " is of the phase contract, after which servers of the version before cannot "
                    "work: say \"allow_contract\":true when none runs, or go to " +
                    std::to_string(next.version - 1)};
        }
    }
}

void Migrator::go(Goal goal) {
    Run run{storage_, clock_, options_.run};
    run.transaction([&](Session& session) {
        make_tables(session, dialect_);
        check_goal(read_state(session, dialect_), goal);
    });
    run.at("tables_made");
    while (advance(run, goal)) {}
}

void Migrator::up(const UpRequest& request) {
    Goal goal;
    goal.to = request.to.value_or(latest());
    goal.allow_contract = request.allow_contract;
    goal.stop_at_contract = request.stop_at_contract;
    go(goal);
}

void Migrator::down(std::uint32_t to, bool confirm) {
    Goal goal;
    goal.direction = Direction::down;
    goal.to = to;
    goal.confirm = confirm;
    go(goal);
}

void Migrator::verify() {
    Run run{storage_, clock_, options_.run};
    run.transaction([&](Session& session) {
        make_tables(session, dialect_);
        const HistoryState now = read_state(session, dialect_);
        require_fit(now);
        version_ = now.applied.empty() ? 0 : now.applied.back().version;
    });
}

HistoryState Migrator::state() {
    HistoryState now;
    storage_.read(deadline_ns(), [&](Session& session) { now = read_state(session, dialect_); });
    version_ = now.applied.empty() ? 0 : now.applied.back().version;
    return now;
}

std::vector<std::string> Migrator::faults(std::vector<std::string>& warnings) {
    return compare(state(), migrations_, warnings);
}

std::string Migrator::report() {
    HistoryState now;
    std::vector<Event> events;
    storage_.read(deadline_ns(), [&](Session& session) {
        now = read_state(session, dialect_);
        events = read_events(session, dialect_);
    });
    version_ = now.applied.empty() ? 0 : now.applied.back().version;
    return report_of(now, migrations_, events);
}

void Migrator::repair(std::string_view action, std::uint32_t version, const std::string& reason) {
    require_reason(reason);
    if (action != "accept" && action != "forget") {
        throw Error{
            TENON_INVALID,
            "/action: expected accept (the files of the version are what was applied) or forget "
            "(what is half done was undone or finished by hand)"};
    }
    Run run{storage_, clock_, options_.run};
    run.transaction([&](Session& session) {
        make_tables(session, dialect_);
        const HistoryState now = read_state(session, dialect_);
        Event event{real_ns(), std::string{action}, version, reason, {}};
        if (action == "forget") {
            if (!now.half || now.half->version != version) {
                throw Error{
                    TENON_CONFLICT, "version " + std::to_string(version) + " is not half done"};
            }
            event.detail = std::to_string(now.half->done.size()) + " statements were recorded";
            erase_journal(session, version);
        } else {
            event.detail = accept(session, now, version);
        }
        write_event(session, event, options_.writer);
        log_.warn("migration_repaired", {{"action", action}, {"version", version}});
    });
}

std::string Migrator::accept(Session& session, const HistoryState& now, std::uint32_t version)
    const {
    const auto found =
        std::find_if(now.applied.begin(), now.applied.end(), [&](const Applied& applied) {
            return applied.version == version;
        });
    if (found == now.applied.end() || version == 0 || version > latest()) {
        throw Error{
            TENON_CONFLICT,
            "version " + std::to_string(version) + " is not applied, or has no files"};
    }
    const Applied& old = *found;
    const Applied row = applied_row(migrations_[version - 1]);
    rewrite_applied(session, row);
    if (session.changes() != 1) {
        throw Error{
            TENON_CONFLICT,
            "version " + std::to_string(version) + " has " + std::to_string(session.changes()) +
                " rows in the history, not one"};
    }
    return "up " + old.up_sha256 + " became " + row.up_sha256 + ", down " + old.down_sha256 +
           " became " + row.down_sha256;
}

void Migrator::baseline(
    std::uint32_t to,
    const SchemaObjects& expected,
    const std::string& reason
) {
    require_reason(reason);
    if (to == 0 || to > latest()) {
        throw Error{TENON_INVALID, "/to: expected a version from 1 to " + std::to_string(latest())};
    }
    Run run{storage_, clock_, options_.run};
    run.transaction([&](Session& session) {
        make_tables(session, dialect_);
        const HistoryState now = read_state(session, dialect_);
        if (now.half || now.applied.size() >= to) {
            throw Error{
                TENON_CONFLICT,
                "the history already has version " + std::to_string(now.applied.size()) +
                    (now.half ? ", and one that is half done" : "")};
        }
        require_same(expected, read_schema(session, dialect_), to);
        for (std::size_t i = now.applied.size(); i < to; ++i) {
            Applied row = applied_row(migrations_[i]);
            row.applied_real_ns = real_ns();
            write_applied(session, row, options_.writer);
        }
        write_event(
            session,
            {real_ns(), "baseline", to, reason, "schema " + schema_hash(expected)},
            options_.writer
        );
        version_ = to;
    });
}

}  // namespace tenon::migrations
