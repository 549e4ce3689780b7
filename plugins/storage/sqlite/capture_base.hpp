// SPDX-License-Identifier: Apache-2.0
// A base that is being made: a reader's snapshot, and the thread that packs its pages.
#pragma once

#include "plugins/storage/sqlite/capture.hpp"

#include <unordered_map>

namespace tenon::sqlite {

// Reads the pages of a snapshot as they are in the file and in the log: SQLite's own backup would
// change the first one.
class SnapshotPages {
public:
    // `writes` has just captured everything up to `place`. Throws when somebody wrote meanwhile.
    SnapshotPages(
        const Settings& settings,
        const Telemetry& telemetry,
        const capture::WalPlace& place
    );

    [[nodiscard]] std::uint32_t pages() const noexcept { return pages_; }

    void read(std::uint32_t number, unsigned char* to) const;
    // What was read is of the snapshot: the log has not begun anew.
    void require_unchanged() const;

private:
    Connection reader_;
    capture::WalFile wal_;
    capture::WalPlace place_;
    std::uint32_t page_size_ = 0;
    std::uint32_t pages_ = 0;
    std::unordered_map<std::uint32_t, std::uint32_t> frames_;  // the newest of a page
};

struct Capture::BaseWork {
    std::string file;
    capture::BaseHeader header;
    std::unique_ptr<SnapshotPages> pages;
    std::string error;  // read when it is done
    std::atomic<bool> done{false};
    std::atomic<bool> cancelled{false};
    std::thread thread;

    [[nodiscard]] bool is_done() const noexcept { return done.load(std::memory_order_acquire); }

    void run(int level) noexcept;
};

}  // namespace tenon::sqlite
