// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/retention.hpp"

#include <algorithm>

namespace tenon::archive {
namespace {

constexpr std::uint64_t k_batch_rows_min = 50, k_batch_rows_first = 500;

// Ranges whose rows are in the database and are to stay, or are dealt with already.
bool is_kept(const Manifest& manifest) noexcept {
    return manifest.state != State::deleted;
}

}  // namespace

Retention::Retention(RetentionContext context, RetentionOptions options)
    : context_{std::move(context)},
      options_{std::move(options)},
      batch_rows_{std::min(k_batch_rows_first, options_.rows_a_delete)} {}

std::int64_t Retention::cutoff(const Policy& policy, std::int64_t now_real_ns) noexcept {
    const std::int64_t at = std::max<std::int64_t>(now_real_ns - policy.keep_ns, 0);
    return at - at % k_day_ns;
}

void Retention::begin_run() {
    left_.clear();
    work_.reset();
}

std::int64_t Retention::deadline_ns() const {
    return context_.now_ns() + options_.step_timeout_ns;
}

void Retention::at(std::string_view point) const {
    if (options_.hook) {
        options_.hook(point);
    }
}

bool Retention::step() {
    if (!work_ && !pick()) {
        return false;
    }
    try {
        advance(*work_);
    } catch (...) {
        // The disk says how far it is; the next run looks there.
        left_.insert(work_->manifest.id);
        left_.insert(work_->manifest.policy);
        work_.reset();
        throw;
    }
    if (work_ && work_->manifest.state == State::deleted) {
        work_.reset();
    }
    return true;
}

bool Retention::pick() {
    const Listing listing = context_.folder.list();
    if (resume(listing)) {
        return true;
    }
    for (const Policy& policy : options_.policies) {
        if (left_.contains(policy.table->name)) {
            continue;
        }
        try {
            // Nobody knows its range, nor whether its rows were put back to stay.
            const auto damage = listing.damage_of.find(policy.table->name);
            if (damage != listing.damage_of.end()) {
                throw Error{
                    TENON_CORRUPT,
                    damage->second + "; until it is put right, no range of " + policy.table->name +
                        " is begun"};
            }
            if (plan(policy, listing)) {
                return true;
            }
        } catch (...) {
            left_.insert(policy.table->name);
            throw;
        }
        left_.insert(policy.table->name);  // nothing is due
    }
    return false;
}

bool Retention::resume(const Listing& listing) {
    for (const Manifest& manifest : listing.archives) {
        if (manifest.state == State::deleted || manifest.state == State::restored ||
            left_.contains(manifest.id)) {
            continue;
        }
        const auto policy = std::find_if(
            options_.policies.begin(),
            options_.policies.end(),
            [&](const Policy& one) { return one.table->name == manifest.policy; }
        );
        if (policy == options_.policies.end()) {
            continue;  // nobody wants it any more: its rows stay
        }
        work_.emplace();
        work_->manifest = manifest;
        work_->policy = *policy;
        work_->cutoff_real_ns = cutoff(*policy, context_.now_real_ns());
        return true;
    }
    return false;
}

bool Retention::plan(const Policy& policy, const Listing& listing) {
    const HistoryTable& table = *policy.table;
    const std::int64_t cutoff_real_ns = cutoff(policy, context_.now_real_ns());
    const std::vector<Hold> holds = context_.folder.holds();
    std::int64_t from = INT64_MIN;
    while (true) {
        std::optional<std::int64_t> due;
        std::int64_t due_end = 0;
        context_.storage.read(deadline_ns(), [&](Session& session) {
            due = first_due(session, table, from, cutoff_real_ns);
            due_end = due ? end_of_due(session, table, cutoff_real_ns) : 0;
        });
        ++counts_.transactions;
        if (!due) {
            return false;
        }
        const std::int64_t first = table.by_time() ? *due - *due % k_day_ns : *due;
        const std::int64_t length = table.by_time() ? k_day_ns : options_.keys_a_range;
        std::int64_t end = first > INT64_MAX - length ? due_end : std::min(first + length, due_end);
        bool is_taken = std::any_of(holds.begin(), holds.end(), [&](const Hold& hold) {
            return hold.covers(
                table.name,
                table.by_time() ? first : INT64_MIN,
                (table.by_time() ? end : cutoff_real_ns) - 1
            );
        });
        for (const Manifest& other : listing.archives) {
            if (other.policy != table.name || !is_kept(other)) {
                continue;
            }
            if (other.first <= *due && *due < other.end) {
                is_taken = true;
                end = other.end;
            } else if (*due < other.first) {
                end = std::min(end, other.first);
            }
        }
        if (!is_taken) {
            begin(policy, first, end);
            return true;
        }
        from = end;
    }
}

void Retention::begin(const Policy& policy, std::int64_t first, std::int64_t end) {
    Work work;
    work.policy = policy;
    work.cutoff_real_ns = cutoff(policy, context_.now_real_ns());
    Manifest& manifest = work.manifest;
    manifest.policy = policy.table->name;
    manifest.table = policy.table->table;
    manifest.first = first;
    manifest.end = end;
    manifest.dialect = context_.storage.dialect();
    manifest.created_real_ns = context_.now_real_ns();
    context_.folder.open();
    manifest.id = context_.folder.new_id(manifest.policy, first, end);
    at("planning");
    settle(work, State::planned);
    work_ = std::move(work);
}

void Retention::settle(Work& work, State state) {
    work.manifest.state = state;
    work.manifest.updated_real_ns = context_.now_real_ns();
    context_.folder.save(work.manifest);
    at(name_of(state));
}

bool Retention::is_held(const Manifest& manifest) const {
    const std::vector<Hold> holds = context_.folder.holds();
    return std::any_of(holds.begin(), holds.end(), [&](const Hold& hold) {
        return hold.covers(manifest.policy, manifest.min_time, manifest.max_time);
    });
}

void Retention::advance(Work& work) {
    switch (work.manifest.state) {
        case State::planned:
            export_page(work);
            return;
        case State::exported:
            verify_file(context_.folder.file_of(work.manifest), work.manifest, context_.stopping);
            settle(work, State::verified);
            return;
        case State::verified:
            make_copy(work);
            return;
        case State::copied:
            if (is_held(work.manifest)) {
                left_.insert(work.manifest.id);
                work_.reset();
                return;
            }
            settle(work, State::eligible);
            return;
        case State::eligible:
            delete_batch(work);
            return;
        case State::deleted:
        case State::restored:
            return;
    }
}

void Retention::export_page(Work& work) {
    const HistoryTable& table = *work.policy.table;
    if (!work.writer) {
        context_.storage.read(deadline_ns(), [&](Session& session) {
            work.manifest.columns =
                columns_of(session, context_.storage.dialect(), work.manifest.table);
            work.manifest.migration = schema_version(session, context_.storage.dialect());
        });
        work.layout.emplace(table, work.manifest.columns);
        work.writer = std::make_unique<ArchiveWriter>(
            context_.folder.file_of(work.manifest), work.manifest, options_.level
        );
    }
    Span span;
    span.first = work.manifest.first;
    span.end = work.manifest.end;
    span.after = work.last;
    span.cutoff_real_ns = work.cutoff_real_ns;
    span.limit = options_.rows_a_page;
    std::vector<Line> lines;
    context_.storage.read(deadline_ns(), [&](Session& session) {
        lines = read_lines(session, table, *work.layout, span);
    });
    ++counts_.transactions;
    for (const Line& line : lines) {
        work.writer->add(line.text, line.time);
    }
    if (!lines.empty()) {
        if (work.last.empty()) {
            work.manifest.min_key = lines.front().key;
        }
        work.last = work.manifest.max_key = lines.back().key;
    }
    at("exporting");
    if (lines.size() < options_.rows_a_page) {
        finish_export(work);
    }
}

void Retention::finish_export(Work& work) {
    work.writer->finish(work.manifest);
    work.writer.reset();
    at("written");
    if (work.manifest.rows == 0) {
        // Somebody else deleted them meanwhile.
        context_.folder.remove(work.manifest);
        work_.reset();
        return;
    }
    settle(work, State::exported);
    counts_.rows_archived += work.manifest.rows;
    counts_.bytes += work.manifest.bytes;
}

void Retention::make_copy(Work& work) {
    if (options_.second) {
        at("copying");
        // The copy's manifest says what the copy is; how far the range is says the first.
        context_.folder.copy_to(*options_.second, work.manifest);
        verify_file(options_.second->file_of(work.manifest), work.manifest, context_.stopping);
        work.manifest.copied = true;
    }
    settle(work, State::copied);
}

void Retention::delete_batch(Work& work) {
    if (is_held(work.manifest)) {
        left_.insert(work.manifest.id);
        work_.reset();
        return;
    }
    const HistoryTable& table = *work.policy.table;
    if (!work.lines) {
        // A file that has come to harm since is found before the first row goes.
        verify_file(context_.folder.file_of(work.manifest), work.manifest, context_.stopping);
        work.lines = std::make_unique<ArchiveLines>(
            context_.folder.file_of(work.manifest), work.manifest, table
        );
        work.changed = 0;
        work.last.clear();
    }
    const std::vector<Line> lines = work.lines->next(batch_rows_);
    if (lines.empty()) {
        work.manifest.changed = work.changed;
        work.manifest.deleted = work.manifest.rows - work.changed;
        settle(work, State::deleted);
        ++counts_.ranges;
        return;
    }
    Span span;
    span.first = work.manifest.first;
    span.end = work.manifest.end;
    span.after = work.last;
    span.last = lines.back().key;
    span.cutoff_real_ns = work.cutoff_real_ns;
    span.locked = context_.storage.dialect() == "postgres";
    const std::uint64_t changed_before = work.changed;
    std::uint64_t gone = 0;
    std::int64_t began_ns = 0, ended_ns = 0;
    context_.storage.write(deadline_ns(), [&](Session& session) {
        began_ns = context_.now_ns();
        work.changed = changed_before;  // it may run again
        gone = delete_lines(session, work, lines, span);
        ended_ns = context_.now_ns();
        at("deleting");
    });
    ++counts_.transactions;
    counts_.rows_deleted += gone;
    counts_.rows_changed += work.changed - changed_before;
    work.last = span.last;
    at("batch");
    if (ended_ns - began_ns > options_.delete_target_ns) {
        batch_rows_ = std::min(std::max(batch_rows_ / 2, k_batch_rows_min), options_.rows_a_delete);
    } else if ((ended_ns - began_ns) * 2 < options_.delete_target_ns) {
        batch_rows_ = std::min(batch_rows_ * 2, options_.rows_a_delete);
    }
}

std::uint64_t Retention::delete_lines(
    Session& session,
    Work& work,
    const std::vector<Line>& lines,
    const Span& span
) {
    const HistoryTable& table = *work.policy.table;
    // A row has more than the file knows since a migration: it stays, as one that was changed.
    if (columns_of(session, context_.storage.dialect(), table.table) != work.manifest.columns) {
        work.changed += lines.size();
        return 0;
    }
    const std::vector<Line> found = read_lines(session, table, work.lines->layout(), span);
    std::vector<const Key*> same;
    auto at_line = lines.begin();
    for (const Line& row : found) {
        at_line = std::find_if(at_line, lines.end(), [&](const Line& line) {
            return line.key >= row.key;
        });
        if (at_line != lines.end() && at_line->key == row.key) {
            if (at_line->text == row.text) {
                same.push_back(&row.key);
            } else {
                ++work.changed;
            }
        }
    }
    if (same.empty()) {
        return 0;
    }
    // One statement where the span holds nothing else; a row that came to it in between would be
    // one more.
    if (same.size() == found.size() && delete_span(session, table, span) == same.size()) {
        return same.size();
    }
    if (same.size() == found.size()) {
        throw StorageError{
            TENON_CONFLICT,
            table.table + " got a row within the range that is being deleted",
            Failure::retry_transaction};
    }
    for (const Key* key : same) {
        delete_one(session, table, *key);
    }
    return same.size();
}

}  // namespace tenon::archive
