// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/importer.hpp"

namespace tenon::importer {
namespace {

// "price, status" of the columns whose values are not the same.
std::string differing(const Target& target, std::span<const Value> a, std::span<const Value> b) {
    std::string names;
    for (std::size_t i = 0; i < target.columns.size(); ++i) {
        if (a[i] != b[i]) {
            names.append(names.empty() ? "" : ", ").append(target.columns[i].name);
        }
    }
    return names;
}

}  // namespace

void Importer::verify() {
    begin_pass(Phase::verifying);
    std::int64_t import_id = 0;
    target_.read(deadline(), [&](Session& session) {
        import_id = Journal::find(session, mapping_.name);
    });
    if (import_id == 0) {
        throw Error{TENON_NOT_FOUND, "nothing was imported by the name " + mapping_.name};
    }
    journal_.use(import_id);
    lookups_ = Lookups{target_, [this] { return deadline(); }};
    for (std::size_t i = 0; i < mapping_.tables.size(); ++i) {
        verify_table(i);
    }
    change([](ImportProgress& progress) { progress.phase = Phase::done; });
}

void Importer::verify_table(std::size_t table) {
    const TableMap& map = mapping_.tables[table];
    RowBuilder builder{map, lookups_};
    SourceRow after;
    for (auto items = next_page(builder, after); !items.empty();
         items = next_page(builder, after)) {
        at("page_verified");
        // Not in one transaction for all: a read that lasts keeps the target from tidying up.
        std::vector<std::string> found;
        std::int64_t present = 0;
        target_.read(deadline(), [&](Session& session) {
            found.clear();
            present = verify_page(session, table, items, found);
        });
        for (std::string& difference : found) {
            tell_difference(std::move(difference));
        }
        change([&](ImportProgress& progress) {
            progress.tables[table].read += static_cast<std::int64_t>(items.size());
            progress.tables[table].present += present;
        });
    }
    std::int64_t imported = 0;
    target_.read(deadline(), [&](Session& session) {
        imported = journal_.imported(session, map.name);
    });
    const std::int64_t gone = imported - progress().tables[table].present;
    if (gone > 0) {
        tell_difference(
            map.name + ": " + std::to_string(gone) +
            " rows that were imported are gone at the source"
        );
    }
}

std::int64_t Importer::verify_page(
    Session& session,
    std::size_t table,
    Items items,
    std::vector<std::string>& differences
) {
    const TableMap& map = mapping_.tables[table];
    const Target& target = *map.target;
    std::vector<std::string> keys;
    for (const Item& item : items) {
        keys.push_back(item.key);
    }
    const auto origins = journal_.origins(session, map.name, keys);
    resolve(session, map, items);
    std::vector<Value> values;
    for (const Item& item : items) {
        const auto tell = [&](const std::string& what) {
            differences.push_back(map.name + " " + item.key + ": " + what);
        };
        const auto origin = origins.find(item.key);
        if (origin == origins.end()) {
            if (!journal_.is_bad(session, map.name, item.key)) {
                tell(item.reason.empty() ? "is not imported" : "is not imported: " + item.reason);
            }
            continue;
        }
        if (!read_row(session, target, origin->second.target_key, values)) {
            tell(
                "its row " + origin->second.target_key + " of " + std::string{target.name} +
                " is missing here"
            );
            continue;
        }
        BuiltRow here;
        here.values = values;
        const bool changed_here = here.digest() != origin->second.digest;
        const bool has_row = item.row && item.reason.empty();
        const bool changed_there = !has_row || item.row->digest() != origin->second.digest;
        if (!changed_here && !changed_there) {
            continue;
        }
        const std::string columns =
            has_row ? differing(target, item.row->values, values) : item.reason;
        tell(
            std::string{
                changed_here ? changed_there ? "changed at the source and here" : "changed here"
                             : "changed at the source"} +
            (columns.empty() ? "" : ": " + columns)
        );
    }
    return static_cast<std::int64_t>(origins.size());
}

}  // namespace tenon::importer
