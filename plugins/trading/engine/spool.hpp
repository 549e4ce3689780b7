// SPDX-License-Identifier: Apache-2.0
// Events that the projection has no room for, kept in a file until it has.
//
// While the database is slow or down, durable events go behind each other into the spool, and come
// back in the same order. The file belongs to one run of the process: it is emptied at start (the
// journal is replayed from a snapshot that the projection covers, which gives the same events
// again), so it is never synced and its bytes are those of memory. Writing it is a plain write to
// the page cache on the engine's thread, and only happens while the projection is behind.
// One thread. Errors of the disk throw Error: the spool is unusable then.
#pragma once

#include "sdk/journal/disk.hpp"

#include <tenon/abi/trading.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tenon::engine {

class Spool {
public:
    // Makes the file, empty.
    Spool(journal::Disk& disk, std::string path);

    [[nodiscard]] bool empty() const noexcept { return begin_ == end_ && pending_.empty(); }

    [[nodiscard]] std::uint64_t bytes() const noexcept { return end_ - begin_ + pending_.size(); }

    // Appends events of whole commands.
    void append(std::span<const tenon_execution_event> events);

    // The oldest events that were appended together (split at commands when they are many), to be
    // used until the next call of the spool. Empty when the spool is.
    [[nodiscard]] std::span<const tenon_execution_event> front();

    // Takes front() away. The file is emptied when nothing is left in it.
    void pop();

private:
    void append_frame(std::span<const tenon_execution_event> events);
    void flush();
    void decode(std::span<const std::byte> frame);

    journal::Disk& disk_;
    std::string path_;
    std::unique_ptr<journal::File> file_;
    std::uint64_t begin_ = 0, end_ = 0;  // of the frames in the file
    std::string pending_;                // frames not yet written
    std::vector<std::byte> frame_;       // front(), as bytes
    std::vector<tenon_execution_event> events_;
    bool loaded_ = false;
};

}  // namespace tenon::engine
