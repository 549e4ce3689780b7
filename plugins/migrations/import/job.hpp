// SPDX-License-Identifier: Apache-2.0
// An import that goes on by itself: a thread that does it, and what it tells of it.
//
// Thread-safe. The destructor interrupts the work and waits for its end; what was committed stays,
// and the same command goes on there.
#pragma once

#include "plugins/migrations/import/importer.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace tenon::importer {

enum class Task : std::uint8_t { import, dry_run, verify };

struct JobRequest {
    Task task = Task::import;
    std::string mapping, mapping_file;
    // As open_source() takes it.
    std::string source;
};

class ImportJob {
public:
    using OpenSource = std::function<std::unique_ptr<Source>(Stops stops)>;

    ImportJob(
        Storage target,
        Service<tenon_clock_1> clock,
        Log log,
        JobRequest request,
        OpenSource open_source,
        ImportOptions options
    );
    ~ImportJob();
    ImportJob(const ImportJob&) = delete;
    ImportJob& operator=(const ImportJob&) = delete;

    [[nodiscard]] bool running() const noexcept { return running_; }

    // JSON: {"ok","running","task","phase","refused","percent","rows_total","rows_read",
    // "rows_imported","rows_present","rows_changed","rows_bad","rows_different","error",
    // "problems":[…],"tables":[…],"bad_rows":[…],"differences":[…]}. "ok" comes with the end.
    [[nodiscard]] std::string status() const;
    // JSON: {"bad_rows":[{"table","key","reason"}],"next":N}; a page of what is kept, from 0.
    [[nodiscard]] std::string bad_rows(std::size_t from) const;

private:
    void run(const OpenSource& open_source);
    void work(const OpenSource& open_source);
    [[nodiscard]] ImportProgress progress() const;

    Storage target_;
    Service<tenon_clock_1> clock_;
    Log log_;
    JobRequest request_;
    ImportOptions options_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> running_{true};
    mutable std::mutex mutex_;
    std::unique_ptr<Importer> importer_;
    manifest::Problems problems_;
    std::string error_;
    std::thread thread_;
};

}  // namespace tenon::importer
