// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/clock_offset.hpp"

#include <algorithm>
#include <vector>

namespace tenon::binance_venue {
namespace {

constexpr std::int64_t k_ms_ns = 1'000'000;

}  // namespace

void ClockOffset::sample(std::int64_t sent_ns, std::int64_t received_ns, std::int64_t exchange_ms) {
    const std::int64_t round_trip_ns = std::max<std::int64_t>(received_ns - sent_ns, 0);
    // The exchange's number is cut to whole milliseconds: half of one is missing on average.
    const std::int64_t exchange_ns = exchange_ms * k_ms_ns + k_ms_ns / 2;
    samples_.push_back({exchange_ns - (sent_ns + round_trip_ns / 2), round_trip_ns});
    if (samples_.size() > k_samples_max) {
        samples_.pop_front();
    }
    std::vector<Sample> quick{samples_.begin(), samples_.end()};
    std::sort(quick.begin(), quick.end(), [](const Sample& a, const Sample& b) {
        return a.round_trip_ns < b.round_trip_ns;
    });
    quick.resize((quick.size() + 1) / 2);
    error_ns_ = quick.back().round_trip_ns / 2 + k_ms_ns;
    std::sort(quick.begin(), quick.end(), [](const Sample& a, const Sample& b) {
        return a.offset_ns < b.offset_ns;
    });
    offset_ns_ = quick[quick.size() / 2].offset_ns;
}

}  // namespace tenon::binance_venue
