// SPDX-License-Identifier: Apache-2.0
// Writes one segment. After a failure the file is cut back to the last whole commit, so that the
// same commit may be tried again; what could not be cut back stays known as such and is cut first.
// One thread at a time.
#pragma once

#include "sdk/capture/format.hpp"

namespace tenon::capture {

class SegmentWriter {
public:
    // Makes the file, with mode 0600, synced with its folder.
    SegmentWriter(std::string file, const SegmentHeader& header, int level);
    // Goes on with the file of a process that ended: `bytes` and `chain` are those after its last
    // whole record (SegmentReader). What is behind goes.
    SegmentWriter(std::string file, std::uint64_t bytes, const Hash& chain, int level);

    void add_page(std::uint32_t number, View page);
    void commit(const Commit& commit);
    void log_state(const LogState& state);
    void end(std::uint64_t last_txid);
    void sync();
    // Forgets the pages that were added since the last commit.
    void give_up() noexcept;

    [[nodiscard]] const std::string& file() const noexcept { return file_; }

    [[nodiscard]] std::uint64_t bytes() const noexcept { return safe_bytes_; }

    // After the last record.
    [[nodiscard]] const Hash& chain() const noexcept { return safe_chain_; }

    [[nodiscard]] bool needs_sync() const noexcept { return needs_sync_; }

private:
    void record(RecordType type, View body, std::uint32_t raw_bytes);
    void flush_pages();
    void finish();
    void flush();
    void heal();

    std::string file_;
    Descriptor fd_;
    int level_;
    Hasher hasher_;
    Squeezer squeezer_;
    Bytes pages_;           // of the commit that is being added
    Bytes pending_;         // whole records that are not written yet
    std::uint64_t at_ = 0;  // written bytes
    Hash chain_{};
    std::uint64_t safe_bytes_ = 0;
    Hash safe_chain_{};
    bool needs_sync_ = false;
    bool is_torn_ = false;
};

}  // namespace tenon::capture
