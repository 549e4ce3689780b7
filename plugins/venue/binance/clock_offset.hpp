// SPDX-License-Identifier: Apache-2.0
// How far the exchange's clock is from our monotonic one, from answers to /api/v3/time: the median
// of the quicker half of the last samples, so that one slow way back does not move it. Decides
// only: no clock, no lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace tenon::binance_venue {

class ClockOffset {
public:
    static constexpr std::size_t k_samples_max = 9;

    // Of a request: when it left and when its answer came, monotonic, and what the exchange said.
    void sample(std::int64_t sent_ns, std::int64_t received_ns, std::int64_t exchange_ms);

    // The exchange refused a timestamp: what was measured so far does not hold.
    void forget() noexcept { samples_.clear(); }

    [[nodiscard]] std::size_t samples() const noexcept { return samples_.size(); }

    // exchange time = monotonic + offset_ns, give or take error_ns. 0 without samples.
    [[nodiscard]] std::int64_t offset_ns() const noexcept { return offset_ns_; }

    [[nodiscard]] std::int64_t error_ns() const noexcept { return error_ns_; }

private:
    struct Sample {
        std::int64_t offset_ns, round_trip_ns;
    };

    std::deque<Sample> samples_;
    std::int64_t offset_ns_ = 0, error_ns_ = 0;
};

}  // namespace tenon::binance_venue
