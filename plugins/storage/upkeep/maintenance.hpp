// SPDX-License-Identifier: Apache-2.0
// What a database wants done now and then, for when little else happens: statistics of its tables
// for the planner (ANALYZE), and on PostgreSQL the rows that died (VACUUM), before autovacuum has
// to do it in the middle of the day. A step is one table. SQLite's statistics are from a sample,
// and its free pages are used again, not given back. Not thread-safe; blocks ([io]).
#pragma once

#include "plugins/storage/upkeep/rounds.hpp"

#include <string>
#include <vector>

namespace tenon::upkeep {

class MaintenanceRound {
public:
    explicit MaintenanceRound(RoundContext context) : context_{std::move(context)} {}

    // False when every table has been seen to. Throws StorageError; the table is passed then.
    [[nodiscard]] bool step();

    [[nodiscard]] std::uint64_t tables() const noexcept { return done_; }

private:
    void plan();
    void tend(const std::string& table);

    RoundContext context_;
    bool is_planned_ = false;
    std::vector<std::string> tables_;
    std::size_t next_ = 0;
    std::uint64_t done_ = 0;
};

}  // namespace tenon::upkeep
