// SPDX-License-Identifier: Apache-2.0
// What an upstream lets us send in its own fixed windows, counted as it counts: "6000 weight in
// each minute, 100 orders in each ten seconds", windows aligned to its clock.
//
// A token bucket that must never break such a limit, whatever the alignment, may use burst + rate *
// t
// <= limit, so it leaves the burst unused; one that is aligned uses all of it. Aligned means: a
// request is charged to every window in which the upstream may count it. Those are the windows that
// the error of the clocks allows when it is sent, and each one that begins before it is answered,
// however long it takes. The count is put right by what the upstream says (its headers).
//
// The correction is an upper bound of the truth. An answer that says "used U" was made after
// everything that had been answered when its request was sent. What it may lack is only what was
// sent and not answered at that moment, or sent later; U and that sum is what is used at most, also
// when answers overtake each other and when others share the address.
//
// Decides only: no clock, no lock, no allocation. Times are nanoseconds of the upstream's clock.
// Not thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace tenon {

// When, by the upstream's clock, something sent or answered now may be counted.
struct UpstreamTime {
    std::int64_t earliest_ns = 0, latest_ns = 0;
};

class ExchangeWindow {
public:
    // One request's part in the windows: kept by the caller until it is answered, lost or given
    // back, each once.
    struct Charge {
        std::int64_t cost = 0;      // 0: none
        std::int64_t first = 0;     // window in which it may be counted
        std::int64_t answered = 0;  // in that window when it was sent
        std::uint64_t sequence = 0;
    };

    ExchangeWindow(std::int64_t limit, std::int64_t period_ns) noexcept
        : limit_{limit}, period_ns_{period_ns} {}

    [[nodiscard]] std::int64_t limit() const noexcept { return limit_; }

    [[nodiscard]] std::int64_t period_ns() const noexcept { return period_ns_; }

    // What was taken stays taken.
    void set_limit(std::int64_t limit) noexcept { limit_ = limit; }

    // The upstream's time at which `cost` may be taken if nobody else takes any; at most
    // at.latest_ns: now. `cap`: the most that may be used of a window. `pace`: 0, or what may be
    // used at a window's begin, growing to the cap over 19 twentieths of it.
    [[nodiscard]] std::int64_t
    when(UpstreamTime at, std::int64_t cost, std::int64_t cap, std::int64_t pace) noexcept {
        std::int64_t free_ns = at.latest_ns;
        for (std::int64_t i = first_of(at); i <= last_of(at); ++i) {
            const std::int64_t used = slot(i).used;
            if (used + cost > cap) {
                // When the request can no longer be counted in this window.
                free_ns = std::max(free_ns, (i + 1) * period_ns_ + at.latest_ns - at.earliest_ns);
            } else if (pace > 0) {
                free_ns = std::max(
                    free_ns, i * period_ns_ + paced_ns(used + std::min(cost, pace) - pace, cap)
                );
            }
        }
        return free_ns;
    }

    // Takes, whatever is left: ask when() first.
    [[nodiscard]] Charge take(UpstreamTime at, std::int64_t cost) noexcept {
        const std::int64_t first = first_of(at);
        const Charge out{cost, first, slot(first).answered, ++sequence_};
        for (std::int64_t i = first; i <= last_of(at); ++i) {
            Slot& each = slot(i);
            each.used += cost;
            each.sent += cost;
        }
        open_ += cost;
        return out;
    }

    // Nothing of it reached the upstream.
    void give_back(const Charge& charge) noexcept {
        for (Slot& each : slots_) {
            if (each.index >= charge.first) {
                each.used = std::max<std::int64_t>(each.used - charge.cost, 0);
                each.sent = std::max<std::int64_t>(each.sent - charge.cost, 0);
            }
        }
        open_ -= charge.cost;
    }

    // It was sent, and no answer is waited for any more: stays charged where it is.
    void lost(const Charge& charge) noexcept { open_ -= charge.cost; }

    // It was answered `at`, and the upstream said how much is used; negative: it did not say.
    void answered(const Charge& charge, UpstreamTime at, std::int64_t used) noexcept {
        if (charge.cost == 0) {
            return;
        }
        const std::int64_t latest = std::max<std::int64_t>(at.latest_ns, 0) / period_ns_;
        Slot& only = slots_[static_cast<std::size_t>(latest & 1)];
        // No doubt which window the upstream speaks of.
        const bool clear = used >= 0 && charge.first == latest && only.index == latest;
        for (Slot& each : slots_) {
            if (each.index >= charge.first) {
                each.answered += charge.cost;
                each.unclear = each.unclear || !clear;
            }
        }
        open_ -= charge.cost;
        if (clear) {
            correct(only, charge, used);
        }
    }

    // Of the window that is `at`, the fuller one when there are two.
    [[nodiscard]] std::int64_t used(UpstreamTime at) noexcept {
        return std::max(slot(first_of(at)).used, slot(last_of(at)).used);
    }

    // The end of the window that is `at` for certain over.
    [[nodiscard]] std::int64_t end_ns(UpstreamTime at) const noexcept {
        return (last_of(at) + 1) * period_ns_ + at.latest_ns - at.earliest_ns;
    }

private:
    struct Slot {
        std::int64_t index = -1;
        std::int64_t used = 0;      // at most, by the upstream's count
        std::int64_t sent = 0;      // charged by us
        std::int64_t answered = 0;  // of that
        std::uint64_t told_by = 0;  // the request whose answer put `used` right last
        std::int64_t told_max = 0;  // by any answer
        bool unclear = false;       // an answer did not say, or perhaps of another window
    };

    static void correct(Slot& slot, const Charge& charge, std::int64_t used) noexcept {
        slot.told_max = std::max(slot.told_max, used);
        if (charge.sequence < slot.told_by) {  // older news: at least that much
            slot.used = std::max(slot.used, used);
        } else {
            slot.told_by = charge.sequence;
            slot.used = used + slot.sent - charge.answered - charge.cost;
        }
        // All have been answered: the one that was counted last is among them.
        if (slot.answered == slot.sent && !slot.unclear) {
            slot.used = std::min(slot.used, slot.told_max);
        }
    }

    [[nodiscard]] std::int64_t first_of(UpstreamTime at) const noexcept {
        return std::max<std::int64_t>(at.earliest_ns, 0) / period_ns_;
    }

    // At most two windows, whatever the clocks' error.
    [[nodiscard]] std::int64_t last_of(UpstreamTime at) const noexcept {
        return std::min(std::max<std::int64_t>(at.latest_ns, 0) / period_ns_, first_of(at) + 1);
    }

    // That of a later window takes the place of the one before the last, and begins with what is
    // not answered yet.
    [[nodiscard]] Slot& slot(std::int64_t index) noexcept {
        Slot& out = slots_[static_cast<std::size_t>(index & 1)];
        if (out.index < index) {
            out = Slot{index, open_, open_};
        }
        return out;
    }

    // From a window's begin until `units` more than its pace at the begin may be used.
    [[nodiscard]] std::int64_t paced_ns(std::int64_t units, std::int64_t cap) const noexcept {
        const std::int64_t ramp_ns = period_ns_ / 20 * 19;
        if (units <= 0 || cap <= 0) {
            return 0;
        }
        const std::int64_t step_ns = ramp_ns / cap;  // of one unit
        return std::min(units * step_ns + units * (ramp_ns % cap) / cap, ramp_ns);
    }

    std::int64_t limit_;
    std::int64_t period_ns_;
    std::array<Slot, 2> slots_{};
    std::uint64_t sequence_ = 0;
    std::int64_t open_ = 0;  // cost of what is neither answered, lost nor given back
};

}  // namespace tenon
