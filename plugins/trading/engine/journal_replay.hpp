// SPDX-License-Identifier: Apache-2.0
// Yesterday under other rules: a span of a journal is replayed twice, as it was recorded and under
// another deployment or other risk limits, and what came of each command is compared.
//
// Each half runs in a process of its own, since venues are plugins and have one state. The first
// leaves the state at the span's beginning and a row for each command in the work folder; the
// second begins with that state. Orders keep the ids that clients were told, so that later cancels
// and what venues found outside mean the same orders; those that were refused then and are taken
// now get ids from k_new_orders on. The clients are not asked again: they go on as they did. What
// was recorded of a market stays as it was. [control]
#pragma once

#include "plugins/trading/engine/journal_view.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tenon::engine {

inline constexpr std::uint64_t k_new_orders = std::uint64_t{1} << 62;

struct ReplayRequest {
    std::string data_folder;  // only read
    std::string work_folder;  // of both halves; the caller's to remove
    Moment from;              // the span begins after it; neither: the oldest state that is kept
    Moment to;
    std::vector<std::string> risk;  // arguments of risk.set; the second half's
    std::size_t shown = 20;
    Service<tenon_instruments_1> instruments;
    std::function<std::unique_ptr<trading::Core>()> make_core;
};

// The first half. Proves its states by the hashes of the snapshots that it meets. Returns what it
// came to, as JSON: "from" and "to" ({"sequence","time"}), "hashes_compared", "next_order_id", and
// the members of Tally::json. Throws as view_at; Error TENON_INVALID for a span that ends before it
// begins.
[[nodiscard]] std::string replay_recorded(journal::Disk& disk, const ReplayRequest& request);

// The second half, after the first. Returns the comparison as JSON. "agree": nothing differs, the
// hash of the state neither. Throws Error TENON_CONFLICT when this deployment cannot take over the
// state at the span's beginning; TENON_INVALID and TENON_NOT_FOUND for wrong limits.
[[nodiscard]] std::string replay_changed(journal::Disk& disk, const ReplayRequest& request);

}  // namespace tenon::engine
