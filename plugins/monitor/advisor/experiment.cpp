// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/experiment.hpp"

#include "sdk/statistics/significance.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace tenon::advisor {
namespace {

constexpr double k_p = 0.05;
constexpr std::size_t k_windows_least = 4;  // a side; p cannot fall below 0.05 with fewer
// A quantile of few requests scatters: only what nobody can overlook breaks a window off.
constexpr double k_guard_requests = 50, k_guard_factor = 2, k_guard_p99_s = 0.005;
constexpr double k_guard_refused = 0.02, k_guard_worse = 0.10;
constexpr double k_tiny = 1e-6;  // in the place of 0, which has no quotient

// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t next_random(std::uint64_t& state) {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

double median(std::vector<double> values) {
    if (values.empty()) {
        return 0;
    }
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double ratio(std::vector<double> before, std::vector<double> after) {
    for (auto* side : {&before, &after}) {
        for (double& value : *side) {
            value = std::max(value, k_tiny);
        }
    }
    return statistics::typical_ratio(before, after);
}

std::string percent(double part) {
    char text[32];
    (void)std::snprintf(text, sizeof text, "%.1f %%", part * 100);
    return text;
}

std::string number(double value) {
    char text[32];
    (void)std::snprintf(text, sizeof text, "%.3g", value);
    return text;
}

}  // namespace

Experiment::Experiment(Promise promise, const ExperimentOptions& options, std::int64_t now_ms)
    : promise_{std::move(promise)}, options_{options}, began_ms_{now_ms}, opens_ms_{now_ms} {
    order_.assign(k_baseline_windows, Side::before);
    std::uint64_t state = options_.seed;
    for (std::uint32_t pair = 0; pair < options_.windows / 2; ++pair) {
        const bool is_before_first = next_random(state) % 2 == 0;
        order_.push_back(is_before_first ? Side::before : Side::after);
        order_.push_back(is_before_first ? Side::after : Side::before);
    }
    // A quarter more than it takes, for turns that come late.
    const auto slots = static_cast<std::int64_t>(order_.size());
    expires_ms_ = now_ms + slots * (options_.window_ms + options_.settle_ms) * 5 / 4;
}

Experiment::Action Experiment::step(const Snapshot& now) {
    if (is_over_ || is_switching_) {
        return Action::wait;
    }
    if (now.at_ms >= expires_ms_) {
        return end(Action::roll_back, "expired without proof");
    }
    if (!opened_) {
        if (now.at_ms >= opens_ms_) {
            opened_ = now;
        }
        return Action::wait;
    }
    if (side_ == Side::after) {
        if (std::string broken = broken_guard(now); !broken.empty()) {
            return end(Action::roll_back, std::move(broken));
        }
    }
    return now.at_ms - opened_->at_ms >= options_.window_ms ? end_window(now) : Action::wait;
}

void Experiment::switched(std::int64_t now_ms) {
    is_switching_ = false;
    opens_ms_ = now_ms + options_.settle_ms;
}

Experiment::Action Experiment::end_window(const Snapshot& now) {
    windows_.push_back(
        {side_,
         take(promise_.measure, *opened_, now),
         take({"http_p99_seconds", ""}, *opened_, now),
         take({"http_refused_ratio", ""}, *opened_, now)}
    );
    opened_ = now;  // the next one's begin, unless the value changes
    if (windows_.size() == order_.size()) {
        return judge();
    }
    if (is_proven_worse()) {
        const Verdict found = verdict();
        return end(
            Action::roll_back,
            promise_.measure.name + " got worse: " + readable(promise_.measure, found.before) +
                " before, " + readable(promise_.measure, found.after) + " after (p " +
                number(found.p) + ")"
        );
    }
    return next();
}

Experiment::Action Experiment::next() {
    const Side wanted = order_[windows_.size()];
    if (wanted == side_) {
        return Action::wait;
    }
    side_ = wanted;
    opened_.reset();
    is_switching_ = true;
    return wanted == Side::after ? Action::to_after : Action::to_before;
}

std::vector<double> Experiment::of(Side side, std::optional<double> Window::*member) const {
    std::vector<double> out;
    for (const Window& window : windows_) {
        if (window.side == side && (window.*member).has_value()) {
            out.push_back(*(window.*member));
        }
    }
    return out;
}

Experiment::Verdict Experiment::verdict() const {
    const std::vector<double> before = of(Side::before, &Window::promised);
    const std::vector<double> after = of(Side::after, &Window::promised);
    Verdict out;
    out.before = median(before);
    out.after = median(after);
    out.ratio = ratio(before, after);
    out.p = statistics::mann_whitney(before, after).p;
    return out;
}

// Within the window that is open. With the worst of the windows before, since a guard shall not
// break by the usual scatter.
std::string Experiment::broken_guard(const Snapshot& now) const {
    const std::vector<double> p99s = of(Side::before, &Window::p99);
    const auto p99 =
        quantile(*opened_, now, "tenon_http_request_duration_seconds", 0.99, k_guard_requests);
    if (p99 && !p99s.empty()) {
        const double usual = *std::max_element(p99s.begin(), p99s.end());
        if (*p99 > usual * k_guard_factor + k_guard_p99_s) {
            return "guard http_p99_seconds broke: " + number(*p99 * 1000) + " ms, at most " +
                   number(usual * 1000) + " ms before";
        }
    }
    const Measure measure{"http_refused_ratio", ""};
    const std::vector<double> refusals = of(Side::before, &Window::refused);
    const auto refused = take(measure, *opened_, now);
    if (refused && !refusals.empty()) {
        const double usual = *std::max_element(refusals.begin(), refusals.end());
        if (*refused > usual + k_guard_refused) {
            return "guard http_refused_ratio broke: " + percent(*refused) + ", at most " +
                   percent(usual) + " before";
        }
    }
    return {};
}

std::string Experiment::worse_guard() const {
    for (const auto& [name, member] :
         {std::pair{"http_p99_seconds", &Window::p99},
          std::pair{"http_refused_ratio", &Window::refused}}) {
        const std::vector<double> before = of(Side::before, member);
        const std::vector<double> after = of(Side::after, member);
        const double grown = ratio(before, after) - 1;
        if (statistics::mann_whitney(before, after).p < k_p && grown > k_guard_worse) {
            return std::string{"guard "} + name + " got worse by " + percent(grown);
        }
    }
    return {};
}

bool Experiment::is_proven_worse() const {
    const std::vector<double> before = of(Side::before, &Window::promised);
    const std::vector<double> after = of(Side::after, &Window::promised);
    if (before.size() < k_windows_least || after.size() < k_windows_least) {
        return false;
    }
    const Verdict found = verdict();
    return found.p < k_p && found.ratio >= 1 + promise_.effect;
}

Experiment::Action Experiment::judge() {
    if (std::string worse = worse_guard(); !worse.empty()) {
        return end(Action::roll_back, std::move(worse));
    }
    const std::size_t least = std::min(
        of(Side::before, &Window::promised).size(), of(Side::after, &Window::promised).size()
    );
    if (least < k_windows_least) {
        return end(
            Action::roll_back, "no proof: too little happened to measure " + promise_.measure.name
        );
    }
    const Verdict found = verdict();
    const std::string figures =
        promise_.measure.name + " " + readable(promise_.measure, found.before) + " before, " +
        readable(promise_.measure, found.after) + " after (p " + number(found.p) + ")";
    if (found.p < k_p && found.ratio <= 1 - promise_.effect) {
        return end(Action::keep, "proven: " + figures);
    }
    return end(Action::roll_back, "no proof of " + percent(promise_.effect) + " less: " + figures);
}

Experiment::Action Experiment::end(Action action, std::string reason) {
    is_over_ = true;
    reason_ = std::move(reason);
    return action;
}

}  // namespace tenon::advisor
