// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/rewrites.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace tenon::advisor {
namespace {

constexpr double k_gain_least = 0.2;  // of a statement's work
constexpr double k_saved_least = 50;  // less is lost in what any statement costs
constexpr std::size_t k_timed_runs = 5;

std::int64_t median(std::array<std::int64_t, k_timed_runs> times) {
    std::sort(times.begin(), times.end());
    return times[k_timed_runs / 2];
}

std::string numbers(const std::vector<std::uint32_t>& list) {
    std::string out = "[";
    for (const std::uint32_t one : list) {
        out += (out.size() == 1 ? "" : ",") + std::to_string(one);
    }
    return out + "]";
}

}  // namespace

class RewriteAdvisor::Search {
public:
    Search(
        const RewriteAdvisor& advisor,
        const RewriteLimits& limits,
        const std::vector<Captured>& captured,
        const Storage& copy
    )
        : advisor_{advisor},
          limits_{limits},
          captured_{captured},
          copy_{copy},
          trial_{copy, catalog_, advisor.dialect_, limits.deadline_ns},
          proof_{copy, catalog_, advisor.dialect_, limits.seed, limits.deadline_ns} {}

    [[nodiscard]] RewriteAdvice run() {
        try {
            trial_.execute(advisor_.dialect_.settle_sql());
            copy_.read(limits_.deadline_ns, [&](Session& session) {
                catalog_ = advisor_.dialect_.read_catalog(session);
            });
            for (const Captured& captured : captured_) {
                const bool is_asked =
                    limits_.fingerprint.empty() || captured.fingerprint == limits_.fingerprint;
                if (is_asked && advice_.statements < limits_.statements && !is_late()) {
                    look_at(captured);
                }
            }
        } catch (const StorageError& e) {
            if (e.failure() != Failure::timeout) {
                throw;
            }
            advice_.complete = false;  // the deadline came inside a comparison
        }
        std::stable_sort(
            advice_.proven.begin(),
            advice_.proven.end(),
            [](const auto& a, const auto& b) { return a.gain_ns > b.gain_ns; }
        );
        return std::move(advice_);
    }

private:
    [[nodiscard]] bool is_late() {
        const bool late = advisor_.now_ns_() >= limits_.deadline_ns;
        advice_.complete = advice_.complete && !late;
        return late;
    }

    void look_at(const Captured& captured) {
        if (captured.writes || captured.calls == 0) {
            return;
        }
        const auto statement = read_rewritable(captured, catalog_);
        if (!statement || tables_of(statement->text, catalog_).empty()) {
            ++advice_.skipped;
            return;
        }
        ++advice_.statements;
        for (Hint& hint : hints_of(*statement, catalog_)) {
            advice_.hints.push_back({captured.fingerprint, std::move(hint)});
        }
        for (const Rewrite& rewrite : rewrites_of(*statement, catalog_)) {
            if (is_late()) {
                return;
            }
            ++advice_.tried;
            look_at(captured, *statement, rewrite);
        }
    }

    [[nodiscard]] Trial::Replay replay_of(const Captured& captured, const Words& text) const {
        Trial::Replay out;
        out.captured = &captured;
        out.sql = print(text).sql;
        out.fingerprint = normalise_sql(out.sql).fingerprint;
        return out;
    }

    // Both get the same values; those of a parameter that stands twice are the same, too.
    void give_values(
        const std::vector<std::vector<Kept>>& values,
        const std::vector<std::uint32_t>& before,
        const std::vector<std::uint32_t>& after,
        Trial::Replay& first,
        Trial::Replay& second
    ) const {
        for (const auto& run : values) {
            std::map<std::uint32_t, tenon_value> known;
            first.values.emplace_back();
            second.values.emplace_back();
            for (std::size_t i = 0; i < before.size(); ++i) {
                known[before[i]] = run[i].raw();
                first.values.back().push_back(run[i].raw());
            }
            for (const std::uint32_t mark : after) {
                second.values.back().push_back(known[mark]);
            }
        }
    }

    void look_at(const Captured& captured, const Rewritable& statement, const Rewrite& rewrite) {
        Words before = statement.text;
        Words after = rewrite.text;
        append(before, statement.limit);
        append(after, statement.limit);
        ProvenRewrite found;
        found.fingerprint = captured.fingerprint;
        found.rule = rewrite.rule;
        found.before = print(before).sql;
        found.after = print(after).sql;
        const auto marks_before = print(before).marks;
        for (const std::uint32_t mark : print(after).marks) {
            const auto at = std::find(marks_before.begin(), marks_before.end(), mark);
            found.parameters.push_back(static_cast<std::uint32_t>(at - marks_before.begin()));
        }
        try {
            if (!measure(captured, before, after, found)) {
                ++advice_.not_gaining;
                return;
            }
            found.evidence = proof_.compare(statement, rewrite.text);
        } catch (const Error& e) {
            if (ends_search(e)) {
                throw;
            }
            refuse(found, "cannot be run on the copy: " + std::string{e.what()});
            return;
        }
        if (!found.evidence.holds) {
            refuse(found, found.evidence.counterexample);
        } else if (!rewrite.rests_on.empty()) {
            std::string reason = "the schema does not promise that ";
            for (const std::string& one : rewrite.rests_on) {
                reason += (&one == &rewrite.rests_on.front() ? "" : " and that ") + one;
            }
            refuse(found, reason);
        } else if (!found.evidence.is_enough()) {
            refuse(found, "too few rows to compare: the result was the same, which tells nothing");
        } else {
            advice_.proven.push_back(std::move(found));
        }
    }

    void refuse(const ProvenRewrite& found, std::string reason) {
        advice_.refused.push_back({found.fingerprint, found.rule, found.after, std::move(reason)});
    }

    // False: it does not gain.
    [[nodiscard]] bool
    measure(const Captured& captured, const Words& before, const Words& after, ProvenRewrite& out) {
        Trial::Replay first = replay_of(captured, before);
        Trial::Replay second = replay_of(captured, after);
        std::vector<std::vector<Kept>> values;
        copy_.read(limits_.deadline_ns, [&](Session& session) {
            values = proof_.values_for(session, before, Trial::k_runs);
        });
        give_values(values, print(before).marks, print(after).marks, first, second);
        const std::vector<double> work = trial_.measure({&first, &second});
        out.work_before = work[0];
        out.work_after = work[1];
        if (work[1] > work[0] * (1 - k_gain_least) || work[0] - work[1] < k_saved_least) {
            return false;
        }
        copy_.read(limits_.deadline_ns, [&](Session& session) {
            out.plan_before = session.plan(first.sql);
            out.plan_after = session.plan(second.sql);
        });
        time(first, second, out);
        out.gain_ns = static_cast<std::int64_t>(
            static_cast<double>(captured.total_ns) * ((work[0] - work[1]) / work[0])
        );
        return true;
    }

    [[nodiscard]] std::int64_t
    time_of(Session& session, const Trial::Replay& replay, std::size_t run) const {
        const std::int64_t begin_ns = advisor_.now_ns_();
        auto statement = session.prepare(replay.sql);
        for (std::size_t i = 0; i < replay.values[run].size(); ++i) {
            statement.bind(static_cast<std::uint32_t>(i + 1), replay.values[run][i]);
        }
        statement.run();
        return advisor_.now_ns_() - begin_ns;
    }

    // By turns, so that what else the machine does falls on both.
    void time(const Trial::Replay& first, const Trial::Replay& second, ProvenRewrite& out) const {
        std::array<std::int64_t, k_timed_runs> before{};
        std::array<std::int64_t, k_timed_runs> after{};
        copy_.read(limits_.deadline_ns, [&](Session& session) {
            for (std::size_t i = 0; i < k_timed_runs; ++i) {
                before[i] = time_of(session, first, i);
                after[i] = time_of(session, second, i);
            }
        });
        out.time_before_ns = median(before);
        out.time_after_ns = median(after);
    }

    const RewriteAdvisor& advisor_;
    const RewriteLimits& limits_;
    const std::vector<Captured>& captured_;
    const Storage& copy_;
    Catalog catalog_;
    Trial trial_;
    Proof proof_;
    RewriteAdvice advice_;
};

RewriteAdvice RewriteAdvisor::rewrites(const RewriteLimits& limits) const {
    const std::vector<Captured> captured = read_captured(storage_.statements());
    const bool is_known = limits.fingerprint.empty() ||
                          std::any_of(captured.begin(), captured.end(), [&](const Captured& one) {
                              return one.fingerprint == limits.fingerprint;
                          });
    if (!is_known) {
        throw Error{
            TENON_NOT_FOUND, "no captured statement has the fingerprint " + limits.fingerprint};
    }
    const StorageClone copy = storage_.clone(true, limits.deadline_ns);
    return Search{*this, limits, captured, *copy}.run();
}

namespace {

void field(std::string& out, std::string_view name, std::string_view value) {
    out.append(",\"").append(name).append("\":");
    append_json(out, value);
}

void field(std::string& out, std::string_view name, std::int64_t value) {
    out.append(",\"").append(name).append("\":").append(std::to_string(value));
}

void append_proven(std::string& out, const ProvenRewrite& one) {
    out.append("{\"fingerprint\":");
    append_json(out, one.fingerprint);
    field(out, "rule", one.rule);
    field(out, "before", one.before);
    field(out, "after", one.after);
    out.append(",\"parameters\":").append(numbers(one.parameters));
    out.append(",\"evidence\":{\"data_sets\":").append(std::to_string(one.evidence.data_sets));
    field(out, "runs", static_cast<std::int64_t>(one.evidence.runs));
    field(out, "same_rows", static_cast<std::int64_t>(one.evidence.rows));
    field(out, "added_rows", static_cast<std::int64_t>(one.evidence.added));
    out.push_back('}');
    field(out, "work_before", std::llround(one.work_before));
    field(out, "work_after", std::llround(one.work_after));
    field(out, "time_before_ns", one.time_before_ns);
    field(out, "time_after_ns", one.time_after_ns);
    field(out, "gain_ns", one.gain_ns);
    out.append(",\"plan_before\":").append(one.plan_before);
    out.append(",\"plan_after\":").append(one.plan_after);
    out.push_back('}');
}

}  // namespace

std::string json_of(const RewriteAdvice& advice) {
    std::string out = "{\"statements\":" + std::to_string(advice.statements);
    field(out, "skipped", static_cast<std::int64_t>(advice.skipped));
    field(out, "tried", static_cast<std::int64_t>(advice.tried));
    field(out, "not_gaining", static_cast<std::int64_t>(advice.not_gaining));
    out.append(advice.complete ? ",\"complete\":true" : ",\"complete\":false");
    out.append(",\"rewrites\":[");
    for (const ProvenRewrite& one : advice.proven) {
        out.append(&one == &advice.proven.front() ? "" : ",");
        append_proven(out, one);
    }
    out.append("],\"refused\":[");
    for (const RefusedRewrite& one : advice.refused) {
        out.append(&one == &advice.refused.front() ? "{\"fingerprint\":" : ",{\"fingerprint\":");
        append_json(out, one.fingerprint);
        field(out, "rule", one.rule);
        field(out, "after", one.after);
        field(out, "reason", one.reason);
        out.push_back('}');
    }
    out.append("],\"hints\":[");
    for (const RewriteHint& one : advice.hints) {
        out.append(&one == &advice.hints.front() ? "{\"fingerprint\":" : ",{\"fingerprint\":");
        append_json(out, one.fingerprint);
        field(out, "rule", one.hint.rule);
        field(out, "text", one.hint.text);
        out.push_back('}');
    }
    return out + "]}";
}

}  // namespace tenon::advisor
