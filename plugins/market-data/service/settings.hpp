// SPDX-License-Identifier: Apache-2.0
// The plugin's settings, and its counters of events.
#pragma once

#include "plugins/market-data/service/market.hpp"

#include <tenon/metrics.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::market_data {

struct ServiceSettings {
    MarketSettings market;
    std::chrono::seconds history_every{0};  // 0: nothing is kept
    std::size_t history_rows_kept = 0;
    bool history_from_database = true, join_reads = true;
    std::int64_t stale_after_ns = 0;  // 0: never
    std::vector<std::string> quiet_feeds;
};

[[nodiscard]] ServiceSettings read_settings(std::string_view json);

struct EventMetrics {
    std::array<Counter, 6> events;  // by TENON_FEED_*
    Counter gaps;
};

[[nodiscard]] EventMetrics make_event_metrics(const Host& host);

}  // namespace tenon::market_data
