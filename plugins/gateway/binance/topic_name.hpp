// SPDX-License-Identifier: Apache-2.0
// Names of market streams: "btcusdt@depth@100ms", "ethusdt@kline_1m", "!ticker@arr".
#pragma once

#include <tenon/abi/instruments.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <string_view>

namespace tenon::binance {

enum class TopicKind : std::uint8_t {
    trade,
    agg_trade,
    book_ticker,
    depth,
    partial_depth,
    kline,
    ticker,
    mini_ticker,
    average_price,
    window_ticker,
    all_tickers,
    all_mini_tickers,
    all_window_tickers,
    all_book_tickers
};

// How often a book is sent, at most. `frame`: as a screen shows it, 60 times a second; Tenon's own.
enum class TopicSpeed : std::uint8_t { second, tenth, frame };

struct TopicName {
    TopicKind kind = TopicKind::trade;
    std::uint32_t instrument = 0;           // 0 for those of all markets
    std::uint32_t interval = 0;             // kline
    std::int64_t offset_ns = 0;             // kline: of the day's boundary
    std::uint32_t levels = 0;               // partial depth
    std::uint32_t hours = 0;                // of a ticker's window: 1, 4, 24
    TopicSpeed speed = TopicSpeed::second;  // depth, partial depth

    [[nodiscard]] bool of_all_markets() const noexcept { return kind >= TopicKind::all_tickers; }
};

// Why a name is no stream of this server: a stream that Binance has and this server does not is
// told apart from a misspelt one.
enum class TopicError : std::uint8_t { none, unknown_stream, unknown_symbol, unsupported };

struct ParsedTopic {
    TopicName name;
    TopicError error = TopicError::none;
};

[[nodiscard]] ParsedTopic
parse_topic(std::string_view text, Service<tenon_instruments_1> instruments);

}  // namespace tenon::binance
