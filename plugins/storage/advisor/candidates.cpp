// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/candidates.hpp"

#include <tenon/sql_fingerprint.hpp>

#include <algorithm>
#include <map>

namespace tenon::advisor {
namespace {

constexpr std::int64_t k_sample_rows = 20'000;
// A wide column whose longest value on the copy is shorter is one of names, not of texts: some of
// them together stay below the third of a page that PostgreSQL's btree holds.
constexpr double k_key_bytes_max = 500;

double number(Session& session, const std::string& sql) {
    auto row = session.prepare(sql);
    return row.step() ? static_cast<double>(row.integer(0)) : 0;
}

double distinct(Session& session, const std::string& table, const std::string& column) {
    return number(
        session,
        "SELECT count(DISTINCT c) FROM (SELECT " + quoted(column) + " AS c FROM " + quoted(table) +
            " LIMIT " + std::to_string(k_sample_rows) + ") AS sampled"
    );
}

// Builds the candidates of one table of one statement.
class Maker {
public:
    Maker(
        const Captured& captured,
        const Shape& shape,
        const Table& table,
        const Dialect& dialect,
        Session& session
    )
        : captured_{captured}, shape_{shape}, table_{table}, dialect_{dialect}, session_{session} {}

    [[nodiscard]] std::vector<Candidate> run() {
        sort_conditions();
        find_order();
        make({}, 1);
        for (const Condition& condition : shape_.conditions) {
            if (same_name(condition.table, table_.name)) {
                try_partial(condition);
            }
        }
        return std::move(out_);
    }

private:
    static bool has(const std::vector<IndexColumn>& columns, std::string_view name) {
        return std::any_of(columns.begin(), columns.end(), [&](const IndexColumn& c) {
            return same_name(c.name, name);
        });
    }

    void sort_conditions() {
        std::vector<std::pair<double, std::string>> equal;
        for (const Condition& condition : shape_.conditions) {
            if (!same_name(condition.table, table_.name) ||
                same_name(condition.column, table_.row_key)) {
                continue;
            }
            if (condition.test == Test::range) {
                range_ = range_.empty() ? condition.column : range_;
            } else if (condition.test != Test::not_null) {
                equal.emplace_back(
                    -distinct(session_, table_.name, condition.column), condition.column
                );
            }
        }
        std::sort(equal.begin(), equal.end());
        for (const auto& [selectivity, column] : equal) {
            if (!has(equal_, column)) {
                equal_.push_back({column, false});
            }
        }
    }

    // Only an order by columns of this one table comes from an index.
    void find_order() {
        const bool all_mine =
            std::all_of(shape_.order.begin(), shape_.order.end(), [&](const Order& order) {
                return same_name(order.table, table_.name);
            });
        for (const Order& order : shape_.order) {
            if (all_mine && !has(equal_, order.column) && !has(order_, order.column)) {
                order_.push_back({order.column, order.descending});
            }
        }
    }

    // `without`: the column that the partial index's predicate fixes.
    void make(const std::string& where, double share, std::string_view without = {}) {
        std::vector<IndexColumn> base;
        for (const IndexColumn& column : equal_) {
            if (!same_name(column.name, without)) {
                base.push_back(column);
            }
        }
        std::vector<IndexColumn> ranged = base;
        if (!range_.empty() && !has(ranged, range_)) {
            ranged.push_back({range_, false});
        }
        std::vector<IndexColumn> ordered = base;
        ordered.insert(ordered.end(), order_.begin(), order_.end());
        if (!without.empty() && ranged.empty() && ordered.empty()) {
            ranged.push_back({std::string{without}, false});
        }
        for (const auto& columns : {base, ranged, ordered}) {
            add(columns, where, share);
            cover(columns, where, share, without);
        }
    }

    void cover(
        const std::vector<IndexColumn>& columns,
        const std::string& where,
        double share,
        std::string_view without
    ) {
        const auto used = shape_.columns.find(table_.name);
        if (shape_.selects_all || shape_.verb != "select" || used == shape_.columns.end() ||
            columns.empty()) {
            return;
        }
        std::vector<std::string> missing;
        for (const std::string& column : used->second) {
            if (!has(columns, column) && !same_name(column, table_.row_key) &&
                !same_name(column, without)) {
                missing.push_back(column);
            }
        }
        const bool any_wide =
            std::any_of(missing.begin(), missing.end(), [&](const std::string& column) {
                return table_.is_wide(column);
            });
        if (missing.empty() || missing.size() > k_cover_max || any_wide) {
            return;
        }
        if (dialect_.includes()) {
            add(columns, where, share, missing);
            return;
        }
        std::vector<IndexColumn> all = columns;
        for (const std::string& column : missing) {
            all.push_back({column, false});
        }
        add(all, where, share);
    }

    void add(
        const std::vector<IndexColumn>& columns,
        const std::string& where,
        double share,
        const std::vector<std::string>& included = {}
    ) {
        const bool fits = std::all_of(columns.begin(), columns.end(), [&](const IndexColumn& c) {
            return can_be_key(c.name);
        });
        if (columns.empty() || !fits) {
            return;
        }
        Candidate candidate;
        candidate.index.table = table_.name;
        candidate.index.columns = columns;
        candidate.index.where = where;
        candidate.index.included = included;
        candidate.share = share;
        std::string definition = table_.name + "(";
        for (const IndexColumn& column : columns) {
            definition.append(column.name).append(column.descending ? "-" : "+");
        }
        for (const std::string& column : included) {
            definition.append("(").append(column).append(")");
        }
        definition.append(where);
        candidate.index.name = std::string{k_index_prefix} + hex_of(Fnv1a::of(definition));
        out_.push_back(std::move(candidate));
    }

    [[nodiscard]] bool can_be_key(const std::string& column) {
        if (!table_.is_wide(column)) {
            return true;
        }
        auto [known, is_new] = longest_.try_emplace(column, 0);
        if (is_new) {
            known->second = number(
                session_,
                "SELECT coalesce(max(octet_length(" + quoted(column) +
                    "::text)), 0)::bigint FROM " + quoted(table_.name)
            );
        }
        return known->second < k_key_bytes_max;
    }

    // Only a predicate that stands in the text as it is can use a partial index.
    void try_partial(const Condition& condition) {
        std::string where;
        if (condition.test == Test::is_null) {
            where = quoted(condition.column) + " IS NULL";
        } else if (condition.test == Test::equal && condition.mark) {
            const auto constant = captured_.constants.find(*condition.mark);
            if (constant == captured_.constants.end()) {
                return;
            }
            where = quoted(condition.column) + " = " + constant->second;
        } else {
            return;
        }
        const std::string from = "SELECT count(*) FROM " + quoted(table_.name);
        const double all = number(session_, from);
        const double some = number(session_, from + " WHERE " + where);
        if (all > 0 && some / all < k_partial_share) {
            make(where, std::max(some / all, 0.001), condition.column);
        }
    }

    const Captured& captured_;
    const Shape& shape_;
    const Table& table_;
    const Dialect& dialect_;
    Session& session_;
    std::vector<IndexColumn> equal_;
    std::vector<IndexColumn> order_;
    std::string range_;
    std::map<std::string, double> longest_;  // values of wide columns, in bytes
    std::vector<Candidate> out_;
};

}  // namespace

std::vector<Candidate> candidates_of(
    const Captured& captured,
    const Shape& shape,
    const Catalog& catalog,
    const Dialect& dialect,
    Session& session
) {
    std::vector<Candidate> out;
    if (!shape.analysed || shape.verb == "insert") {
        return out;
    }
    for (const auto& [name, columns] : shape.columns) {
        const Table* table = catalog.find(name);
        if (table != nullptr) {
            for (Candidate& candidate : Maker{captured, shape, *table, dialect, session}.run()) {
                out.push_back(std::move(candidate));
            }
        }
    }
    return out;
}

bool is_prefix(const Index& a, const Index& b) {
    return same_name(a.table, b.table) && a.plain && b.plain && a.where == b.where &&
           a.columns.size() <= b.columns.size() &&
           std::equal(
               a.columns.begin(),
               a.columns.end(),
               b.columns.begin(),
               [](const IndexColumn& x, const IndexColumn& y) {
                   return same_name(x.name, y.name) && x.descending == y.descending;
               }
           ) &&
           std::all_of(a.included.begin(), a.included.end(), [&](const std::string& column) {
               const auto is_it = [&](std::string_view other) { return same_name(other, column); };
               return std::any_of(b.included.begin(), b.included.end(), is_it) ||
                      std::any_of(b.columns.begin(), b.columns.end(), [&](const IndexColumn& c) {
                          return is_it(c.name);
                      });
           });
}

}  // namespace tenon::advisor
