// SPDX-License-Identifier: Apache-2.0
// What a value usually is: median and median absolute deviation of its past, for thresholds that
// adjust themselves.
//
// One value is kept for each 1,440th of the span, so that a day has one a minute; until 60 are
// there, nothing is usual. The median absolute deviation times 1.4826 is the standard deviation of
// a normal distribution, and unlike that one it does not follow single outliers. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace tenon::alerts {

class Baseline {
public:
    static constexpr std::size_t k_values_max = 1'440;
    static constexpr std::size_t k_values_least = 60;

    struct Usual {
        double median, deviation;  // the deviation as of a normal distribution
    };

    explicit Baseline(std::int64_t over_s = 86'400)
        : every_ms_{over_s * 1'000 / static_cast<std::int64_t>(k_values_max)} {}

    // Values that are no numbers, and those that come too soon after the last one, are not taken.
    void add(std::int64_t at_ms, double value);

    [[nodiscard]] const std::optional<Usual>& usual() const noexcept { return usual_; }

private:
    void judge();

    std::int64_t every_ms_;
    std::int64_t added_ms_ = 0;
    std::deque<double> values_;
    std::optional<Usual> usual_;
};

}  // namespace tenon::alerts
