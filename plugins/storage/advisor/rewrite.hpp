// SPDX-License-Identifier: Apache-2.0
// Other texts for a captured SELECT that may give the same rows for less work.
//
//   or_to_in                 a = ? OR a = ?                 a IN (?, ?)
//   or_to_union              a = ? OR b = ?                 two branches, UNION ALL
//   not_in_to_not_exists     x NOT IN (SELECT y …)          NOT EXISTS (… WHERE y = x)
//   count_to_exists          (SELECT count(*) …) > 0        EXISTS (SELECT 1 …)
//   distinct_of_unique       SELECT DISTINCT key, …         SELECT key, …
//   subquery_to_cte          (SELECT sum(y) … = a.x)        WITH … GROUP BY, LEFT JOIN
//   repeated_to_cte          the same subquery twice        WITH … AS MATERIALIZED
//   cte_materialized, cte_inlined                           WITH … AS [NOT] MATERIALIZED
//
// A rule only looks at the text and the schema: whether the result is the same is for the proof to
// find out (proof.hpp), and where it rests on something (`rests_on`) the schema has to promise it.
#pragma once

#include "plugins/storage/advisor/sql_text.hpp"

namespace tenon::advisor {

struct Rewrite {
    std::string rule;
    Words text;                         // without LIMIT and OFFSET
    std::vector<std::string> rests_on;  // what the schema does not promise
};

// A statement that can be rewritten.
struct Rewritable {
    Words text;       // without LIMIT and OFFSET
    Words limit;      // which come last again
    Select select;    // of `text`
    Sources sources;  // empty: FROM has more than tables
    bool ordered = false;
    std::vector<std::size_t> keys;  // columns of the result that it is ordered by, from 0
    bool knows_keys = true;         // false: ordered by something that is no column of the result
};

// Nothing: not surely understood, or without a defined result (LIMIT without ORDER BY).
[[nodiscard]] std::optional<Rewritable>
read_rewritable(const Captured& captured, const Catalog& catalog);

[[nodiscard]] std::vector<Rewrite> rewrites_of(const Rewritable& statement, const Catalog& catalog);

// What a rewriting would have to know more for than the statement: rule and words.
struct Hint {
    std::string rule;
    std::string text;
};

[[nodiscard]] std::vector<Hint> hints_of(const Rewritable& statement, const Catalog& catalog);

namespace detail_rewrite {

// The rules that make a WITH, and those on one that is there.
void add_cte_rewrites(
    const Rewritable& statement,
    const Catalog& catalog,
    std::vector<Rewrite>& out
);

}  // namespace detail_rewrite

}  // namespace tenon::advisor
