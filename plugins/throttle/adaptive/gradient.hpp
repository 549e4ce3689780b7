// SPDX-License-Identifier: Apache-2.0
// How many requests may be under way at an upstream, from how long it takes and whether it works.
//
// Netflix's Gradient2 (concurrency-limits, Apache-2.0): as long as requests take no longer than
// `tolerance` times what they take unloaded, the limit grows by its root; else it shrinks by the
// ratio. With what that and Envoy's relatives were seen to get wrong put right:
//  - the growth is added only while the ratio is 1: at 0.8 it would grow without end;
//  - nothing is pinned to one request to learn the unloaded time. It is a low quantile of a
//    histogram that forgets by half in a while and takes in only rounds in which at most a quarter
//    of the limit was used, or the floor: what the limit itself makes slow never counts, so the
//    unloaded time cannot drift up under load. When there has been no such round for the half-life,
//    two rounds go with a quarter of the limit. When the way itself gets longer, the limit comes
//    down to the floor, and there what is measured is the unloaded time;
//  - slow start: it doubles until the first sign of a queue;
//  - the floor is a setting of its own, and what is not used does not grow.
// Failures of more than a tenth of a round take a third of the limit, a "too many" takes half of
// it.
//
// Decides by rounds of at least 20 answers and 100 ms. No clock, no lock; times in nanoseconds. Not
// thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tenon::adaptive {

struct GradientOptions {
    double floor = 4, ceiling = 1'000, initial = 8;
    double tolerance = 2.0;  // times the unloaded time that a round's median may take
    std::int64_t half_life_ns = 60'000'000'000;
};

enum class Ended : std::uint8_t { ok, failed, limited };

// Latencies by eighths of an octave: 12.5 % wide. Counts are weights, which decay.
class LatencyWeights {
public:
    void add(std::int64_t latency_ns) noexcept;
    void add(const LatencyWeights& other) noexcept;
    void decay(double factor) noexcept;

    void clear() noexcept { weights_ = {}; }

    [[nodiscard]] double total() const noexcept;
    // Within an eighth of an octave; 0 when there is none.
    [[nodiscard]] double quantile(double part) const noexcept;

private:
    static constexpr std::size_t k_cells = 320;  // up to 2^40 ns, 18 minutes
    std::array<float, k_cells> weights_{};
};

class Gradient {
public:
    explicit Gradient(const GradientOptions& options) noexcept;

    void set(const GradientOptions& options) noexcept;

    // One request ended. in_flight: how many were under way until then, itself included.
    void
    ended(Ended how, std::int64_t latency_ns, std::int64_t in_flight, std::int64_t now_ns) noexcept;

    // floor .. ceiling.
    [[nodiscard]] std::int64_t limit() const noexcept {
        return static_cast<std::int64_t>(dip_ > 0 ? quarter() : limit_);
    }

    [[nodiscard]] double unloaded_ns() const noexcept { return unloaded_ns_; }

private:
    [[nodiscard]] double quarter() const noexcept;
    void note_load(std::int64_t now_ns) noexcept;
    void adjust(double median_ns) noexcept;
    void finish_round(std::int64_t now_ns) noexcept;
    void learn_unloaded(double median_ns, std::int64_t now_ns) noexcept;

    GradientOptions options_;
    double limit_;
    double unloaded_ns_ = 0;
    bool slow_start_ = true;
    std::uint32_t rounds_at_floor_ = 0;
    LatencyWeights unloaded_;
    std::int64_t decayed_ns_ = 0;
    std::int64_t light_ns_ = 0;  // the last round that was light
    std::uint32_t dip_ = 0;      // rounds at a quarter of the limit, to go
    // Of this round.
    LatencyWeights round_;
    std::int64_t round_begin_ns_ = -1;
    std::uint32_t ok_ = 0, failed_ = 0, limited_ = 0;
    std::int64_t in_flight_max_ = 0;
    bool light_before_ = true;  // the round before this one
};

}  // namespace tenon::adaptive
