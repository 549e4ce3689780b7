// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/baseline.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tenon::alerts {
namespace {

constexpr double k_normal = 1.4826;  // 1 / the third quartile of the standard normal distribution

// Of an even number of values the upper one of the two in the middle: it needs no sum.
double median_of(std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

}  // namespace

void Baseline::add(std::int64_t at_ms, double value) {
    if (!std::isfinite(value) || (!values_.empty() && at_ms - added_ms_ < every_ms_)) {
        return;
    }
    added_ms_ = at_ms;
    values_.push_back(value);
    if (values_.size() > k_values_max) {
        values_.pop_front();
    }
    judge();
}

void Baseline::judge() {
    if (values_.size() < k_values_least) {
        return;
    }
    std::vector<double> values{values_.begin(), values_.end()};
    const double median = median_of(values);
    for (double& value : values) {
        value = std::abs(value - median);
    }
    usual_ = Usual{median, k_normal * median_of(values)};
}

}  // namespace tenon::alerts
