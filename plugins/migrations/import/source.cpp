// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/source.hpp"

#include <soci/soci.h>

#include <algorithm>

namespace tenon::importer {
namespace {

constexpr std::string_view k_sqlite = "sqlite:";
constexpr std::string_view k_postgres = "postgresql:";
constexpr std::string_view k_short_uri = "postgres://";

std::string relation_of(const TableMap& table) {
    const std::string relation =
        table.table.empty() ? "(" + table.select + "\n)" : quoted(table.table);
    return relation + " AS tenon_source";
}

// With the relation: what is selected may have the column's name too, and is another thing.
std::string qualified(const std::string& column) {
    return "tenon_source." + quoted(column);
}

std::string list_of(const std::vector<std::string>& columns) {
    std::string list;
    for (const std::string& column : columns) {
        list.append(list.empty() ? "" : ", ").append(qualified(column));
    }
    return list;
}

std::string shown(const SourceRow& row) {
    std::string text = "(";
    for (const SourceValue& value : row) {
        text.append(text.size() == 1 ? "" : ", ");
        text.append(
            value.is_null()                   ? "NULL"
            : value.kind == TENON_VALUE_INT64 ? std::to_string(value.integer)
                                              : value.bytes
        );
    }
    return text + ")";
}

// Where SOCI puts one row, and takes the parameters from.
struct Exchange {
    explicit Exchange(std::size_t items)
        : texts(items),
          reals(items),
          text_states(items, soci::i_null),
          real_states(items, soci::i_null) {}

    std::vector<std::string> texts;
    std::vector<double> reals;
    std::vector<soci::indicator> text_states, real_states;
    std::vector<std::string> words;
    std::vector<long long> numbers;
};

void bind(soci::statement& statement, Exchange& exchange, const SourceRow& values) {
    exchange.words.resize(values.size());
    exchange.numbers.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (values[i].kind == TENON_VALUE_INT64) {
            exchange.numbers[i] = values[i].integer;
            statement.exchange(soci::use(exchange.numbers[i]));
        } else {
            exchange.words[i] = values[i].bytes;
            statement.exchange(soci::use(exchange.words[i]));
        }
    }
}

}  // namespace

std::string quoted(std::string_view name) {
    std::string out{'"'};
    for (const char c : name) {
        out.append(c == '"' ? 2 : 1, c);
    }
    return out + '"';
}

Source::Source(std::unique_ptr<Dialect> dialect) : dialect_{std::move(dialect)} {}

Source::~Source() = default;

void Source::guarded(const std::function<void()>& work) {
    const auto fail = [this](std::string reason) {
        if (dialect_->is_stopped()) {
            throw Error{TENON_UNAVAILABLE, "the import is being interrupted"};
        }
        dialect_->recover();
        std::replace(reason.begin(), reason.end(), '\n', ' ');
        throw Error{TENON_INVALID, dialect_->name() + ": " + reason};
    };
    std::string reason;
    try {
        work();
        return;
    } catch (const soci::soci_error& e) {
        reason = e.get_error_message();  // what() has the parameters' values too
    } catch (const Error& e) {
        reason = e.what();
    }
    fail(std::move(reason));
}

void Source::run(
    const std::vector<Item>& items,
    const std::string& rest,
    const SourceRow& values,
    const RowFn& row
) {
    std::string sql = "SELECT ";
    for (std::size_t i = 0; i < items.size(); ++i) {
        const std::string real = dialect_->as_real(items[i]);
        sql.append(i == 0 ? "" : ", ").append(dialect_->as_text(items[i]));
        sql.append(real.empty() ? "" : ", ").append(real);
    }
    sql += rest;
    guarded([&] {
        Exchange exchange{items.size()};
        soci::statement statement{dialect_->session()};
        for (std::size_t i = 0; i < items.size(); ++i) {
            statement.exchange(soci::into(exchange.texts[i], exchange.text_states[i]));
            if (!dialect_->as_real(items[i]).empty()) {
                statement.exchange(soci::into(exchange.reals[i], exchange.real_states[i]));
            }
        }
        bind(statement, exchange, values);
        statement.alloc();
        dialect_->prepare(statement, sql, values.size());
        statement.define_and_bind();
        (void)statement.execute(false);
        SourceRow current(items.size());
        while (statement.fetch()) {
            for (std::size_t i = 0; i < items.size(); ++i) {
                current[i] = exchange.text_states[i] == soci::i_null
                                 ? SourceValue{}
                                 : dialect_->value(items[i], exchange.texts[i], exchange.reals[i]);
            }
            row(current);
        }
    });
}

const std::vector<Item>& Source::described(const TableMap& table) {
    const std::string relation = relation_of(table);
    const auto known = described_.find(relation);
    if (known != described_.end()) {
        return known->second;
    }
    std::vector<Item> items;
    guarded([&] { items = dialect_->describe("SELECT * FROM " + relation + " LIMIT 0"); });
    return described_.emplace(relation, std::move(items)).first->second;
}

std::vector<Item> Source::items_of(const TableMap& table, const std::vector<std::string>& columns) {
    const std::vector<Item>& known = described(table);
    std::vector<Item> items;
    for (const std::string& column : columns) {
        const auto found = std::find_if(known.begin(), known.end(), [&](const Item& item) {
            return item.sql == column;
        });
        if (found == known.end()) {
            throw Error{TENON_INVALID, name() + ": " + table.name + " has no column " + column};
        }
        items.push_back({qualified(column), found->type});
    }
    return items;
}

std::vector<std::string> Source::columns(const TableMap& table) {
    std::vector<std::string> names;
    for (const Item& item : described(table)) {
        names.push_back(item.sql);
    }
    return names;
}

std::int64_t Source::rows(const TableMap& table) {
    std::int64_t count = 0;
    run({{"count(*)", dialect_->count_type()}},
        " FROM " + relation_of(table),
        {},
        [&](const SourceRow& row) { count = row.front().integer; });
    return count;
}

std::string Source::bad_key(const TableMap& table) {
    std::string nulls;
    for (const std::string& column : table.key) {
        nulls.append(nulls.empty() ? "" : " OR ").append(qualified(column)).append(" IS NULL");
    }
    const std::vector<Item> items = items_of(table, table.key);
    const std::string from = " FROM " + relation_of(table);
    std::string found;
    const auto tell = [&](const SourceRow& row) { found = shown(row); };
    run(items, from + " WHERE " + nulls + " LIMIT 1", {}, tell);
    if (found.empty()) {
        run(items,
            from + " GROUP BY " + list_of(table.key) + " HAVING count(*) > 1 LIMIT 1",
            {},
            tell);
    }
    return found;
}

std::vector<SourceRow> Source::page(
    const TableMap& table,
    const std::vector<std::string>& columns,
    const SourceRow& after,
    std::size_t limit
) {
    const std::string keys = list_of(table.key);
    std::string rest = " FROM " + relation_of(table);
    if (!after.empty()) {
        std::string places;
        for (std::size_t i = 0; i < after.size(); ++i) {
            places.append(i == 0 ? ":after" : ", :after").append(std::to_string(i));
        }
        rest += " WHERE (" + keys + ") > (" + places + ")";
    }
    rest += " ORDER BY " + keys + " LIMIT " + std::to_string(limit);
    std::vector<SourceRow> rows;
    run(items_of(table, columns), rest, after, [&](const SourceRow& row) { rows.push_back(row); });
    return rows;
}

std::unique_ptr<Source>
open_source(const std::string& source, const std::string& password, Stops stops) {
    if (source.starts_with(k_postgres) || source.starts_with(k_short_uri)) {
        const bool is_uri =
            source.find("://") != std::string::npos && source.find("://") < source.find('=');
        return open_postgres(
            is_uri ? source : source.substr(k_postgres.size()), password, std::move(stops)
        );
    }
    if (source.starts_with(k_sqlite)) {
        return open_sqlite(source.substr(k_sqlite.size()), std::move(stops));
    }
    const std::size_t scheme = source.find("://");
    if (scheme != std::string::npos) {
        throw Error{
            TENON_UNSUPPORTED,
            "a source is sqlite:FILE or postgresql:…, and not " + source.substr(0, scheme) + ":"};
    }
    return open_sqlite(source, std::move(stops));
}

}  // namespace tenon::importer
