// SPDX-License-Identifier: Apache-2.0
// tenon.metrics/1: cells that their users add to with relaxed atomics, and the Prometheus text
// format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
//
// Series are never removed; their number is bounded.
#pragma once

#include "kernel/runtime/owner.hpp"

#include <tenon/abi/host.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::runtime {

// Durations in buckets from 5 µs to 10 s. A thread counts in a part of its own, so that threads do
// not take a line from each other; those beyond k_parts - 1 share the last one.
class Histogram {
public:
    static constexpr std::size_t k_parts = 16;
    static constexpr std::array<std::int64_t, 20> k_bounds_ns{
        5'000,       10'000,        25'000,        50'000,        100'000,
        250'000,     500'000,       1'000'000,     2'500'000,     5'000'000,
        10'000'000,  25'000'000,    50'000'000,    100'000'000,   250'000'000,
        500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};

    // One line of the page for each bucket, the sum and the count, up to their values.
    Histogram(std::string_view name, const std::string& labels);

    void observe(std::int64_t duration_ns) noexcept;
    void append_to(std::string& out) const;

private:
    struct alignas(64) Part {
        std::array<std::atomic<std::uint64_t>, k_bounds_ns.size() + 1> buckets{};
        std::atomic<std::int64_t> sum_ns{0};
    };

    std::array<Part, k_parts> parts_{};
    std::vector<std::string> heads_;
};

class Metrics {
public:
    static constexpr std::size_t k_max_series = 10'000;

    [[nodiscard]] std::uint64_t*
    counter(std::string_view name, std::string_view help, const std::vector<tenon_label>& labels);
    [[nodiscard]] std::int64_t*
    gauge(std::string_view name, std::string_view help, const std::vector<tenon_label>& labels);
    [[nodiscard]] Histogram*
    histogram(std::string_view name, std::string_view help, const std::vector<tenon_label>& labels);

    [[nodiscard]] std::uint64_t on_collect(tenon_fn fn, void* ctx);
    // Returns when the function does not run; not to be called from within it.
    void remove_on_collect(std::uint64_t handle);
    [[nodiscard]] std::string collect();

    [[nodiscard]] static const tenon_metrics_1& table();

private:
    enum class Type { counter, gauge, histogram };

    // A line of its own, so that two users of neighbouring series do not share it.
    struct alignas(64) Cell {
        std::uint64_t count = 0;
        std::int64_t level = 0;
        std::string head;  // its line of the page, up to the value
        std::unique_ptr<Histogram> histogram;
    };

    struct Family {
        Type type;
        std::string help;
        std::map<std::string, std::unique_ptr<Cell>> series;  // by rendered labels
    };

    [[nodiscard]] Cell* cell(
        Type type,
        std::string_view name,
        std::string_view help,
        const std::vector<tenon_label>& labels
    );

    std::mutex collect_mutex_;
    std::map<std::uint64_t, Task> callbacks_;  // guarded by collect_mutex_
    std::uint64_t next_callback_ = 1;          // guarded by collect_mutex_
    std::mutex mutex_;
    std::map<std::string, Family, std::less<>> families_;  // guarded by mutex_
    std::size_t series_ = 0;                               // guarded by mutex_
    std::size_t page_size_ = 0;                            // guarded by mutex_; of the last one
};

}  // namespace tenon::runtime
