// SPDX-License-Identifier: Apache-2.0
// One change of one knob, proven or taken back: the old value and the new one take turns in windows
// of equal length, in a seeded order, and the windows are judged.
//
//   baseline, baseline, then pairs: before after | after before | …
//
// Kept only when the promised measure is better with p < 0.05 (Mann and Whitney, two-sided) by the
// promised part at least, and no guard is worse. Rolled back at once when a guard breaks within a
// window, as soon as the measure is proven worse, and at the end without proof. Guards: how long
// requests take (p99) and how many are refused or fail.
//
// It carries nothing out and reads no clock: step() is told the time and the metrics and says what
// to do; switched() tells it when that was done. Not thread-safe. Pure.
#pragma once

#include "plugins/monitor/advisor/snapshot.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tenon::advisor {

struct Promise {
    Measure measure;
    double effect = 0.05;  // lower by this part at least
};

struct ExperimentOptions {
    std::int64_t window_ms = 2'500;
    std::int64_t settle_ms = 500;  // after a switch, before its window begins
    std::uint32_t windows = 16;    // after the baseline, half of them with the new value; even
    std::uint64_t seed = 1;        // of the order
};

class Experiment {
public:
    enum class Side : std::uint8_t { before, after };
    enum class Action : std::uint8_t { wait, to_before, to_after, keep, roll_back };

    static constexpr std::uint32_t k_baseline_windows = 2;

    struct Window {
        Side side = Side::before;
        std::optional<double> promised, p99, refused;
    };

    struct Verdict {
        double before = 0, after = 0;  // medians of the promised measure
        double ratio = 1, p = 1;
    };

    // It begins with the value of before in force.
    Experiment(Promise promise, const ExperimentOptions& options, std::int64_t now_ms);

    // `now` is later than the last one's. After keep and roll_back it says no more.
    [[nodiscard]] Action step(const Snapshot& now);
    // What to_before or to_after asked for is in force.
    void switched(std::int64_t now_ms);

    [[nodiscard]] Side side() const noexcept { return side_; }

    [[nodiscard]] bool is_baseline() const noexcept { return windows_.size() < k_baseline_windows; }

    [[nodiscard]] const std::vector<Window>& windows() const noexcept { return windows_; }

    [[nodiscard]] const Promise& promise() const noexcept { return promise_; }

    [[nodiscard]] std::int64_t began_ms() const noexcept { return began_ms_; }

    // The latest end: what is not proven by then is rolled back.
    [[nodiscard]] std::int64_t expires_ms() const noexcept { return expires_ms_; }

    // Why it was kept or rolled back, in words and numbers.
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

    [[nodiscard]] Verdict verdict() const;

private:
    [[nodiscard]] std::vector<double> of(Side side, std::optional<double> Window::*member) const;
    [[nodiscard]] std::string broken_guard(const Snapshot& now) const;
    [[nodiscard]] std::string worse_guard() const;
    [[nodiscard]] bool is_proven_worse() const;
    [[nodiscard]] Action end_window(const Snapshot& now);
    [[nodiscard]] Action judge();
    [[nodiscard]] Action next();
    [[nodiscard]] Action end(Action action, std::string reason);

    Promise promise_;
    ExperimentOptions options_;
    std::vector<Side> order_;
    std::vector<Window> windows_;
    Side side_ = Side::before;
    std::int64_t began_ms_, expires_ms_;
    std::int64_t opens_ms_;           // the window, not before
    std::optional<Snapshot> opened_;  // the window's begin
    bool is_switching_ = false, is_over_ = false;
    std::string reason_;
};

}  // namespace tenon::advisor
