// SPDX-License-Identifier: Apache-2.0
// Older trades, aggregate trades and candles, asked of the exchange in the lowest lane: they wait
// for whatever trades and what the books need. Answers are one page of the exchange, checked; this
// keeps nothing. All on reactor 0.
#pragma once

#include "plugins/venue/binance/feed.hpp"

#include <tenon/feed.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tenon::binance_venue {

class MarketHistory {
public:
    static constexpr std::size_t k_under_way_max = 64;

    MarketHistory(RestClient& rest, const std::vector<FeedSymbol>& symbols)
        : rest_{rest}, symbols_{symbols} {}

    MarketHistory(const MarketHistory&) = delete;
    MarketHistory& operator=(const MarketHistory&) = delete;

    // As Feed::fetch. Throws TENON_INVALID, TENON_NOT_FOUND (not served), TENON_LIMITED (too many
    // under way).
    std::uint64_t fetch(const tenon_history_query& query, Feed::Fetched done);

    void cancel(std::uint64_t handle) noexcept { asked_.erase(handle); }

private:
    struct Asked {
        tenon_history_query query;
        const FeedSymbol* symbol;
        Feed::Fetched done;
    };

    using Read =
        void (MarketHistory::*)(std::uint64_t handle, const Asked& asked, RestReply& reply);

    void ask(std::uint64_t handle, const std::string& path, const std::string& query, Read read);
    void ask_candles(std::uint64_t handle, const Asked& asked);
    void ask_agg_trades(std::uint64_t handle, const Asked& asked, std::int64_t start_ns);
    void ask_trades(std::uint64_t handle, const Asked& asked, std::uint32_t limit, Read read);
    void read_trade_rows(std::uint64_t handle, const Asked& asked, RestReply& reply);
    void read_agg_rows(std::uint64_t handle, const Asked& asked, RestReply& reply);
    void read_candle_rows(std::uint64_t handle, const Asked& asked, RestReply& reply);
    void agg_trades_from(std::uint64_t handle, const Asked& asked, RestReply& reply);
    void answer(
        std::uint64_t handle,
        tenon_status status,
        const HistoryRows& rows,
        const std::string& why
    );

    RestClient& rest_;
    std::vector<FeedSymbol> symbols_;
    std::map<std::uint64_t, Asked> asked_;
    std::uint64_t last_handle_ = 0;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace tenon::binance_venue
