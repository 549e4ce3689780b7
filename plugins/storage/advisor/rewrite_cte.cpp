// SPDX-License-Identifier: Apache-2.0
// Rewriting rules around WITH.
#include "plugins/storage/advisor/rewrite.hpp"

#include <algorithm>
#include <array>

namespace tenon::advisor {
namespace {

using Kind = detail::SqlLexer::Kind;

// "SELECT f(…) FROM t WHERE t.k = outer.k AND …" in brackets, as an item of the result.
struct Correlated {
    Range whole;
    Select select;
    Sources sources;
    Range inner;              // the column of the subquery's table
    ColumnName outer;         // and of the statement's
    std::vector<Range> rest;  // other conditions
    bool counts = false;
};

bool is_column(const Words& text, Range range, const Sources& sources) {
    const auto column = column_at(text, range.begin);
    return column && column->end == range.end && find_source(sources, *column) != nullptr;
}

// Reads "inner = outer" or "outer = inner".
bool read_link(const Words& text, Range condition, const Sources& outside, Correlated& out) {
    const Range one = bare(text, condition);
    const auto left = column_at(text, one.begin);
    if (!left || left->end + 1 >= one.end || text[left->end].text != "=") {
        return false;
    }
    const Range a{one.begin, left->end};
    const Range b{left->end + 1, one.end};
    const bool is_first = is_column(text, a, out.sources);
    const bool is_second = is_column(text, b, out.sources);
    if (is_first == is_second) {
        return false;
    }
    const Range far = is_first ? b : a;
    if (!is_column(text, far, outside)) {
        return false;
    }
    out.inner = is_first ? a : b;
    out.outer = *column_at(text, far.begin);
    return true;
}

std::optional<Correlated> correlated_at(
    const Words& text,
    std::size_t open,
    const Rewritable& statement,
    const Catalog& catalog
) {
    constexpr std::array<std::string_view, 5> k_aggregates{"count", "sum", "min", "max", "avg"};
    if (text[open].kind != Kind::open || !text[open + 1].is("select")) {
        return std::nullopt;
    }
    const std::size_t close = closing(text, open);
    const auto select = read_select(text, {open + 1, close});
    if (close >= text.size() || !select || select->distinct || !select->group.empty() ||
        !select->having.empty() || !select->limit.empty() || !select->order.empty() ||
        select->where.empty()) {
        return std::nullopt;
    }
    Correlated out;
    out.whole = {open, close + 1};
    out.select = *select;
    const auto sources = sources_of(text, select->from, catalog);
    const Range item = select->items;
    const bool is_one_aggregate =
        item.size() > 2 && text[item.begin + 1].kind == Kind::open &&
        closing(text, item.begin + 1) == item.end - 1 &&
        std::any_of(k_aggregates.begin(), k_aggregates.end(), [&](auto a) {
            return text[item.begin].is(a);
        });
    if (!sources || sources->size() != 1 || !is_one_aggregate || !is_within(text, item, *sources)) {
        return std::nullopt;
    }
    out.sources = *sources;
    out.counts = text[item.begin].is("count");
    if (split(text, select->where, "or").size() > 1) {
        return std::nullopt;
    }
    std::size_t links = 0;
    for (const Range condition : split(text, select->where, "and")) {
        if (is_within(text, condition, out.sources)) {
            out.rest.push_back(condition);
        } else if (read_link(text, condition, statement.sources, out)) {
            ++links;
        } else {
            return std::nullopt;
        }
    }
    return links == 1 ? std::optional{std::move(out)} : std::nullopt;
}

// "WITH name AS (…)" before what is there.
Words with_definition(const Rewritable& statement, const Words& definition, const Words& rest) {
    Words out = words_of("WITH");
    append(out, definition);
    if (!statement.select.with.empty()) {
        append(out, words_of(","));
        append(out, rest, {1, rest.size()});
    } else {
        append(out, rest);
    }
    return out;
}

void add_correlated(
    const Rewritable& statement,
    const Catalog& catalog,
    std::vector<Rewrite>& out
) {
    const Words& text = statement.text;
    const Select& select = statement.select;
    const bool has_commas = split_commas(text, select.from).size() > 1;
    const auto items = split_commas(text, select.items);
    const bool has_star = std::any_of(items.begin(), items.end(), [&](Range item) {
        return item.size() == 1 && text[item.begin].text == "*";
    });
    if (has_commas || has_star || statement.sources.empty()) {
        return;
    }
    for (std::size_t i = select.items.begin; i + 1 < select.items.end; ++i) {
        const auto found = correlated_at(text, i, statement, catalog);
        if (!found) {
            continue;
        }
        const auto* of = find_source(statement.sources, found->outer);
        Words definition = words_of("tenon_r AS (SELECT");
        append(definition, text, found->inner);
        append(definition, words_of("AS tenon_k,"));
        append(definition, text, found->select.items);
        append(definition, words_of("AS tenon_v FROM"));
        append(definition, text, found->select.from);
        for (const Range& condition : found->rest) {
            append(definition, words_of(&condition == &found->rest.front() ? "WHERE" : "AND"));
            append(definition, text, condition);
        }
        append(definition, words_of("GROUP BY"));
        append(definition, text, found->inner);
        append(definition, words_of(")"));
        const Words join = words_of(
            "LEFT JOIN tenon_r ON tenon_r.tenon_k = " + quoted(of->first) + "." +
            quoted(found->outer.name)
        );
        // The later place first: the earlier one stays where it is.
        Words body = spliced(text, {select.from.end, select.from.end}, join);
        body = spliced(
            body,
            found->whole,
            words_of(found->counts ? "coalesce(tenon_r.tenon_v, 0)" : "tenon_r.tenon_v")
        );
        out.push_back({"subquery_to_cte", with_definition(statement, definition, body), {}});
    }
}

// A subquery that does not look outside, with one column and at most one row or behind IN.
bool is_movable(const Words& text, std::size_t open, const Catalog& catalog) {
    const std::size_t close = closing(text, open);
    const auto select = read_select(text, {open + 1, close});
    if (!select || !select->limit.empty() || !select->order.empty() ||
        split_commas(text, select->items).size() != 1 || text[select->items.begin].text == "*") {
        return false;
    }
    const auto sources = sources_of(text, select->from, catalog);
    const bool has_marks = std::any_of(
        text.begin() + static_cast<std::ptrdiff_t>(open),
        text.begin() + static_cast<std::ptrdiff_t>(close),
        [](const Word& word) { return word.mark >= 0; }
    );
    const bool is_row =
        select->group.empty() && text[select->items.begin + 1].kind == Kind::open &&
        (text[select->items.begin].is("max") || text[select->items.begin].is("min") ||
         text[select->items.begin].is("sum") || text[select->items.begin].is("avg") ||
         text[select->items.begin].is("count"));
    const bool is_list = open > 0 && text[open - 1].is("in");
    // Of a join, ON would have to be looked at as well.
    return sources && sources->size() == 1 && !has_marks && (is_row || is_list) &&
           is_within(text, select->items, *sources) && is_within(text, select->where, *sources) &&
           is_within(text, select->group, *sources) && is_within(text, select->having, *sources);
}

void add_repeated(const Rewritable& statement, const Catalog& catalog, std::vector<Rewrite>& out) {
    const Words& text = statement.text;
    for (std::size_t i = statement.select.at; i + 1 < text.size(); ++i) {
        if (text[i].kind != Kind::open || !text[i + 1].is("select") ||
            !is_movable(text, i, catalog)) {
            continue;
        }
        const Range first{i, closing(text, i) + 1};
        std::vector<std::size_t> others;
        for (std::size_t k = first.end; k + first.size() <= text.size(); ++k) {
            const auto at = text.begin() + static_cast<std::ptrdiff_t>(i);
            if (std::equal(
                    at,
                    at + static_cast<std::ptrdiff_t>(first.size()),
                    text.begin() + static_cast<std::ptrdiff_t>(k)
                ) &&
                is_movable(text, k, catalog)) {
                others.push_back(k);
            }
        }
        if (others.empty()) {
            continue;
        }
        Words definition = words_of("tenon_r(tenon_v) AS MATERIALIZED");
        append(definition, text, first);
        const Words use = words_of("(SELECT tenon_v FROM tenon_r)");
        Words body = text;
        for (auto k = others.rbegin(); k != others.rend(); ++k) {
            body = spliced(body, {*k, *k + first.size()}, use);
        }
        body = spliced(body, first, use);
        out.push_back({"repeated_to_cte", with_definition(statement, definition, body), {}});
        return;
    }
}

void add_hints(const Rewritable& statement, std::vector<Rewrite>& out) {
    const Words& text = statement.text;
    const Range with = statement.select.with;
    for (std::size_t i = with.begin; i + 1 < with.end; ++i) {
        if (!text[i].is("as")) {
            i = text[i].kind == Kind::open ? closing(text, i) : i;
            continue;
        }
        if (text[i + 1].kind == Kind::open) {
            const Range none{i + 1, i + 1};
            out.push_back({"cte_materialized", spliced(text, none, words_of("MATERIALIZED")), {}});
            out.push_back({"cte_inlined", spliced(text, none, words_of("NOT MATERIALIZED")), {}});
        } else if (text[i + 1].is("materialized")) {
            out.push_back(
                {"cte_inlined", spliced(text, {i + 1, i + 2}, words_of("NOT MATERIALIZED")), {}}
            );
        }
    }
}

}  // namespace

namespace detail_rewrite {

void add_cte_rewrites(
    const Rewritable& statement,
    const Catalog& catalog,
    std::vector<Rewrite>& out
) {
    add_correlated(statement, catalog, out);
    add_repeated(statement, catalog, out);
    add_hints(statement, out);
}

}  // namespace detail_rewrite

}  // namespace tenon::advisor
