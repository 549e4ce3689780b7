// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/advisor.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <set>

namespace tenon::advisor {
namespace {

// An index entry written costs about as much as this many times its steps would when reading: it
// dirties a page that has to reach the log.
constexpr double k_write_weight = 8;
constexpr double k_entry_work = 4;      // steps of an entry where it cannot be measured
constexpr double k_gain_least = 0.2;    // of a statement's work, for one at least
constexpr double k_saved_least = 50;    // less than that is lost in what any statement costs
constexpr double k_gain_of_all = 0.01;  // and of what the statements that it helps did at first
constexpr double k_same_gain = 0.99;    // a smaller index with this much of the best gain is better

bool touches(const Captured& captured, std::string_view table) {
    return std::any_of(captured.tables.begin(), captured.tables.end(), [&](const std::string& t) {
        return same_name(t, table);
    });
}

bool supports_foreign_key(const Index& index, const Catalog& catalog) {
    const Table* table = catalog.find(index.table);
    if (table == nullptr) {
        return false;
    }
    return std::any_of(
        table->foreign_keys.begin(),
        table->foreign_keys.end(),
        [&](const auto& key) {
            return !key.empty() && !index.columns.empty() &&
                   same_name(key.front(), index.columns.front().name);
        }
    );
}

void find_superfluous(
    const Catalog& catalog,
    const std::vector<Captured>& captured,
    Advice& advice
) {
    std::set<std::string> used;
    for (const Captured& one : captured) {
        used.insert(one.plan_indexes.begin(), one.plan_indexes.end());
    }
    for (const Index& index : catalog.indexes) {
        if (index.unique) {
            continue;
        }
        const auto better =
            std::find_if(catalog.indexes.begin(), catalog.indexes.end(), [&](const Index& other) {
                const bool equal = other.columns.size() == index.columns.size() && !other.unique;
                return &other != &index && is_prefix(index, other) && (!equal || &other < &index);
            });
        if (better != catalog.indexes.end()) {
            advice.redundant.push_back({index.name, better->name});
        } else if (!index.used && used.count(index.name) == 0 && !supports_foreign_key(index, catalog)) {
            advice.unused.push_back(index.name);
        }
    }
}

}  // namespace

// One search for indexes, on one copy.
class Advisor::Search {
public:
    Search(
        const Advisor& advisor,
        const Limits& limits,
        const std::vector<Captured>& captured,
        const Storage& copy
    )
        : advisor_{advisor},
          limits_{limits},
          captured_{captured},
          copy_{copy},
          trial_{copy, catalog_, advisor.dialect_, limits.deadline_ns} {}

    [[nodiscard]] Advice run() {
        try {
            search();
        } catch (const StorageError& e) {
            if (e.failure() != Failure::timeout) {
                throw;
            }
            advice_.complete = false;  // the deadline came inside a trial
        }
        return std::move(advice_);
    }

private:
    void search() {
        copy_.read(limits_.deadline_ns, [&](Session& session) {
            catalog_ = advisor_.dialect_.read_catalog(session);
        });
        // Of the original: it counts what its indexes are used for.
        advisor_.storage_.read(limits_.deadline_ns, [&](Session& session) {
            advice_.unused.clear();
            advice_.redundant.clear();
            find_superfluous(advisor_.dialect_.read_catalog(session), captured_, advice_);
        });
        trial_.execute(advisor_.dialect_.settle_sql());
        read_statements();
        work_ = trial_.measure(pointers());
        first_work_ = work_;
        while (advice_.proposals.size() < limits_.proposals && choose()) {}
    }

    struct Result {
        double gain = 0;
        double write_work = 0;
        std::vector<double> work;
    };

    [[nodiscard]] bool is_late() {
        const bool late = advisor_.now_ns_() >= limits_.deadline_ns;
        advice_.complete = advice_.complete && !late;
        return late;
    }

    [[nodiscard]] std::vector<const Trial::Replay*> pointers() const {
        std::vector<const Trial::Replay*> out;
        for (const auto& replay : replays_) {
            out.push_back(replay.get());
        }
        return out;
    }

    void read_statements() {
        for (const Captured& captured : captured_) {
            const Shape shape = read_shape(captured.sql, catalog_);
            if (captured.writes && shape.analysed) {
                writes_.emplace_back(&captured, shape);
            }
            if (replays_.size() >= limits_.statements || shape.verb == "insert" ||
                captured.calls == 0 || is_late()) {
                continue;
            }
            std::optional<Trial::Replay> replay;
            if (!shape.conditions.empty() || !shape.order.empty()) {
                replay = trial_.prepare(captured, shape);
            }
            if (!replay) {
                advice_.skipped += shape.analysed ? 0U : 1U;
                continue;
            }
            add_candidates(captured, shape);
            replays_.push_back(std::make_shared<const Trial::Replay>(std::move(*replay)));
        }
        advice_.statements = replays_.size();
        advice_.candidates = candidates_.size();
    }

    void add_candidates(const Captured& captured, const Shape& shape) {
        std::vector<Candidate> found;
        try {
            copy_.read(limits_.deadline_ns, [&](Session& session) {
                found = candidates_of(captured, shape, catalog_, advisor_.dialect_, session);
            });
        } catch (const Error& e) {
            if (ends_search(e)) {
                throw;
            }
            // A column whose values cannot be counted; what others propose may help it still.
            ++advice_.skipped;
            return;
        }
        for (Candidate& candidate : found) {
            const bool known =
                std::any_of(
                    candidates_.begin(),
                    candidates_.end(),
                    [&](const Candidate& c) { return c.index.name == candidate.index.name; }
                ) ||
                std::any_of(catalog_.indexes.begin(), catalog_.indexes.end(), [&](const Index& i) {
                    return i.name == candidate.index.name || is_prefix(candidate.index, i);
                });
            if (!known && candidates_.size() < limits_.candidates) {
                candidates_.push_back(std::move(candidate));
            }
        }
    }

    // Keeps the best of what is left. False: none gains.
    [[nodiscard]] bool choose() {
        std::vector<std::pair<Candidate, Result>> gaining;
        for (const Candidate& candidate : candidates_) {
            if (is_late()) {
                break;
            }
            const Result result = attempt(candidate);
            if (result.gain > 0) {
                gaining.emplace_back(candidate, result);
            }
        }
        candidates_.clear();
        if (gaining.empty()) {
            return false;
        }
        double most = 0;
        for (const auto& [candidate, result] : gaining) {
            most = std::max(most, result.gain);
            candidates_.push_back(candidate);
        }
        const auto best =
            std::min_element(gaining.begin(), gaining.end(), [&](const auto& a, const auto& b) {
                const bool good_a = a.second.gain >= most * k_same_gain;
                const bool good_b = b.second.gain >= most * k_same_gain;
                return good_a != good_b ? good_a : good_a && a.first.size() < b.first.size();
            });
        keep(best->first, best->second);
        return true;
    }

    [[nodiscard]] std::vector<std::size_t> affected(const Candidate& candidate) const {
        std::vector<std::size_t> out;
        for (std::size_t i = 0; i < replays_.size(); ++i) {
            if (touches(*replays_[i]->captured, candidate.index.table)) {
                out.push_back(i);
            }
        }
        return out;
    }

    void build(const Index& index) {
        trial_.execute(advisor_.dialect_.create_sql(index, false));
        trial_.execute(advisor_.dialect_.analyze_sql(index));
    }

    // One that cannot be built gains nothing: a column that has no order, a value that is too long.
    [[nodiscard]] Result attempt(const Candidate& candidate) {
        try {
            return try_out(candidate);
        } catch (const Error& e) {
            if (ends_search(e)) {
                throw;
            }
        }
        trial_.execute(advisor_.dialect_.drop_sql(candidate.index, false));
        return {};
    }

    [[nodiscard]] Result try_out(const Candidate& candidate) {
        const auto before = insert_work(candidate.index.table);
        build(candidate.index);
        const std::vector<std::size_t> which = affected(candidate);
        std::vector<const Trial::Replay*> some;
        for (const std::size_t i : which) {
            some.push_back(replays_[i].get());
        }
        const std::vector<double> now = trial_.measure(some);
        const Table* table = catalog_.find(candidate.index.table);
        const auto after = before ? trial_.measure_insert(*table) : std::nullopt;
        trial_.execute(advisor_.dialect_.drop_sql(candidate.index, false));

        Result result;
        result.work = work_;
        bool helps = false;
        double all = 0;
        for (std::size_t k = 0; k < which.size(); ++k) {
            const std::size_t i = which[k];
            const auto calls = static_cast<double>(replays_[i]->captured->calls);
            result.gain += calls * (work_[i] - now[k]);
            if (now[k] <= work_[i] * (1 - k_gain_least) && work_[i] - now[k] >= k_saved_least) {
                helps = true;
                all += calls * first_work_[i];
            }
            result.work[i] = now[k];
        }
        const double entry = before && after ? std::max(*after - *before, 1.0) : k_entry_work;
        result.write_work = write_work(candidate, entry);
        result.gain -= result.write_work;
        result.gain = helps && result.gain >= all * k_gain_of_all ? result.gain : 0;
        return result;
    }

    [[nodiscard]] std::optional<double> insert_work(const std::string& name) {
        const auto known = insert_work_.find(name);
        if (known != insert_work_.end()) {
            return known->second;
        }
        const Table* table = catalog_.find(name);
        const auto measured = table == nullptr ? std::nullopt : trial_.measure_insert(*table);
        insert_work_.emplace(name, measured);
        return measured;
    }

    // What the captured writes would have paid for it.
    [[nodiscard]] double write_work(const Candidate& candidate, double entry) const {
        double entries = 0;
        for (const auto& [captured, shape] : writes_) {
            if (!same_name(shape.target, candidate.index.table)) {
                continue;
            }
            const auto rows = static_cast<double>(captured->rows);
            if (shape.verb != "update") {
                entries += rows;
                continue;
            }
            const bool changes =
                std::any_of(shape.changed.begin(), shape.changed.end(), [&](const auto& column) {
                    const auto& columns = candidate.index.columns;
                    const auto& included = candidate.index.included;
                    return candidate.index.where.find(quoted(column)) != std::string::npos ||
                           std::any_of(
                               included.begin(),
                               included.end(),
                               [&](const std::string& c) { return same_name(c, column); }
                           ) ||
                           std::any_of(columns.begin(), columns.end(), [&](const IndexColumn& c) {
                               return same_name(c.name, column);
                           });
                });
            entries += changes ? 2 * rows : 0;
        }
        // A row outside a partial index costs the test of its predicate.
        const double share = candidate.index.where.empty() ? 1 : candidate.share + 0.05;
        return entries * entry * k_write_weight * share;
    }

    void keep(const Candidate& candidate, const Result& result) {
        build(candidate.index);
        Proposal proposal;
        proposal.candidate = candidate;
        proposal.sql = advisor_.dialect_.create_sql(candidate.index, true);
        proposal.write_work = result.write_work;
        for (std::size_t i = 0; i < replays_.size(); ++i) {
            const auto calls = static_cast<double>(replays_[i]->captured->calls);
            proposal.read_work_before += calls * work_[i];
            proposal.read_work_after += calls * result.work[i];
            if (result.work[i] < work_[i]) {
                proposal.fingerprints.push_back(replays_[i]->captured->fingerprint);
                proposal.samples.push_back(replays_[i]);
                proposal.sample_work += result.work[i];
                proposal.gain_ns += static_cast<std::int64_t>(
                    static_cast<double>(replays_[i]->captured->total_ns) *
                    ((work_[i] - result.work[i]) / first_work_[i])
                );
            }
        }
        work_ = result.work;
        insert_work_.erase(candidate.index.table);
        catalog_.indexes.push_back(candidate.index);
        std::erase_if(candidates_, [&](const Candidate& c) {
            return is_prefix(c.index, candidate.index);
        });
        advice_.proposals.push_back(std::move(proposal));
    }

    const Advisor& advisor_;
    const Limits& limits_;
    const std::vector<Captured>& captured_;
    const Storage& copy_;
    Catalog catalog_;
    Trial trial_;
    Advice advice_;
    std::vector<std::shared_ptr<const Trial::Replay>> replays_;
    std::vector<std::pair<const Captured*, Shape>> writes_;
    std::vector<Candidate> candidates_;
    std::vector<double> first_work_;  // as captured, without any proposal
    std::vector<double> work_;
    std::map<std::string, std::optional<double>> insert_work_;
};

Advice Advisor::indexes(const Limits& limits) const {
    const std::vector<Captured> captured = read_captured(storage_.statements());
    const StorageClone copy = storage_.clone(true, limits.deadline_ns);
    return Search{*this, limits, captured, *copy}.run();
}

}  // namespace tenon::advisor
