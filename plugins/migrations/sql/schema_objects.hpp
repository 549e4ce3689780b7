// SPDX-License-Identifier: Apache-2.0
// What a database consists of, object by object, so that two schemas can be compared and hashed.
//
// PostgreSQL: tables, columns, constraints, indexes, views, sequences, functions, triggers and
// types of the current schema, as the catalogue describes them. SQLite: the statements of
// sqlite_schema without layout. Left out: the migrator's own tables, and names that begin with
// tenon_, which belong to the storage's backend.
#pragma once

#include "plugins/migrations/sql/sql_text.hpp"

#include <tenon/storage.hpp>

#include <map>
#include <string>
#include <vector>

namespace tenon::migrations {

// "table orders", "column orders.price", … to the object's definition.
using SchemaObjects = std::map<std::string, std::string>;

[[nodiscard]] SchemaObjects read_schema(Session& session, Dialect dialect);

// SHA-256 in hex.
[[nodiscard]] std::string schema_hash(const SchemaObjects& objects);

struct SchemaDifference {
    std::string object;
    std::string expected;  // empty: should not be there
    std::string found;     // empty: is missing
};

[[nodiscard]] std::vector<SchemaDifference>
difference(const SchemaObjects& expected, const SchemaObjects& found);

// Takes every object away but the backend's own. For clones.
void empty_schema(Session& session, Dialect dialect);

}  // namespace tenon::migrations
