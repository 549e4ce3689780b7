// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/adaptive/gradient.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tenon::adaptive {
namespace {

constexpr std::int64_t k_round_ns = 100'000'000;
constexpr std::int64_t k_longest_round_ns = 1'000'000'000;
constexpr std::uint32_t k_round_answers = 20;
constexpr std::uint32_t k_longest_round_answers = 3;
constexpr std::uint32_t k_rounds_at_floor = 5;
constexpr std::uint32_t k_dip_rounds = 4;  // two to come down, two to measure, at most
constexpr double k_unloaded_quantile = 0.25;
constexpr double k_smoothing = 0.3;  // part of a change that counts at once

}  // namespace

void LatencyWeights::add(std::int64_t latency_ns) noexcept {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(latency_ns, 8));
    const auto octave = static_cast<std::size_t>(std::bit_width(value)) - 1;  // 3 .. 62
    const std::size_t eighth = (value >> (octave - 3)) & 7U;
    weights_[std::min((octave - 3) * 8 + eighth, k_cells - 1)] += 1;
}

void LatencyWeights::add(const LatencyWeights& other) noexcept {
    for (std::size_t i = 0; i < k_cells; ++i) {
        weights_[i] += other.weights_[i];
    }
}

void LatencyWeights::decay(double factor) noexcept {
    for (float& each : weights_) {
        each *= static_cast<float>(factor);
    }
}

double LatencyWeights::total() const noexcept {
    double sum = 0;
    for (const float each : weights_) {
        sum += static_cast<double>(each);
    }
    return sum;
}

double LatencyWeights::quantile(double part) const noexcept {
    double left = part * total();
    for (std::size_t i = 0; i < k_cells; ++i) {
        left -= static_cast<double>(weights_[i]);
        if (weights_[i] > 0 && left <= 0) {
            const double octave = std::ldexp(1.0, static_cast<int>(i / 8) + 3);
            return octave * (1 + (static_cast<double>(i % 8) + 0.5) / 8);
        }
    }
    return 0;
}

Gradient::Gradient(const GradientOptions& options) noexcept
    : options_{options}, limit_{std::clamp(options.initial, options.floor, options.ceiling)} {}

void Gradient::set(const GradientOptions& options) noexcept {
    options_ = options;
    limit_ = std::clamp(limit_, options.floor, options.ceiling);
}

void Gradient::ended(
    Ended how,
    std::int64_t latency_ns,
    std::int64_t in_flight,
    std::int64_t now_ns
) noexcept {
    if (round_begin_ns_ < 0) {
        round_begin_ns_ = now_ns;
        decayed_ns_ = now_ns;
        light_ns_ = now_ns;
    }
    in_flight_max_ = std::max(in_flight_max_, in_flight);
    if (how == Ended::ok) {
        ++ok_;
        round_.add(latency_ns);
    } else {
        ++(how == Ended::failed ? failed_ : limited_);
    }
    const std::uint32_t answers = ok_ + failed_ + limited_;
    const std::int64_t took_ns = now_ns - round_begin_ns_;
    if ((answers >= k_round_answers && took_ns >= k_round_ns) ||
        (answers >= k_longest_round_answers && took_ns >= k_longest_round_ns)) {
        finish_round(now_ns);
    }
}

void Gradient::learn_unloaded(double median_ns, std::int64_t now_ns) noexcept {
    const std::int64_t since_ns = std::max<std::int64_t>(now_ns - decayed_ns_, 0);
    if (since_ns >= options_.half_life_ns / 16) {
        decayed_ns_ = now_ns;
        unloaded_.decay(
            std::exp2(-static_cast<double>(since_ns) / static_cast<double>(options_.half_life_ns))
        );
    }
    // At the floor it is not the limit that makes it slow: the way has become longer.
    const bool at_floor = limit_ < options_.floor + 1;
    rounds_at_floor_ = at_floor && median_ns > 0 ? rounds_at_floor_ + 1 : 0;
    if (rounds_at_floor_ >= k_rounds_at_floor && median_ns > options_.tolerance * unloaded_ns_) {
        unloaded_.clear();
        unloaded_ns_ = median_ns;
        rounds_at_floor_ = 0;
        slow_start_ = true;
    }
    if (unloaded_.total() >= k_round_answers) {
        unloaded_ns_ = unloaded_.quantile(k_unloaded_quantile);
    }
    if (unloaded_ns_ == 0 || (median_ns > 0 && median_ns < unloaded_ns_)) {
        unloaded_ns_ = median_ns;
    }
}

double Gradient::quarter() const noexcept {
    return std::max(options_.floor, limit_ / 4);
}

// Whether this round tells of the unloaded time, and whether one has to be made that does.
void Gradient::note_load(std::int64_t now_ns) noexcept {
    // What ends in this round may have been sent in the one before.
    const bool light = static_cast<double>(in_flight_max_) <= quarter();
    if (light && light_before_) {
        if (dip_ > 0) {  // what was known is as old as the half-life
            unloaded_.clear();
            dip_ = 0;
        }
        unloaded_.add(round_);
        light_ns_ = now_ns;
    }
    light_before_ = light;
    dip_ -= dip_ > 0 ? 1 : 0;
    if (now_ns - light_ns_ >= options_.half_life_ns) {
        light_ns_ = now_ns;
        dip_ = k_dip_rounds;
    }
}

void Gradient::adjust(double median_ns) noexcept {
    const double answers = ok_ + failed_ + limited_;
    const bool used = static_cast<double>(in_flight_max_) >= limit_ / 2;
    double next = limit_;
    if (limited_ > 0) {
        next = limit_ / 2;
        slow_start_ = false;
    } else if (failed_ * 10.0 > answers) {
        next = limit_ * 2 / 3;
        slow_start_ = false;
    } else if (median_ns > 0 && unloaded_ns_ > 0) {
        const double gradient = std::clamp(options_.tolerance * unloaded_ns_ / median_ns, 0.5, 1.0);
        if (gradient < 1) {
            slow_start_ = false;
            next = limit_ * (1 - k_smoothing) + limit_ * gradient * k_smoothing;
        } else if (used) {
            next = slow_start_ ? limit_ * 2 : limit_ + std::sqrt(limit_) * k_smoothing;
        }
    }
    limit_ = std::clamp(next, options_.floor, options_.ceiling);
}

void Gradient::finish_round(std::int64_t now_ns) noexcept {
    const double median_ns = round_.quantile(0.5);
    note_load(now_ns);
    learn_unloaded(median_ns, now_ns);
    adjust(median_ns);
    round_.clear();
    round_begin_ns_ = now_ns;
    ok_ = failed_ = limited_ = 0;
    in_flight_max_ = 0;
}

}  // namespace tenon::adaptive
