// SPDX-License-Identifier: Apache-2.0
// Where a transaction goes, by what its caller declared; SQL text is never looked at. Pure.
//
// WRITE       the primary.
// READ        the newest rows (max_staleness_ns 0): the primary. Else every replica on the newest
//             timeline whose rows are young enough, the less busy of two that are drawn at random
//             first, then the others, then the primary. A half-open replica gets one reader at a
//             time, after those that are up.
// `after`     a replica qualifies when it has replayed that position of the same timeline, which
//             the caller of this checks again on the connection, before it begins
//             (Candidate::check: a replica that crashed may have gone back). When none has, the
//             first of the young enough ones may be waited for, k_position_wait_ns at most; then
//             comes the primary. A position of an older timeline is only sure to be seen on the
//             primary. One of a newer timeline than is known here: the topology is old,
//             TENON_UNAVAILABLE until the next probe.
#pragma once

#include "plugins/storage/postgres/cluster/topology.hpp"

#include <tenon/abi/storage.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tenon::postgres {

// How long a reader waits for a replica to replay its position.
inline constexpr std::int64_t k_position_wait_ns = 20'000'000;

struct RouteRequest {
    std::uint32_t intent = TENON_INTENT_READ;
    std::int64_t max_staleness_ns = 0;
    std::optional<LogPosition> after;
    std::int64_t now_ns = 0;
    // Connections in use, by server.
    std::span<const std::uint32_t> in_use;
    // Draws the two that are compared.
    std::uint64_t random = 0;
};

struct Candidate {
    std::size_t host = 0;
    bool is_primary = false;
    bool check = false;        // has to prove that it replayed the position
    std::int64_t wait_ns = 0;  // how long it may take for that
};

struct Route {
    std::vector<Candidate> candidates;  // in the order to try; empty: refused
    std::string refusal;
    bool outdated = false;  // the caller knows a newer timeline: probe at once
};

[[nodiscard]] Route route(const TopologyView& view, const RouteRequest& request);

}  // namespace tenon::postgres
