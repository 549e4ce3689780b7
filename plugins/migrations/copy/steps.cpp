// SPDX-License-Identifier: Apache-2.0
// A step of a copy: the changes since the last one, and the next rows.
#include "plugins/migrations/copy/copier.hpp"

#include <algorithm>

namespace tenon::copy {
namespace {

constexpr std::int64_t k_forgotten_at_once = 5'000;

// Calls work(keys) for at most k_keys_max of them at a time.
template <class Work>
void in_parts(const std::vector<Key>& keys, Work&& work) {
    const std::span<const Key> all{keys};
    for (std::size_t from = 0; from < all.size(); from += k_keys_max) {
        work(all.subspan(from, std::min(k_keys_max, all.size() - from)));
    }
}

void add(Ranges& ranges, std::int64_t number) {
    if (!ranges.empty() && ranges.back().second + 1 == number) {
        ranges.back().second = number;
    } else {
        ranges.emplace_back(number, number);
    }
}

}  // namespace

// The journal as this run's own; another run that took it over ends this one.
Progress Copier::own(Session& target) const {
    std::optional<Progress> progress = journal_.read(target);
    if (!progress) {
        throw Error{TENON_CONFLICT, "there is no copy in " + target_.name + "; begin one"};
    }
    if (progress->owner != owner_) {
        throw Error{TENON_CONFLICT, "another run goes on with the copy in " + target_.name};
    }
    return std::move(*progress);
}

bool Copier::is_here(const Progress& progress, const Change& change) const {
    const TableProgress& table = progress.tables[change.table];
    return table.done ||
           (!table.cursor.empty() && compare(tables_[change.table], change.key, table.cursor) <= 0);
}

Copier::Batches Copier::by_table(const Progress& progress, const std::vector<Change>& page) const {
    Batches keys;
    for (const Change& change : page) {
        if (is_here(progress, change)) {
            keys[change.table].push_back(change.key);
        }
    }
    for (auto& [table, of_table] : keys) {
        std::sort(of_table.begin(), of_table.end());
        of_table.erase(std::unique(of_table.begin(), of_table.end()), of_table.end());
    }
    return keys;
}

void Copier::erase_changed(Session& target, const Batches& keys) const {
    for (const auto& [table, of_table] : keys) {
        const TableSql sql{tables_[table], target_.is_postgres()};
        in_parts(of_table, [&](std::span<const Key> part) { sql.erase_keys(target, part); });
    }
}

void Copier::insert_changed(Session& source, Session& target, const Batches& keys) const {
    for (const auto& [table, of_table] : keys) {
        const TableSql sql{tables_[table], source_.is_postgres()};
        RowBatch batch{tables_[table]};
        in_parts(of_table, [&](std::span<const Key> part) {
            Statement rows = sql.read_keys(source, part);
            while (rows.step()) {
                batch.add(rows);
            }
            if (batch.full(options_.batch)) {
                batch.insert(target);
                batch.clear();
            }
        });
        batch.insert(target);
    }
}

Ranges Copier::apply_changes(Session& source, Session& target, Progress& progress) {
    // The log of another copy does not have what was written before that one began.
    if (capture_.copy_id(source) != progress.copy_id) {
        throw Error{
            TENON_CONFLICT,
            "the capture of this copy in " + source_.name + " was removed: end the copy to " +
                target_.name + " (--abandon)"};
    }
    Ranges done;
    const auto each_page = [&](auto&& work) {
        std::int64_t after = 0;
        for (;;) {
            const std::vector<Change> page = capture_.read(source, after, options_.page);
            if (page.empty()) {
                return;
            }
            after = page.back().sequence;
            work(page, by_table(progress, page));
        }
    };
    std::size_t pages = 0;
    applied_ = 0;
    each_page([&](const std::vector<Change>& page, const Batches& keys) {
        ++pages;
        applied_ += static_cast<std::int64_t>(page.size());
        for (const Change& change : page) {
            add(done, change.sequence);
        }
        erase_changed(target, keys);
    });
    if (pages == 0) {
        return done;
    }
    each_page([&](const std::vector<Change>&, const Batches& keys) {
        // A row of several pages is there already, as it is in the same snapshot.
        if (pages > 1) {
            erase_changed(target, keys);
        }
        insert_changed(source, target, keys);
    });
    progress.changes += applied_;
    return done;
}

void Copier::copy_rows(Session& source, Session& target, Progress& progress) {
    const std::size_t at = progress.tables_done();
    if (at == tables_.size()) {
        return;
    }
    TableProgress& table = progress.tables[at];
    const TableSql sql{tables_[at], source_.is_postgres()};
    RowBatch batch{tables_[at]};
    Statement rows =
        sql.read_after(source, table.cursor.empty() ? nullptr : &table.cursor, options_.batch.rows);
    bool ended = true;
    while (rows.step()) {
        batch.add(rows);
        if (batch.full(options_.batch)) {
            ended = false;
            break;
        }
    }
    batch.insert(target);
    if (!batch.empty()) {
        table.cursor = batch.key(batch.size() - 1);
        table.rows_copied += static_cast<std::int64_t>(batch.size());
    }
    table.done = ended;
    journal_.write_table(target, progress, at);
}

// Entries of this copy's log that are in the target for good; in pieces, so that no writer of the
// source waits for a long log.
void Copier::forget(const std::string& copy_id, const Ranges& ranges) {
    for (const auto& [first, last] : ranges) {
        for (std::int64_t from = first; from <= last; from += k_forgotten_at_once) {
            const std::int64_t to = std::min(last, from + k_forgotten_at_once - 1);
            bool is_ours = true;
            source_.storage.write(deadline(), [&](Session& source) {
                is_ours = capture_.copy_id(source) == copy_id;
                if (is_ours) {
                    capture_.erase(source, from, to);
                }
            });
            if (!is_ours) {
                return;
            }
        }
    }
}

bool Copier::step() {
    Ranges done;
    std::string copy_id;
    {
        Transaction target{target_, TENON_INTENT_WRITE, deadline()};
        Progress progress = own(*target);
        copy_id = progress.copy_id;
        if (progress.phase != Phase::copying) {
            return false;
        }
        Transaction source{source_, TENON_INTENT_READ, deadline()};
        done = apply_changes(*source, *target, progress);
        if (done.empty() && progress.tables_done() == tables_.size()) {
            return false;
        }
        copy_rows(*source, *target, progress);
        journal_.write(*target, progress);
        at("step_written");
        target.commit();
    }
    at("step_committed");
    forget(copy_id, done);
    at("changes_forgotten");
    return true;
}

bool Copier::advance() {
    bool more = false;
    repeated([&] { more = step(); });
    return more;
}

}  // namespace tenon::copy
