// SPDX-License-Identifier: Apache-2.0
// When the next backup that is made by itself is due. Times are of the monotonic clock, in ns. Not
// thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tenon::backup_sqlite {

class Schedule {
public:
    // Nothing is due before `from_ns`.
    Schedule(std::int64_t every_ns, std::int64_t from_ns) noexcept
        : every_ns_{every_ns}, due_ns_{from_ns}, not_before_ns_{from_ns} {}

    // The newest backup is so old; negative (a clock was set back) counts as new.
    void begin(std::int64_t now_ns, std::int64_t age_ns) noexcept {
        failures_ = 0;
        due_ns_ = now_ns + std::clamp<std::int64_t>(every_ns_ - age_ns, 0, every_ns_);
    }

    // Without a backup nothing that is captured counts: one is due at once. Where that comes again
    // and again, each waits longer than the one before, so that the store is not filled.
    void want(std::int64_t now_ns) noexcept {
        const std::int64_t from_ns = std::max(now_ns, not_before_ns_);
        if (failures_ == 0 && from_ns < due_ns_) {
            due_ns_ = from_ns;
            is_wanted_ = true;
        }
    }

    void made(std::int64_t now_ns) noexcept {
        failures_ = 0;
        due_ns_ = now_ns + every_ns_;
        if (is_wanted_) {
            apart_ns_ = now_ns < calm_ns_ ? std::min(apart_ns_ * 2, k_pause_max_ns) : k_pause_ns;
            not_before_ns_ = now_ns + apart_ns_;
            calm_ns_ = not_before_ns_ + k_pause_max_ns;
            is_wanted_ = false;
        }
    }

    // Again after 1 s, 2 s, 4 s, … at most 5 min.
    void failed(std::int64_t now_ns) noexcept {
        const std::int64_t pause_ns = k_pause_ns << failures_;
        failures_ = std::min(failures_ + 1, 9);
        due_ns_ = now_ns + std::min({pause_ns, k_pause_max_ns, every_ns_});
    }

    [[nodiscard]] std::int64_t due_ns() const noexcept { return due_ns_; }

private:
    static constexpr std::int64_t k_pause_ns = 1'000'000'000;
    static constexpr std::int64_t k_pause_max_ns = 300'000'000'000;

    std::int64_t every_ns_;
    std::int64_t due_ns_;
    std::int64_t not_before_ns_;
    std::int64_t calm_ns_ = 0;
    std::int64_t apart_ns_ = 0;
    bool is_wanted_ = false;
    int failures_ = 0;
};

}  // namespace tenon::backup_sqlite
