// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/rewrite.hpp"

#include <algorithm>
#include <array>

namespace tenon::advisor {
namespace {

using Kind = detail::SqlLexer::Kind;

constexpr std::size_t k_branches_max = 4;

bool has_aggregate(const Words& text, Range range) {
    constexpr std::array<std::string_view, 5> k_aggregates{"count", "sum", "min", "max", "avg"};
    for (std::size_t i = range.begin; i + 1 < range.end; ++i) {
        if (text[i + 1].kind == Kind::open &&
            std::any_of(k_aggregates.begin(), k_aggregates.end(), [&](auto a) {
                return text[i].is(a);
            })) {
            return true;
        }
    }
    return false;
}

bool has_star(const Words& text, Range items) {
    const auto parts = split_commas(text, items);
    return std::any_of(parts.begin(), parts.end(), [&](Range r) {
        return !r.empty() && text[r.end - 1].text == "*";
    });
}

bool is_same(const Words& text, Range a, Range b) {
    return a.size() == b.size() && std::equal(
                                       text.begin() + static_cast<std::ptrdiff_t>(a.begin),
                                       text.begin() + static_cast<std::ptrdiff_t>(a.end),
                                       text.begin() + static_cast<std::ptrdiff_t>(b.begin)
                                   );
}

// An ORDER BY term without its direction.
Range term_of(const Words& text, Range term) {
    for (std::size_t i = term.begin; i < term.end; ++i) {
        if (text[i].is("asc") || text[i].is("desc") || text[i].is("nulls")) {
            return {term.begin, i};
        }
    }
    return term;
}

// The item that a term of ORDER BY is: by number, by alias or as the same expression.
std::optional<std::size_t> item_of(const Words& text, Range term, const std::vector<Range>& items) {
    if (term.size() == 1 && text[term.begin].kind == Kind::mark && text[term.begin].mark < 0) {
        const std::string& number = text[term.begin].text;
        const bool is_number = !number.empty() && number.size() <= 3 &&
                               std::all_of(number.begin(), number.end(), detail::is_sql_digit);
        const std::size_t at = is_number ? std::stoul(number) : 0;
        return at >= 1 && at <= items.size() ? std::optional{at - 1} : std::nullopt;
    }
    for (std::size_t k = 0; k < items.size(); ++k) {
        Range item = items[k];
        const bool is_named =
            item.size() > 2 && text[item.end - 2].is("as") && text[item.end - 1].is_name();
        if (is_named && term.size() == 1 && text[term.begin] == text[item.end - 1]) {
            return k;
        }
        item.end -= is_named ? 2U : 0U;
        // "price" is "o.price" as well, where it is one column of the tables; two would not
        // prepare.
        if (is_same(text, term, item) ||
            (term.size() == 1 && item.size() == 3 && text[item.begin + 1].kind == Kind::dot &&
             text[term.begin] == text[item.begin + 2]) ||
            (term.size() == 3 && item.size() == 1 && text[term.begin + 1].kind == Kind::dot &&
             text[term.begin + 2] == text[item.begin])) {
            return k;
        }
    }
    return std::nullopt;
}

void read_keys(Rewritable& statement) {
    const Words& text = statement.text;
    statement.ordered = !statement.select.order.empty();
    if (!statement.ordered) {
        return;
    }
    const auto items = split_commas(text, statement.select.items);
    const bool has_all = has_star(text, statement.select.items);
    for (const Range term : split_commas(text, statement.select.order)) {
        const auto at = has_all ? std::nullopt : item_of(text, term_of(text, term), items);
        statement.knows_keys = statement.knows_keys && at.has_value();
        statement.keys.push_back(at.value_or(0));
    }
}

// A condition and what stands around it in the WHERE.
struct Disjunction {
    Range whole;               // with its brackets
    std::vector<Range> terms;  // between OR
};

std::vector<Disjunction> disjunctions_of(const Rewritable& statement) {
    std::vector<Disjunction> out;
    const Words& text = statement.text;
    const Range where = statement.select.where;
    if (where.empty()) {
        return out;
    }
    const bool is_one = split(text, where, "or").size() > 1;
    const auto conditions = is_one ? std::vector<Range>{where} : split(text, where, "and");
    for (const Range condition : conditions) {
        auto terms = split(text, bare(text, condition), "or");
        if (terms.size() > 1 && terms.size() <= k_branches_max) {
            out.push_back({condition, std::move(terms)});
        }
    }
    return out;
}

void append_bracketed(Words& to, const Words& from, Range range) {
    append(to, words_of("("));
    append(to, from, range);
    append(to, words_of(")"));
}

// "column = value" for one column.
void add_in(const Rewritable& statement, const Disjunction& either, std::vector<Rewrite>& out) {
    const Words& text = statement.text;
    const Range first = bare(text, either.terms.front());
    const auto column = column_at(text, first.begin);
    if (!column) {
        return;
    }
    Words in;
    append(in, text, {first.begin, column->end});
    append(in, words_of("IN ("));
    for (const Range& term : either.terms) {
        const Range one = bare(text, term);
        const auto mine = column_at(text, one.begin);
        if (!mine || !is_same(text, {first.begin, column->end}, {one.begin, mine->end}) ||
            one.end != mine->end + 2 || text[mine->end].text != "=" ||
            text[mine->end + 1].kind != Kind::mark) {
            return;
        }
        append(in, words_of(&term == &either.terms.front() ? "" : ","));
        in.push_back(text[mine->end + 1]);
    }
    append(in, words_of(")"));
    out.push_back({"or_to_in", spliced(text, either.whole, in), {}});
}

// Each branch has the rows of one term that no branch before it has.
void add_union(const Rewritable& statement, const Disjunction& either, std::vector<Rewrite>& out) {
    const Words& text = statement.text;
    const Select& select = statement.select;
    const bool is_plain = !select.distinct && select.group.empty() && select.having.empty() &&
                          !has_aggregate(text, select.items);
    if (!is_plain || (statement.ordered && !statement.knows_keys)) {
        return;
    }
    Words all;
    append(all, text, select.with);
    for (std::size_t k = 0; k < either.terms.size(); ++k) {
        append(all, words_of(k == 0 ? "" : "UNION ALL"));
        append(all, text, {select.at, select.where.begin});
        append(all, text, {select.where.begin, either.whole.begin});
        append_bracketed(all, text, either.terms[k]);
        for (std::size_t before = 0; before < k; ++before) {
            append(all, words_of("AND"));
            append_bracketed(all, text, either.terms[before]);
            append(all, words_of("IS NOT TRUE"));
        }
        append(all, text, {either.whole.end, select.where.end});
    }
    if (statement.ordered) {
        append(all, words_of("ORDER BY"));
        const auto terms = split_commas(text, select.order);
        for (std::size_t k = 0; k < terms.size(); ++k) {
            append(all, words_of(k == 0 ? "" : ","));
            all.push_back({Kind::mark, std::to_string(statement.keys[k] + 1), -1});
            append(all, text, {term_of(text, terms[k]).end, terms[k].end});
        }
    }
    out.push_back({"or_to_union", std::move(all), {}});
}

// A subquery in brackets: SELECT within (open, close).
struct Subquery {
    Range whole;  // with its brackets
    Select select;
};

std::optional<Subquery> subquery_at(const Words& text, std::size_t open) {
    if (open + 1 >= text.size() || text[open].kind != Kind::open || !text[open + 1].is("select")) {
        return std::nullopt;
    }
    const std::size_t close = closing(text, open);
    const auto select = read_select(text, {open + 1, close});
    if (close >= text.size() || !select || select->distinct || !select->group.empty() ||
        !select->having.empty() || !select->limit.empty() || !select->order.empty()) {
        return std::nullopt;
    }
    return Subquery{{open, close + 1}, *select};
}

bool joins_outer(const Words& text, Range from) {
    for (std::size_t i = from.begin; i < from.end; ++i) {
        if (text[i].is("left") || text[i].is("right") || text[i].is("full")) {
            return true;
        }
    }
    return false;
}

Words qualified(const Sources::value_type& source, const std::string& column) {
    return words_of(quoted(source.first) + "." + quoted(column));
}

void rest_on(
    const Sources::value_type& source,
    const std::string& column,
    bool outer,
    Rewrite& to
) {
    if (outer || !source.second->is_required(column)) {
        to.rests_on.push_back(source.second->name + "." + column + " is never NULL");
    }
}

void add_not_in(const Rewritable& statement, const Catalog& catalog, std::vector<Rewrite>& out) {
    const Words& text = statement.text;
    for (std::size_t i = 0; i + 3 < text.size(); ++i) {
        const auto outside = column_at(text, i);
        const std::size_t at = outside ? outside->end : text.size();
        if (at + 2 >= text.size() || !text[at].is("not") || !text[at + 1].is("in")) {
            continue;
        }
        const bool starts = i > 0 && (text[i - 1].is("where") || text[i - 1].is("and") ||
                                      text[i - 1].is("or") || text[i - 1].kind == Kind::open);
        const auto inner = subquery_at(text, at + 2);
        const auto sources = inner ? sources_of(text, inner->select.from, catalog) : std::nullopt;
        const auto inside = inner ? column_at(text, inner->select.items.begin) : std::nullopt;
        if (!starts || !sources || !inside || inside->end != inner->select.items.end) {
            continue;
        }
        const auto* from = find_source(*sources, *inside);
        const auto* of = find_source(statement.sources, *outside);
        const bool hides =
            of != nullptr && std::any_of(sources->begin(), sources->end(), [&](auto& s) {
                return same_name(s.first, of->first);
            });
        if (from == nullptr || of == nullptr || hides) {
            continue;
        }
        Words exists = words_of("NOT EXISTS (SELECT 1 FROM");
        append(exists, text, inner->select.from);
        append(exists, words_of("WHERE"));
        if (!inner->select.where.empty()) {
            append_bracketed(exists, text, inner->select.where);
            append(exists, words_of("AND"));
        }
        append(exists, qualified(*from, inside->name));
        append(exists, words_of("="));
        append(exists, qualified(*of, outside->name));
        append(exists, words_of(")"));
        Rewrite rewrite{"not_in_to_not_exists", spliced(text, {i, inner->whole.end}, exists), {}};
        rest_on(*of, outside->name, joins_outer(text, statement.select.from), rewrite);
        rest_on(*from, inside->name, joins_outer(text, inner->select.from), rewrite);
        out.push_back(std::move(rewrite));
    }
}

// "> 0" and the like behind a count: true is EXISTS, false NOT EXISTS.
std::optional<bool> asks_for_any(const Words& text, std::size_t at) {
    if (at + 1 >= text.size() || text[at].kind != Kind::sign || text[at + 1].mark >= 0) {
        return std::nullopt;
    }
    const std::string& sign = text[at].text;
    const std::string& value = text[at + 1].text;
    if ((value == "0" && (sign == ">" || sign == "<>" || sign == "!=")) ||
        (value == "1" && sign == ">=")) {
        return true;
    }
    return (value == "0" && sign == "=") || (value == "1" && sign == "<") ? std::optional{false}
                                                                          : std::nullopt;
}

void add_exists(const Rewritable& statement, std::vector<Rewrite>& out) {
    const Words& text = statement.text;
    const Words count = words_of("count(*)");
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto inner = subquery_at(text, i);
        if (!inner || inner->select.items.size() != count.size() ||
            !std::equal(
                count.begin(),
                count.end(),
                text.begin() + static_cast<std::ptrdiff_t>(inner->select.items.begin)
            )) {
            continue;
        }
        const auto any = asks_for_any(text, inner->whole.end);
        const std::size_t end = inner->whole.end + 2;
        // The comparison has to be all: not "… > 0 + x".
        const bool ends = end >= text.size() || text[end].kind == Kind::close ||
                          text[end].is("and") || text[end].is("or") || text[end].is("order") ||
                          text[end].is("group");
        const bool starts = i > 0 && (text[i - 1].is("where") || text[i - 1].is("and") ||
                                      text[i - 1].is("or") || text[i - 1].kind == Kind::open);
        if (!any || !ends || !starts) {
            continue;
        }
        Words exists = words_of(*any ? "EXISTS (SELECT 1" : "NOT EXISTS (SELECT 1");
        append(exists, text, {inner->select.items.end, inner->whole.end});
        out.push_back({"count_to_exists", spliced(text, {i, end}, exists), {}});
    }
}

void add_distinct(const Rewritable& statement, const Catalog& catalog, std::vector<Rewrite>& out) {
    const Words& text = statement.text;
    const Select& select = statement.select;
    if (!select.distinct || statement.sources.size() != 1 || !select.group.empty()) {
        return;
    }
    const auto& source = statement.sources.front();
    const auto gives = [&](const std::string& column) {
        const auto items = split_commas(text, select.items);
        return std::any_of(items.begin(), items.end(), [&](Range item) {
            const auto c = column_at(text, item.begin);
            const bool is_all = c && (c->end == item.end || text[c->end].is("as"));
            return is_all && same_name(c->name, column) &&
                   find_source(statement.sources, *c) != nullptr;
        });
    };
    std::vector<std::string> key;
    if (!source.second->row_key.empty() && gives(source.second->row_key)) {
        key.push_back(source.second->row_key);
    }
    for (const Index& index : catalog.indexes) {
        const bool is_key = index.unique && index.plain && index.where.empty() && key.empty() &&
                            !index.columns.empty() && same_name(index.table, source.second->name);
        if (is_key && std::all_of(index.columns.begin(), index.columns.end(), [&](const auto& c) {
                return gives(c.name);
            })) {
            for (const IndexColumn& column : index.columns) {
                key.push_back(column.name);
            }
        }
    }
    if (key.empty()) {
        return;
    }
    Rewrite rewrite{"distinct_of_unique", spliced(text, {select.at + 1, select.at + 2}, {}), {}};
    for (const std::string& column : key) {
        rest_on(source, column, false, rewrite);
    }
    out.push_back(std::move(rewrite));
}

}  // namespace

std::optional<Rewritable> read_rewritable(const Captured& captured, const Catalog& catalog) {
    if (captured.writes || captured.sql.size() >= NormalSql::k_text_max) {
        return std::nullopt;
    }
    Rewritable out;
    out.text = read_words(captured);
    if (!is_rewritable(out.text)) {
        return std::nullopt;
    }
    auto select = read_select(out.text, {0, out.text.size()});
    if (!select || (!select->limit.empty() && select->order.empty())) {
        return std::nullopt;
    }
    if (!select->limit.empty()) {
        append(out.limit, out.text, select->limit);
        out.text.resize(select->limit.begin);
        select = read_select(out.text, {0, out.text.size()});
    }
    // A WITH that hides a table would have its columns taken for the table's.
    for (std::size_t i = select->with.begin; i < select->with.end; ++i) {
        if (out.text[i].kind == Kind::open) {
            i = closing(out.text, i);
        } else if (catalog.find(out.text[i].name()) != nullptr) {
            return std::nullopt;
        }
    }
    out.select = *select;
    out.sources = sources_of(out.text, out.select.from, catalog).value_or(Sources{});
    read_keys(out);
    return out;
}

std::vector<Rewrite> rewrites_of(const Rewritable& statement, const Catalog& catalog) {
    std::vector<Rewrite> out;
    for (const Disjunction& either : disjunctions_of(statement)) {
        const std::size_t before = out.size();
        add_in(statement, either, out);
        if (out.size() == before) {
            add_union(statement, either, out);
        }
    }
    add_not_in(statement, catalog, out);
    add_exists(statement, out);
    add_distinct(statement, catalog, out);
    detail_rewrite::add_cte_rewrites(statement, catalog, out);
    return out;
}

std::vector<Hint> hints_of(const Rewritable& statement, const Catalog& catalog) {
    std::vector<Hint> out;
    const auto has_offset = [](const Word& word) { return word.is("offset"); };
    if (std::any_of(statement.limit.begin(), statement.limit.end(), has_offset)) {
        out.push_back(
            {"offset",
             "rows before OFFSET are read and thrown away; ask for those behind the last one seen "
             "(WHERE (key) > (?) ORDER BY key LIMIT ?), which gives other rows when some come or "
             "go"}
        );
    }
    const Words& text = statement.text;
    for (std::size_t i = statement.select.where.begin + 2; i < statement.select.where.end; ++i) {
        const auto column = column_at(text, i);
        const auto* source = column ? find_source(statement.sources, *column) : nullptr;
        const bool is_wrapped = source != nullptr && text[i - 1].kind == Kind::open &&
                                text[i - 2].kind == Kind::word &&
                                !detail::is_sql_keyword(text[i - 2].text) &&
                                column->end < text.size() && text[column->end].kind != Kind::sign;
        const bool is_indexed =
            is_wrapped &&
            std::any_of(catalog.indexes.begin(), catalog.indexes.end(), [&](const Index& x) {
                return same_name(x.table, source->second->name) && !x.columns.empty() &&
                       same_name(x.columns.front().name, column->name);
            });
        if (is_indexed) {
            out.push_back(
                {"wrapped_column",
                 text[i - 2].text + "() around " + column->name +
                     " keeps its index from being used; compare the column itself with a range, or "
                     "index the expression"}
            );
        }
    }
    return out;
}

}  // namespace tenon::advisor
