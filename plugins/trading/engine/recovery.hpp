// SPDX-License-Identifier: Apache-2.0
// Brings the state back: a snapshot, and the journal's commands after it.
//
// Which snapshot: the newest one that passes its check and is not beyond what the projection has
// written, so that the replay gives the projection the events it misses. When the database does not
// answer, the whole journal while it is there from its beginning, then the oldest snapshot, which
// earlier runs kept for that. A snapshot that does not pass its check
// is passed over with a warning; without any, the whole journal is replayed. Snapshots met on the
// way prove the replay: their hash must be that of the state. [control]
#pragma once

#include "plugins/trading/engine/core/core.hpp"
#include "sdk/journal/disk.hpp"
#include "sdk/journal/journal_reader.hpp"

#include <tenon/plugin.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace tenon::engine {

using journal::k_record_command;
using journal::k_record_instruments;

struct RecoveryRequest {
    std::string journal_folder, snapshot_folder;
    bool projection = false;                 // there is one
    std::optional<std::uint64_t> projected;  // nothing: the database does not answer
    std::function<std::unique_ptr<trading::Core>()> make_core;
    // The state is at its base: `sequence` is 0 for the empty one.
    std::function<void(const trading::Core&, std::uint64_t sequence)> on_base;
    // A command was replayed.
    std::function<void(const trading::Output&, const trading::Result&)> on_result;
};

struct Recovered {
    std::unique_ptr<trading::Core> core;
    journal::Position end;
    std::uint64_t base_sequence = 0;
    std::uint64_t replayed = 0;
    std::uint64_t hashes_compared = 0;
    std::uint64_t fingerprint = 0;  // of the base and the journal; 0: not known
};

// Throws journal::Damage; Error TENON_CORRUPT when a record can not be decoded, a hash differs, or
// the journal ends before the snapshot;
// TENON_CONFLICT when commands to be replayed were written under other instruments.
[[nodiscard]] Recovered
recover(journal::Disk& disk, const RecoveryRequest& request, const Log& log);

}  // namespace tenon::engine
