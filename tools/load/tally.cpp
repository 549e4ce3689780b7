// SPDX-License-Identifier: Apache-2.0
#include "tools/load/tally.hpp"

#include <algorithm>

namespace tenon::load {

void Tally::add(const Tally& other) {
    latency.add(other.latency);
    errors += other.errors;
    for (const auto& [status, count] : other.statuses) {
        statuses[status] += count;
    }
}

void Run::add(const Run& other) {
    planned += other.planned;
    late += other.late;
    never_sent += other.never_sent;
    unanswered += other.unanswered;
    reconnects += other.reconnects;
    all.add(other.all);
    service.add(other.service);
    lateness.add(other.lateness);
    operations.resize(std::max(operations.size(), other.operations.size()));
    for (std::size_t i = 0; i < other.operations.size(); ++i) {
        operations[i].add(other.operations[i]);
    }
    windows.insert(windows.end(), other.windows.begin(), other.windows.end());
    window_ns = other.window_ns;
    measured_ns += other.measured_ns;
    exhausted = exhausted || other.exhausted;
    if (trouble.empty()) {
        trouble = other.trouble;
    }
}

bool saturated(const Run& run) noexcept {
    return run.exhausted || run.late * 100 > run.planned;
}

}  // namespace tenon::load
