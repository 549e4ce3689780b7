// SPDX-License-Identifier: Apache-2.0
// A transaction held by hand, so that two databases can be worked on at once.
#pragma once

#include "plugins/migrations/copy/model.hpp"

namespace tenon::copy {

// Begun at once; what is not committed is rolled back with it. On SQLite a write keeps other
// writers out, and its references are checked at the commit.
class Transaction {
public:
    Transaction(const Side& side, std::uint32_t intent, std::int64_t deadline_ns = k_no_deadline)
        : lease_{side.storage.lease(intent, deadline_ns)} {
        if (side.is_postgres()) {
            // A foreign key, or a count of a big table, takes as long as it takes.
            lease_->execute("SET statement_timeout = 0");
        }
        if (intent == TENON_INTENT_WRITE && side.is_postgres()) {
            // A lock does not: whoever waits for a table holds up all that come after, so it is
            // given up soon, and tried again.
            lease_->execute("SET lock_timeout = '2s'");
        }
        lease_->begin();
        if (intent == TENON_INTENT_WRITE && !side.is_postgres()) {
            lease_->execute("PRAGMA defer_foreign_keys=ON");
        }
    }

    [[nodiscard]] Session& operator*() noexcept { return *lease_; }

    [[nodiscard]] Session* operator->() noexcept { return &*lease_; }

    void commit() { lease_->commit(); }

private:
    Lease lease_;
};

// The number that a query gives; 0 without a row.
[[nodiscard]] inline std::int64_t number(Session& session, std::string_view sql) {
    std::int64_t value = 0;
    // To the end: a statement that still runs would be in the way of DDL.
    for (Statement row = session.prepare(sql); row.step();) {
        value = row.is_null(0) ? 0 : row.integer(0);
    }
    return value;
}

[[nodiscard]] inline bool has_table(Session& session, const Side& side, std::string_view table) {
    return number(
               session,
               side.is_postgres()
                   ? "SELECT count(*) FROM pg_class WHERE oid = to_regclass(" + literal(table) + ")"
                   : "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = " +
                         literal(table)
           ) != 0;
}

}  // namespace tenon::copy
