// SPDX-License-Identifier: Apache-2.0
#include "tools/load/schedule.hpp"

#include <cmath>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>

namespace tenon::load {

namespace {

// The random engine's bits are the standard's; its distributions are not, so these are our own.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : engine_{seed} {}

    // Of (0, 1].
    double unit() { return (static_cast<double>(engine_() >> 11U) + 1) * 0x1p-53; }

    std::uint64_t below(std::uint64_t bound) {
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::uint64_t>(Wide{engine_()} * bound >> 64U);
    }

private:
    std::mt19937_64 engine_;
};

void check(const ScheduleOptions& options) {
    const auto fail = [](const std::string& text) { throw std::invalid_argument{text}; };
    if (!(options.rate > 0) || !(options.rate <= 10'000'000)) {
        fail("the rate must be above 0 and at most 10000000 requests a second");
    }
    if (options.arrivals == Arrivals::ramp &&
        (!(options.ramp_from >= 0) || options.ramp_from > options.rate)) {
        fail("a ramp must begin between 0 and the rate");
    }
    if (options.duration_ns <= 0 || options.users == 0) {
        fail("the duration and the number of users must be above 0");
    }
    const std::uint64_t sum =
        std::accumulate(options.weights.begin(), options.weights.end(), std::uint64_t{0});
    if (options.weights.empty() || options.weights.size() > 256 || sum == 0) {
        fail("there must be 1 to 256 kinds of requests, of weights above 0");
    }
    const double seconds = static_cast<double>(options.duration_ns) / 1e9;
    if (options.rate * seconds > static_cast<double>(k_arrivals_max)) {
        fail("that are more than " + std::to_string(k_arrivals_max) + " requests; shorten it");
    }
}

// When the n-th (from 1) request is due on a ramp, in seconds: the integral of the rate up to then
// is n - 1/2, so that the requests lie in the middle of their shares.
double ramp_time(const ScheduleOptions& options, double seconds, std::uint64_t n) {
    const double slope = (options.rate - options.ramp_from) / seconds;
    const double area = static_cast<double>(n) - 0.5;
    if (slope <= 0) {
        return area / options.rate;
    }
    return (std::sqrt(options.ramp_from * options.ramp_from + 2 * slope * area) - options.ramp_from
           ) /
           slope;
}

}  // namespace

Arrivals arrivals_of(std::string_view name) {
    for (const Arrivals one : {Arrivals::constant, Arrivals::poisson, Arrivals::ramp}) {
        if (name == name_of(one)) {
            return one;
        }
    }
    throw std::invalid_argument{
        "arrivals: found \"" + std::string{name} + "\", expected constant, poisson or ramp"};
}

std::string_view name_of(Arrivals arrivals) noexcept {
    switch (arrivals) {
        case Arrivals::constant:
            return "constant";
        case Arrivals::poisson:
            return "poisson";
        case Arrivals::ramp:
            break;
    }
    return "ramp";
}

std::vector<Arrival> make_schedule(const ScheduleOptions& options) {
    check(options);
    Dice dice{options.seed};
    const std::uint64_t weights =
        std::accumulate(options.weights.begin(), options.weights.end(), std::uint64_t{0});
    const double seconds = static_cast<double>(options.duration_ns) / 1e9;
    std::vector<Arrival> schedule;
    schedule.reserve(static_cast<std::size_t>(options.rate * seconds * 1.01) + 16);
    double at = 0;
    for (std::uint64_t n = 1;; ++n) {
        switch (options.arrivals) {
            case Arrivals::constant:
                at = (static_cast<double>(n) - 0.5) / options.rate;
                break;
            case Arrivals::poisson:
                at -= std::log(dice.unit()) / options.rate;
                break;
            case Arrivals::ramp:
                at = ramp_time(options, seconds, n);
                break;
        }
        const auto due_ns = static_cast<std::int64_t>(at * 1e9);
        if (due_ns >= options.duration_ns) {
            return schedule;
        }
        std::uint64_t left = dice.below(weights);
        std::uint32_t kind = 0;
        while (left >= options.weights[kind]) {
            left -= options.weights[kind++];
        }
        schedule.push_back({due_ns, static_cast<std::uint32_t>((n - 1) % options.users), kind});
    }
}

}  // namespace tenon::load
