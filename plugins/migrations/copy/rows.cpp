// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/copy/rows.hpp"

#include <bit>
#include <charconv>

namespace tenon::copy {
namespace {

bool fits(Kind kind, std::uint32_t value_kind) {
    switch (kind) {
        case Kind::integer:
            return value_kind == TENON_VALUE_INT64;
        case Kind::real:
            return value_kind == TENON_VALUE_REAL;
        case Kind::blob:
            return value_kind == TENON_VALUE_BLOB;
        default:
            return value_kind == TENON_VALUE_TEXT;
    }
}

void append_number(std::string& out, std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>(value >> static_cast<unsigned>(shift) & 0xFFU));
    }
}

// "001.50" and "1.5" are one number; what is no number stays as it is.
std::string plain_decimal(std::string_view text) {
    const bool negative = !text.empty() && text.front() == '-';
    std::string_view digits = text.substr(negative || text.substr(0, 1) == "+" ? 1 : 0);
    if (digits.empty() || digits.find_first_not_of("0123456789.") != std::string_view::npos) {
        return std::string{text};
    }
    if (digits.find('.') != std::string_view::npos) {
        digits = digits.substr(0, digits.find_last_not_of('0') + 1);
        digits = digits.substr(0, digits.find_last_not_of('.') + 1);
    }
    digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
    if (digits.empty()) {
        return "0";
    }
    std::string out = negative ? "-" : "";
    out.append(digits.front() == '.' ? "0" : "").append(digits);
    return out;
}

}  // namespace

void RowBatch::add(const Statement& row) {
    const std::size_t from = values_.size();
    for (std::size_t i = 0; i < table_->columns.size(); ++i) {
        tenon_value value = row.value(static_cast<std::uint32_t>(i));
        const Column& column = table_->columns[i];
        if (value.kind != TENON_VALUE_NULL && !fits(column.kind, value.kind)) {
            values_.resize(from);
            throw Error{
                TENON_CORRUPT,
                "column " + table_->name + "." + column.name + " holds a value of kind " +
                    std::to_string(value.kind) + " where " + std::string{name_of(column.kind)} +
                    " is declared"};
        }
        if (value.kind == TENON_VALUE_TEXT || value.kind == TENON_VALUE_BLOB) {
            bytes_of_.emplace_back(view(value.b));
            value.b = {bytes_of_.back().data(), bytes_of_.back().size()};
            bytes_ += value.b.n;
        }
        bytes_ += sizeof value;
        values_.push_back(value);
    }
}

void RowBatch::clear() {
    values_.clear();
    bytes_of_.clear();
    bytes_ = 0;
}

Key RowBatch::key(std::size_t i) const {
    Key key;
    const auto values = row(i);
    for (const std::size_t column : table_->key) {
        const tenon_value& value = values[column];
        key.push_back(
            value.kind == TENON_VALUE_INT64 ? std::to_string(value.i) : std::string{view(value.b)}
        );
    }
    return key;
}

void RowBatch::insert(Session& into) const {
    if (empty()) {
        return;
    }
    std::vector<tenon_str> columns;
    for (const Column& column : table_->columns) {
        columns.push_back(str(column.name));
    }
    try {
        into.bulk_insert(table_->name, columns, values_);
    } catch (const StorageError& e) {
        throw StorageError{
            e.code(),
            "rows " + row_name(*table_, key(0)) + " to " + row_name(*table_, key(size() - 1)) +
                ": " + e.what(),
            e.failure()};
    }
}

void append_canonical(std::string& out, Kind kind, const tenon_value& value) {
    if (value.kind == TENON_VALUE_NULL) {
        out.push_back('N');
        return;
    }
    out.push_back(static_cast<char>('0' + static_cast<int>(kind)));
    if (value.kind == TENON_VALUE_INT64) {
        append_number(out, static_cast<std::uint64_t>(value.i));
        return;
    }
    if (value.kind == TENON_VALUE_REAL) {
        append_number(out, std::bit_cast<std::uint64_t>(value.r == 0 ? 0.0 : value.r));
        return;
    }
    const std::string_view raw = view(value.b);
    const std::string plain = kind == Kind::decimal ? plain_decimal(raw) : std::string{};
    const std::string_view text = kind == Kind::decimal ? std::string_view{plain} : raw;
    append_number(out, text.size());
    out.append(text);
}

std::string canonical(const Table& table, std::span<const tenon_value> row) {
    std::string out;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
        append_canonical(out, table.columns[i].kind, row[i]);
    }
    return out;
}

std::string TableSql::select() const {
    std::string sql = "SELECT ";
    for (std::size_t i = 0; i < table_.columns.size(); ++i) {
        sql.append(i == 0 ? "" : ", ").append(quoted(table_.columns[i].name));
    }
    return sql + " FROM " + quoted(table_.name);
}

std::string TableSql::key_list(std::string_view separator) const {
    std::string list;
    for (std::size_t i = 0; i < table_.key.size(); ++i) {
        const Column& column = table_.key_column(i);
        list.append(i == 0 ? "" : separator).append(quoted(column.name));
        // By its bytes on both sides, whatever the database's locale. SQLite's keys are (others are
        // refused), and naming it keeps SQLite from its index.
        if (column.kind == Kind::text && is_postgres_) {
            list.append(" COLLATE \"C\"");
        }
    }
    return list;
}

std::string TableSql::where_keys(std::size_t count) const {
    std::string where = " WHERE ";
    for (std::size_t k = 0; k < count; ++k) {
        where.append(k == 0 ? "(" : " OR (");
        for (std::size_t i = 0; i < table_.key.size(); ++i) {
            where.append(i == 0 ? "" : " AND ").append(quoted(table_.key_column(i).name));
            where.append(" = ?");
        }
        where.append(")");
    }
    return where;
}

void TableSql::bind_key(Statement& statement, std::uint32_t& index, const Key& key) const {
    for (std::size_t i = 0; i < table_.key.size(); ++i) {
        if (table_.key_column(i).kind == Kind::integer) {
            std::int64_t value = 0;
            const char* const end = key[i].data() + key[i].size();
            if (std::from_chars(key[i].data(), end, value).ptr != end || key[i].empty()) {
                throw Error{TENON_CORRUPT, "not a key: " + row_name(table_, key)};
            }
            statement.bind(++index, value);
        } else {
            statement.bind(++index, std::string_view{key[i]});
        }
    }
}

Statement TableSql::read_after(Session& session, const Key* after, std::size_t limit) const {
    std::string sql = select();
    if (after != nullptr) {
        sql.append(" WHERE (").append(key_list(", ")).append(") > (");
        for (std::size_t i = 0; i < table_.key.size(); ++i) {
            sql.append(i == 0 ? "?" : ", ?");
        }
        sql.append(")");
    }
    Statement statement =
        session.prepare(sql + " ORDER BY " + key_list(", ") + " LIMIT " + std::to_string(limit));
    std::uint32_t index = 0;
    if (after != nullptr) {
        bind_key(statement, index, *after);
    }
    return statement;
}

Statement TableSql::read_keys(Session& session, std::span<const Key> keys) const {
    Statement statement = session.prepare(select() + where_keys(keys.size()));
    std::uint32_t index = 0;
    for (const Key& key : keys) {
        bind_key(statement, index, key);
    }
    return statement;
}

void TableSql::erase_keys(Session& session, std::span<const Key> keys) const {
    Statement statement =
        session.prepare("DELETE FROM " + quoted(table_.name) + where_keys(keys.size()));
    std::uint32_t index = 0;
    for (const Key& key : keys) {
        bind_key(statement, index, key);
    }
    statement.run();
}

}  // namespace tenon::copy
