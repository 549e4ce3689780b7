// SPDX-License-Identifier: Apache-2.0
// How old a replica's rows are, without a clock of the servers' and without writing anything.
//
// Each probe of the primary gives a beat: at `began_ns` the log was flushed up to a position, so
// all that was committed before is at or below it. A replica that has replayed the position has it
// all: it is fresh as of that beat. That holds when nothing is written for hours, when
// pg_last_xact_replay_timestamp() says that the replica is hours behind; and it needs no heartbeat
// table, whose rows would have to be written, replicated and permitted. What others commit with
// synchronous_commit = off may be missing for three times wal_writer_delay longer.
//
// Not thread-safe. Keeps the newest k_beats_max beats of one timeline.
#pragma once

#include "plugins/storage/postgres/cluster/log_position.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>

namespace tenon::postgres {

class FreshnessLog {
public:
    static constexpr std::size_t k_beats_max = 4096;

    // One that is of an older timeline, or before the newest, is left out.
    void add(const LogPosition& flushed, std::int64_t began_ns);
    // When the replica had everything; 0: not known, it is older than all beats that are kept.
    [[nodiscard]] std::int64_t as_of(const LogPosition& replayed) const noexcept;

private:
    struct Beat {
        std::uint64_t lsn;
        std::int64_t began_ns;
    };

    std::uint32_t timeline_ = 0;
    std::deque<Beat> beats_;  // both grow
};

}  // namespace tenon::postgres
