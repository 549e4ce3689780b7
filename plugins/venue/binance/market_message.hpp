// SPDX-License-Identifier: Apache-2.0
// Public market data as the exchange writes it, read into this server's scales. A quantity that is
// finer than the instrument's scale (an order older than a change of the lot size) is cut to it; a
// price that is finer makes the message damaged. Nothing is trusted: what is not as expected is
// refused whole.
#pragma once

#include <tenon/abi/market_data.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace tenon::binance_venue {

struct Scales {
    int price = 0, quantity = 0, quote = 0;  // quote: of amounts of the quote asset
};

struct DepthDiff {
    std::uint64_t first_id = 0, last_id = 0;
    std::int64_t real_ns = 0;
    std::vector<tenon_level> bids, asks;  // absolute, any order
};

struct DepthSnapshot {
    std::uint64_t last_id = 0;
    std::vector<tenon_level> bids, asks;  // best first
};

struct MarketTrade {
    std::uint64_t id = 0;
    std::int64_t real_ns = 0, price = 0, quantity = 0;
    bool buyer_is_maker = false;
};

struct BestQuote {
    std::uint64_t update_id = 0;
    tenon_level bid{}, ask{};  // {0, 0}: that side is empty
};

struct ServerShutdown {};

// A message of a combined stream, {"stream":…,"data":…}.
struct StreamMessage {
    std::size_t symbol = 0;  // as the look-up gave it
    std::variant<DepthDiff, MarketTrade, BestQuote, ServerShutdown> data;
};

// The stream's symbol, in lower case, to a number and its scales; nothing: not one of ours.
struct KnownSymbol {
    std::size_t number = 0;
    Scales scales;
};

using FindSymbol = std::function<std::optional<KnownSymbol>(std::string_view lower_case)>;

// Nothing: damaged, or not of a kind or symbol that was asked for.
[[nodiscard]] std::optional<StreamMessage>
read_stream_message(std::string_view text, const FindSymbol& find);

// Answers of GET /api/v3/depth, and of /trades and /historicalTrades (oldest first).
[[nodiscard]] std::optional<DepthSnapshot> read_depth(std::string_view text, Scales scales);
[[nodiscard]] std::optional<std::vector<MarketTrade>>
read_trades(std::string_view text, Scales scales);
// Answers of GET /api/v3/aggTrades, and of /klines of an interval (oldest first). agg_id is the id
// of the last trade; amounts that leave 64 bits stay at the maximum; candles have no trade ids.
[[nodiscard]] std::optional<std::vector<tenon_agg_trade>>
read_agg_trades(std::string_view text, Scales scales);
[[nodiscard]] std::optional<std::vector<tenon_candle>>
read_candles(std::string_view text, std::uint32_t interval, Scales scales);

}  // namespace tenon::binance_venue
