// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/settings.hpp"

#include <boost/json.hpp>

namespace tenon::market_data {

ServiceSettings read_settings(std::string_view json) {
    const boost::json::value parsed = boost::json::parse({json.data(), json.size()});
    const auto number = [&](std::string_view key) {
        return parsed.at(key).to_number<std::size_t>();
    };
    ServiceSettings settings;
    settings.market.trades_kept = number("trades_kept");
    settings.market.aggregates_kept = number("aggregates_kept");
    settings.market.candles = {
        number("seconds_kept"), number("minutes_kept"), number("hours_kept")};
    settings.history_every =
        std::chrono::seconds{parsed.at("history_every_s").to_number<std::int64_t>()};
    settings.history_rows_kept = number("history_rows_kept");
    settings.stale_after_ns = parsed.at("stale_after_s").to_number<std::int64_t>() * 1'000'000'000;
    const auto flag = [&](std::string_view key) {
        const boost::json::value* const given = parsed.as_object().if_contains(key);
        return given == nullptr || given->as_bool();
    };
    settings.history_from_database = flag("history_from_database");
    settings.join_reads = flag("join_reads");
    for (const auto& name : parsed.at("quiet_feeds").as_array()) {
        settings.quiet_feeds.emplace_back(name.as_string());
    }
    return settings;
}

EventMetrics make_event_metrics(const Host& host) {
    constexpr std::array<std::string_view, 6> k_kinds{
        "", "snapshot", "diff", "trade", "book_ticker", "gap"};
    const Metrics metrics{host};
    EventMetrics out;
    for (std::size_t kind = 1; kind < k_kinds.size(); ++kind) {
        out.events[kind] = metrics.counter(
            "tenon_market_data_events_total", "Events received", {{"kind", k_kinds[kind]}}
        );
    }
    out.gaps = metrics.counter("tenon_market_data_gaps_total", "Books that lost their place");
    return out;
}

}  // namespace tenon::market_data
