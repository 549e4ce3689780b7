// SPDX-License-Identifier: Apache-2.0
// Moves one database into another of either dialect while the source is written to.
//
// Every step reads one snapshot of the source and writes one transaction of the target: first the
// rows that changed since the last step, then the next rows of the table that is being copied, by
// primary key, and how far this is. So after each step the target is the source at one moment, as
// far as it has come; a step that is repeated, after a kill or an unknown commit, gives the same.
// Changed keys are first all deleted and then inserted as they are: no order of writes can break a
// unique index. The source gets nothing but the capture (capture.hpp), and its rows stay.
//
// Not thread-safe; every function blocks. Failures throw StorageError or Error and leave what was
// done; a later call goes on from there, also in another process. Memory: one batch of rows, one
// page of changes. Not copied: what belongs to migrations and storages, views, generated columns.
#pragma once

#include "plugins/migrations/copy/capture.hpp"
#include "plugins/migrations/copy/journal.hpp"
#include "plugins/migrations/copy/rows.hpp"

#include <tenon/plugin.hpp>

#include <functional>
#include <map>
#include <set>

namespace tenon::copy {

struct CopyOptions {
    BatchLimits batch;
    std::size_t page = 2'000;  // changes read at once
    // A last step with more changes than this would hold up writers: they are brought over before.
    std::size_t last_changes_max = 5'000;
    std::size_t differences_max = 20;          // told by name
    std::int64_t timeout_ns = 60'000'000'000;  // for a connection, and for what has to wait
    // Called between parts of the work with the point's name: tests end the process there.
    std::function<void(std::string_view)> at;
};

struct TableCheck {
    std::string table;
    std::int64_t rows = 0;  // of the source
    std::string source_digest, target_digest;
    std::int64_t different = 0;
    std::vector<std::string> differences;  // "orders (7): price, status differ"
};

struct CopyStatus {
    bool exists = false;
    Progress progress;
    std::int64_t waiting = 0;  // changes of the source that are not yet in the target
    bool fenced = false;
};

class Copier {
public:
    // Throws Error TENON_CONFLICT when the two do not fit; see catalogue.hpp.
    Copier(Side source, Side target, Service<tenon_clock_1> clock, CopyOptions options);

    // Begins a copy, or takes over the one that is there; a run that held it before fails then.
    // Refused by name: a target with rows of its own, a source that is copied elsewhere, a role
    // without the rights.
    void begin();
    // A step. False: all tables are copied and no change waited.
    bool advance();
    // Brings changes over, then compares all rows, table by table, each at one moment of the
    // source.
    [[nodiscard]] std::vector<TableCheck> verify();
    // Verifies, refuses writes to the source from then on, brings the last changes over, and gives
    // the target its foreign keys, triggers and identities. Done again after a failure it goes on.
    // False: all this was done, but the capture is still in the source; it does no harm there.
    bool finish();
    // The source takes writes again: the way back while nothing has been written to the target.
    // Refused when the two differ, as then the target has been in use.
    void reopen();
    // Ends a copy: nothing is left at the source; the target has the rows that its migrations made,
    // as before. Refused when the source is copied to another target, or was.
    void abandon();

    [[nodiscard]] CopyStatus status();

    [[nodiscard]] const std::vector<Table>& tables() const noexcept { return tables_; }

private:
    using Batches = std::map<std::size_t, std::vector<Key>>;

    [[nodiscard]] std::int64_t deadline() const;
    void at(std::string_view point) const;
    // Once more, after a wait, when the storage says that it may help: every part of the work may
    // be repeated, also after a commit whose outcome is not known.
    void repeated(const std::function<void()>& work) const;
    // False: the copy is finished.
    [[nodiscard]] bool take_over();
    void capture_source();
    [[nodiscard]] bool step();
    void start(Session& source, Session& target) const;
    void require_seeds(Session& source, Session& target) const;
    void require_seeds_of(const Table& table, Session& source, Session& target) const;
    void erase_rows(Session& target) const;
    [[nodiscard]] Progress own(Session& target) const;
    [[nodiscard]] std::optional<Progress> unfinished(Session& target) const;
    void require_own_source(Session& source, const std::optional<Progress>& found) const;
    [[nodiscard]] bool is_here(const Progress& progress, const Change& change) const;
    // Rows of the keys by table; those that are not in the target yet are left out.
    [[nodiscard]] Batches by_table(const Progress& progress, const std::vector<Change>& page) const;
    void erase_changed(Session& target, const Batches& keys) const;
    void insert_changed(Session& source, Session& target, const Batches& keys) const;
    // What is in the log as the session sees it; gives back the numbers that were done.
    [[nodiscard]] Ranges apply_changes(Session& source, Session& target, Progress& progress);
    void copy_rows(Session& source, Session& target, Progress& progress);
    void forget(const std::string& copy_id, const Ranges& ranges);
    [[nodiscard]] std::int64_t changes_in(const Ranges& ranges) const;
    [[nodiscard]] TableCheck check_table(std::size_t table);
    void require_same(const std::vector<TableCheck>& checks) const;
    void try_binding();
    [[nodiscard]] bool close_source();
    void close_target(Session& source);
    [[nodiscard]] bool remove_capture();
    [[nodiscard]] Phase resume_copying();
    void catch_up();
    void refuse_one_database(Session& source, Session& target) const;
    void bind_target();

    Side source_, target_;
    Service<tenon_clock_1> clock_;
    CopyOptions options_;
    std::vector<Table> tables_;
    Capture capture_;
    Journal journal_;
    std::string owner_;
    std::int64_t applied_ = 0;  // changes of the last step
};

// Ends a copy at its source alone, for a target that is lost for good: triggers, log and fence go.
// `copy_id` is what the refusal of a wrong one names: the operator has to have seen it. Blocks;
// throws Error, StorageError.
void forget_copy(const Side& source, const std::string& copy_id, std::int64_t deadline_ns);

}  // namespace tenon::copy
