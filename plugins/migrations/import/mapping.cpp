// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/mapping.hpp"

#include "plugins/migrations/import/mapping_schema.hpp"
#include "sdk/manifest/json_file.hpp"
#include "sdk/manifest/schema.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <mutex>
#include <set>
#include <sodium.h>

namespace tenon::importer {
namespace {

namespace json = boost::json;
using manifest::pointer_to;
using manifest::Problems;
using manifest::Report;

constexpr std::string_view k_mistake = "IMPORT";
constexpr std::size_t k_bytes_max = 1U << 19U;
// Accounts get "import:" before their names, which keeps them apart from the engine's.
constexpr std::size_t k_account_name_max = 25;

const json::object& schema(std::string_view text) {
    static std::map<const void*, json::object> parsed;
    static std::mutex mutex;
    const std::lock_guard lock{mutex};
    auto& at = parsed[text.data()];
    if (at.empty()) {
        at = json::parse({text.data(), text.size()}).as_object();
    }
    return at;
}

bool validated(
    std::string_view schema_text,
    json::value& value,
    const std::string& pointer,
    Report& report,
    const Problems& problems
) {
    const std::size_t before = problems.size();
    manifest::SchemaRules rules;
    rules.code = k_mistake;
    manifest::validate(schema(schema_text), value, pointer, rules, report);
    return problems.size() == before;
}

bool is_number(const TargetColumn& column) {
    return column.holds == Holds::price || column.holds == Holds::quantity ||
           column.holds == Holds::quote || column.holds == Holds::fee;
}

// Text, an integer or a boolean as a word of a mapping.
std::optional<std::string> word_of(const json::value& value) {
    if (value.is_string()) {
        return std::string{value.get_string()};
    }
    if (value.is_int64()) {
        return std::to_string(value.get_int64());
    }
    return std::nullopt;
}

class Reader {
public:
    Reader(Problems& problems, const std::string& file)
        : problems_{problems}, report_{file, problems} {}

    Mapping read(std::string_view text);

private:
    void refuse(
        std::string pointer,
        std::string message,
        std::string found = {},
        std::string expected = {}
    ) {
        report_.add(
            k_mistake, std::move(pointer), std::move(message), std::move(found), std::move(expected)
        );
    }

    void accounts(const json::object& object, Mapping& mapping);
    TableMap table(json::object& object, const std::string& pointer);
    void columns(json::object& object, const std::string& pointer, TableMap& table);
    std::optional<ColumnMap>
    column(json::value& value, const std::string& pointer, const TargetColumn& target);
    void from(const json::value& value, ColumnMap& column);
    void options(const json::object& object, ColumnMap& column);
    void word(
        const json::object& object,
        std::string_view key,
        std::optional<std::string>& out,
        const std::string& pointer
    );
    void fits(const ColumnMap& column, const json::object& object);
    void references(const Mapping& mapping);

    Problems& problems_;
    Report report_;
};

Mapping Reader::read(std::string_view text) {
    Mapping mapping;
    if (text.size() > k_bytes_max) {
        refuse(
            "",
            "the mapping is too large",
            std::to_string(text.size()) + " bytes",
            "at most 512 KiB"
        );
        return mapping;
    }
    auto parsed = manifest::parse_json(text, report_);
    if (!parsed || !validated(k_mapping_schema, *parsed, "", report_, problems_)) {
        return mapping;
    }
    json::object& root = parsed->as_object();
    mapping.digest = digest_of(text);
    mapping.name = std::string{root.at("name").as_string()};
    mapping.skip_bad_rows = root.at("bad_rows").as_string() == "skip";
    if (const json::value* users = root.if_contains("users")) {
        for (const json::value& user : users->as_array()) {
            mapping.users.emplace_back(user.as_string());
        }
    }
    if (const json::value* object = root.if_contains("accounts")) {
        accounts(object->as_object(), mapping);
    }
    json::array& tables = root.at("tables").as_array();
    std::set<std::string, std::less<>> names;
    for (std::size_t i = 0; i < tables.size(); ++i) {
        const std::string pointer = pointer_to("/tables", i);
        mapping.tables.push_back(table(tables[i].as_object(), pointer));
        if (!names.insert(mapping.tables.back().name).second) {
            refuse(pointer + "/name", "the name is taken", mapping.tables.back().name);
        }
    }
    references(mapping);
    std::stable_sort(
        mapping.tables.begin(),
        mapping.tables.end(),
        [](const TableMap& a, const TableMap& b) {
            return (a.target == nullptr ? 0 : a.target->rank) <
                   (b.target == nullptr ? 0 : b.target->rank);
        }
    );
    return mapping;
}

void Reader::accounts(const json::object& object, Mapping& mapping) {
    for (const auto& entry : object) {
        const std::string name{entry.key()};
        const std::string pointer = pointer_to("/accounts", name);
        if (name.empty() || name.size() > k_account_name_max) {
            refuse(pointer, "the name of an account", name, "1 to 25 bytes");
        }
        if (!entry.value().is_string()) {
            refuse(
                pointer, "wrong type", manifest::shown(entry.value()), "the name of a user, or \"\""
            );
            continue;
        }
        mapping.accounts[name] = std::string{entry.value().get_string()};
    }
}

TableMap Reader::table(json::object& object, const std::string& pointer) {
    TableMap out;
    out.pointer = pointer;
    out.name = std::string{object.at("name").as_string()};
    out.table = manifest::text_at(object, "table");
    out.select = manifest::text_at(object, "select");
    if (out.table.empty() == out.select.empty()) {
        refuse(pointer, "a table needs either \"table\" or \"select\"");
    }
    for (const json::value& column : object.at("key").as_array()) {
        out.key.emplace_back(column.as_string());
    }
    const std::string target{object.at("target").as_string()};
    out.target = find_target(target);
    if (out.target == nullptr) {
        std::vector<std::string> known;
        for (const Target& one : targets()) {
            known.emplace_back(one.name);
        }
        refuse(pointer + "/target", "no such target", target, manifest::join(known));
        return out;
    }
    columns(object.at("columns").as_object(), pointer + "/columns", out);
    return out;
}

void Reader::columns(json::object& object, const std::string& pointer, TableMap& table) {
    std::set<std::string_view> mapped;
    for (auto& entry : object) {
        const std::string name{entry.key()};
        const std::string at = pointer_to(pointer, name);
        const auto index = table.target->column(name);
        if (!index) {
            std::vector<std::string> known;
            for (const TargetColumn& one : table.target->columns) {
                known.emplace_back(one.name);
            }
            const std::string near = manifest::nearest(name, known);
            refuse(
                at,
                "no such column of " + std::string{table.target->name},
                name,
                near.empty() ? manifest::join(known) : near
            );
            continue;
        }
        const TargetColumn& target = table.target->columns[*index];
        mapped.insert(target.name);
        if (auto made = column(entry.value(), at, target)) {
            table.columns.push_back(std::move(*made));
        }
    }
    for (const TargetColumn& target : table.target->columns) {
        if (target.must_be_mapped() && mapped.count(target.name) == 0) {
            refuse(pointer, "a column is not mapped", "", std::string{target.name});
        }
    }
}

std::optional<ColumnMap>
Reader::column(json::value& value, const std::string& pointer, const TargetColumn& target) {
    // "price": "rate" is short for "price": {"from": "rate"}.
    if (value.is_string()) {
        value = json::object{{"from", value}};
    }
    if (!validated(k_column_schema, value, pointer, report_, problems_)) {
        return std::nullopt;
    }
    const std::size_t before = problems_.size();
    const json::object& object = value.get_object();
    ColumnMap column;
    column.pointer = pointer;
    column.target = &target;
    if (object.contains("from") == object.contains("constant")) {
        refuse(pointer, "a column needs either \"from\" or \"constant\"");
        return std::nullopt;
    }
    if (const json::value* source = object.if_contains("from")) {
        from(*source, column);
    }
    options(object, column);
    fits(column, object);
    return problems_.size() == before ? std::optional{std::move(column)} : std::nullopt;
}

void Reader::from(const json::value& value, ColumnMap& column) {
    const json::array list = value.is_array() ? value.get_array() : json::array{value};
    for (const json::value& one : list) {
        if (!one.is_string() || one.get_string().empty()) {
            refuse(
                column.pointer + "/from", "wrong type", manifest::shown(one), "the name of a column"
            );
            continue;
        }
        column.from.emplace_back(one.get_string());
    }
    const bool many = is_number(*column.target) || column.target->holds == Holds::row;
    if (list.empty() || list.size() > 8 || (list.size() > 1 && !many)) {
        refuse(
            column.pointer + "/from",
            "several columns are for amounts, which are summed, and for rows that are meant",
            manifest::shown(value)
        );
    }
}

void Reader::word(
    const json::object& object,
    std::string_view key,
    std::optional<std::string>& out,
    const std::string& pointer
) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr || value->is_null()) {
        return;
    }
    out = word_of(*value);
    if (!out) {
        refuse(
            pointer_to(pointer, key),
            "wrong type",
            manifest::shown(*value),
            "text, an integer or null; decimals as text"
        );
    }
}

void Reader::options(const json::object& object, ColumnMap& column) {
    word(object, "constant", column.constant, column.pointer);
    word(object, "null", column.if_null, column.pointer);
    if (const json::value* map = object.if_contains("map")) {
        for (const auto& entry : map->get_object()) {
            const auto text = word_of(entry.value());
            if (!text) {
                refuse(
                    pointer_to(column.pointer + "/map", entry.key()),
                    "wrong type",
                    manifest::shown(entry.value()),
                    "text or an integer"
                );
                continue;
            }
            column.map.emplace(entry.key(), *text);
        }
    }
    word(object, "map_else", column.map_else, column.pointer);
    column.remove = manifest::text_at(object, "remove");
    column.row_of = manifest::text_at(object, "row_of");
    constexpr std::array<std::string_view, 5> k_units{"s", "ms", "us", "ns", "iso"};
    if (object.contains("unit")) {
        const auto* const found =
            std::find(k_units.begin(), k_units.end(), manifest::text_at(object, "unit"));
        column.unit = static_cast<TimeUnit>(found - k_units.begin());
    }
    if (object.contains("zone")) {
        const std::string zone = manifest::text_at(object, "zone");
        column.zone_minutes = zone_of(zone);
        if (!column.zone_minutes) {
            refuse(column.pointer + "/zone", "no zone", zone, "UTC or +02:00");
        }
    }
    if (object.contains("round")) {
        column.rounds =
            manifest::text_at(object, "round") == "down" ? Rounds::down : Rounds::half_even;
    }
    if (const json::value* scale = object.if_contains("source_scale")) {
        column.source_scale = static_cast<int>(scale->get_int64());
    }
}

// Options that mean nothing for what the column holds are mistakes, not decoration.
void Reader::fits(const ColumnMap& column, const json::object& object) {
    const TargetColumn& target = *column.target;
    const auto only = [&](std::string_view key, bool good, std::string_view where) {
        if (object.contains(key) && !good) {
            refuse(
                pointer_to(column.pointer, key), "does not fit this column", "", std::string{where}
            );
        }
    };
    only("round", is_number(target), "prices, quantities and amounts");
    only(
        "source_scale", is_number(target) && !column.from.empty(), "prices, quantities and amounts"
    );
    only("unit", target.holds == Holds::time, "times");
    only(
        "zone",
        target.holds == Holds::time && column.unit == TimeUnit::iso,
        "times with the unit iso"
    );
    only("row_of", target.holds == Holds::row && !column.from.empty(), "references to rows");
    only("map_else", !column.map.empty(), "columns with a map");
    only("map", !column.from.empty() && target.holds != Holds::row, "columns from the source");
    only("remove", !column.from.empty() && target.holds != Holds::row, "columns from the source");
    only("null", !column.from.empty(), "columns from the source");
    only(
        "constant", target.holds != Holds::row || !column.constant, "columns that are no reference"
    );
    if (target.holds == Holds::row && !column.from.empty() && column.row_of.empty()) {
        refuse(column.pointer, "\"row_of\" has to say which table's row is meant");
    }
    if (target.holds == Holds::time && !column.from.empty() && !object.contains("unit")) {
        refuse(
            column.pointer,
            "\"unit\" has to say how the source counts time",
            "",
            "s, ms, us, ns or iso"
        );
    }
    if (column.from.empty() && !column.constant && !target.nullable) {
        refuse(column.pointer + "/constant", "the column cannot be NULL");
    }
}

void Reader::references(const Mapping& mapping) {
    for (const TableMap& table : mapping.tables) {
        for (const ColumnMap& column : table.columns) {
            if (column.row_of.empty()) {
                continue;
            }
            const TableMap* const meant = mapping.table(column.row_of);
            if (meant == nullptr || meant->target == nullptr ||
                meant->target->name != column.target->refers_to) {
                refuse(
                    column.pointer + "/row_of",
                    "no such table of this mapping",
                    column.row_of,
                    "the name of one with the target " + std::string{column.target->refers_to}
                );
            } else if (meant->key.size() != column.from.size()) {
                refuse(
                    column.pointer + "/from",
                    "the key of " + meant->name + " has other columns",
                    std::to_string(column.from.size()),
                    manifest::join(meant->key)
                );
            }
        }
    }
}

}  // namespace

const TableMap* Mapping::table(std::string_view wanted) const noexcept {
    const auto found = std::find_if(tables.begin(), tables.end(), [&](const TableMap& one) {
        return one.name == wanted;
    });
    return found == tables.end() ? nullptr : &*found;
}

Mapping parse_mapping(std::string_view text, const std::string& file, Problems& problems) {
    return Reader{problems, file}.read(text);
}

Mapping parse_mapping(std::string_view text, const std::string& file) {
    Problems problems;
    Mapping mapping = parse_mapping(text, file, problems);
    if (manifest::has_errors(problems)) {
        throw Error{TENON_INVALID, lines_of(problems)};
    }
    return mapping;
}

std::string lines_of(const Problems& problems) {
    std::string text;
    for (const manifest::Problem& problem : problems) {
        text.append(text.empty() ? "" : "\n").append(manifest::to_text(problem));
    }
    return text;
}

std::string digest_of(std::string_view bytes) {
    std::array<unsigned char, 16> hash{};
    crypto_generichash(
        hash.data(),
        hash.size(),
        reinterpret_cast<const unsigned char*>(bytes.data()),
        bytes.size(),
        nullptr,
        0
    );
    std::array<char, 33> text{};
    sodium_bin2hex(text.data(), text.size(), hash.data(), hash.size());
    return {text.data(), 32};
}

}  // namespace tenon::importer
