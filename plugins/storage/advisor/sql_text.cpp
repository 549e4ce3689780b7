// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/sql_text.hpp"

#include <algorithm>
#include <array>

namespace tenon::advisor {
namespace {

using Kind = detail::SqlLexer::Kind;

template <std::size_t N>
bool is_any(const Word& word, const std::array<std::string_view, N>& list) noexcept {
    return std::any_of(list.begin(), list.end(), [&](std::string_view w) { return word.is(w); });
}

// Words that end a table's name and alias, or that are no column.
bool is_keyword(const Word& word) noexcept {
    constexpr std::array<std::string_view, 40> k_more{
        "group",   "order",   "asc",       "desc",    "nulls",   "first",     "last",
        "left",    "right",   "full",      "inner",   "outer",   "cross",     "natural",
        "null",    "true",    "false",     "end",     "escape",  "collate",   "glob",
        "ilike",   "some",    "recursive", "isnull",  "notnull", "similar",   "materialized",
        "text",    "integer", "bigint",    "numeric", "double",  "precision", "real",
        "indexed", "window",  "fetch",     "for",     "lateral"};
    return word.kind == Kind::word && (detail::is_sql_keyword(word.text) || is_any(word, k_more));
}

// Calls f(position) for each word of the range outside of brackets, until it gives false.
template <class F>
void outside(const Words& text, Range range, F&& f) {
    std::size_t depth = 0;
    for (std::size_t i = range.begin; i < range.end; ++i) {
        const Kind kind = text[i].kind;
        depth -= kind == Kind::close && depth > 0 ? 1U : 0U;
        if (depth == 0 && kind != Kind::close && !f(i)) {
            return;
        }
        depth += kind == Kind::open ? 1U : 0U;
    }
}

}  // namespace

bool Word::is_name() const noexcept {
    return kind == Kind::quoted || (kind == Kind::word && !is_keyword(*this));
}

std::string Word::name() const {
    return kind == Kind::quoted && text.size() >= 2 ? text.substr(1, text.size() - 2) : text;
}

bool operator==(const Word& a, const Word& b) noexcept {
    return a.kind == b.kind && a.mark == b.mark &&
           (a.kind == Kind::quoted ? a.text == b.text : same_name(a.text, b.text));
}

Words read_words(const Captured& captured) {
    Words out;
    std::uint32_t mark = 0;
    for (auto& token : detail::SqlLexer{captured.sql}.run()) {
        Word word{token.kind, std::move(token.text), -1};
        if (word.kind == Kind::mark) {
            const auto constant = captured.constants.find(mark);
            word.mark = constant == captured.constants.end() ? static_cast<std::int32_t>(mark) : -1;
            word.text = word.mark < 0 ? constant->second : "?";
            ++mark;
        }
        out.push_back(std::move(word));
    }
    while (!out.empty() && out.back().text == ";") {
        out.pop_back();
    }
    return out;
}

Words words_of(std::string_view sql) {
    Words out;
    for (auto& token : detail::SqlLexer{sql}.run()) {
        out.push_back({token.kind, std::move(token.text), -1});
    }
    return out;
}

void append(Words& to, const Words& from) {
    to.insert(to.end(), from.begin(), from.end());
}

void append(Words& to, const Words& from, Range range) {
    for (std::size_t i = range.begin; i < range.end; ++i) {
        to.push_back(from[i]);
    }
}

Words spliced(const Words& text, Range range, const Words& by) {
    Words out;
    append(out, text, {0, range.begin});
    append(out, by);
    append(out, text, {range.end, text.size()});
    return out;
}

Printed print(const Words& text) {
    Printed out;
    Kind last = Kind::open;
    bool last_is_keyword = false;
    for (const Word& word : text) {
        const bool joins = word.kind == Kind::close || word.kind == Kind::comma ||
                           word.kind == Kind::dot || last == Kind::open || last == Kind::dot ||
                           (word.kind == Kind::open && last == Kind::word && !last_is_keyword);
        out.sql.append(joins ? "" : " ").append(word.text);
        if (word.mark >= 0) {
            out.marks.push_back(static_cast<std::uint32_t>(word.mark));
        }
        last = word.kind;
        last_is_keyword = word.kind == Kind::word && is_keyword(word);
    }
    return out;
}

std::size_t closing(const Words& text, std::size_t open) noexcept {
    std::size_t depth = 0;
    for (std::size_t i = open; i < text.size(); ++i) {
        depth += text[i].kind == Kind::open ? 1U : 0U;
        depth -= text[i].kind == Kind::close && depth > 0 ? 1U : 0U;
        if (depth == 0) {
            return i;
        }
    }
    return text.size();
}

std::vector<Range> split_commas(const Words& text, Range range) {
    std::vector<Range> out{{range.begin, range.end}};
    outside(text, range, [&](std::size_t i) {
        if (text[i].kind == Kind::comma) {
            out.back().end = i;
            out.push_back({i + 1, range.end});
        }
        return true;
    });
    return out;
}

std::vector<Range> split(const Words& text, Range range, std::string_view by) {
    std::vector<Range> out{{range.begin, range.end}};
    std::size_t cases = 0;
    bool between = false;
    outside(text, range, [&](std::size_t i) {
        cases += text[i].is("case") ? 1U : 0U;
        cases -= text[i].is("end") && cases > 0 ? 1U : 0U;
        if (cases != 0) {
            return true;
        }
        between = between || text[i].is("between");
        if (between && text[i].is("and")) {
            between = false;
        } else if (text[i].is(by)) {
            out.back().end = i;
            out.push_back({i + 1, range.end});
        }
        return true;
    });
    return out;
}

Range bare(const Words& text, Range range) noexcept {
    while (range.size() > 2 && text[range.begin].kind == Kind::open &&
           closing(text, range.begin) == range.end - 1 && !text[range.begin + 1].is("select")) {
        range = {range.begin + 1, range.end - 1};
    }
    return range;
}

std::optional<Select> read_select(const Words& text, Range range) {
    constexpr std::array<std::string_view, 10> k_refused{
        "union",
        "intersect",
        "except",
        "window",
        "fetch",
        "for",
        "lateral",
        "natural",
        "into",
        "recursive"};
    Select select;
    Range* open = nullptr;
    bool found = false;
    bool sound = true;
    const auto turn = [&](Range* next, std::size_t ends, std::size_t begins) {
        if (open != nullptr) {
            open->end = ends;
        }
        sound = sound && next->empty() && next->begin == 0;
        open = next;
        *open = {begins, range.end};
    };
    outside(text, range, [&](std::size_t i) {
        const Word& word = text[i];
        const bool starts = i == range.begin;
        if (is_any(word, k_refused) || (found && word.is("with")) || (found && word.is("select"))) {
            sound = false;
        } else if (word.is("with") && starts) {
            turn(&select.with, i, i);
        } else if (word.is("select") && (starts || !select.with.empty())) {
            found = true;
            select.at = i;
            select.distinct = i + 1 < range.end && text[i + 1].is("distinct");
            turn(&select.items, i, i + (select.distinct ? 2U : 1U));
        } else if (starts) {
            sound = false;
        } else if (word.is("from") && !text[i - 1].is("distinct")) {
            turn(&select.from, i, i + 1);
        } else if (word.is("where")) {
            turn(&select.where, i, i + 1);
        } else if (word.is("having")) {
            turn(&select.having, i, i + 1);
        } else if ((word.is("group") || word.is("order")) && i + 1 < range.end && text[i + 1].is("by")) {
            turn(word.is("group") ? &select.group : &select.order, i, i + 2);
        } else if ((word.is("limit") || word.is("offset")) && select.limit.empty()) {
            turn(&select.limit, i, i);
        }
        return sound;
    });
    if (!found || !sound || select.items.empty() || select.from.empty()) {
        return std::nullopt;
    }
    return select;
}

std::optional<Sources> sources_of(const Words& text, Range from, const Catalog& catalog) {
    constexpr std::array<std::string_view, 6> k_joining{
        "join", "left", "right", "full", "inner", "outer"};
    Sources out;
    bool expects = true;
    for (std::size_t i = from.begin; i < from.end;) {
        if (expects) {
            const Table* table = text[i].is_name() ? catalog.find(text[i].name()) : nullptr;
            if (table == nullptr || (i + 1 < from.end && (text[i + 1].kind == Kind::dot ||
                                                          text[i + 1].kind == Kind::open))) {
                return std::nullopt;
            }
            ++i;
            i += i < from.end && text[i].is("as") ? 1U : 0U;
            const bool has_alias = i < from.end && text[i].is_name();
            out.emplace_back(has_alias ? text[i].name() : table->name, table);
            i += has_alias ? 1U : 0U;
            expects = false;
        } else if (text[i].kind == Kind::comma || text[i].is("join")) {
            expects = true;
            ++i;
        } else if (is_any(text[i], k_joining) || text[i].is("cross")) {
            ++i;
        } else if (text[i].is("on")) {
            // The condition goes on to the next join or comma.
            std::size_t end = from.end;
            outside(text, {i + 1, from.end}, [&](std::size_t at) {
                if (text[at].kind == Kind::comma || is_any(text[at], k_joining) ||
                    text[at].is("cross")) {
                    end = at;
                    return false;
                }
                return true;
            });
            i = end;
        } else {
            return std::nullopt;  // USING, INDEXED BY, TABLESAMPLE and what else there is
        }
    }
    return expects ? std::nullopt : std::optional{std::move(out)};
}

std::optional<ColumnName> column_at(const Words& text, std::size_t at) {
    if (at >= text.size() || !text[at].is_name() || (at > 0 && text[at - 1].kind == Kind::dot)) {
        return std::nullopt;
    }
    ColumnName out{{}, text[at].name(), at + 1};
    if (at + 2 < text.size() && text[at + 1].kind == Kind::dot && text[at + 2].is_name()) {
        out = {text[at].name(), text[at + 2].name(), at + 3};
    }
    const bool is_call = out.end < text.size() && text[out.end].kind == Kind::open;
    const bool is_longer = out.end < text.size() && text[out.end].kind == Kind::dot;
    return is_call || is_longer ? std::nullopt : std::optional{std::move(out)};
}

const Sources::value_type* find_source(const Sources& sources, const ColumnName& c) {
    const Sources::value_type* found = nullptr;
    for (const auto& source : sources) {
        const bool fits = c.alias.empty() || same_name(source.first, c.alias);
        if (fits && source.second->has(c.name)) {
            if (found != nullptr) {
                return nullptr;
            }
            found = &source;
        }
    }
    return found;
}

bool is_within(const Words& text, Range range, const Sources& sources) {
    for (std::size_t i = range.begin; i < range.end;) {
        const auto column = column_at(text, i);
        if (!column) {
            ++i;
            continue;
        }
        const bool is_alias = i > range.begin && text[i - 1].is("as");
        if (!is_alias && find_source(sources, *column) == nullptr) {
            return false;
        }
        i = column->end;
    }
    return true;
}

bool is_rewritable(const Words& text) {
    constexpr std::array<std::string_view, 31> k_functions{
        "count", "sum",   "min",    "max",   "avg",    "coalesce", "abs",      "length",
        "lower", "upper", "substr", "round", "nullif", "ifnull",   "cast",     "replace",
        "trim",  "ltrim", "rtrim",  "instr", "date",   "strftime", "iif",      "greatest",
        "least", "floor", "ceil",   "mod",   "concat", "to_char",  "unixepoch"};
    constexpr std::array<std::string_view, 9> k_refused{
        "over", "filter", "update", "insert", "delete", "returning", "for", "values", "pragma"};
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i].kind == Kind::other || is_any(text[i], k_refused)) {
            return false;
        }
        const bool is_call =
            i + 1 < text.size() && text[i + 1].kind == Kind::open &&
            (text[i].kind == Kind::quoted || (text[i].kind == Kind::word && !is_keyword(text[i])));
        // "name (columns) AS (": a definition of WITH.
        const std::size_t after = is_call ? closing(text, i + 1) + 1 : 0;
        const bool is_definition = is_call && after < text.size() && text[after].is("as");
        if (is_call && !is_any(text[i], k_functions) && !is_definition) {
            return false;
        }
    }
    return !text.empty() && (text[0].is("select") || text[0].is("with"));
}

}  // namespace tenon::advisor
