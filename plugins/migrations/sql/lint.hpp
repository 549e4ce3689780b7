// SPDX-License-Identifier: Apache-2.0
// Statements that are dangerous on a database that is in use, found in the text of migrations.
//
//   float-money          error    a price, an amount, … as a floating-point number
//   int32-time           error    a time in 32 bits (PostgreSQL): ends in 2038, or sooner
//   add-not-null         error    a column NOT NULL without a default: fails where there are rows
//   not-destructive      error    drops a table or column, or all rows, without destructive=true
//   drop-in-expand       warning  a way up that drops what old servers need, in another phase than
//                                 contract
//   index-blocks-writes  warning  CREATE INDEX on a table that was there before, without
//   CONCURRENTLY rewrites-table       warning  a change of a column's type, or a volatile default
//   scans-table          warning  SET NOT NULL, or a constraint without NOT VALID, on such a table
//   rename               warning  old servers do not find what is renamed
//
// `-- tenon: allow=RULE` in the file takes a rule out of it.
#pragma once

#include "plugins/migrations/sql/migration_files.hpp"

#include <string>
#include <vector>

namespace tenon::migrations {

struct Finding {
    bool error = false;
    std::string rule;
    std::string file;
    std::size_t line = 1;
    std::string message;
};

[[nodiscard]] std::vector<Finding> lint(const Script& script, Direction direction);
[[nodiscard]] std::vector<Finding> lint(const std::vector<Migration>& migrations);

}  // namespace tenon::migrations
