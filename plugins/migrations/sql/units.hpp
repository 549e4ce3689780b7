// SPDX-License-Identifier: Apache-2.0
// What the migrator does next, and what it says about it: parts of migrator.cpp without a database.
#pragma once

#include "plugins/migrations/sql/history.hpp"
#include "plugins/migrations/sql/schema_objects.hpp"

#include <memory>
#include <string>
#include <vector>

namespace tenon::migrations {

// Where a run is to come to.
struct Goal {
    Direction direction = Direction::up;
    std::uint32_t to = 0;
    bool allow_contract = false;
    bool stop_at_contract = false;
    bool confirm = false;
};

// A whole migration in one transaction, or of one without: a statement, or the end of it.
struct Unit {
    enum class Kind { whole, statement, end };

    Direction direction = Direction::up;
    Kind kind = Kind::whole;
    std::uint32_t version = 0;
    std::string name;
    std::shared_ptr<const Script> script;
    const Migration* migration = nullptr;  // of one that goes up
    std::size_t position = 0;
    bool started_before = false;  // an earlier run may have run it
    std::int64_t began_real_ns = 0;

    // The first statement that is not done, or the end. Throws Error TENON_CONFLICT when one that
    // is done has another text now.
    void take_up(const HalfDone& half);

    [[nodiscard]] const ScriptStatement& statement() const { return script->statements[position]; }

    [[nodiscard]] JournalRow journal(std::int64_t done_real_ns) const;
    // "migration 0007_x" or "taking back 0007_x".
    [[nodiscard]] std::string what() const;
};

// What does not fit between history and files, an entry each. `warnings`: layout and comments.
[[nodiscard]] std::vector<std::string> compare(
    const HistoryState& state,
    const std::vector<Migration>& migrations,
    std::vector<std::string>& warnings
);

// The row of a migration as its files are now; without times.
[[nodiscard]] Applied applied_row(const Migration& migration);

// JSON of tenon.migrations/1.
[[nodiscard]] std::string report_of(
    const HistoryState& state,
    const std::vector<Migration>& migrations,
    const std::vector<Event>& events
);

// Throws Error TENON_INVALID.
void require_reason(const std::string& reason);
// Throws Error TENON_CONFLICT with the objects that differ.
void require_same(const SchemaObjects& expected, const SchemaObjects& found, std::uint32_t version);

}  // namespace tenon::migrations
