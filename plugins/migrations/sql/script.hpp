// SPDX-License-Identifier: Apache-2.0
// One file of a migration, up or down: its text, metadata, statements and checksums.
//
// Head comments `-- tenon: key=value …` carry metadata:
//   phase=expand|backfill|contract   contract: old servers cannot work with the schema after it
//   transaction=one|none             none: statement by statement, each recorded when it is done
//   destructive=true|false           rows are lost
//   allow=rule,rule                  findings of lint that are meant so
#pragma once

#include "plugins/migrations/sql/sql_text.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::migrations {

enum class Direction { up, down };

struct Metadata {
    std::string phase = "expand";
    bool transaction = true;
    bool destructive = false;
    std::set<std::string, std::less<>> allow;
};

// How a statement runs that cannot be in a transaction.
enum class Alone {
    no,
    create_index,  // CREATE INDEX CONCURRENTLY
    drop_index,    // DROP INDEX CONCURRENTLY
    repeatable     // VACUUM: may run again
};

struct ScriptStatement {
    SqlStatement sql;
    std::string sha256;  // of the normalised text
    Alone alone = Alone::no;
    std::string index;  // of create_index and drop_index, as it is written
};

struct Script {
    Dialect dialect = Dialect::sqlite;
    std::string file;
    std::string sql;
    std::string sha256;  // of the bytes
    std::string normal;  // SHA-256 of the normalised text
    Metadata metadata;
    std::vector<ScriptStatement> statements;
};

[[nodiscard]] std::string sha256_hex(std::string_view bytes);

// Throws Error (TENON_INVALID) with every fault, one a line, each with the file's name: metadata,
// quotes that do not end, statements that end the transaction or cannot be in one.
[[nodiscard]] Script make_script(std::string file, std::string sql, Dialect dialect);

// The sentence's first words, for reports: at most `most` bytes, in one line.
[[nodiscard]] std::string summary_of(const SqlStatement& statement, std::size_t most = 100);

}  // namespace tenon::migrations
