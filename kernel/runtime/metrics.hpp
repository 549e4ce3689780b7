// SPDX-License-Identifier: Apache-2.0
// tenon.metrics/1: cells that their users add to, and the Prometheus text
// format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
//
// Series are never removed; their number is bounded.
#pragma once

#include "kernel/runtime/owner.hpp"
#include "sdk/metrics/counter_cells.hpp"
#include "sdk/metrics/histogram.hpp"

#include <tenon/abi/host.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::runtime {

class Metrics {
public:
    static constexpr std::size_t k_max_series = 10'000;

    [[nodiscard]] std::uint64_t*
    counter(std::string_view name, std::string_view help, const std::vector<tenon_label>& labels);
    [[nodiscard]] std::int64_t*
    gauge(std::string_view name, std::string_view help, const std::vector<tenon_label>& labels);
    [[nodiscard]] metrics::Histogram*
    histogram(std::string_view name, std::string_view help, const std::vector<tenon_label>& labels);

    [[nodiscard]] std::uint64_t on_collect(tenon_fn fn, void* ctx);
    // Returns when the function does not run; not to be called from within it.
    void remove_on_collect(std::uint64_t handle);
    [[nodiscard]] std::string collect();

    [[nodiscard]] static const tenon_metrics_1& table();

private:
    enum class Type { counter, gauge, histogram };

    // A line of its own, so that two users of neighbouring gauges do not share it.
    struct alignas(64) Cell {
        std::uint64_t* count = nullptr;
        std::int64_t level = 0;
        std::string head;  // its line of the page, up to the value
        std::unique_ptr<metrics::Histogram> histogram;
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
    metrics::CounterCells counters_;                       // guarded by mutex_
    std::vector<std::uint64_t> totals_;                    // guarded by mutex_; of the last page
    std::size_t page_size_ = 0;                            // guarded by mutex_; of the last one
};

}  // namespace tenon::runtime
