// SPDX-License-Identifier: Apache-2.0
// The end of a copy: comparing everything, closing the source, opening the target.
#include "plugins/migrations/copy/compare.hpp"
#include "plugins/migrations/copy/copier.hpp"

namespace tenon::copy {
namespace {

constexpr int k_rounds_max = 1'000;

}  // namespace

TableCheck Copier::check_table(std::size_t table) {
    TableCheck check;
    Ranges done;
    std::string copy_id;
    {
        Transaction target{target_, TENON_INTENT_WRITE, deadline()};
        Progress progress = own(*target);
        copy_id = progress.copy_id;
        Transaction source{source_, TENON_INTENT_READ, deadline()};
        if (progress.phase == Phase::copying) {
            done = apply_changes(*source, *target, progress);
            journal_.write(*target, progress);
        }
        check = compare_table(tables_[table], {source_, *source}, {target_, *target}, options_);
        target.commit();
    }
    forget(copy_id, done);
    return check;
}

std::vector<TableCheck> Copier::verify() {
    {
        Transaction target{target_, TENON_INTENT_READ, deadline()};
        const Progress progress = own(*target);
        if (progress.tables_done() < tables_.size()) {
            throw Error{
                TENON_CONFLICT,
                std::to_string(tables_.size() - progress.tables_done()) + " of " +
                    std::to_string(tables_.size()) + " tables are not copied yet"};
        }
    }
    std::vector<TableCheck> checks;
    for (std::size_t table = 0; table < tables_.size(); ++table) {
        repeated([&] {
            checks.resize(table);
            checks.push_back(check_table(table));
        });
        at("table_checked");
    }
    return checks;
}

void Copier::require_same(const std::vector<TableCheck>& checks) const {
    std::string faults;
    for (const TableCheck& check : checks) {
        if (check.different != 0 && check.differences.empty()) {
            faults.append(faults.empty() ? "" : "\n")
                .append(check.table + ": " + std::to_string(check.different) + " rows differ");
        }
        for (const std::string& difference : check.differences) {
            faults.append(faults.empty() ? "" : "\n").append(difference);
        }
    }
    if (!faults.empty()) {
        throw Error{TENON_CORRUPT, "the copy is not the same as its source:\n" + faults};
    }
}

// Whether the target takes back what was taken away; undone again.
void Copier::try_binding() {
    Transaction target{target_, TENON_INTENT_WRITE, deadline()};
    (void)own(*target);
    journal_.bind_tables(*target);
}

// In one write transaction of the source, that keeps all other writers out: nothing is between the
// last change that is brought over and the fence. False: too many changes wait to hold them out.
bool Copier::close_source() {
    Transaction source{source_, TENON_INTENT_WRITE, deadline()};
    // The first statement: PostgreSQL takes the snapshot after it, and so sees all that came
    // before.
    capture_.lock(*source);
    if (capture_.is_fenced(*source)) {
        close_target(*source);
        return true;
    }
    if (capture_.waiting(*source) > static_cast<std::int64_t>(options_.last_changes_max)) {
        return false;
    }
    Transaction target{target_, TENON_INTENT_WRITE, deadline()};
    Progress progress = own(*target);
    (void)apply_changes(*source, *target, progress);
    progress.phase = Phase::closing;
    journal_.write(*target, progress);
    target.commit();
    at("last_changes_committed");
    // Needs no stronger lock than the one that is held; taking the capture away does.
    capture_.fence(*source);
    source.commit();
    at("source_fenced");
    return true;
}

// The fence of an earlier run, which was not to be seen yet when this one looked for it: the copy
// went on as if the source were open.
void Copier::close_target(Session& source) {
    Transaction target{target_, TENON_INTENT_WRITE, deadline()};
    Progress progress = own(*target);
    if (progress.phase == Phase::copying) {
        (void)apply_changes(source, *target, progress);
        progress.phase = Phase::closing;
        journal_.write(*target, progress);
        target.commit();
    }
}

// Waits for those that read the source, so it comes when nobody waits for the target any more. What
// is left behind is never written to again.
bool Copier::remove_capture() {
    bool removed = false;
    try {
        at("target_opened");
        repeated([&] {
            std::optional<Progress> found;
            {
                Transaction target{target_, TENON_INTENT_READ, deadline()};
                found = journal_.read(*target);
            }
            if (!found || found->phase != Phase::finished) {
                return;
            }
            Transaction source{source_, TENON_INTENT_WRITE, deadline()};
            // A source that was opened again may be captured by a newer copy.
            if (capture_.copy_id(*source) == found->copy_id) {
                capture_.remove(*source);
                source.commit();
            }
            removed = true;
        });
        at("capture_removed");
    } catch (const Error&) {
        return removed;  // the copy is finished all the same; begin() and reopen() try again
    }
    return removed;
}

// A source that was about to be closed and takes writes: the copy follows them again.
Phase Copier::resume_copying() {
    bool fenced = false;
    {
        Transaction source{source_, TENON_INTENT_READ, deadline()};
        fenced = capture_.is_fenced(*source);
    }
    Transaction target{target_, TENON_INTENT_WRITE, deadline()};
    Progress progress = own(*target);
    if (progress.phase == Phase::closing && !fenced) {
        progress.phase = Phase::copying;
        journal_.write(*target, progress);
        target.commit();
    }
    return progress.phase;
}

void Copier::catch_up() {
    int rounds = 0;
    while (advance() && applied_ > static_cast<std::int64_t>(options_.last_changes_max)) {
        if (++rounds == k_rounds_max) {
            throw Error{
                TENON_UNAVAILABLE,
                "writers of " + source_.name + " outrun the copy; finish when they are fewer"};
        }
    }
}

void Copier::bind_target() {
    Transaction target{target_, TENON_INTENT_WRITE, deadline()};
    Progress progress = own(*target);
    if (progress.phase == Phase::finished) {
        return;  // by a commit whose outcome was not known
    }
    journal_.bind_tables(*target);
    journal_.set_identities(*target);
    progress.phase = Phase::finished;
    journal_.write(*target, progress);
    at("target_bound");
    target.commit();
}

bool Copier::finish() {
    Phase phase = Phase::copying;
    repeated([&] { phase = resume_copying(); });
    if (phase == Phase::finished) {
        return remove_capture();
    }
    if (phase == Phase::copying) {
        require_same(verify());
        repeated([&] { try_binding(); });
        bool closed = false;
        for (int round = 0; !closed; ++round) {
            if (round == k_rounds_max) {
                throw Error{
                    TENON_UNAVAILABLE,
                    "writers of " + source_.name + " outrun the copy; finish when they are fewer"};
            }
            repeated([&] { (void)resume_copying(); });
            catch_up();
            repeated([&] { closed = close_source(); });
        }
    }
    // Nobody writes to the source any more: what is the same now stays so.
    require_same(verify());
    repeated([&] { bind_target(); });
    return remove_capture();
}

}  // namespace tenon::copy
