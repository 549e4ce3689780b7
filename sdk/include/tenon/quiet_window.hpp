// SPDX-License-Identifier: Apache-2.0
// When little happens, found from the traffic itself: for upkeep that can wait.
//
//   traffic_.observe(now_real_ns, storage.stats().transactions - mine);   // every minute or so
//   if (traffic_.is_quiet()) { … }
//
// The rate of the last minutes is compared with the rates of the day as they were before: one for
// each quarter of an hour, newer days counting more. It is quiet while the rate is no more than
// that of the quietest quarter of the day (and a bit). Nothing is quiet before a whole day is
// known; who cannot wait for ever says how long (may_begin). What the caller does itself should not
// be in the number. No clock of its own; not thread-safe; kept in memory (tenon/quiet_schedule.hpp
// keeps it over a restart).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace tenon {

class QuietWindow {
public:
    static constexpr std::size_t k_slots = 96;  // of a day

    // `total` counts something that rises with the load. A total below the last one begins anew;
    // times may stand still or jump.
    void observe(std::int64_t now_real_ns, std::uint64_t total) noexcept {
        if (!last_ || now_real_ns <= last_->real_ns || total < last_->total ||
            now_real_ns - last_->real_ns > k_slot_ns) {
            last_ = {now_real_ns, total};
            return;
        }
        const double seconds = static_cast<double>(now_real_ns - last_->real_ns) / 1e9;
        const double rate = static_cast<double>(total - last_->total) / seconds;
        last_ = {now_real_ns, total};
        const double weight = std::min(1.0, seconds / k_memory_s);
        current_ = is_known_ ? current_ + (rate - current_) * weight : rate;
        is_known_ = true;
        const auto index = static_cast<std::size_t>(now_real_ns % k_day_ns / k_slot_ns);
        if (index != slot_) {
            close_slot();
            slot_ = index;
        }
        sum_ += rate * seconds;
        sum_s_ += seconds;
    }

    // A rate per second that a quiet quarter of the day does not go beyond; nothing before a day is
    // known.
    [[nodiscard]] std::optional<double> limit() const {
        std::vector<double> rates;
        for (const Slot& slot : slots_) {
            if (!slot.is_known) {
                return {};
            }
            rates.push_back(slot.rate);
        }
        const auto quarter = rates.begin() + k_slots / 4;
        std::nth_element(rates.begin(), quarter, rates.end());
        const double low = *std::min_element(rates.begin(), quarter);
        const double high = *std::max_element(quarter, rates.end());
        double most = *quarter * 1.25;
        if (high > 2 * low) {
            most = std::min(most, low + (high - low) / 4);  // a night shorter than a quarter
        }
        return most + 0.1;
    }

    [[nodiscard]] bool is_quiet() const {
        const std::optional<double> most = limit();
        return most && is_known_ && current_ <= *most;
    }

    // Work that became due at `due_ns` (of any clock) may begin: it is quiet, or it has waited for
    // `longest_ns`.
    [[nodiscard]] bool may_begin(std::int64_t now_ns, std::int64_t due_ns, std::int64_t longest_ns)
        const {
        return now_ns >= due_ns && (is_quiet() || now_ns - due_ns >= longest_ns);
    }

    // The rate of each quarter of an hour, where it is known: for who keeps it.
    using Day = std::array<std::optional<double>, k_slots>;

    [[nodiscard]] Day day() const noexcept {
        Day day;
        for (std::size_t i = 0; i < k_slots; ++i) {
            if (slots_[i].is_known) {
                day[i] = slots_[i].rate;
            }
        }
        return day;
    }

    void set_day(const Day& day) noexcept {
        for (std::size_t i = 0; i < k_slots; ++i) {
            slots_[i] = {day[i].value_or(0), day[i].has_value()};
        }
    }

    // Per second, of the last minutes.
    [[nodiscard]] double current() const noexcept { return current_; }

private:
    static constexpr std::int64_t k_day_ns = 86'400'000'000'000;
    static constexpr std::int64_t k_slot_ns = k_day_ns / static_cast<std::int64_t>(k_slots);
    static constexpr double k_memory_s = 300;
    static constexpr double k_new_day = 0.5;  // how much the newest day counts

    struct Sample {
        std::int64_t real_ns;
        std::uint64_t total;
    };

    struct Slot {
        double rate = 0;
        bool is_known = false;
    };

    void close_slot() noexcept {
        if (sum_s_ > 0) {
            Slot& slot = slots_[slot_];
            const double rate = sum_ / sum_s_;
            slot.rate = slot.is_known ? slot.rate + (rate - slot.rate) * k_new_day : rate;
            slot.is_known = true;
        }
        sum_ = sum_s_ = 0;
    }

    std::array<Slot, k_slots> slots_{};
    std::optional<Sample> last_;
    std::size_t slot_ = 0;
    double sum_ = 0, sum_s_ = 0, current_ = 0;
    bool is_known_ = false;
};

}  // namespace tenon
