// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/importer.hpp"

#include <algorithm>
#include <array>

namespace tenon::importer {
namespace {

// Another run has gone on with the same table meanwhile.
struct Moved {};

std::string not_imported(const TargetColumn& column, const RowReference& reference) {
    return std::string{column.name} + ": the row " + reference.key + " of " + reference.table +
           " is not imported";
}

}  // namespace

std::string_view name_of(Phase phase) noexcept {
    constexpr std::array<std::string_view, 5> k_names{
        "ready", "checking", "importing", "verifying", "done"};
    return k_names[static_cast<std::size_t>(phase)];
}

std::int64_t ImportProgress::bad() const {
    std::int64_t count = 0;
    for (const TableProgress& table : tables) {
        count += table.bad;
    }
    return count;
}

Importer::Importer(
    Storage target,
    Service<tenon_clock_1> clock,
    std::unique_ptr<Source> source,
    Mapping mapping,
    ImportOptions options
)
    : target_{target},
      clock_{clock},
      source_{std::move(source)},
      mapping_{std::move(mapping)},
      options_{std::move(options)},
      is_postgres_{target_.dialect() == "postgres"},
      journal_{is_postgres_},
      lookups_{target_, [this] { return deadline(); }} {
    for (const TableMap& table : mapping_.tables) {
        TableProgress row;
        row.name = table.name;
        row.target = std::string{table.target->name};
        progress_.tables.push_back(std::move(row));
    }
}

std::int64_t Importer::deadline() const {
    return clock_->now_ns(clock_.self) + options_.timeout_ns;
}

std::int64_t Importer::now_real_ns() const {
    return std::max<std::int64_t>(clock_->now_real_ns(clock_.self), 0);
}

void Importer::at(std::string_view point) const {
    if (options_.at) {
        options_.at(point);
    }
}

ImportProgress Importer::progress() const {
    const std::lock_guard lock{mutex_};
    return progress_;
}

void Importer::change(const std::function<void(ImportProgress&)>& how) {
    const std::lock_guard lock{mutex_};
    how(progress_);
}

void Importer::tell_bad(std::size_t table, const std::string& key, const std::string& reason) {
    change([&](ImportProgress& progress) {
        ++progress.tables[table].bad;
        if (progress.bad_rows.size() < options_.bad_rows_kept) {
            progress.bad_rows.push_back({mapping_.tables[table].name, key, reason});
        }
    });
}

void Importer::tell_difference(std::string text) {
    change([&](ImportProgress& progress) {
        ++progress.different;
        if (progress.differences.size() < options_.differences_kept) {
            progress.differences.push_back(std::move(text));
        }
    });
}

manifest::Problems Importer::check() {
    target_.read(deadline(), [&](Session& session) { journal_.require_schema(session); });
    manifest::Problems problems;
    manifest::Report report{"mapping", problems};
    for (const std::string& user : mapping_.users) {
        lookups_.pretend_user(user);
    }
    for (const auto& [account, user] : mapping_.accounts) {
        const bool known = user.empty() || lookups_.user(user).has_value();
        if (!known) {
            report.add(
                "IMPORT",
                manifest::pointer_to("/accounts", account),
                "there is no such user",
                user,
                "one of this server, or of \"users\""
            );
        }
        lookups_.pretend_account(account);
    }
    for (const TableMap& table : mapping_.tables) {
        check_table(table, report);
    }
    return problems;
}

void Importer::check_table(const TableMap& table, manifest::Report& report) {
    std::vector<std::string> columns;
    try {
        columns = source_->columns(table);
    } catch (const Error& e) {
        report.add(
            "IMPORT",
            table.pointer + (table.table.empty() ? "/select" : "/table"),
            "the source refuses it: " + std::string{e.what()}
        );
        return;
    }
    const auto require = [&](const std::string& column, const std::string& pointer) {
        if (std::find(columns.begin(), columns.end(), column) != columns.end()) {
            return true;
        }
        const std::string near = manifest::nearest(column, columns);
        report.add(
            "IMPORT",
            pointer,
            "the source has no such column",
            column,
            near.empty() ? manifest::join(columns) : near
        );
        return false;
    };
    bool has_key = true;
    for (std::size_t i = 0; i < table.key.size(); ++i) {
        has_key = require(table.key[i], manifest::pointer_to(table.pointer + "/key", i)) && has_key;
    }
    for (const ColumnMap& column : table.columns) {
        for (const std::string& from : column.from) {
            (void)require(from, column.pointer + "/from");
        }
    }
    if (has_key) {
        if (const std::string key = source_->bad_key(table); !key.empty()) {
            report.add(
                "IMPORT",
                table.pointer + "/key",
                "does not tell the rows apart",
                key,
                "one row each"
            );
        }
    }
    RowBuilder{table, lookups_}.check_words(report);
}

void Importer::begin_pass(Phase phase) {
    std::vector<std::int64_t> totals;
    for (const TableMap& table : mapping_.tables) {
        totals.push_back(source_->rows(table));
    }
    change([&](ImportProgress& progress) {
        progress.phase = phase;
        progress.bad_rows.clear();
        progress.differences.clear();
        progress.different = 0;
        for (std::size_t i = 0; i < totals.size(); ++i) {
            TableProgress fresh;
            fresh.name = progress.tables[i].name;
            fresh.target = progress.tables[i].target;
            fresh.total = totals[i];
            progress.tables[i] = std::move(fresh);
        }
    });
}

bool Importer::is_referred_to(const std::string& table) const {
    return std::any_of(mapping_.tables.begin(), mapping_.tables.end(), [&](const TableMap& other) {
        return std::any_of(
            other.columns.begin(),
            other.columns.end(),
            [&](const ColumnMap& column) { return column.row_of == table; }
        );
    });
}

std::vector<Importer::Item> Importer::next_page(RowBuilder& builder, SourceRow& after) {
    const TableMap& table = builder.table();
    lookups_.forget_missing();
    auto rows = source_->page(table, builder.source_columns(), after, options_.batch_rows);
    std::vector<Item> items;
    for (const SourceRow& row : rows) {
        Item item;
        try {
            item.key = builder.key(row);
        } catch (const BadRow& e) {
            // Neither a place to go on from, nor a name to tell it by.
            throw Error{
                TENON_INVALID,
                table.name + ": a row after " + key_text(std::span<const SourceValue>{after}) +
                    " has no usable key: " + e.what()};
        }
        after.assign(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(table.key.size()));
        try {
            item.row = builder.build(row);
        } catch (const BadRow& e) {
            item.reason = e.what();
        }
        items.push_back(std::move(item));
    }
    return items;
}

void Importer::dry_run() {
    begin_pass(Phase::checking);
    check_rows();
    change([](ImportProgress& progress) { progress.phase = Phase::done; });
}

void Importer::check_rows() {
    accepted_.clear();
    for (std::size_t i = 0; i < mapping_.tables.size(); ++i) {
        check_rows_of(i);
    }
    accepted_.clear();
}

void Importer::check_rows_of(std::size_t table) {
    const TableMap& map = mapping_.tables[table];
    const std::hash<std::string> hash;
    const bool kept = is_referred_to(map.name);
    std::unordered_set<std::size_t> unique;
    RowBuilder builder{map, lookups_};
    SourceRow after;
    for (auto items = next_page(builder, after); !items.empty();
         items = next_page(builder, after)) {
        at("page_checked");
        std::vector<std::string> keys;
        for (Item& item : items) {
            check_item(map, item, unique);
            if (!item.reason.empty()) {
                tell_bad(table, item.key, item.reason);
                continue;
            }
            keys.push_back(item.key);
            if (kept) {
                accepted_[map.name].insert(hash(item.key));
            }
        }
        std::size_t present = 0;
        target_.read(deadline(), [&](Session& session) {
            journal_.use(Journal::find(session, mapping_.name));
            present = journal_.origins(session, map.name, keys).size();
        });
        change([&](ImportProgress& progress) {
            TableProgress& row = progress.tables[table];
            row.read += static_cast<std::int64_t>(items.size());
            row.present += static_cast<std::int64_t>(present);
            row.imported += static_cast<std::int64_t>(keys.size() - present);
        });
    }
}

// What a row can break together with other rows of the source.
void Importer::check_item(
    const TableMap& map,
    Item& item,
    std::unordered_set<std::size_t>& unique
) {
    const std::hash<std::string> hash;
    if (!item.row) {
        return;
    }
    for (const RowReference& reference : item.row->references) {
        if (accepted_[reference.table].count(hash(reference.key)) == 0) {
            item.reason = not_imported(map.target->columns[reference.column], reference);
            return;
        }
    }
    if (map.target->unique.empty()) {
        return;
    }
    std::vector<Value> values;
    for (const std::string_view column : map.target->unique) {
        values.push_back(item.row->values[map.target->column(column).value_or(0)]);
    }
    if (!unique.insert(hash(key_text(std::span<const Value>{values}))).second) {
        item.reason = "breaks the rule " + std::string{map.target->unique_rule} +
                      ": another row of the source has the same";
    }
}

void Importer::run() {
    begin_pass(Phase::checking);
    if (!mapping_.skip_bad_rows) {
        check_rows();
        if (progress().bad() != 0) {
            change([](ImportProgress& progress) {
                progress.is_refused = true;
                progress.phase = Phase::done;
                for (TableProgress& table : progress.tables) {
                    table.imported = 0;
                }
            });
            return;
        }
    }
    begin_pass(Phase::importing);
    open();
    for (std::size_t i = 0; i < mapping_.tables.size(); ++i) {
        import_table(i);
    }
    target_.write(deadline(), [&](Session& session) {
        journal_.lock(session);
        journal_.finish(session, now_real_ns());
    });
    change([](ImportProgress& progress) { progress.phase = Phase::done; });
}

void Importer::open() {
    at("opening");
    target_.write(deadline(), [&](Session& session) {
        journal_.lock(session);
        (void)journal_.open(session, mapping_, source_->name(), now_real_ns());
        make_owners(session, mapping_, now_real_ns());
        at("opened");
    });
    // Not those that a check pretended.
    lookups_ = Lookups{target_, [this] { return deadline(); }};
}

void Importer::import_table(std::size_t table) {
    const TableMap& map = mapping_.tables[table];
    RowBuilder builder{map, lookups_};
    const auto read_state = [&] {
        TableState state;
        target_.read(deadline(), [&](Session& session) {
            state = journal_.read(session, map.name);
        });
        change([&](ImportProgress& progress) {
            progress.tables[table].read = state.read;
            progress.tables[table].imported = state.imported;
            progress.tables[table].bad = state.bad;
        });
        return state;
    };
    TableState state = read_state();
    while (!state.is_done) {
        SourceRow after = key_of(state.cursor);
        std::vector<Item> items = next_page(builder, after);
        try {
            at("batch_read");
            write(table, items, state);
            at("batch_written");
            renew_statistics();
        } catch (const Moved&) {
            state = read_state();
        } catch (const StorageError& e) {
            if (e.failure() != Failure::in_doubt) {
                throw;
            }
            state = read_state();  // the journal knows whether the batch is there
        }
    }
}

// After 1, 2, 4, 8, … batches, so that all of it costs what the last one does.
void Importer::renew_statistics() {
    if (++batches_ == statistics_due_) {
        statistics_due_ *= 2;
        target_.write(deadline(), [&](Session& session) { journal_.renew_statistics(session); });
    }
}

void Importer::write(std::size_t table, Items items, TableState& state) {
    try {
        write_once(table, items, state);
        return;
    } catch (const StorageError& e) {
        if (e.failure() != Failure::constraint || items.empty()) {
            throw;
        }
        if (items.size() == 1) {
            items.front().row.reset();
            items.front().reason = std::string{"the database refuses it: "} + e.what();
        }
    }
    if (items.size() == 1) {
        write_once(table, items, state);
        return;
    }
    const std::size_t half = items.size() / 2;
    write(table, items.first(half), state);
    write(table, items.subspan(half), state);
}

void Importer::resolve(Session& session, const TableMap& table, Items items) const {
    std::map<std::string, std::vector<std::string>> wanted;
    for (const Item& item : items) {
        if (item.row) {
            for (const RowReference& reference : item.row->references) {
                wanted[reference.table].push_back(reference.key);
            }
        }
    }
    std::map<std::string, std::map<std::string, Origin>> found;
    for (const auto& [name, keys] : wanted) {
        found[name] = journal_.origins(session, name, keys);
    }
    for (Item& item : items) {
        if (!item.row) {
            continue;
        }
        for (const RowReference& reference : item.row->references) {
            const auto& of = found[reference.table];
            const auto origin = of.find(reference.key);
            if (origin == of.end()) {
                item.reason = not_imported(table.target->columns[reference.column], reference);
                break;
            }
            item.row->values[reference.column] = key_of(origin->second.target_key).front().integer;
        }
    }
}

void Importer::write_once(std::size_t table, Items items, TableState& state) {
    const TableMap& map = mapping_.tables[table];
    std::vector<std::string> keys;
    for (const Item& item : items) {
        keys.push_back(item.key);
    }
    TableState next;
    std::int64_t present = 0;
    std::int64_t changed = 0;
    std::vector<std::pair<std::string, std::string>> bad;
    target_.write(deadline(), [&](Session& session) {
        // May run more than once.
        present = changed = 0;
        bad.clear();
        journal_.lock(session);
        next = journal_.read(session, map.name);
        if (next.cursor != state.cursor || next.is_done) {
            throw Moved{};
        }
        const auto origins = journal_.origins(session, map.name, keys);
        resolve(session, map, items);
        std::vector<const BuiltRow*> fresh;
        for (const Item& item : items) {
            const auto origin = origins.find(item.key);
            if (origin != origins.end()) {
                ++present;
                const bool same =
                    item.row && item.reason.empty() && item.row->digest() == origin->second.digest;
                changed += same ? 0 : 1;
            } else if (item.row && item.reason.empty()) {
                fresh.push_back(&*item.row);
            } else {
                bad.emplace_back(item.key, item.reason);
            }
        }
        if (!bad.empty() && !mapping_.skip_bad_rows) {
            throw Error{
                TENON_CONFLICT,
                map.name + " " + bad.front().first + ": " + bad.front().second +
                    "; rows before it are imported"};
        }
        insert(session, map, fresh);
        for (const auto& [key, reason] : bad) {
            journal_.add_bad(session, map.name, key, reason, now_real_ns());
        }
        next.read += static_cast<std::int64_t>(items.size());
        next.imported += static_cast<std::int64_t>(fresh.size());
        next.bad += static_cast<std::int64_t>(bad.size());
        next.cursor = items.empty() ? next.cursor : items.back().key;
        next.is_done = items.empty();
        journal_.write(session, map.name, next);
        at("batch_committing");
    });
    state = next;
    for (const auto& [key, reason] : bad) {
        tell_bad(table, key, reason);
    }
    change([&](ImportProgress& progress) {
        TableProgress& row = progress.tables[table];
        row.read = next.read;
        row.imported = next.imported;
        row.bad = next.bad;
        row.present += present;
        row.changed += changed;
    });
}

void Importer::insert(
    Session& session,
    const TableMap& table,
    std::span<const BuiltRow* const> rows
) {
    if (rows.empty()) {
        return;
    }
    const Target& target = *table.target;
    const std::vector<std::int64_t> ids = new_ids(session, is_postgres_, target, rows);
    std::vector<tenon_str> columns;
    if (target.ids != Ids::none) {
        columns.push_back(str(target.id));
    }
    for (const TargetColumn& column : target.columns) {
        columns.push_back(str(column.name));
    }
    std::vector<tenon_value> values;
    std::vector<std::pair<std::string, Origin>> origins;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (target.ids != Ids::none) {
            values.push_back(value_of(ids[i]));
        }
        for (const Value& value : rows[i]->values) {
            values.push_back(view_of(value));
        }
        origins.emplace_back(
            rows[i]->key, Origin{target_key(target, rows[i]->values, ids[i]), rows[i]->digest()}
        );
    }
    session.bulk_insert(target.name, columns, values);
    journal_.add(session, table.name, origins, now_real_ns());
}

}  // namespace tenon::importer
