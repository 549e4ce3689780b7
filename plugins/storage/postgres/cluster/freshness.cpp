// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/freshness.hpp"

#include <algorithm>

namespace tenon::postgres {

void FreshnessLog::add(const LogPosition& flushed, std::int64_t began_ns) {
    if (flushed.timeline > timeline_) {
        timeline_ = flushed.timeline;
        beats_.clear();
    }
    if (flushed.timeline != timeline_) {
        return;
    }
    if (!beats_.empty()) {
        Beat& newest = beats_.back();
        if (flushed.lsn < newest.lsn || began_ns < newest.began_ns) {
            return;
        }
        if (flushed.lsn == newest.lsn) {
            newest.began_ns = began_ns;
            return;
        }
    }
    beats_.push_back({flushed.lsn, began_ns});
    if (beats_.size() > k_beats_max) {
        beats_.pop_front();
    }
}

std::int64_t FreshnessLog::as_of(const LogPosition& replayed) const noexcept {
    if (replayed.timeline != timeline_) {
        return 0;
    }
    const auto beyond = std::upper_bound(
        beats_.begin(),
        beats_.end(),
        replayed.lsn,
        [](std::uint64_t lsn, const Beat& beat) { return lsn < beat.lsn; }
    );
    return beyond == beats_.begin() ? 0 : std::prev(beyond)->began_ns;
}

}  // namespace tenon::postgres
