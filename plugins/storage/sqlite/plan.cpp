// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/plan.hpp"

#include <tenon/json.hpp>
#include <tenon/sql_fingerprint.hpp>

#include <algorithm>
#include <map>

namespace tenon::sqlite {
namespace {

bool take(std::string_view& text, std::string_view prefix) noexcept {
    if (text.substr(0, prefix.size()) != prefix) {
        return false;
    }
    text.remove_prefix(prefix.size());
    return true;
}

std::string_view take_word(std::string_view& text) noexcept {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return word;
}

// "USING COVERING INDEX i (a=? AND b>?)", as far as it is there.
void read_access(std::string_view rest, PlanNode& node) {
    if (take(rest, "USING ")) {
        const bool automatic = take(rest, "AUTOMATIC ");
        (void)take(rest, "PARTIAL ");
        node.covering = take(rest, "COVERING ");
        if (take(rest, "INDEX ")) {
            node.index = automatic ? std::string_view{"(automatic)"} : take_word(rest);
        } else if (take(rest, "INTEGER PRIMARY KEY ") || take(rest, "PRIMARY KEY ")) {
            node.index = "(primary key)";
        }
    }
    const std::size_t open = rest.find('(');
    const std::size_t close = rest.rfind(')');
    if (open != std::string_view::npos && close != std::string_view::npos && open < close) {
        node.condition = rest.substr(open + 1, close - open - 1);
    }
}

PlanNode node_of(const PlanLine& line, std::uint32_t depth) {
    PlanNode node;
    node.depth = depth;
    node.detail = line.detail;
    std::string_view rest = line.detail;
    const bool scans = take(rest, "SCAN ");
    if (scans || take(rest, "SEARCH ")) {
        node.operation = scans ? "scan" : "search";
        if (rest == "CONSTANT ROW" || rest.find(" CONSTANT ROWS") != std::string_view::npos) {
            node.operation = "other";
            return node;
        }
        node.table = take_word(rest);
        read_access(rest, node);
    } else if (take(rest, "USE TEMP B-TREE FOR ")) {
        const bool sorts = rest.find("ORDER BY") != std::string_view::npos;
        node.operation = sorts ? "sort" : "aggregate";
        node.condition = rest;
    }
    return node;
}

// What each alias of a FROM stands for: "FROM orders AS o", "JOIN orders o".
std::map<std::string, std::string>
aliases_of(std::string_view sql, const std::vector<std::string>& tables) {
    using Kind = tenon::detail::SqlLexer::Kind;
    const auto tokens = tenon::detail::SqlLexer{sql}.run();
    const auto plain = [](const auto& token) {
        return token.kind == Kind::quoted && token.text.size() >= 2
                   ? token.text.substr(1, token.text.size() - 2)
                   : token.text;
    };
    std::map<std::string, std::string> out;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
        const std::string name = plain(tokens[i]);
        const auto table = std::find_if(tables.begin(), tables.end(), [&](const std::string& t) {
            return t.size() == name.size() &&
                   std::equal(t.begin(), t.end(), name.begin(), [](char a, char b) {
                       return tenon::detail::fold_ascii(a) == tenon::detail::fold_ascii(b);
                   });
        });
        const bool is_name = tokens[i].kind == Kind::word || tokens[i].kind == Kind::quoted;
        if (!is_name || table == tables.end()) {
            continue;
        }
        std::size_t next = i + 1;
        next += tenon::detail::is_word_equal(tokens[next].text, "as") ? 1U : 0U;
        if (next < tokens.size() && (tokens[next].kind == Kind::quoted ||
                                     (tokens[next].kind == Kind::word &&
                                      !tenon::detail::is_sql_keyword(tokens[next].text)))) {
            out.emplace(plain(tokens[next]), *table);
        }
    }
    return out;
}

}  // namespace

Plan::Plan(
    const std::vector<PlanLine>& lines,
    std::string_view sql,
    const std::vector<std::string>& tables,
    std::string_view operation,
    std::string_view target
) {
    if (!operation.empty()) {
        PlanNode node;
        node.operation = operation;
        node.table = target;
        node.detail = std::string{operation} + " " + std::string{target};
        nodes_.push_back(std::move(node));
    }
    const auto base = static_cast<std::uint32_t>(nodes_.size());
    const auto aliases = aliases_of(sql, tables);
    std::map<std::int64_t, std::uint32_t> depths;
    for (const PlanLine& line : lines) {
        const auto parent = depths.find(line.parent);
        const std::uint32_t depth = parent == depths.end() ? base : parent->second + 1;
        depths[line.id] = depth;
        nodes_.push_back(node_of(line, depth));
        const bool is_table =
            std::find(tables.begin(), tables.end(), nodes_.back().table) != tables.end();
        const auto alias = aliases.find(nodes_.back().table);
        if (!is_table && alias != aliases.end()) {
            nodes_.back().table = alias->second;
        }
    }
    Fnv1a hash;
    for (const PlanNode& node : nodes_) {
        const std::string depth = std::to_string(node.depth);
        for (const std::string_view part :
             {std::string_view{depth},
              node.operation,
              std::string_view{node.table},
              std::string_view{node.index},
              std::string_view{node.covering ? "c" : ""},
              std::string_view{node.condition}}) {
            hash.add(part);
            hash.add('\x1f');
        }
    }
    hash_ = hash.value();
}

std::string Plan::json() const {
    std::string out = "{\"dialect\":\"sqlite\",\"hash\":\"" + hex_of(hash_) + "\",\"nodes\":[";
    const auto text = [&out](std::string_view name, std::string_view value) {
        out.append(",\"").append(name).append("\":");
        if (value.empty()) {
            out.append("null");
        } else {
            append_json(out, value);
        }
    };
    for (const PlanNode& node : nodes_) {
        out.append(&node == &nodes_.front() ? "{\"depth\":" : ",{\"depth\":");
        out.append(std::to_string(node.depth));
        text("operation", node.operation);
        text("table", node.table);
        text("index", node.index);
        out.append(node.covering ? ",\"covering\":true" : ",\"covering\":false");
        text("condition", node.condition);
        out.append(",\"rows\":null,\"cost\":null");
        text("detail", node.detail);
        out.push_back('}');
    }
    out.append("]}");
    return out;
}

std::string Plan::brief() const {
    std::string out;
    for (const PlanNode& node : nodes_) {
        out.append(out.empty() ? "" : "; ").append(node.detail);
    }
    return out;
}

}  // namespace tenon::sqlite
