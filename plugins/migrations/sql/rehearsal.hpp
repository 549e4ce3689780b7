// SPDX-License-Identifier: Apache-2.0
// What needs a clone of the database: a dry run of migrations, and the schema that the files give.
// The storage has to have `clone`; else Error TENON_UNSUPPORTED.
//
// Locks are what the session holds after a statement, within its transaction. A rewrite is a table
// whose file in the database's folder (relfilenode) became another. SQLite has one lock, that of
// the database, and does not tell what it rewrites: neither is in its report.
#pragma once

#include "plugins/migrations/sql/migrator.hpp"

#include <string>

namespace tenon::migrations {

// Goes up to `to` on a clone with rows, and down again. JSON:
// {"ok":bool,"from":N,"to":N,"schema_before","schema_after","schema_back","reversible":bool,
//  "error":null|"…","statements":[{"migration","direction","position","line","sql","ms",
//  "locks":[{"table","mode"}],"rewrites":["table"]}]}
[[nodiscard]] std::string dry_run(Migrator& migrator, const UpRequest& request);

// The schema that the files give up to `version`: built in an emptied clone.
[[nodiscard]] SchemaObjects expected_schema(Migrator& migrator, std::uint32_t version);

// Compares the database with what the files of its version give. JSON:
// {"ok":bool,"version":N,"schema":hash,"expected":hash,"differences":[{"object","state":
//  "missing|unexpected|different","expected","found"}]}
[[nodiscard]] std::string drift(Migrator& migrator);

}  // namespace tenon::migrations
