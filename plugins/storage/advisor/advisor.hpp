// SPDX-License-Identifier: Apache-2.0
// Which indexes would make the captured statements cheaper, and which ones nobody needs.
//
// Works on a copy of the database: every candidate is built there, the captured statements are
// replayed with values of the copy's rows, and what writes pay is counted. The best is kept and
// the others are tried beside it, until none gains. The original is changed by apply() and
// withdraw() only.
#pragma once

#include "plugins/storage/advisor/candidates.hpp"
#include "plugins/storage/advisor/trial.hpp"

#include <functional>
#include <memory>

namespace tenon::advisor {

struct Limits {
    std::size_t statements = 50;  // costliest first
    std::size_t candidates = 64;
    std::size_t proposals = 16;
    std::int64_t deadline_ns = 0;  // no more trials after it
};

struct Proposal {
    Candidate candidate;
    std::string sql;
    double read_work_before = 0;  // of all captured calls
    double read_work_after = 0;
    double write_work = 0;
    std::int64_t gain_ns = 0;  // of the time that was captured
    std::vector<std::string> fingerprints;
    // The statements that gain, with values of the copy's rows, and the work of one run of each.
    std::vector<std::shared_ptr<const Trial::Replay>> samples;
    double sample_work = 0;
};

// What became of a proposal that was created.
struct Applied {
    std::string name;
    bool is_kept = false;    // false: it did not gain there and is gone again
    double work_before = 0;  // of one run of each of its statements; 0: not measured
    double work_after = 0;
    bool is_adopted = false;  // it was there, made by a server that died before it noted it
};

struct Redundant {
    std::string name;
    std::string by;  // the index that does the same
};

struct Advice {
    std::size_t statements = 0;
    std::size_t skipped = 0;  // OR, subqueries, compounds: not read
    std::size_t candidates = 0;
    bool complete = true;  // false: the deadline came first
    std::vector<Proposal> proposals;
    std::vector<std::string> unused;
    std::vector<Redundant> redundant;
};

struct Weak {
    std::string name;
    std::string reason;
};

class Advisor {
public:
    using Now = std::function<std::int64_t()>;

    Advisor(Storage storage, Now now_ns)
        : storage_{storage}, now_ns_{std::move(now_ns)}, dialect_{dialect_of(storage.dialect())} {}

    [[nodiscard]] Advice indexes(const Limits& limits) const;

    // First what an interrupted apply() left: an index that is not whole goes, one that is whole is
    // measured on a copy, and noted or dropped. Then it
    // creates the indexes and notes them with what their statements cost until now. One that no
    // plan of its statements uses, or, where work can be measured, that saves none, goes at once;
    // one that another server has applied since stays. Throws Error TENON_UNAVAILABLE when another
    // server is applying or withdrawing.
    std::vector<Applied> apply(
        const std::vector<Proposal>& proposals,
        std::int64_t real_ns,
        std::int64_t deadline_ns
    ) const;

    // Applied indexes whose statements did not get faster since. Times of a working machine, which
    // other things change too: a reason to look, not to drop.
    [[nodiscard]] std::vector<Weak> weak(std::int64_t deadline_ns) const;

    // Drops an applied index. Throws Error TENON_NOT_FOUND when there is none of that name.
    void withdraw(const std::string& name, std::int64_t real_ns, std::int64_t deadline_ns) const;

private:
    class Search;

    [[nodiscard]] Applied apply_within(
        const Proposal& proposal,
        std::int64_t real_ns,
        std::int64_t deadline_ns,
        const std::string& statistics
    ) const;
    [[nodiscard]] Applied apply_beside(
        Session& session,
        const Proposal& proposal,
        std::int64_t real_ns,
        std::int64_t deadline_ns,
        const std::string& statistics
    ) const;
    void adopt(
        Session& session,
        std::int64_t real_ns,
        std::int64_t deadline_ns,
        std::vector<Applied>& to
    ) const;
    [[nodiscard]] Applied adopt_one(
        Session& session,
        const Index& index,
        std::int64_t real_ns,
        std::int64_t deadline_ns
    ) const;
    [[nodiscard]] bool is_noted(Session& session, const std::string& index) const;
    void create_history(std::int64_t deadline_ns) const;
    void note_applied(
        Session& session,
        const Proposal& proposal,
        std::int64_t real_ns,
        const std::string& statistics
    ) const;

    Storage storage_;
    Now now_ns_;
    const Dialect& dialect_;
};

}  // namespace tenon::advisor
