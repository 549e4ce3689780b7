// SPDX-License-Identifier: Apache-2.0
// Which captured statements would cost less if they were written differently.
//
// Works on a copy: each rewriting (rewrite.hpp) that saves work there is compared with the
// statement it is to replace (proof.hpp). What did not stand the comparison is told with its
// counterexample, and what the schema does not promise is not told as advice. Nothing is applied:
// the text of a statement is the program's.
#pragma once

#include "plugins/storage/advisor/advisor.hpp"
#include "plugins/storage/advisor/proof.hpp"

namespace tenon::advisor {

struct RewriteLimits {
    std::size_t statements = 50;  // costliest first
    std::string fingerprint;      // of the only statement to look at; empty: all
    std::uint64_t seed = 1;       // of the data sets that texts are compared on
    std::int64_t deadline_ns = 0;
};

struct ProvenRewrite {
    std::string fingerprint;
    std::string rule;
    std::string before;
    std::string after;
    std::vector<std::uint32_t> parameters;  // which '?' of `before` each '?' of `after` is, from 0
    Evidence evidence;
    double work_before = 0;  // of one run
    double work_after = 0;
    std::int64_t time_before_ns = 0;  // median of runs by turns on the copy
    std::int64_t time_after_ns = 0;
    std::int64_t gain_ns = 0;  // of the time that was captured
    std::string plan_before;   // JSON
    std::string plan_after;
};

struct RefusedRewrite {
    std::string fingerprint;
    std::string rule;
    std::string after;
    std::string reason;
};

struct RewriteHint {
    std::string fingerprint;
    Hint hint;
};

struct RewriteAdvice {
    std::size_t statements = 0;  // that were understood
    std::size_t skipped = 0;
    std::size_t tried = 0;
    std::size_t not_gaining = 0;
    bool complete = true;               // false: the deadline came first
    std::vector<ProvenRewrite> proven;  // greatest gain first
    std::vector<RefusedRewrite> refused;
    std::vector<RewriteHint> hints;
};

class RewriteAdvisor {
public:
    RewriteAdvisor(Storage storage, Advisor::Now now_ns)
        : storage_{storage}, now_ns_{std::move(now_ns)}, dialect_{dialect_of(storage.dialect())} {}

    // Throws Error TENON_NOT_FOUND when there is no captured statement of that fingerprint.
    [[nodiscard]] RewriteAdvice rewrites(const RewriteLimits& limits) const;

private:
    class Search;

    Storage storage_;
    Advisor::Now now_ns_;
    const Dialect& dialect_;
};

[[nodiscard]] std::string json_of(const RewriteAdvice& advice);

}  // namespace tenon::advisor
