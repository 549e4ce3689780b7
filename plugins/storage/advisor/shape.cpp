// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/shape.hpp"

#include <tenon/json.hpp>
#include <tenon/sql_fingerprint.hpp>

#include <algorithm>
#include <array>
#include <set>

namespace tenon::advisor {
namespace {

using detail::is_word_equal;
using Kind = detail::SqlLexer::Kind;
using Token = detail::SqlLexer::Token;

// Reads one statement, token by token.
class Reader {
public:
    Reader(std::string_view sql, const Catalog& catalog)
        : catalog_{catalog}, tokens_{detail::SqlLexer{sql}.run()} {
        std::uint32_t marks = 0;
        for (const Token& token : tokens_) {
            mark_at_.push_back(marks);
            marks += token.kind == Kind::mark ? 1U : 0U;
        }
        shape_.marks = marks;
    }

    [[nodiscard]] Shape run() {
        if (tokens_.empty() || !is_plain()) {
            return std::move(shape_);
        }
        for (const char* verb : {"select", "insert", "update", "delete"}) {
            shape_.verb = word(0, verb) ? verb : shape_.verb;
        }
        if (shape_.verb.empty()) {
            return std::move(shape_);
        }
        find_tables();
        if (tables_.empty()) {
            return std::move(shape_);
        }
        shape_.target = shape_.verb == "select" ? "" : tables_.front().second;
        shape_.analysed = true;
        if (shape_.verb != "insert") {
            walk();
        }
        return std::move(shape_);
    }

private:
    struct Column {
        std::string table;
        std::string name;
        std::size_t end = 0;  // the token after it
    };

    [[nodiscard]] bool word(std::size_t i, std::string_view lower) const noexcept {
        return i < tokens_.size() && tokens_[i].kind == Kind::word &&
               is_word_equal(tokens_[i].text, lower);
    }

    [[nodiscard]] bool is_name(std::size_t i) const noexcept {
        return i < tokens_.size() &&
               (tokens_[i].kind == Kind::quoted || tokens_[i].kind == Kind::word);
    }

    [[nodiscard]] std::string name(std::size_t i) const {
        const Token& token = tokens_[i];
        return token.kind == Kind::quoted ? token.text.substr(1, token.text.size() - 2)
                                          : token.text;
    }

    // Of one SELECT at most, without OR and compounds.
    [[nodiscard]] bool is_plain() const noexcept {
        std::size_t selects = 0;
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            selects += word(i, "select") ? 1U : 0U;
            for (const char* other : {"or", "union", "intersect", "except", "with", "not"}) {
                if (word(i, other) && !(i > 0 && word(i - 1, "is"))) {
                    return false;
                }
            }
        }
        return selects <= 1;
    }

    void find_tables() {
        for (std::size_t i = 0; i + 1 < tokens_.size(); ++i) {
            const bool leads = word(i, "from") || word(i, "join") || word(i, "into") ||
                               (i == 0 && word(i, "update"));
            const Table* table = leads && is_name(i + 1) ? catalog_.find(name(i + 1)) : nullptr;
            if (table == nullptr) {
                continue;
            }
            std::size_t next = i + 2;
            next += word(next, "as") ? 1U : 0U;
            const bool has_alias = is_name(next) && !is_clause(next);
            tables_.emplace_back(has_alias ? name(next) : table->name, table->name);
        }
    }

    [[nodiscard]] bool is_clause(std::size_t i) const noexcept {
        constexpr std::array<std::string_view, 14> k_words{
            "where",
            "join",
            "left",
            "inner",
            "cross",
            "on",
            "order",
            "group",
            "set",
            "limit",
            "values",
            "using",
            "indexed",
            "natural"};
        return std::any_of(k_words.begin(), k_words.end(), [&](auto w) { return word(i, w); });
    }

    // The column that begins at `i`, with its table.
    [[nodiscard]] std::optional<Column> column(std::size_t i) const {
        if (!is_name(i)) {
            return std::nullopt;
        }
        if (i + 2 < tokens_.size() && tokens_[i + 1].kind == Kind::dot && is_name(i + 2)) {
            for (const auto& [alias, table] : tables_) {
                if (same_name(alias, name(i)) && catalog_.find(table)->has(name(i + 2))) {
                    return Column{table, catalog_.find(table)->spelling(name(i + 2)), i + 3};
                }
            }
            return std::nullopt;
        }
        for (const auto& [alias, table] : tables_) {
            if (catalog_.find(table)->has(name(i))) {
                return Column{table, catalog_.find(table)->spelling(name(i)), i + 1};
            }
        }
        return std::nullopt;
    }

    void use(const Column& c) {
        auto& list = shape_.columns[c.table];
        if (std::find(list.begin(), list.end(), c.name) == list.end()) {
            list.push_back(c.name);
        }
    }

    void walk() {
        enum class Part { head, set, where, order, other } part = Part::head;
        std::size_t depth = 0;
        for (std::size_t i = 1; i < tokens_.size();) {
            depth += tokens_[i].kind == Kind::open ? 1U : 0U;
            depth -= tokens_[i].kind == Kind::close && depth > 0 ? 1U : 0U;
            if (word(i, "where") || word(i, "on")) {
                part = Part::where;
            } else if (word(i, "set")) {
                part = Part::set;
            } else if (word(i, "order")) {
                part = Part::order;
            } else if (word(i, "group") || word(i, "limit") || word(i, "having") ||
                       word(i, "join") || word(i, "from") || word(i, "returning")) {
                part = Part::other;
            } else if (part == Part::head && tokens_[i].text == "*" && tokens_[i - 1].kind != Kind::open) {
                shape_.selects_all = true;
            }
            const auto found = column(i);
            if (!found || (i > 0 && tokens_[i - 1].kind == Kind::dot)) {
                ++i;
                continue;
            }
            use(*found);
            if (part == Part::where) {
                add_condition(*found, i);
            } else if (part == Part::order && depth == 0) {
                shape_.order.push_back({found->table, found->name, word(found->end, "desc")});
            } else if (part == Part::set && found->end < tokens_.size() &&
                       tokens_[found->end].text == "=") {
                shape_.changed.push_back(found->name);
            }
            i = found->end;
        }
    }

    // The column stands from `begin`; what it is compared with follows or, with "=", precedes.
    void add_condition(const Column& c, std::size_t begin) {
        const std::size_t at = c.end;
        if (begin > 1 && tokens_[begin - 1].text == "=") {
            const bool is_mark = tokens_[begin - 2].kind == Kind::mark;
            shape_.conditions.push_back(
                {c.table,
                 c.name,
                 Test::equal,
                 is_mark ? std::optional{mark_at_[begin - 2]} : std::nullopt}
            );
            return;
        }
        if (at >= tokens_.size()) {
            return;
        }
        Condition condition{c.table, c.name, Test::equal, std::nullopt};
        const auto mark = [&](std::size_t i) -> std::optional<std::uint32_t> {
            return i < tokens_.size() && tokens_[i].kind == Kind::mark ? std::optional{mark_at_[i]}
                                                                       : std::nullopt;
        };
        const std::string& sign = tokens_[at].text;
        if (word(at, "is")) {
            const bool negated = word(at + 1, "not");
            if (!word(at + (negated ? 2U : 1U), "null")) {
                return;
            }
            condition.test = negated ? Test::not_null : Test::is_null;
        } else if (word(at, "in") && at + 2 < tokens_.size() && mark(at + 2)) {
            condition.mark = mark(at + 2);
        } else if (word(at, "between")) {
            condition.test = Test::range;
            condition.mark = mark(at + 1);
        } else if (sign == "=" || sign == "==") {
            condition.mark = mark(at + 1);
        } else if (sign == "<" || sign == ">" || sign == "<=" || sign == ">=") {
            condition.test = Test::range;
            condition.mark = mark(at + 1);
        } else {
            return;
        }
        shape_.conditions.push_back(std::move(condition));
    }

    const Catalog& catalog_;
    std::vector<Token> tokens_;
    std::vector<std::uint32_t> mark_at_;
    std::vector<std::pair<std::string, std::string>> tables_;  // alias, table
    Shape shape_;
};

}  // namespace

Shape read_shape(std::string_view sql, const Catalog& catalog) {
    return Reader{sql, catalog}.run();
}

std::vector<Captured> read_captured(const std::string& json) {
    std::vector<Captured> out;
    const Json all = Json::parse(json);
    const Json* list = all.find("statements");
    if (list == nullptr) {
        throw Error{TENON_CORRUPT, "the storage's statistics have no \"statements\""};
    }
    for (const Json& one : list->items()) {
        Captured captured;
        captured.fingerprint = one.find("fingerprint")->text();
        captured.sql = one.find("sql")->text();
        captured.calls = one.find("calls")->integer<std::uint64_t>();
        captured.rows = one.find("rows")->integer<std::uint64_t>();
        captured.total_ns = one.find("total_ns")->integer<std::int64_t>();
        captured.writes = one.find("writes")->boolean();
        for (const Json& table : one.find("tables")->items()) {
            captured.tables.push_back(table.text());
        }
        if (const Json* constants = one.find("constants")) {
            for (const Json& constant : constants->items()) {
                captured.constants.emplace(
                    constant.find("at")->integer<std::uint32_t>(), constant.find("value")->text()
                );
            }
        }
        const Json* plan = one.find("plan");
        if (plan != nullptr && plan->is(Json::Kind::object)) {
            for (const Json& node : plan->find("nodes")->items()) {
                const Json* index = node.find("index");
                if (index != nullptr && index->is(Json::Kind::text)) {
                    captured.plan_indexes.push_back(index->text());
                }
            }
        }
        out.push_back(std::move(captured));
    }
    return out;
}

}  // namespace tenon::advisor
