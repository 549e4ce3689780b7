// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/table_map.hpp"

#include "plugins/storage/postgres/plan.hpp"

#include <tenon/sql_fingerprint.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace tenon::postgres {
namespace {

namespace json = boost::json;
using Kind = tenon::detail::SqlLexer::Kind;
using Tokens = std::vector<tenon::detail::SqlLexer::Token>;

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) noexcept {
    return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 12> k_read_or_write{
    "select",
    "values",
    "table",
    "insert",
    "update",
    "delete",
    "merge",
    "with",
    "explain",
    "truncate",
    "refresh",
    "copy"};
constexpr std::array<std::string_view, 18> k_harmless{
    "set",
    "reset",
    "show",
    "savepoint",
    "release",
    "rollback",
    "lock",
    "analyze",
    "vacuum",
    "declare",
    "fetch",
    "close",
    "move",
    "listen",
    "unlisten",
    "notify",
    "checkpoint",
    "execute"};
constexpr std::array<std::string_view, 12> k_changing_words{
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "current_user",
    "session_user",
    "current_role",
    "user",
    "current_catalog",
    "current_schema",
    "system_user"};
// Stable and no more than a matter of the session's settings, which are always the same.
constexpr std::array<std::string_view, 34> k_settled{
    "to_char",
    "to_number",
    "to_timestamp",
    "to_date",
    "date_trunc",
    "date_part",
    "extract",
    "timezone",
    "timestamp",
    "timestamptz",
    "date",
    "time",
    "timetz",
    "concat",
    "concat_ws",
    "format",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "to_json",
    "to_jsonb",
    "row_to_json",
    "array_to_json",
    "json_build_object",
    "json_build_array",
    "jsonb_build_object",
    "jsonb_build_array",
    "array_to_string",
    "quote_literal",
    "quote_nullable",
    "generate_series",
    "make_timestamptz",
    "interval"};

std::string folded(const tenon::detail::SqlLexer::Token& token) {
    std::string out;
    if (token.kind == Kind::quoted) {
        for (std::size_t i = 1; i + 1 < token.text.size(); ++i) {
            out.push_back(token.text[i]);
            i += token.text[i] == '"' ? 1U : 0U;
        }
        return out;
    }
    for (const char c : token.text) {
        out.push_back(tenon::detail::fold_ascii(c));
    }
    return out;
}

Tokens tokens_of(std::string_view sql) {
    return tenon::detail::SqlLexer{sql}.run();
}

bool is_name(const Tokens& tokens, std::size_t i) noexcept {
    return i < tokens.size() && (tokens[i].kind == Kind::word || tokens[i].kind == Kind::quoted);
}

bool is_word(const Tokens& tokens, std::size_t i, std::string_view lower) noexcept {
    return i < tokens.size() && tokens[i].kind == Kind::word &&
           tenon::detail::is_word_equal(tokens[i].text, lower);
}

bool is_call(const Tokens& tokens, std::size_t i) noexcept {
    return is_name(tokens, i) && i + 1 < tokens.size() && tokens[i + 1].kind == Kind::open;
}

// The verbs of the statements in a text; "" for what begins with no word.
std::vector<std::string> verbs_of(const Tokens& tokens) {
    std::vector<std::string> out;
    bool begins = true;
    for (const auto& token : tokens) {
        if (token.text == ";") {
            begins = true;
        } else if (std::exchange(begins, false)) {
            std::size_t at = static_cast<std::size_t>(&token - tokens.data());
            while (at < tokens.size() && tokens[at].kind == Kind::open) {
                ++at;
            }
            out.push_back(
                at < tokens.size() && tokens[at].kind == Kind::word ? folded(tokens[at]) : ""
            );
        }
    }
    return out;
}

}  // namespace

void WriteUse::add(const WriteUse& other) {
    tables.insert(other.tables.begin(), other.tables.end());
    everything = everything || other.everything;
    schema = schema || other.schema;
}

WriteUse writes_blindly(std::string_view sql) {
    const Tokens tokens = tokens_of(sql);
    WriteUse use;
    for (const std::string& verb : verbs_of(tokens)) {
        const bool is_harmless = is_one_of(verb, k_harmless);
        use.everything = use.everything || !is_harmless;
        use.schema = use.schema || (!is_harmless && !is_one_of(verb, k_read_or_write));
    }
    return use;
}

// ---- building

void TableMap::add_relation(std::int64_t id, std::string name, char kind) {
    Node& node = nodes_[name];
    node.kind = kind;
    names_[id] = std::move(name);
}

void TableMap::add_reach(std::int64_t from, std::int64_t to) {
    const auto a = names_.find(from);
    const auto b = names_.find(to);
    if (a == names_.end() || b == names_.end()) {
        add_anything(from);
    } else {
        nodes_[a->second].reaches.insert(b->second);
    }
}

void TableMap::add_anything(std::int64_t from) {
    if (const auto known = names_.find(from); known != names_.end()) {
        nodes_[known->second].anything = true;
    }
}

void TableMap::add_function(std::string name, bool is_pure, bool is_own) {
    functions_[std::move(name)] = {is_pure, is_own};
}

// ---- writes

// The tables that a text names as what it writes.
class TableMap::Writes {
public:
    Writes(const TableMap& map, const Tokens& tokens) : map_{map}, tokens_{tokens} {}

    [[nodiscard]] WriteUse run() {
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            one(i);
        }
        return std::move(use_);
    }

private:
    void one(std::size_t i) {
        const bool follows_insert = i > 0 && (word(i - 1, "insert") || word(i - 1, "merge"));
        if (word(i, "into") && follows_insert) {
            target(i + 1);
        } else if (word(i, "from") && i > 0 && word(i - 1, "delete")) {
            target(i + 1);
        } else if (word(i, "update") && !is_clause(i)) {
            target(i + 1);
        } else if (word(i, "truncate")) {
            // CASCADE empties what refers to it, whatever the foreign key says.
            use_.everything = true;
        } else if (word(i, "refresh")) {
            for (std::size_t at = i + 1; at < tokens_.size(); ++at) {
                add_known(at);
            }
        } else if (is_call(tokens_, i)) {
            const auto known = map_.functions_.find(folded(tokens_[i]));
            use_.everything =
                use_.everything || (known != map_.functions_.end() && known->second.is_own);
        }
    }

    [[nodiscard]] bool word(std::size_t i, std::string_view lower) const noexcept {
        return is_word(tokens_, i, lower);
    }

    // UPDATE that names no table: UPDATE SET of ON CONFLICT and MERGE, FOR [NO KEY] UPDATE of a
    // lock. What stands before does not tell: THEN UPDATE t and OPEN c FOR UPDATE t write t. Nor
    // does a word after it that is a table's name, too.
    [[nodiscard]] bool is_clause(std::size_t i) const {
        static constexpr std::array<std::string_view, 10> k_after_lock{
            "of", "nowait", "skip", "limit", "offset", "fetch", "for", "loop", "then", "into"};
        const bool locks = i > 0 && (word(i - 1, "for") || word(i - 1, "key"));
        if (!is_name(tokens_, i + 1)) {
            return locks;
        }
        const std::string next = folded(tokens_[i + 1]);
        const bool is_known = tokens_[i + 1].kind == Kind::word &&
                              (next == "set" || (locks && is_one_of(next, k_after_lock)));
        return is_known && map_.nodes_.count(next) == 0;
    }

    void target(std::size_t i) {
        i += word(i, "only") ? 1U : 0U;
        while (is_name(tokens_, i) && i + 2 < tokens_.size() && tokens_[i + 1].kind == Kind::dot) {
            i += 2;
        }
        if (!is_name(tokens_, i) || !add_known(i)) {
            use_.everything = true;
        }
    }

    bool add_known(std::size_t i) {
        if (!is_name(tokens_, i)) {
            return false;
        }
        const std::string name = folded(tokens_[i]);
        if (map_.nodes_.count(name) == 0) {
            return false;
        }
        map_.reach(name, use_);
        return true;
    }

    const TableMap& map_;
    const Tokens& tokens_;
    WriteUse use_;
};

void TableMap::reach(const std::string& table, WriteUse& use) const {
    if (!use.tables.insert(table).second) {
        return;
    }
    const auto known = nodes_.find(table);
    if (known == nodes_.end()) {
        use.everything = true;
        return;
    }
    use.everything = use.everything || known->second.anything;
    for (const std::string& next : known->second.reaches) {
        reach(next, use);
    }
}

WriteUse TableMap::writes_of(std::string_view sql) const {
    WriteUse use = writes_blindly(sql);
    if (use.schema || !use.everything) {
        return use;
    }
    const Tokens tokens = tokens_of(sql);
    use = Writes{*this, tokens}.run();
    const std::vector<std::string> verbs = verbs_of(tokens);
    for (const std::string& verb : verbs) {
        use.everything = use.everything || verb == "copy";
        if (verb == "select" || verb == "with" || verb == "explain") {
            for (std::size_t i = 1; i < tokens.size(); ++i) {
                // SELECT … INTO makes a table.
                const bool makes = is_word(tokens, i, "into") &&
                                   !is_word(tokens, i - 1, "insert") &&
                                   !is_word(tokens, i - 1, "merge");
                use.schema = use.schema || makes;
            }
        }
    }
    use.everything = use.everything || use.schema;
    return use;
}

void TableMap::add_trigger(std::int64_t on, std::string_view body, std::string_view language) {
    const auto known = names_.find(on);
    if (known == names_.end()) {
        return;
    }
    const Tokens tokens = tokens_of(body);
    WriteUse use = Writes{*this, tokens}.run();
    const bool is_dynamic = std::any_of(tokens.begin(), tokens.end(), [](const auto& token) {
        return token.kind == Kind::word && (tenon::detail::is_word_equal(token.text, "execute") ||
                                            tenon::detail::is_word_equal(token.text, "perform"));
    });
    Node& node = nodes_[known->second];
    node.anything = node.anything || use.everything || is_dynamic ||
                    (language != "plpgsql" && language != "sql");
    node.reaches.insert(use.tables.begin(), use.tables.end());
}

std::vector<std::string> TableMap::named_in(std::string_view sql) const {
    std::vector<std::string> out;
    const Tokens tokens = tokens_of(sql);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const bool is_column = i > 0 && tokens[i - 1].kind == Kind::dot && i + 1 < tokens.size() &&
                               !is_name(tokens, i + 1);
        if (!is_name(tokens, i) || is_column) {
            continue;
        }
        std::string name = folded(tokens[i]);
        if (nodes_.count(name) != 0 && std::find(out.begin(), out.end(), name) == out.end()) {
            out.push_back(std::move(name));
        }
    }
    return out;
}

// ---- reads

class TableMap::Reads {
public:
    explicit Reads(const TableMap& map) : map_{map} {}

    [[nodiscard]] ReadUse run(const json::value& plan) {
        node(plan.as_array().at(0).as_object().at("Plan").as_object());
        use_.repeatable = !refused_ && !use_.unknown && !use_.tables.empty();
        return std::move(use_);
    }

private:
    void node(const json::object& node) {
        static constexpr std::array<std::string_view, 4> k_refused{
            "ModifyTable", "LockRows", "Foreign Scan", "Sample Scan"};
        for (const auto& member : node) {
            const std::string_view key{member.key().data(), member.key().size()};
            const json::value& value = member.value();
            if (key == "Plans") {
                for (const json::value& below : value.as_array()) {
                    this->node(below.as_object());
                }
            } else if (key == "Node Type") {
                refused_ = refused_ || is_one_of(text_of(value), k_refused);
            } else if (key == "Relation Name") {
                relation(std::string{text_of(value)}, node);
            } else if (key == "Subplans Removed") {
                refused_ = refused_ || value.to_number<std::int64_t>() != 0;
            } else if (key == "Function Name") {
                function(std::string{text_of(value)});
            } else if (key != "Alias" && key != "Schema" && key != "Index Name") {
                expression(value);
            }
        }
    }

    static std::string_view text_of(const json::value& value) {
        return value.is_string() ? std::string_view{value.get_string()} : std::string_view{};
    }

    void relation(const std::string& name, const json::object& node) {
        const json::value* schema = node.if_contains("Schema");
        const std::string_view in = schema == nullptr ? std::string_view{} : text_of(*schema);
        const auto known = map_.nodes_.find(name);
        if (in == "pg_catalog" || in == "information_schema" || in.substr(0, 7) == "pg_temp") {
            refused_ = true;
        } else if (known == map_.nodes_.end()) {
            use_.unknown = true;
        } else if (known->second.kind == 'S' || known->second.kind == 'f') {
            refused_ = true;
        } else if (std::find(use_.tables.begin(), use_.tables.end(), name) == use_.tables.end()) {
            use_.tables.push_back(name);
        }
    }

    void function(const std::string& name) {
        const auto known = map_.functions_.find(name);
        if (known != map_.functions_.end() && !known->second.is_pure) {
            refused_ = refused_ || known->second.is_own || !is_one_of(name, k_settled);
        }
    }

    void expression(const json::value& value) {
        if (value.is_array()) {
            for (const json::value& one : value.get_array()) {
                expression(one);
            }
            return;
        }
        const Tokens tokens = tokens_of(text_of(value));
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (is_call(tokens, i)) {
                function(folded(tokens[i]));
            }
            refused_ = refused_ || (tokens[i].kind == Kind::word &&
                                    is_one_of(folded(tokens[i]), k_changing_words));
        }
    }

    const TableMap& map_;
    ReadUse use_;
    bool refused_ = false;
};

ReadUse TableMap::reads_of(std::string_view plan) const {
    const json::parse_options options{.max_depth = k_plan_depth_max};
    return Reads{*this}.run(json::parse({plan.data(), plan.size()}, {}, options));
}

// ---- the catalogue

const char* relations_sql() noexcept {
    return "SELECT c.oid::bigint, c.relname::text, c.relkind::text FROM pg_catalog.pg_class c JOIN "
           "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN "
           "('r','p','v','m','f','S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', "
           "'pg_toast') AND n.nspname NOT LIKE 'pg\\_t%'";
}

// Foreign keys that change their own side, partitions and children both ways, views to their base.
const char* reaches_sql() noexcept {
    return "SELECT confrelid::bigint, conrelid::bigint FROM pg_catalog.pg_constraint WHERE contype "
           "= 'f' AND (confdeltype IN ('c','n','d') OR confupdtype IN ('c','n','d')) UNION SELECT "
           "inhparent::bigint, inhrelid::bigint FROM pg_catalog.pg_inherits i JOIN "
           "pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('r','p','f') UNION "
           "SELECT "
           "inhrelid::bigint, inhparent::bigint FROM pg_catalog.pg_inherits i JOIN "
           "pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('r','p','f') UNION "
           "SELECT "
           "r.ev_class::bigint, d.refobjid::bigint FROM pg_catalog.pg_rewrite r JOIN "
           "pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = "
           "r.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass JOIN pg_catalog.pg_class c ON "
           "c.oid = r.ev_class AND c.relkind = 'v' JOIN pg_catalog.pg_class b ON b.oid = "
           "d.refobjid "
           "AND b.relkind IN ('r','p','v','m','f') JOIN pg_catalog.pg_namespace n ON n.oid = "
           "b.relnamespace AND n.nspname <> 'pg_catalog' WHERE d.refobjid <> r.ev_class";
}

// Rules that are not a view's, and what a row is made or checked with that calls a function of
// somebody's own, which may write what it likes: defaults, checks, policies, domains.
const char* anything_sql() noexcept {
    return "WITH own AS (SELECT d.classid, d.objid FROM pg_catalog.pg_depend d JOIN "
           "pg_catalog.pg_proc p ON p.oid = d.refobjid JOIN pg_catalog.pg_namespace n ON n.oid = "
           "p.pronamespace WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND n.nspname NOT "
           "IN ('pg_catalog', 'information_schema') AND p.provolatile <> 'i'), "
           "checks AS (SELECT c.conrelid, c.contypid FROM pg_catalog.pg_constraint c JOIN own ON "
           "own.classid = 'pg_catalog.pg_constraint'::regclass AND own.objid = c.oid WHERE "
           "c.contype = 'c') "
           "SELECT ev_class::bigint FROM pg_catalog.pg_rewrite WHERE ev_type <> '1' UNION "
           "SELECT a.adrelid::bigint FROM pg_catalog.pg_attrdef a JOIN own ON own.classid = "
           "'pg_catalog.pg_attrdef'::regclass AND own.objid = a.oid UNION "
           "SELECT conrelid::bigint FROM checks WHERE conrelid <> 0 UNION "
           "SELECT p.polrelid::bigint FROM pg_catalog.pg_policy p JOIN own ON own.classid = "
           "'pg_catalog.pg_policy'::regclass AND own.objid = p.oid UNION "
           "SELECT t.attrelid::bigint FROM pg_catalog.pg_attribute t WHERE t.atttypid IN (SELECT "
           "contypid FROM checks WHERE contypid <> 0 UNION SELECT objid FROM own WHERE classid = "
           "'pg_catalog.pg_type'::regclass)";
}

const char* functions_sql() noexcept {
    return "SELECT p.proname::text, bool_and(p.provolatile = 'i')::int, bool_or(n.nspname <> "
           "'pg_catalog' AND n.nspname <> 'information_schema')::int FROM pg_catalog.pg_proc p "
           "JOIN "
           "pg_catalog.pg_namespace n ON n.oid = p.pronamespace GROUP BY p.proname";
}

const char* triggers_sql() noexcept {
    return "SELECT t.tgrelid::bigint, coalesce(p.prosrc, ''), l.lanname::text FROM "
           "pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid JOIN "
           "pg_catalog.pg_language l ON l.oid = p.prolang WHERE NOT t.tgisinternal";
}

}  // namespace tenon::postgres
