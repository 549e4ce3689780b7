// SPDX-License-Identifier: Apache-2.0
// What tells which rows of the source changed, and what keeps it as it is after the move.
//
// Triggers write table and key of each row that a transaction touches into tenon_copy_changes, in
// that transaction: a change is there exactly when it was committed. Values are not kept; who reads
// the log reads the rows as they are then. Entries are taken out one by one by their number, for on
// PostgreSQL a lower number may become visible after a higher one. The cost for writers is a row in
// a narrow table for each row that they write.
#pragma once

#include "plugins/migrations/copy/model.hpp"
#include "plugins/migrations/copy/work.hpp"

#include <cstdint>
#include <utility>

namespace tenon::copy {

struct Change {
    std::int64_t sequence = 0;
    std::size_t table = 0;  // of the tables
    Key key;
};

// Ranges of numbers, both ends included.
using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

class Capture {
public:
    Capture(const Side& source, const std::vector<Table>& tables)
        : source_{source}, tables_{tables} {}

    // The copy that this source is captured for; "" when for none.
    [[nodiscard]] std::string copy_id(Session& session) const;
    void install(Session& session, const std::string& copy_id) const;
    // Triggers, log and mark go; nothing when there are none.
    void remove(Session& session) const;

    // Every write is refused from the commit on, with a message that says why.
    void fence(Session& session) const;
    [[nodiscard]] bool is_fenced(Session& session) const;
    void lift_fence(Session& session) const;

    // Keeps other writers out until the end of the transaction, and waits for those that write.
    void lock(Session& session) const;

    // Entries after `sequence`, in order.
    [[nodiscard]] std::vector<Change>
    read(Session& session, std::int64_t sequence, std::size_t limit) const;
    void erase(Session& session, std::int64_t first, std::int64_t last) const;
    [[nodiscard]] std::int64_t waiting(Session& session) const;

private:
    void install_sqlite(Session& session, const Table& table) const;
    void install_postgres(Session& session, const Table& table) const;
    void drop_triggers(Session& session, std::string_view prefix) const;

    const Side& source_;
    const std::vector<Table>& tables_;
};

}  // namespace tenon::copy
