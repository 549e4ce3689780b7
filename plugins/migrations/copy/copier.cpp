// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/copy/copier.hpp"

#include "plugins/migrations/copy/catalogue.hpp"
#include "plugins/migrations/copy/compare.hpp"

#include <tenon/backoff.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <sodium.h>

namespace tenon::copy {
namespace {

std::string random_id() {
    std::array<unsigned char, 8> bytes{};
    randombytes_buf(bytes.data(), bytes.size());
    std::array<char, 17> text{};
    sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
    return text.data();
}

std::string file_of(Session& session) {
    Statement row = session.prepare("SELECT file FROM pragma_database_list WHERE name = 'main'");
    std::string file;
    while (row.step()) {
        file = row.text(0);
    }
    return file;
}

constexpr std::int64_t k_one_database_lock = 0x74656e6f6e636f70;  // "tenoncop"

// Rows that a migration itself puts into an empty database are few.
constexpr std::int64_t k_seed_rows_max = 1'000;

}  // namespace

Copier::Copier(Side source, Side target, Service<tenon_clock_1> clock, CopyOptions options)
    : source_{std::move(source)},
      target_{std::move(target)},
      clock_{clock},
      options_{std::move(options)},
      tables_{common_tables(source_, target_)},
      capture_{source_, tables_},
      journal_{target_, tables_} {
    if (source_.storage.service().self == target_.storage.service().self) {
        throw Error{TENON_INVALID, "source and target are the same storage"};
    }
}

std::int64_t Copier::deadline() const {
    return clock_->now_ns(clock_.self) + options_.timeout_ns;
}

void Copier::at(std::string_view point) const {
    if (options_.at) {
        options_.at(point);
    }
}

void Copier::repeated(const std::function<void()>& work) const {
    const std::int64_t last_ns = deadline();
    Backoff waits{{10'000'000, 1'000'000'000}, static_cast<std::uint64_t>(last_ns)};
    for (;;) {
        try {
            work();
            return;
        } catch (const StorageError& e) {
            const std::int64_t wait_ns = waits.next();
            if ((!e.retryable() && e.failure() != Failure::in_doubt) ||
                clock_->now_ns(clock_.self) + wait_ns >= last_ns) {
                throw;
            }
            at("repeated");
            std::mutex mutex;
            std::unique_lock lock{mutex};
            std::condition_variable never;
            (void)never.wait_for(lock, std::chrono::nanoseconds{wait_ns}, [] { return false; });
        }
    }
}

// A target whose rows are those that its migrations made, and that the source has too, is empty.
void Copier::require_seeds_of(const Table& table, Session& source, Session& target) const {
    const TableSql from{table, source_.is_postgres()};
    const TableSql to{table, target_.is_postgres()};
    RowBatch here{table};
    Statement rows = to.read_after(target, nullptr, k_seed_rows_max + 1);
    while (rows.step()) {
        here.add(rows);
    }
    for (std::size_t i = 0; i < here.size(); ++i) {
        const Key key = here.key(i);
        bool same = false;
        Statement other = from.read_keys(source, {&key, 1});
        while (other.step()) {
            RowBatch there{table};
            there.add(other);
            same = canonical(table, there.row(0)) == canonical(table, here.row(i));
        }
        if (!same || here.size() > static_cast<std::size_t>(k_seed_rows_max)) {
            throw Error{
                TENON_CONFLICT,
                target_.name + " is not empty: it has rows of its own, such as " +
                    row_name(table, key) + "; name a new database"};
        }
    }
}

void Copier::require_seeds(Session& source, Session& target) const {
    for (const Table& table : tables_) {
        require_seeds_of(table, source, target);
    }
}

void Copier::erase_rows(Session& target) const {
    for (auto table = tables_.rbegin(); table != tables_.rend(); ++table) {
        target.execute("DELETE FROM " + copy::quoted(table->name));
    }
}

void Copier::start(Session& source, Session& target) const {
    require_seeds(source, target);
    Progress progress;
    progress.copy_id = random_id();
    progress.owner = owner_;
    progress.begun_real_ns = clock_->now_real_ns(clock_.self);
    for (const Table& table : tables_) {
        TableProgress row;
        row.rows_total = number(source, "SELECT count(*) FROM " + copy::quoted(table.name));
        progress.tables.push_back(row);
    }
    journal_.create(target, progress);
    journal_.keep_seeds(target, static_cast<std::size_t>(k_seed_rows_max));
    journal_.unbind_tables(target);
    erase_rows(target);
}

// Two names of one database: every row would be found "there too", and erased.
void Copier::refuse_one_database(Session& source, Session& target) const {
    bool same = false;
    if (source_.is_postgres() && target_.is_postgres()) {
        // A lock of this kind belongs to a database.
        const std::string lock = std::to_string(k_one_database_lock) + ")";
        (void)number(target, "SELECT 1 FROM pg_advisory_xact_lock(" + lock);
        same = number(source, "SELECT pg_try_advisory_xact_lock(" + lock + "::int") == 0;
    } else if (!source_.is_postgres() && !target_.is_postgres()) {
        std::error_code unknown;
        same = std::filesystem::equivalent(file_of(source), file_of(target), unknown);
    }
    if (same) {
        throw Error{
            TENON_INVALID,
            source_.name + " and " + target_.name + " are the same database; name a new one"};
    }
}

// The journal with this run as its owner, whether it was there or not; but a finished one stays.
bool Copier::take_over() {
    Transaction source{source_, TENON_INTENT_READ, deadline()};
    const std::string captured = capture_.copy_id(*source);
    const bool fenced = capture_.is_fenced(*source);
    Transaction target{target_, TENON_INTENT_WRITE, deadline()};
    refuse_one_database(*source, *target);
    std::optional<Progress> found = journal_.read(*target);
    if (!found) {
        if (!captured.empty() || fenced) {
            throw Error{
                TENON_CONFLICT,
                source_.name +
                    " is already copied to another target: end that copy first (--abandon with "
                    "its name, or --forget when it is lost)"};
        }
        start(*source, *target);
        target.commit();
        return true;
    }
    if (found->phase == Phase::finished) {
        return false;
    }
    const bool follows =
        found->phase == Phase::copying || (found->phase == Phase::closing && !fenced);
    const bool lost = follows && captured.empty();
    if (lost || (!captured.empty() && captured != found->copy_id)) {
        throw Error{
            TENON_CONFLICT,
            target_.name + " holds a copy of another source, or the capture in " + source_.name +
                " was removed: end that copy first (--abandon)"};
    }
    found->owner = owner_;
    journal_.write(*target, *found);
    target.commit();
    return true;
}

void Copier::capture_source() {
    Transaction target{target_, TENON_INTENT_WRITE, deadline()};
    Progress progress = own(*target);
    if (progress.phase != Phase::preparing) {
        return;
    }
    {
        Transaction source{source_, TENON_INTENT_WRITE, deadline()};
        const std::string captured = capture_.copy_id(*source);
        if (captured.empty()) {
            capture_.install(*source, progress.copy_id);
            source.commit();
        } else if (captured != progress.copy_id) {
            throw Error{TENON_CONFLICT, source_.name + " is already copied to another target"};
        }
    }
    at("source_captured");
    progress.phase = Phase::copying;
    journal_.write(*target, progress);
    target.commit();
}

void Copier::begin() {
    owner_ = random_id();
    bool is_open = false;
    repeated([&] { is_open = take_over(); });
    if (!is_open) {
        (void)remove_capture();  // of a run that ended after its last commit
        throw Error{TENON_CONFLICT, "the copy to " + target_.name + " is finished"};
    }
    at("journal_made");
    repeated([&] { capture_source(); });
}

void Copier::reopen() {
    {
        Transaction source{source_, TENON_INTENT_READ, deadline()};
        if (!capture_.is_fenced(*source)) {
            return;
        }
    }
    for (const Table& table : tables_) {
        repeated([&] {
            Transaction source{source_, TENON_INTENT_READ, deadline()};
            Transaction target{target_, TENON_INTENT_READ, deadline()};
            const TableCheck check =
                compare_table(table, {source_, *source}, {target_, *target}, options_);
            if (check.different != 0) {
                throw Error{
                    TENON_CONFLICT,
                    target_.name + " has been written to: " + std::to_string(check.different) +
                        " rows of " + table.name +
                        " differ; copy it back instead, into a new database"};
            }
        });
    }
    repeated([&] {
        std::optional<Progress> found;
        {
            Transaction target{target_, TENON_INTENT_READ, deadline()};
            found = journal_.read(*target);
        }
        Transaction source{source_, TENON_INTENT_WRITE, deadline()};
        capture_.lift_fence(*source);
        // What finish() could not remove would note the writes that come now.
        if (found && found->phase == Phase::finished &&
            capture_.copy_id(*source) == found->copy_id) {
            capture_.remove(*source);
        }
        source.commit();
    });
}

std::optional<Progress> Copier::unfinished(Session& target) const {
    std::optional<Progress> found = journal_.read(target);
    if (found && found->phase == Phase::finished) {
        throw Error{
            TENON_CONFLICT,
            "the copy to " + target_.name +
                " is finished; --reopen lets the source take writes again"};
    }
    return found;
}

// Capture and fence are of the copy in the target. Those of another one stay: its target may have
// the place of this source already, and two databases would take writes.
void Copier::require_own_source(Session& source, const std::optional<Progress>& found) const {
    const std::string captured = capture_.copy_id(source);
    const bool is_copied = !captured.empty() || capture_.is_fenced(source);
    if (is_copied && (!found || found->copy_id != captured)) {
        throw Error{
            TENON_CONFLICT,
            source_.name + " is copied to another target than " + target_.name +
                ": name that one (--reopen when that copy is finished), or --forget when it is "
                "lost"};
    }
}

void Copier::abandon() {
    owner_ = random_id();
    std::optional<Progress> found;
    // As its owner: a run that would finish the copy meanwhile fails.
    repeated([&] {
        Transaction source{source_, TENON_INTENT_READ, deadline()};
        Transaction target{target_, TENON_INTENT_WRITE, deadline()};
        found = unfinished(*target);
        require_own_source(*source, found);
        if (found) {
            found->owner = owner_;
            journal_.write(*target, *found);
            target.commit();
        }
    });
    repeated([&] {
        Transaction source{source_, TENON_INTENT_WRITE, deadline()};
        capture_.lock(*source);
        require_own_source(*source, found);
        capture_.lift_fence(*source);
        capture_.remove(*source);
        source.commit();
    });
    at("capture_removed");
    repeated([&] {
        Transaction target{target_, TENON_INTENT_WRITE, deadline()};
        if (unfinished(*target)) {
            erase_rows(*target);
            journal_.restore_seeds(*target);
            journal_.bind_tables(*target);
            journal_.remove(*target);
            target.commit();
        }
    });
}

CopyStatus Copier::status() {
    CopyStatus status;
    {
        Transaction target{target_, TENON_INTENT_READ, deadline()};
        std::optional<Progress> found = journal_.read(*target);
        status.exists = found.has_value();
        if (found) {
            status.progress = std::move(*found);
        }
    }
    Transaction source{source_, TENON_INTENT_READ, deadline()};
    status.waiting = capture_.waiting(*source);
    status.fenced = capture_.is_fenced(*source);
    return status;
}

}  // namespace tenon::copy
