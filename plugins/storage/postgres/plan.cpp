// SPDX-License-Identifier: Apache-2.0
// Plans: EXPLAIN as text, and as the shape that all dialects share.
#include "plugins/storage/postgres/plan.hpp"

#include "plugins/storage/postgres/connection.hpp"

#include <boost/json.hpp>

namespace tenon::postgres {
namespace {

namespace json = boost::json;

std::string_view text_of(const json::object& node, std::string_view key) noexcept {
    const json::value* found = node.if_contains({key.data(), key.size()});
    return found != nullptr && found->is_string() ? std::string_view{found->get_string()}
                                                  : std::string_view{};
}

std::string_view operation_of(const json::object& node) noexcept {
    const std::string_view type = text_of(node, "Node Type");
    if (type.find("Index") != std::string_view::npos || type == "Tid Scan") {
        return "search";
    }
    if (type.find("Join") != std::string_view::npos || type == "Nested Loop") {
        return "join";
    }
    if (type.find("Scan") != std::string_view::npos) {
        return "scan";
    }
    if (type.find("Sort") != std::string_view::npos) {
        return "sort";
    }
    if (type.find("Aggregate") != std::string_view::npos || type.find("Group") == 0 ||
        type == "Unique" || type == "WindowAgg") {
        return "aggregate";
    }
    if (type == "Limit") {
        return "limit";
    }
    if (type == "ModifyTable") {
        const std::string_view what = text_of(node, "Operation");
        return what == "Insert" ? "insert" : what == "Delete" ? "delete" : "update";
    }
    return "other";
}

bool is_word(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

// Literals, numbers and parameters become '?': neither a value nor where it came from is told.
std::string without_values(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        const bool in_word = i > 0 && is_word(text[i - 1]);
        if (c == '\'') {
            std::size_t end = i + 1;
            while (end < text.size() &&
                   (text[end] != '\'' || (end + 1 < text.size() && text[end + 1] == '\''))) {
                end += text[end] == '\'' ? std::size_t{2} : std::size_t{1};
            }
            out.push_back('?');
            i = end + 1;
        } else if (c == '"') {
            const std::size_t end = std::min(text.find('"', i + 1), text.size() - 1);
            out.append(text.substr(i, end + 1 - i));
            i = end + 1;
        } else if (!in_word && (is_digit(c) || (c == '$' && i + 1 < text.size() && is_digit(text[i + 1])))) {
            do {
                ++i;
            } while (i < text.size() && (is_digit(text[i]) || text[i] == '.'));
            out.push_back('?');
        } else {
            out.push_back(c);
            ++i;
        }
    }
    return out;
}

std::string condition_of(const json::object& node) {
    std::string all;
    for (const std::string_view key :
         {"Index Cond",
          "Recheck Cond",
          "Hash Cond",
          "Merge Cond",
          "Join Filter",
          "Filter",
          "TID Cond"}) {
        const std::string_view text = text_of(node, key);
        if (!text.empty()) {
            all.append(all.empty() ? "" : " AND ").append(without_values(text));
        }
    }
    return all;
}

json::value maybe(std::string_view text) {
    return text.empty() ? json::value(nullptr) : json::value(json::string(text));
}

std::string detail_of(const json::object& node) {
    std::string text{text_of(node, "Node Type")};
    for (const std::string_view key : {"Join Type", "Strategy", "Scan Direction"}) {
        const std::string_view more = text_of(node, key);
        if (!more.empty() && more != "Forward" && more != "Plain") {
            text.append(" ").append(more);
        }
    }
    if (const json::value* keys = node.if_contains("Sort Key");
        keys != nullptr && keys->is_array()) {
        for (const json::value& key : keys->get_array()) {
            text.append(&key == &keys->get_array()[0] ? " by " : ", ");
            text.append(without_values(std::string_view{key.as_string()}));
        }
    }
    return text;
}

void flatten(const json::object& node, std::int64_t depth, json::array& out) {
    const std::string_view type = text_of(node, "Node Type");
    json::object flat;
    flat["depth"] = depth;
    const std::string_view operation = operation_of(node);
    flat["operation"] = json::string(operation);
    flat["table"] = maybe(text_of(node, "Relation Name"));
    flat["index"] = maybe(text_of(node, "Index Name"));
    flat["covering"] = type == "Index Only Scan";
    flat["condition"] = maybe(condition_of(node));
    const auto number = [&](const char* key) -> json::value {
        const json::value* found = node.if_contains(key);
        return found != nullptr && found->is_number() ? json::value(found->to_number<double>())
                                                      : json::value(nullptr);
    };
    flat["rows"] = number("Plan Rows");
    flat["cost"] = number("Total Cost");
    flat["detail"] = json::string(detail_of(node));
    out.emplace_back(std::move(flat));
    if (const json::value* plans = node.if_contains("Plans"); plans != nullptr) {
        for (const json::value& below : plans->as_array()) {
            flatten(below.as_object(), depth + 1, out);
        }
    }
}

// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/
std::string hash_of(const json::array& nodes) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    const auto add = [&](std::string_view text) {
        for (const char c : text) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
        }
        hash = (hash ^ 0xffU) * 0x100000001b3U;
    };
    for (const json::value& value : nodes) {
        const json::object& node = value.as_object();
        add(std::to_string(node.at("depth").to_number<std::int64_t>()));
        for (const char* key : {"operation", "table", "index", "condition", "detail"}) {
            add(text_of(node, key));
        }
    }
    static constexpr std::string_view k_digits = "0123456789abcdef";
    std::string text(16, '0');
    for (std::size_t i = 16; i-- > 0; hash >>= 4U) {
        text[i] = k_digits[hash & 0xFU];
    }
    return text;
}

Parameter as_literal(const tenon_value& value, std::string& storage) {
    if (value.kind == TENON_VALUE_NULL) {
        return {};
    }
    if (value.kind == TENON_VALUE_BLOB) {
        return {static_cast<const char*>(value.b.p), static_cast<int>(value.b.n), true};
    }
    constexpr Oid k_unknown = 705;
    return encode(value, k_unknown, 0, storage);
}

}  // namespace

std::string plan_from_json(std::string_view explained) {
    const json::parse_options options{.max_depth = k_plan_depth_max};
    const json::value root = json::parse({explained.data(), explained.size()}, {}, options);
    json::array nodes;
    flatten(root.as_array().at(0).as_object().at("Plan").as_object(), 0, nodes);
    json::object out;
    out["dialect"] = "postgres";
    out["hash"] = hash_of(nodes);
    out["nodes"] = std::move(nodes);
    return json::serialize(out);
}

std::string Connection::explain_as(
    std::string_view format,
    std::string_view sql,
    std::span<const tenon_value> values
) {
    const ScannedSql scanned = scan(sql);
    if (scanned.statements.size() != 1) {
        throw invalid(
            "one statement has a plan, here are " + std::to_string(scanned.statements.size())
        );
    }
    check_text(scanned);
    if (!values.empty() && values.size() != scanned.parameters) {
        throw invalid(
            "there are " + std::to_string(scanned.parameters) + " parameters and " +
            std::to_string(values.size()) + " values"
        );
    }
    settle();
    const bool own = state_ == State::none;
    if (own) {
        begin();
    }
    const std::string explain = "EXPLAIN (FORMAT " + std::string{format} + ") ";
    std::string rows;
    try {
        // A failure must not end the caller's transaction.
        (void)run_text(begin_script() + "SAVEPOINT tenon_plan", "cannot explain");
        rows = scanned.parameters == values.size() ? explain_with(explain + scanned.text, values)
                                                   : explain_generic(explain, scanned);
    } catch (const DatabaseError&) {
        if (!broken()) {
            if (own) {
                rollback();
            } else {
                (void)run_text("ROLLBACK TO SAVEPOINT tenon_plan", "cannot explain");
                failure_.reset();
            }
        }
        throw;
    }
    if (own) {
        rollback();
    } else {
        (void)run_text("ROLLBACK TO SAVEPOINT tenon_plan", "cannot explain");
    }
    return rows;
}

std::string Connection::explain_with(const std::string& sql, std::span<const tenon_value> values) {
    std::vector<std::string> storage(values.size());
    std::vector<Parameter> parameters;
    for (std::size_t i = 0; i < values.size(); ++i) {
        parameters.push_back(as_literal(values[i], storage[i]));
    }
    ++queries_;
    wire_.send_parameters(sql, parameters);
    wire_.sync();
    std::string rows;
    Result failure;
    for (Result result = wire_.next(); result; result = wire_.next()) {
        if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) {
            failure = std::move(result);
            if (broken()) {
                break;
            }
            continue;
        }
        for (int i = 0; i < PQntuples(result.get()); ++i) {
            rows.append(PQgetvalue(result.get(), i, 0)).append("\n");
        }
    }
    if (!broken()) {
        (void)wire_.finish();
    }
    if (failure) {
        fail(failure.get(), "cannot explain");
    }
    return rows;
}

// The plan that fits every value: EXPLAIN (GENERIC_PLAN) came with PostgreSQL 16.
std::string Connection::explain_generic(const std::string& explain, const ScannedSql& sql) {
    std::string execute = explain + "EXECUTE tenon_plan (";
    for (std::uint32_t i = 0; i < sql.parameters; ++i) {
        execute.append(i == 0 ? "NULL" : ", NULL");
    }
    (void)run_text("SET LOCAL plan_cache_mode = force_generic_plan", "cannot explain");
    (void)explain_with("PREPARE tenon_plan AS " + sql.text, {});
    std::string rows;
    try {
        rows = run_text(execute + ")", "cannot explain");
    } catch (const DatabaseError&) {
        if (!broken()) {
            (void
            )run_text("ROLLBACK TO SAVEPOINT tenon_plan; DEALLOCATE tenon_plan", "cannot explain");
        }
        throw;
    }
    (void)run_text("DEALLOCATE tenon_plan", "cannot explain");
    return rows;
}

std::string Connection::explain(std::string_view sql) {
    return explain_as("TEXT", sql, {});
}

std::string Connection::verbose_plan(std::string_view sql) {
    return explain_as("JSON, VERBOSE", sql, {});
}

std::string Connection::plan(std::string_view sql, std::span<const tenon_value> values) {
    return plan_from_json(explain_as("JSON", sql, values));
}

}  // namespace tenon::postgres
