// SPDX-License-Identifier: Apache-2.0
// Which tables two databases have in common, read from their catalogues.
#pragma once

#include "plugins/migrations/copy/model.hpp"

namespace tenon::copy {

// All tables but those of the migrations (schema_…) and of storages (tenon_…), parents first.
// Throws Error TENON_CONFLICT that names every difference: a schema at another version or half
// migrated, a table or column of one side alone, other types, another or no primary key, types that
// are not copied, tables that refer to each other in a circle.
[[nodiscard]] std::vector<Table> common_tables(const Side& source, const Side& target);

}  // namespace tenon::copy
