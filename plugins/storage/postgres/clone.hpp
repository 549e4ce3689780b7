// SPDX-License-Identifier: Apache-2.0
// A trial copy of a database: another database on the same server, filled by pg_dump and psql.
//
// CREATE DATABASE … TEMPLATE would need everybody to leave the original first; pg_dump reads it in
// one snapshot while others work. The copy's planner statistics come from ANALYZE on the copied
// rows; a copy without rows has none, for PostgreSQL 15 cannot carry them over.
#pragma once

#include "plugins/storage/postgres/database.hpp"

namespace tenon::postgres {

struct Database::Clone {
    Clone(Database& database, std::string name_of_copy)
        : origin{database}, name{std::move(name_of_copy)} {}

    ~Clone();
    Clone(const Clone&) = delete;
    Clone& operator=(const Clone&) = delete;

    Database& origin;
    std::string name;
    std::unique_ptr<Database> copy;
};

// Runs `pg_dump | psql` until the deadline; throws DatabaseError with what they said.
void copy_database(
    const Settings& settings,
    const Telemetry& telemetry,
    const Keywords& from,
    const std::string& into,
    bool with_rows,
    std::int64_t deadline_ns
);

}  // namespace tenon::postgres
