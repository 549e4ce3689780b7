// SPDX-License-Identifier: Apache-2.0
// Whether this machine has more to do than its processors can, and how much less to let in while it
// has. Not thread-safe.
//
// The measure is Linux' pressure stall information (Documentation/accounting/psi.rst of the
// kernel): the time in which at least one task that could run waited for a processor, of the
// process' control group where it has one of its own, else of the machine. Load averages and use of
// the processors do not tell: a busy processor is no trouble as long as nobody waits for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tenon::adaptive {

// The file of this process' group, or the machine's; empty: this kernel has none. `root` stands
// before the paths, for tests.
[[nodiscard]] std::string find_cpu_pressure(const std::string& root = {});

// What stands in such a file behind "some … total=", in us; nothing: it is no such file.
[[nodiscard]] std::optional<std::int64_t> read_pressure_us(std::string_view text) noexcept;

class CpuPressure {
public:
    explicit CpuPressure(std::string path) : path_{std::move(path)} {}

    // The share of the time since the last call in which somebody waited, 0 to 1. Nothing: the
    // first call, no time has passed, or the file cannot be read.
    [[nodiscard]] std::optional<double> sample(std::int64_t now_ns);

private:
    std::string path_;
    std::optional<std::int64_t> total_us_;
    std::int64_t sampled_ns_ = 0;
};

// How much of a limit is in force: a fifth less at each sample over a threshold, down to a tenth,
// and a twentieth of the whole more at each that is not. By ten samples a second it is at 64 %
// within 200 ms, and whole again in 2 s at most.
class Squeeze {
public:
    static constexpr std::int64_t k_whole = 1'000, k_least = 100;

    // Thresholds of 0 are not looked at.
    Squeeze(double pressure_max, std::int64_t lag_max_ns) noexcept
        : pressure_max_{pressure_max}, lag_max_ns_{lag_max_ns} {}

    // `lag_ns`: how long the reactor needed to come to something. Per mille of a limit.
    std::int64_t sample(std::optional<double> pressure, std::int64_t lag_ns) noexcept;

private:
    double pressure_max_;
    std::int64_t lag_max_ns_;
    std::int64_t share_ = k_whole;
};

}  // namespace tenon::adaptive
