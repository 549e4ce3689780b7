// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/lint.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>

namespace tenon::migrations {
namespace {

using Tokens = std::vector<Token>;

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& list) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

constexpr std::array<std::string_view, 7>
    k_float_types{"REAL", "FLOAT", "DOUBLE", "FLOAT4", "FLOAT8", "MONEY", "DEC_FLOAT"};
constexpr std::array<std::string_view, 6>
    k_int32_types{"INTEGER", "INT", "INT4", "SMALLINT", "INT2", "SERIAL"};
constexpr std::array<std::string_view, 14> k_money_words{
    "price",
    "amount",
    "quantity",
    "qty",
    "fee",
    "balance",
    "cost",
    "funds",
    "total",
    "profit",
    "loss",
    "pnl",
    "stake",
    "notional"};
constexpr std::array<std::string_view, 12> k_time_words{
    "time",
    "ns",
    "us",
    "ms",
    "at",
    "timestamp",
    "date",
    "expires",
    "expiry",
    "created",
    "updated",
    "deadline"};
constexpr std::array<std::string_view, 8> k_volatile{
    "RANDOM",
    "CLOCK_TIMESTAMP",
    "GEN_RANDOM_UUID",
    "NEXTVAL",
    "UUID_GENERATE_V4",
    "TIMEOFDAY",
    "RANDOMBLOB",
    "STATEMENT_TIMESTAMP"};
constexpr std::array<std::string_view, 7>
    k_table_rules{"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE", "LIKE"};

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return text;
}

// One of the words between underscores.
template <std::size_t N>
bool has_part(const std::string& name, const std::array<std::string_view, N>& words) {
    for (std::size_t at = 0; at <= name.size();) {
        const std::size_t end = std::min(name.find('_', at), name.size());
        if (is_one_of(std::string_view{name}.substr(at, end - at), words)) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

bool is(const Tokens& t, std::size_t at, std::string_view word) {
    return at < t.size() && t[at].is(word);
}

bool is_name(const Tokens& t, std::size_t at) {
    return at < t.size() && (t[at].kind == TokenKind::word || t[at].kind == TokenKind::name);
}

// Where `words` stand in a row, or t.size().
std::size_t find(const Tokens& t, std::initializer_list<std::string_view> words) {
    for (std::size_t i = 0; i + words.size() <= t.size(); ++i) {
        std::size_t k = i;
        if (std::all_of(words.begin(), words.end(), [&](std::string_view w) {
                return t[k++].is(w);
            })) {
            return i;
        }
    }
    return t.size();
}

bool has(const Tokens& t, std::initializer_list<std::string_view> words) {
    return find(t, words) < t.size();
}

std::size_t skip_if_exists(const Tokens& t, std::size_t at) {
    return !is(t, at, "IF") ? at : at + (is(t, at + 1, "NOT") ? 3 : 2);
}

// The last part of the name at `at`; moves behind it.
std::string read_name(const Tokens& t, std::size_t& at) {
    if (is(t, at, "ONLY")) {
        ++at;
    }
    std::string name;
    while (is_name(t, at)) {
        name = lower(t[at++].text);
        if (!is(t, at, ".")) {
            break;
        }
        ++at;
    }
    return name;
}

struct Column {
    std::string name;
    Tokens rest;  // type and rules
    bool added = false;
    std::size_t line = 1;
};

Column column_of(const Tokens& part, bool added) {
    return {lower(part.front().text), Tokens(part.begin() + 1, part.end()), added, part[0].line};
}

// The parts between the commas of the parenthesis that begins at `open`.
std::vector<Tokens> parts_of(const Tokens& t, std::size_t open) {
    std::vector<Tokens> parts(1);
    int depth = 0;
    for (std::size_t i = open; i < t.size(); ++i) {
        if (t[i].is("(") && depth++ == 0) {
            continue;
        }
        if (t[i].is(")") && --depth == 0) {
            break;
        }
        if (depth == 1 && t[i].is(",")) {
            parts.emplace_back();
        } else {
            parts.back().push_back(t[i]);
        }
    }
    return parts;
}

class Linter {
public:
    Linter(const Script& script, Direction direction) : script_{script}, direction_{direction} {}

    std::vector<Finding> run() {
        for (const ScriptStatement& statement : script_.statements) {
            look(statement.sql.tokens);
        }
        return std::move(found_);
    }

private:
    void add(bool error, std::string_view rule, std::size_t line, std::string message) {
        if (!script_.metadata.allow.contains(rule)) {
            found_.push_back({error, std::string{rule}, script_.file, line, std::move(message)});
        }
    }

    [[nodiscard]] bool postgres() const { return script_.dialect == Dialect::postgres; }

    void look(const Tokens& t) {
        if (is(t, 0, "CREATE")) {
            create(t);
        } else if (is(t, 0, "ALTER") && is(t, 1, "TABLE")) {
            std::size_t at = skip_if_exists(t, 2);
            const std::string table = read_name(t, at);
            alter(t, table, at);
        } else if (is(t, 0, "DROP") && (is(t, 1, "TABLE") || is(t, 1, "SCHEMA"))) {
            loses(t[0].line, "drops a table");
        } else if (is(t, 0, "TRUNCATE") || (is(t, 0, "DELETE") && !has(t, {"WHERE"}))) {
            loses(t[0].line, "takes all rows of a table");
        }
    }

    void loses(std::size_t line, const std::string& what) {
        if (!script_.metadata.destructive) {
            add(true, "not-destructive", line, what + ": say `-- tenon: destructive=true`");
        }
        if (direction_ == Direction::up && script_.metadata.phase != "contract") {
            add(false, "drop-in-expand", line, what + ", which belongs to phase=contract");
        }
    }

    void create(const Tokens& t) {
        std::size_t at = 1;
        while (is(t, at, "TEMP") || is(t, at, "TEMPORARY") || is(t, at, "UNLOGGED") ||
               is(t, at, "UNIQUE") || is(t, at, "GLOBAL") || is(t, at, "LOCAL")) {
            ++at;
        }
        if (is(t, at, "TABLE")) {
            at = skip_if_exists(t, at + 1);
            created_.insert(read_name(t, at));
            if (!is(t, at, "(")) {
                return;
            }
            for (const Tokens& part : parts_of(t, at)) {
                if (!part.empty() && !is_one_of(part.front().text, k_table_rules)) {
                    column(column_of(part, false));
                }
            }
        } else if (postgres() && is(t, at, "INDEX") && !is(t, at + 1, "CONCURRENTLY")) {
            std::size_t on = find(t, {"ON"}) + 1;
            const std::string table = read_name(t, on);
            if (!created_.contains(table)) {
                add(false,
                    "index-blocks-writes",
                    t[0].line,
                    "builds an index on " + table + " while nobody can write to it: CREATE INDEX " +
                        "CONCURRENTLY with `-- tenon: transaction=none`");
            }
        }
    }

    void alter(const Tokens& t, const std::string& table, std::size_t at) {
        const bool own = created_.contains(table);
        for (const Tokens& action : actions(t, at)) {
            if (is(action, 0, "ADD") && is_name(action, 1) &&
                !is_one_of(action[1].text, k_table_rules)) {
                const std::size_t name = skip_if_exists(action, is(action, 1, "COLUMN") ? 2 : 1);
                if (name < action.size()) {
                    const auto from = action.begin() + static_cast<std::ptrdiff_t>(name);
                    column(column_of(Tokens(from, action.end()), !own));
                    added_rule(action, table, own);
                }
            } else if (is(action, 0, "ADD")) {
                constraint(action, table, own);
            } else if (is(action, 0, "DROP") && !is(action, 1, "CONSTRAINT")) {
                loses(action[0].line, "drops a column");
            } else if (is(action, 0, "RENAME") && !own && direction_ == Direction::up) {
                add(false, "rename", action[0].line, "renames something of " + table);
            } else if (!own && is(action, 0, "ALTER")) {
                alter_column(action, table);
            }
        }
    }

    void alter_column(const Tokens& action, const std::string& table) {
        if (has(action, {"TYPE"})) {
            add(false,
                "rewrites-table",
                action[0].line,
                "changes a column's type, for which " + table + " may be written anew under lock");
        } else if (has(action, {"SET", "NOT", "NULL"})) {
            add(false,
                "scans-table",
                action[0].line,
                "SET NOT NULL reads all of " + table +
                    " under lock: a valid CHECK (… IS NOT NULL) before spares that");
        }
    }

    void added_rule(const Tokens& action, const std::string& table, bool own) {
        if (postgres() && !own && (has(action, {"CHECK"}) || has(action, {"REFERENCES"}))) {
            add(false,
                "scans-table",
                action[0].line,
                "a rule of a new column of " + table + " is checked under lock: ADD CONSTRAINT " +
                    "… NOT VALID, and VALIDATE CONSTRAINT in a migration of its own");
        }
    }

    void constraint(const Tokens& action, const std::string& table, bool own) {
        if (postgres() && !own && (has(action, {"CHECK"}) || has(action, {"FOREIGN", "KEY"})) &&
            !has(action, {"NOT", "VALID"})) {
            add(false,
                "scans-table",
                action[0].line,
                "a constraint on " + table + " is checked under lock: NOT VALID, and VALIDATE " +
                    "CONSTRAINT in a migration of its own");
        }
    }

    // What ALTER TABLE does, between its commas.
    static std::vector<Tokens> actions(const Tokens& t, std::size_t at) {
        std::vector<Tokens> all(1);
        int depth = 0;
        for (; at < t.size(); ++at) {
            depth += t[at].is("(") ? 1 : t[at].is(")") ? -1 : 0;
            if (depth == 0 && t[at].is(",")) {
                all.emplace_back();
            } else {
                all.back().push_back(t[at]);
            }
        }
        return all;
    }

    void column(const Column& c) {
        if (c.rest.empty()) {
            return;
        }
        const std::string& type = c.rest.front().text;
        if (is_one_of(type, k_float_types) && has_part(c.name, k_money_words)) {
            add(true, "float-money", c.line, c.name + " is " + type + ": money is a whole number");
        }
        if (postgres() && is_one_of(type, k_int32_types) && has_part(c.name, k_time_words)) {
            add(true, "int32-time", c.line, c.name + " is " + type + ": times need BIGINT");
        }
        if (!c.added) {
            return;
        }
        if (has(c.rest, {"NOT", "NULL"}) && !has(c.rest, {"DEFAULT"}) &&
            !has(c.rest, {"GENERATED"})) {
            add(true,
                "add-not-null",
                c.line,
                c.name + " is NOT NULL and has no default: it fails on a table with rows");
        }
        const std::size_t value = find(c.rest, {"DEFAULT"});
        if (std::any_of(
                c.rest.begin() + static_cast<std::ptrdiff_t>(value),
                c.rest.end(),
                [](const Token& t) { return is_one_of(t.text, k_volatile); }
            )) {
            add(false,
                "rewrites-table",
                c.line,
                c.name + " has a default that differs by row: the table is written anew");
        }
    }

    const Script& script_;
    Direction direction_;
    std::set<std::string> created_;
    std::vector<Finding> found_;
};

}  // namespace

std::vector<Finding> lint(const Script& script, Direction direction) {
    return Linter{script, direction}.run();
}

std::vector<Finding> lint(const std::vector<Migration>& migrations) {
    std::vector<Finding> all;
    for (const Migration& migration : migrations) {
        for (Finding& finding : lint(migration.up, Direction::up)) {
            all.push_back(std::move(finding));
        }
        for (Finding& finding : lint(migration.down, Direction::down)) {
            all.push_back(std::move(finding));
        }
    }
    return all;
}

}  // namespace tenon::migrations
