// SPDX-License-Identifier: Apache-2.0
// What tests read of an importer's source.
#pragma once

#include "plugins/migrations/import/source.hpp"

#include <string>
#include <vector>

namespace tenon::test {

inline importer::TableMap source_table(const std::string& table, const std::string& select = {}) {
    importer::TableMap map;
    map.name = "rows";
    map.table = table;
    map.select = select;
    map.key = {"id"};
    return map;
}

// All rows by key, `limit` at a time; the key is the first of `columns`.
inline std::vector<importer::SourceRow> all_rows(
    importer::Source& source,
    const importer::TableMap& table,
    const std::vector<std::string>& columns,
    std::size_t limit
) {
    std::vector<importer::SourceRow> rows;
    importer::SourceRow after;
    for (;;) {
        std::vector<importer::SourceRow> page = source.page(table, columns, after, limit);
        if (page.empty()) {
            return rows;
        }
        after = {page.back().front()};
        rows.insert(rows.end(), page.begin(), page.end());
    }
}

}  // namespace tenon::test
