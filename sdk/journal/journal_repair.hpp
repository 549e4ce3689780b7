// SPDX-License-Identifier: Apache-2.0
// Examines a journal and cuts a damaged one. Not while a writer has it open. [io]
#pragma once

#include "sdk/journal/disk.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tenon::journal {

struct DamageReport {
    std::string file;
    std::uint64_t offset = 0;
    std::string message;
};

struct JournalReport {
    std::uint64_t segments = 0;
    std::uint64_t records = 0;  // readable ones before the end or the damage
    std::uint64_t payload_bytes = 0;
    std::uint64_t first_sequence = 0;  // 0: no record
    std::uint64_t last_sequence = 0;   // last one before the end or the damage; 0: no record
    std::uint64_t torn_bytes = 0;      // of an unanswered batch; cut at the next start
    std::optional<DamageReport> damage;
    std::uint64_t lost_records = 0;  // that a repair would lose, as far as can be told
};

// Reads everything. Damage goes into the report; throws Error when the disk can not be read.
[[nodiscard]] JournalReport check_journal(Disk& disk, const std::string& folder);

struct RepairResult {
    JournalReport before;
    bool changed = false;
    std::vector<std::string> kept;  // *.damaged files: what was cut
};

// Cuts a damaged journal after its last good record. Damaged and later segments are kept as
// *.damaged. Throws Error TENON_CONFLICT, with the number of records, when it would lose some and
// `confirm` is not set. A journal without damage stays as it is.
RepairResult repair_journal(Disk& disk, const std::string& folder, bool confirm);

}  // namespace tenon::journal
