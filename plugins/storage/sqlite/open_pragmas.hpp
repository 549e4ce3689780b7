// SPDX-License-Identifier: Apache-2.0
// What may be asked by SQL text; the rest would change how the connection works.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace tenon::sqlite {

inline constexpr std::array<std::string_view, 19> k_open_pragmas{
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "foreign_key_check",
    "integrity_check",
    "quick_check",
    "user_version",
    "application_id",
    "page_count",
    "page_size",
    "freelist_count",
    "defer_foreign_keys",
    "data_version",
    "database_list",
    "compile_options"};

[[nodiscard]] inline bool is_open_pragma(const char* name) noexcept {
    return name != nullptr &&
           std::any_of(k_open_pragmas.begin(), k_open_pragmas.end(), [&](std::string_view open) {
               return sqlite3_stricmp(name, open.data()) == 0;
           });
}

}  // namespace tenon::sqlite
