// SPDX-License-Identifier: Apache-2.0
// Moves what is old enough from the database into archives, a bounded step at a time.
//
// A row is deleted only in a transaction that has read it and found it in a file that was read
// back, byte for byte as it is; so whatever happens in between (a crash, a late or a changed row),
// every row is in the database or in an archive, and often in both. What was begun is found on
// disk: a run after a crash goes on where the state says. A row that has changed since it was
// exported stays, and comes to a later archive as it is then.
#pragma once

#include "plugins/archive/folder.hpp"
#include "plugins/archive/rows.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::archive {

struct Policy {
    const HistoryTable* table = nullptr;
    std::int64_t keep_ns = 0;
};

struct RetentionOptions {
    std::vector<Policy> policies;
    std::optional<Folder> second;                // where each archive is copied to
    std::uint64_t rows_a_page = 5000;            // read at once for an export
    std::uint64_t rows_a_delete = 5000;          // deleted at once, at most
    std::int64_t delete_target_ns = 20'000'000;  // what a delete may take: its rows adapt to it
    std::int64_t keys_a_range = 1'000'000;       // of tables that are not walked by time
    std::int64_t step_timeout_ns = 30'000'000'000;
    int level = 6;  // of zstd
    // Told before and after each thing that lasts: for tests that kill.
    std::function<void(std::string_view)> hook;
};

struct RetentionContext {
    Storage storage;
    Folder folder;
    std::function<std::int64_t()> now_ns, now_real_ns;
    std::function<bool()> stopping;
};

struct RetentionCounts {
    std::uint64_t rows_archived = 0, rows_deleted = 0, rows_changed = 0, bytes = 0, ranges = 0;
    std::uint64_t transactions = 0;  // that this made
};

// Not thread-safe; functions block ([io]).
class Retention {
public:
    Retention(RetentionContext context, RetentionOptions options);

    // Does the next bounded piece; false when nothing is due. Throws Error: what failed is left for
    // this run, and the next step takes up something else.
    [[nodiscard]] bool step();

    // What failed or is held is looked at again.
    void begin_run();

    [[nodiscard]] const RetentionCounts& counts() const noexcept { return counts_; }

    // Of a policy at a time: whole days.
    [[nodiscard]] static std::int64_t
    cutoff(const Policy& policy, std::int64_t now_real_ns) noexcept;

private:
    // A range that is under way.
    struct Work {
        Manifest manifest;
        Policy policy;
        std::int64_t cutoff_real_ns = 0;
        std::unique_ptr<ArchiveWriter> writer;
        std::optional<Layout> layout;
        Key last;
        std::unique_ptr<ArchiveLines> lines;
        std::uint64_t changed = 0;
    };

    [[nodiscard]] bool pick();
    [[nodiscard]] bool resume(const Listing& listing);
    [[nodiscard]] bool plan(const Policy& policy, const Listing& listing);
    void begin(const Policy& policy, std::int64_t first, std::int64_t end);
    void advance(Work& work);
    void export_page(Work& work);
    void finish_export(Work& work);
    void make_copy(Work& work);
    void delete_batch(Work& work);
    [[nodiscard]] std::uint64_t
    delete_lines(Session& session, Work& work, const std::vector<Line>& lines, const Span& span);
    void settle(Work& work, State state);
    [[nodiscard]] bool is_held(const Manifest& manifest) const;
    [[nodiscard]] std::int64_t deadline_ns() const;
    void at(std::string_view point) const;

    RetentionContext context_;
    RetentionOptions options_;
    RetentionCounts counts_;
    std::optional<Work> work_;
    std::set<std::string> left_;  // ids and policies that this run does not look at again
    std::uint64_t batch_rows_;
};

}  // namespace tenon::archive
