// SPDX-License-Identifier: Apache-2.0
// When each request is due, who sends it and which kind it is: made whole before the first one
// leaves, from a seed, so that a slow server cannot slow down what it is asked (no coordinated
// omission), and so that two runs ask the same. Pure: no clock, no socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tenon::load {

enum class Arrivals : std::uint8_t {
    constant,  // equal gaps
    poisson,   // independent users: exponential gaps
    ramp,      // the rate rises evenly from ramp_from to rate
};

// Throws std::invalid_argument.
[[nodiscard]] Arrivals arrivals_of(std::string_view name);
[[nodiscard]] std::string_view name_of(Arrivals arrivals) noexcept;

struct ScheduleOptions {
    Arrivals arrivals = Arrivals::poisson;
    double rate = 1000;  // requests a second, of all users together
    double ramp_from = 0;
    std::int64_t duration_ns = 10'000'000'000;
    std::uint32_t users = 1;
    std::uint64_t seed = 1;
    std::vector<std::uint32_t> weights{1};  // of the kinds, at most 256
};

struct Arrival {
    std::int64_t due_ns;  // from the start
    std::uint32_t user;
    std::uint32_t kind;  // index in `weights`
};

inline constexpr std::size_t k_arrivals_max = 50'000'000;  // 0.8 GB

// In order of time; users take turns, the kind is drawn by weight. Throws std::invalid_argument on
// what makes no sense or more than k_arrivals_max.
[[nodiscard]] std::vector<Arrival> make_schedule(const ScheduleOptions& options);

}  // namespace tenon::load
