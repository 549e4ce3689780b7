// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/store.hpp"

#include "plugins/trading/records/failure.hpp"
#include "plugins/trading/records/listing.hpp"

#include <algorithm>
#include <optional>

namespace tenon::records {
namespace {

constexpr std::size_t k_page_bytes_max = 1'048'576;  // a page ends with the row that reaches it
constexpr std::int64_t k_chunk_rows = 128;           // at most 5 MiB of the longest rows

[[nodiscard]] const Field* field_of(const Resource& resource, std::string_view name) noexcept {
    const auto found =
        std::find_if(resource.fields.begin(), resource.fields.end(), [&](const Field& field) {
            return field.name == name;
        });
    return found == resource.fields.end() ? nullptr : &*found;
}

[[nodiscard]] std::string key_of(const Resource& resource) {
    return &resource == &k_settings ? "user_id" : "id";
}

// A row's place in the order of a list.
struct Position {
    std::int64_t time = 0, id = 0;
};

[[nodiscard]] std::optional<Position> cursor_of(Parameters& parameters) {
    const std::string* const cursor = parameters.find("cursor");
    if (cursor == nullptr) {
        return std::nullopt;
    }
    const std::string_view text{*cursor};
    const std::size_t point = std::min(text.find('.'), text.size());
    const auto time = whole_number(text.substr(0, point));
    const auto id = whole_number(text.substr(std::min(point + 1, text.size())));
    if (!time || !id) {
        throw invalid("?cursor", "expected the next_cursor of an earlier answer");
    }
    return Position{*time, *id};
}

void add_position(Condition& where, const Resource& resource, const Position& from) {
    const std::string column = "r." + std::string{resource.time_column};
    where.add(column + " <= ?", {from.time});
    where.add("(" + column + ", r.id) < (?, ?)", {from.time, from.id});
}

[[nodiscard]] std::uint32_t count_of(const Resource& resource) noexcept {
    return static_cast<std::uint32_t>(resource.fields.size());
}

[[nodiscard]] Position position_of(const Resource& resource, const Statement& row) {
    const std::uint32_t id = count_of(resource);
    constexpr std::uint32_t k_time_after_id = 6;
    return {row.integer(id + k_time_after_id), row.integer(id)};
}

struct Page {
    explicit Page(std::int64_t most) : limit{most} {}

    std::int64_t limit, count = 0;
    std::optional<Position> last;
    bool is_full = false;  // and a row comes after the last one
    std::string out{"{\"data\":["};
};

struct Chunk {
    std::optional<Position> from;
    std::int64_t rows;
};

// False: there are no more rows.
[[nodiscard]] bool read_chunk(
    Session& session,
    const Resource& resource,
    Condition where,
    const Chunk& chunk,
    Page& page
) {
    if (chunk.from) {
        add_position(where, resource, *chunk.from);
    }
    where.values().emplace_back(chunk.rows);
    auto rows = session.prepare(
        select_of(resource) + where.sql() + " ORDER BY r." + std::string{resource.time_column} +
        " DESC, r.id DESC LIMIT ?"
    );
    bind_values(rows, where.values());
    std::int64_t read = 0;
    while (rows.step()) {
        ++read;
        if (page.is_full || page.count == page.limit || page.out.size() >= k_page_bytes_max) {
            page.is_full = true;
            continue;
        }
        page.out.append(++page.count == 1 ? "" : ",");
        append_row(page.out, resource, rows);
        page.last = position_of(resource, rows);
    }
    return read == chunk.rows;
}

[[nodiscard]] Scales scales_of_body(Session& session, const Resource& resource, const Json& body) {
    if (!resource.by_instrument) {
        return {};
    }
    const Json* const symbol = body.find("symbol");
    if (symbol == nullptr || !symbol->is(Json::Kind::text)) {
        throw invalid("/symbol", "expected an instrument's symbol");
    }
    return scales_of(session, symbol->text(), "/symbol");
}

// The scales of a row's instrument, by the row; 404 when the user has no such row.
[[nodiscard]] Scales
scales_of_row(Session& session, const Resource& resource, const User& user, std::int64_t id) {
    std::string sql =
        "SELECT " +
        std::string{
            resource.by_instrument ? "i.id, i.price_scale, i.quantity_scale, coalesce(a.scale, 8)"
                                   : "0, 0, 0, 0"} +
        " FROM " + std::string{resource.table} + " r";
    if (resource.by_instrument) {
        sql.append(" JOIN instruments i ON i.id = r.instrument LEFT JOIN assets a ON a.id = i.quote"
        );
    }
    sql.append(" WHERE r.id = ?").append(resource.is_owned ? " AND r.user_id = ?" : "");
    auto found = session.prepare(sql);
    found.bind(1, id);
    if (resource.is_owned) {
        found.bind(2, user.id);
    }
    if (!found.step()) {
        throw not_found(resource.one);
    }
    return {found.integer(0), found.as<int>(1), found.as<int>(2), found.as<int>(3)};
}

}  // namespace

std::string select_of(const Resource& resource) {
    std::string sql{"SELECT "};
    for (const Field& field : resource.fields) {
        sql.append("r.").append(field.column).append(", ");
    }
    sql.append("r.").append(key_of(resource)).append(resource.is_owned ? ", r.user_id, " : ", 0, ");
    sql.append(
        resource.by_instrument ? "i.symbol, i.price_scale, i.quantity_scale, coalesce(a.scale, 8)"
                               : "'', 0, 0, 0"
    );
    sql.append(", r.")
        .append(resource.time_column)
        .append(" FROM ")
        .append(resource.table)
        .append(" r");
    if (resource.by_instrument) {
        sql.append(" JOIN instruments i ON i.id = r.instrument LEFT JOIN assets a ON a.id = i.quote"
        );
    }
    return sql;
}

void append_row(std::string& out, const Resource& resource, const Statement& row) {
    const std::uint32_t id = count_of(resource);
    const Scales scales{0, row.as<int>(id + 3), row.as<int>(id + 4), row.as<int>(id + 5)};
    const std::string symbol{row.text(id + 2)};
    out.push_back('{');
    if (&resource != &k_settings) {
        out.append("\"id\":").append(std::to_string(row.integer(id))).push_back(',');
    }
    if (resource.is_owned) {
        out.append("\"user_id\":").append(std::to_string(row.integer(id + 1))).push_back(',');
    }
    std::uint32_t index = 0;
    for (const Field& field : resource.fields) {
        out.append(index == 0 ? "" : ",");
        append_json(out, field.name);
        out.push_back(':');
        append_value(out, field, row.value(index), scales, symbol);
        ++index;
    }
    out.push_back('}');
}

std::string
list_rows(Session& session, const Resource& resource, const User& user, Parameters& parameters) {
    const std::int64_t limit = limit_of(parameters);
    Condition where;
    add_owner(where, resource, user, parameters);
    add_times(where, resource, parameters);
    for (const Field& field : resource.fields) {
        if ((field.use & k_filter) == 0) {
            continue;
        }
        if (const std::string* const text = parameters.find(field.name)) {
            where.add(
                "r." + std::string{field.column} + " = ?",
                {value_of_parameter(session, field, *text)}
            );
        }
    }
    std::optional<Position> from = cursor_of(parameters);
    parameters.finish();
    Page page{limit};
    // A backend may hold all rows of a statement before it gives the first one.
    for (bool goes_on = true; goes_on;) {
        const std::int64_t chunk = std::min(limit + 1 - page.count, k_chunk_rows);
        goes_on = read_chunk(session, resource, where, {from, chunk}, page) && !page.is_full;
        from = page.last;
    }
    page.out.append("],\"next_cursor\":");
    if (page.is_full) {
        page.out.append("\"").append(std::to_string(page.last->time)).append(".");
        page.out.append(std::to_string(page.last->id)).append("\"}");
    } else {
        page.out.append("null}");
    }
    return std::move(page.out);
}

std::string get_row(Session& session, const Resource& resource, const User& user, std::int64_t id) {
    const bool bound_to_user = resource.is_owned && !user.is_admin;
    auto row = session.prepare(
        select_of(resource) + " WHERE r." + key_of(resource) + " = ?" +
        (bound_to_user ? " AND r.user_id = ?" : "")
    );
    row.bind(1, id);
    if (bound_to_user) {
        row.bind(2, user.id);
    }
    if (!row.step()) {
        throw not_found(resource.one);
    }
    std::string out;
    append_row(out, resource, row);
    return out;
}

std::map<std::string_view, Bound> columns_of(
    const Resource& resource,
    const Json& body,
    unsigned use,
    const Scales& scales,
    std::span<const std::string_view> members
) {
    std::map<std::string_view, Bound> columns;
    for (std::size_t i = 0; i < body.items().size(); ++i) {
        const std::string& name = body.keys()[i];
        if (std::find(members.begin(), members.end(), name) != members.end()) {
            continue;
        }
        const Field* const field = field_of(resource, name);
        if (field == nullptr || (field->use & use) == 0) {
            throw invalid(
                "/" + name,
                field == nullptr ? "there is no such member here"
                                 : "this member is not yours to set"
            );
        }
        columns[field->column] = value_of_json(*field, body.items()[i], scales);
    }
    for (const Field& field : resource.fields) {
        if (use == k_create && (field.use & k_required) != 0 && columns.count(field.column) == 0) {
            throw invalid("/" + std::string{field.name}, "this member is missing");
        }
    }
    return columns;
}

std::int64_t insert_row(
    Session& session,
    const Resource& resource,
    std::int64_t owner,
    const Json& body,
    const Extra& extra
) {
    const Scales scales = scales_of_body(session, resource, body);
    auto columns = columns_of(resource, body, k_create, scales, extra.members);
    columns.insert(extra.columns.begin(), extra.columns.end());
    if (resource.is_owned) {
        columns["user_id"] = owner;
    }
    std::string names, marks;
    std::vector<Bound> values;
    for (auto& [column, value] : columns) {
        names.append(names.empty() ? "" : ", ").append(column);
        marks.append(marks.empty() ? "?" : ", ?");
        values.push_back(std::move(value));
    }
    auto insert = session.prepare(
        "INSERT INTO " + std::string{resource.table} + " (" + names + ") VALUES (" + marks +
        ") RETURNING id"
    );
    bind_values(insert, values);
    if (!insert.step()) {
        throw Error{TENON_CORRUPT, "an insert gave no id"};
    }
    const std::int64_t id = insert.integer(0);
    while (insert.step()) {}
    return id;
}

void change_row(
    Session& session,
    const Resource& resource,
    const User& user,
    std::int64_t id,
    const Json& body
) {
    const Scales scales = scales_of_row(session, resource, user, id);
    auto columns = columns_of(resource, body, k_change, scales, {});
    if (columns.empty()) {
        throw invalid("", "the body names nothing to change");
    }
    std::string sql = "UPDATE " + std::string{resource.table} + " SET ";
    std::vector<Bound> values;
    for (auto& [column, value] : columns) {
        sql.append(values.empty() ? "" : ", ").append(column).append(" = ?");
        values.push_back(std::move(value));
    }
    sql.append(" WHERE id = ?");
    values.emplace_back(id);
    if (!resource.change_condition.empty()) {
        sql.append(" AND ").append(resource.change_condition);
    }
    auto update = session.prepare(sql);
    bind_values(update, values);
    update.run();
    if (session.changes() == 0) {
        throw conflict("already_closed", "this " + std::string{resource.one} + " is closed");
    }
}

}  // namespace tenon::records
