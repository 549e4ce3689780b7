// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/source.hpp"

namespace tenon::importer {
namespace {

std::string relation_of(const TableMap& table) {
    return table.table.empty() ? "(" + table.select + "\n) AS tenon_source" : quoted(table.table);
}

std::string list_of(const std::vector<std::string>& columns) {
    std::string list;
    for (const std::string& column : columns) {
        list.append(list.empty() ? "" : ", ").append(quoted(column));
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

class StorageSource final : public Source {
public:
    StorageSource(const Storage& storage, std::string name, std::int64_t deadline_ns)
        : name_{std::move(name)}, lease_{storage.lease(TENON_INTENT_READ, deadline_ns)} {
        if (storage.dialect() == "postgres") {
            lease_->execute("SET statement_timeout = 0");  // counting a big table takes its time
        }
        lease_->begin();
    }

    [[nodiscard]] std::string name() const override { return name_; }

protected:
    void run(
        const std::string& sql,
        const SourceRow& values,
        std::vector<std::string>* names,
        const RowFn& row
    ) override {
        try {
            read(sql, values, names, row);
        } catch (const StorageError&) {
            // A refused statement ends the transaction on PostgreSQL; more may be asked.
            lease_->rollback();
            lease_->begin();
            throw;
        }
    }

private:
    void read(
        const std::string& sql,
        const SourceRow& values,
        std::vector<std::string>* names,
        const RowFn& row
    ) {
        Statement statement = lease_->prepare(sql);
        for (std::size_t i = 0; i < values.size(); ++i) {
            statement.bind(static_cast<std::uint32_t>(i + 1), values[i].view());
        }
        SourceRow current;
        bool more = statement.step();
        if (names != nullptr) {
            for (std::uint32_t i = 0; i < statement.column_count(); ++i) {
                names->emplace_back(statement.column_name(i));
            }
        }
        for (; more; more = statement.step()) {
            current.resize(statement.column_count());
            for (std::uint32_t i = 0; i < current.size(); ++i) {
                const tenon_value value = statement.value(i);
                current[i].kind = value.kind;
                current[i].integer = value.i;
                current[i].real = value.r;
                current[i].bytes.assign(value.b.n == 0 ? std::string_view{} : tenon::view(value.b));
            }
            row(current);
        }
    }

    std::string name_;
    Lease lease_;
};

}  // namespace

std::string quoted(std::string_view name) {
    std::string out{'"'};
    for (const char c : name) {
        out.append(c == '"' ? 2 : 1, c);
    }
    return out + '"';
}

std::vector<std::string> Source::columns(const TableMap& table) {
    std::vector<std::string> names;
    run("SELECT * FROM " + relation_of(table) + " LIMIT 0", {}, &names, [](const SourceRow&) {});
    return names;
}

std::int64_t Source::rows(const TableMap& table) {
    std::int64_t count = 0;
    run("SELECT count(*) FROM " + relation_of(table), {}, nullptr, [&](const SourceRow& row) {
        count = row.front().integer;
    });
    return count;
}

std::string Source::bad_key(const TableMap& table) {
    std::string nulls;
    for (const std::string& column : table.key) {
        nulls.append(nulls.empty() ? "" : " OR ").append(quoted(column)).append(" IS NULL");
    }
    const std::string keys = list_of(table.key);
    const std::string head = "SELECT " + keys + " FROM " + relation_of(table);
    std::string found;
    const auto tell = [&](const SourceRow& row) { found = shown(row); };
    run(head + " WHERE " + nulls + " LIMIT 1", {}, nullptr, tell);
    if (found.empty()) {
        run(head + " GROUP BY " + keys + " HAVING count(*) > 1 LIMIT 1", {}, nullptr, tell);
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
    std::string sql = "SELECT " + list_of(columns) + " FROM " + relation_of(table);
    if (!after.empty()) {
        std::string places;
        for (std::size_t i = 0; i < after.size(); ++i) {
            places.append(i == 0 ? "?" : ", ?");
        }
        sql += " WHERE (" + keys + ") > (" + places + ")";
    }
    sql += " ORDER BY " + keys + " LIMIT " + std::to_string(limit);
    std::vector<SourceRow> rows;
    run(sql, after, nullptr, [&](const SourceRow& row) { rows.push_back(row); });
    return rows;
}

std::unique_ptr<Source>
open_storage(const Storage& storage, const std::string& name, std::int64_t deadline_ns) {
    return std::make_unique<StorageSource>(storage, name, deadline_ns);
}

}  // namespace tenon::importer
