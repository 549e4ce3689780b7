// SPDX-License-Identifier: Apache-2.0
// Brings a database to a version of the migrations and keeps the history of it.
//
// A migration is one transaction with its row of the history; one with transaction=none is a
// transaction for each statement and its record, or, for what cannot be in a transaction, a record
// before and a record after, so that the next run sees what to look for. Of any number of runners
// one does each step; a crash leaves whole steps only, and the next run first goes on with what was
// begun, up or down. Every step compares all of the history with the files.
#pragma once

#include "plugins/migrations/sql/history.hpp"
#include "plugins/migrations/sql/run.hpp"
#include "plugins/migrations/sql/units.hpp"

#include <tenon/storage.hpp>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace tenon::migrations {

// A statement that has run, for reports.
struct StatementSeen {
    std::string migration;
    Direction direction = Direction::up;
    std::size_t position = 0;  // from 0
    const ScriptStatement* statement = nullptr;
    std::int64_t duration_ns = 0;
};

// Sees each statement, in the session that runs it. Calls are in pairs, but for a failing one.
class Observer {
public:
    virtual void before(Session& session, const StatementSeen& seen) = 0;
    virtual void after(Session& session, const StatementSeen& seen) = 0;

protected:
    ~Observer() = default;
};

struct MigratorOptions {
    RunOptions run;
    Writer writer;
};

struct UpRequest {
    std::optional<std::uint32_t> to;  // none: the newest
    bool allow_contract = false;
    // Before a migration of the phase contract that is not allowed: stop there, instead of refusing
    // all.
    bool stop_at_contract = false;
};

// [io] throughout; thread-safe.
class Migrator {
public:
    // `migrations` as of load_migrations, for the dialect of the storage.
    Migrator(
        Storage storage,
        Service<tenon_clock_1> clock,
        Log log,
        std::vector<Migration> migrations,
        MigratorOptions options
    );

    // Applies what is missing. Throws Error: TENON_CONFLICT when history and files do not fit
    // together (nothing is applied then), TENON_DENIED before a contract, else what the storage
    // says. On an empty database a contract needs no leave: nobody works with what it takes away.
    void up(const UpRequest& request = {});
    // Takes back every version above `to`, newest first, by the SQL kept in the database. A
    // destructive one needs `confirm`.
    void down(std::uint32_t to, bool confirm);
    // Compares history and files; throws as up() does. Makes the history's tables.
    void verify();
    // Faults and, apart, what only deserves a warning, one an entry. Reads only.
    [[nodiscard]] std::vector<std::string> faults(std::vector<std::string>& warnings);
    // As tenon.migrations/1 has it, with phase, half-done work and events beside. Reads only.
    [[nodiscard]] std::string report();
    [[nodiscard]] HistoryState state();

    // "accept": the files of `version` are what was applied, whatever its checksums say.
    // "forget": what is half done was undone or finished by hand.
    void repair(std::string_view action, std::uint32_t version, const std::string& reason);
    // Records versions up to `to` as applied, without running them. `expected` is the schema that
    // they give; throws Error TENON_CONFLICT, with the objects, when the database's is another.
    void baseline(std::uint32_t to, const SchemaObjects& expected, const std::string& reason);

    // One with the same files and options for another database.
    [[nodiscard]] Migrator over(const Storage& storage) const {
        return {storage, clock_, log_, migrations_, options_};
    }

    [[nodiscard]] std::int64_t deadline_ns() const {
        return clock_->now_ns(clock_.self) + options_.run.lock_timeout_ns;
    }

    void observe(Observer* observer) noexcept { observer_ = observer; }

    [[nodiscard]] const Storage& storage() const noexcept { return storage_; }

    [[nodiscard]] const std::vector<Migration>& migrations() const noexcept { return migrations_; }

    [[nodiscard]] const MigratorOptions& options() const noexcept { return options_; }

    [[nodiscard]] Dialect dialect() const noexcept { return dialect_; }

    // [any] As the last call left it.
    [[nodiscard]] std::uint32_t version() const noexcept { return version_.load(); }

    [[nodiscard]] std::uint32_t latest() const noexcept {
        return static_cast<std::uint32_t>(migrations_.size());
    }

private:
    void go(Goal goal);
    // Throws Error TENON_DENIED when `down` destroys and nobody confirmed that.
    static void require_leave(const std::string& what, const Script& down, const Goal& goal);
    void check_goal(const HistoryState& state, Goal& goal) const;
    void require_fit(const HistoryState& state) const;
    bool advance(Run& run, const Goal& goal);
    [[nodiscard]] std::optional<Unit> next_unit(const HistoryState& state, const Goal& goal) const;
    [[nodiscard]] Unit unit_half(const HistoryState& state) const;
    [[nodiscard]] Unit unit_up(const Migration& migration) const;
    [[nodiscard]] Unit unit_down(const Applied& row) const;
    void perform(Run& run, const Unit& unit);
    void perform_alone(Run& run, const Unit& unit);
    void run_statement(Run& run, const Unit& unit, std::size_t position);
    void build_index(Run& run, const Unit& unit, const ScriptStatement& statement);
    void finish(Run& run, const Unit& unit);
    [[nodiscard]] std::string
    accept(Session& session, const HistoryState& now, std::uint32_t version) const;

    [[nodiscard]] std::int64_t real_ns() const { return clock_->now_real_ns(clock_.self); }

    Storage storage_;
    Service<tenon_clock_1> clock_;
    Log log_;
    const std::vector<Migration> migrations_;
    const MigratorOptions options_;
    const Dialect dialect_;
    Observer* observer_ = nullptr;
    std::atomic<std::uint32_t> version_{0};
};

}  // namespace tenon::migrations
