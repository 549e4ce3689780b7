// SPDX-License-Identifier: Apache-2.0
// How large a database is and how much it grew: tenon_db_size_bytes and
// tenon_db_growth_bytes_total, both by `database`. Growth is a counter of its own because a size
// that shrinks, as after a vacuum, looks like a counter's restart.
#pragma once

#include <tenon/metrics.hpp>

#include <atomic>
#include <cstdint>
#include <string_view>

namespace tenon {

class SizeMetric {
public:
    SizeMetric(const Metrics& metrics, std::string_view database)
        : size_{metrics.gauge(
              "tenon_db_size_bytes",
              "Size of the database when it was last looked at",
              {{"database", database}}
          )},
          growth_{metrics.counter(
              "tenon_db_growth_bytes_total",
              "Bytes that the database grew by since the start, between looks at it",
              {{"database", database}}
          )} {}

    // [any] As it was found. The first size is no growth.
    void set(std::int64_t bytes) noexcept {
        const std::int64_t before = before_.exchange(bytes, std::memory_order_relaxed);
        size_.set(bytes);
        if (before >= 0 && bytes > before) {
            growth_.add(static_cast<std::uint64_t>(bytes - before));
        }
    }

private:
    Gauge size_;
    Counter growth_;
    std::atomic<std::int64_t> before_{-1};
};

}  // namespace tenon
