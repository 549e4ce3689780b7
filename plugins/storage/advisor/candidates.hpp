// SPDX-License-Identifier: Apache-2.0
// Indexes that a statement might profit from. Whether it does is found out by a trial.
#pragma once

#include "plugins/storage/advisor/shape.hpp"

namespace tenon::advisor {

struct Candidate {
    Index index;
    double share = 1;  // of the table's rows that the index holds

    // Smaller is better where the gain is the same.
    [[nodiscard]] double size() const noexcept {
        return static_cast<double>(index.columns.size() + index.included.size()) * share;
    }
};

// Partial indexes are proposed for predicates that fewer rows than this fulfil.
inline constexpr double k_partial_share = 0.15;
// Columns that are added to make an index cover a statement, at most.
inline constexpr std::size_t k_cover_max = 3;

// Of one statement, through a session on the copy; `captured` brings the constants.
[[nodiscard]] std::vector<Candidate> candidates_of(
    const Captured& captured,
    const Shape& shape,
    const Catalog& catalog,
    const Dialect& dialect,
    Session& session
);

// `a` is a beginning of `b` or the same, so that `b` does what `a` does.
[[nodiscard]] bool is_prefix(const Index& a, const Index& b);

}  // namespace tenon::advisor
