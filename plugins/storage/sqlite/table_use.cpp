// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/table_use.hpp"

#include <tenon/query_cache.hpp>

#include <sqlite3.h>

#include <array>

namespace tenon::sqlite {
namespace {

constexpr std::array<const char*, 15> k_changing_functions{
    "random",
    "randomblob",
    "date",
    "time",
    "datetime",
    "julianday",
    "unixepoch",
    "strftime",
    "current_date",
    "current_time",
    "current_timestamp",
    "changes",
    "total_changes",
    "last_insert_rowid",
    "load_extension"};

bool is_changing(const char* function) noexcept {
    return function != nullptr &&
           std::any_of(
               k_changing_functions.begin(),
               k_changing_functions.end(),
               [&](const char* name) { return sqlite3_stricmp(function, name) == 0; }
           );
}

bool is_unmarked(const char* table) noexcept {
    return table != nullptr && (sqlite3_stricmp(table, "sqlite_sequence") == 0 ||
                                sqlite3_strnicmp(table, "pragma_", 7) == 0);
}

}  // namespace

void TableUse::touch(const char* table, std::vector<std::uint16_t>& slots) {
    if (table == nullptr) {
        return;
    }
    const std::uint16_t slot = QueryCache::slot_of(table);
    if (std::find(slots.begin(), slots.end(), slot) == slots.end()) {
        slots.push_back(slot);
    }
    if (std::find(tables_.begin(), tables_.end(), table) == tables_.end()) {
        tables_.emplace_back(table);
    }
}

void TableUse::note(int action, const char* a, const char* b, bool inner) {
    const auto write = [&](std::string_view operation) {
        if (operation_.empty() && !inner && a != nullptr) {
            operation_ = operation;
            target_ = a;
        }
        touch(a, written_);
    };
    switch (action) {
        case SQLITE_SELECT:
        case SQLITE_RECURSIVE:
            break;
        case SQLITE_READ:
            touch(a, read_);
            // Written without a word to the authorizer, or not a table at all.
            repeatable_ = repeatable_ && !is_unmarked(a);
            break;
        case SQLITE_INSERT:
            write("insert");
            break;
        case SQLITE_UPDATE:
            write("update");
            break;
        case SQLITE_DELETE:
            write("delete");
            break;
        case SQLITE_FUNCTION:
            repeatable_ = repeatable_ && !is_changing(b);
            break;
        case SQLITE_PRAGMA:
            repeatable_ = false;
            break;
        default:  // DDL, ANALYZE, REINDEX: nothing that was read before is sure
            repeatable_ = false;
            if (std::find(written_.begin(), written_.end(), QueryCache::k_everything) ==
                written_.end()) {
                written_.push_back(QueryCache::k_everything);
            }
    }
}

}  // namespace tenon::sqlite
