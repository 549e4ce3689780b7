// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/topic_name.hpp"

#include "plugins/gateway/binance/render.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace tenon::binance {
namespace {

constexpr std::int64_t k_eight_hours_ns = 8 * 3'600'000'000'000;

[[nodiscard]] ParsedTopic failed(TopicError error) noexcept {
    return {{}, error};
}

// "ticker_1h", "ticker_4h", "ticker_1d"
[[nodiscard]] std::uint32_t window_hours(std::string_view kind) noexcept {
    return kind == "ticker_1h" ? 1 : kind == "ticker_4h" ? 4 : kind == "ticker_1d" ? 24 : 0;
}

[[nodiscard]] ParsedTopic parse_all_markets(std::string_view text) {
    TopicName name;
    if (text == "!ticker@arr") {
        name.kind = TopicKind::all_tickers;
    } else if (text == "!miniTicker@arr") {
        name.kind = TopicKind::all_mini_tickers;
    } else if (text == "!bookTicker") {
        name.kind = TopicKind::all_book_tickers;
    } else {
        const std::size_t at = std::min(text.find('@'), text.size());
        name.kind = TopicKind::all_window_tickers;
        name.hours = text.substr(at) == "@arr" ? window_hours(text.substr(1, at - 1)) : 0;
        if (name.hours == 0) {
            return failed(TopicError::unknown_stream);
        }
    }
    return {name, TopicError::none};
}

// "depth", "depth@100ms", "depth20", "depth20@1000ms", "depth20@16ms"
[[nodiscard]] bool parse_depth(std::string_view kind, TopicName& name) {
    kind.remove_prefix(5);
    const std::size_t at = std::min(kind.find('@'), kind.size());
    const std::string_view levels = kind.substr(0, at);
    const std::string_view speed = kind.substr(at);
    const bool frame = speed == "@16ms" && !levels.empty();
    if (speed != "" && speed != "@100ms" && speed != "@1000ms" && !frame) {
        return false;
    }
    name.speed = frame               ? TopicSpeed::frame
                 : speed == "@100ms" ? TopicSpeed::tenth
                                     : TopicSpeed::second;
    name.kind = levels.empty() ? TopicKind::depth : TopicKind::partial_depth;
    if (levels == "5" || levels == "10" || levels == "20") {
        name.levels = levels == "5" ? 5 : levels == "10" ? 10 : 20;
        return true;
    }
    return levels.empty();
}

// "kline_1m", "kline_1d@+08:00"
[[nodiscard]] bool parse_kline(std::string_view kind, TopicName& name) {
    kind.remove_prefix(6);
    const std::size_t at = std::min(kind.find('@'), kind.size());
    const std::string_view zone = kind.substr(at);
    const auto interval = find_interval(kind.substr(0, at));
    if (!interval || (!zone.empty() && zone != "@+08:00")) {
        return false;
    }
    name.kind = TopicKind::kline;
    name.interval = *interval;
    name.offset_ns = zone.empty() ? 0 : k_eight_hours_ns;
    return true;
}

[[nodiscard]] TopicError parse_kind(std::string_view kind, TopicName& name) {
    constexpr std::array<std::pair<std::string_view, TopicKind>, 6> k_plain{
        {{"trade", TopicKind::trade},
         {"aggTrade", TopicKind::agg_trade},
         {"bookTicker", TopicKind::book_ticker},
         {"ticker", TopicKind::ticker},
         {"miniTicker", TopicKind::mini_ticker},
         {"avgPrice", TopicKind::average_price}}};
    for (const auto& [text, value] : k_plain) {
        if (kind == text) {
            name.kind = value;
            return TopicError::none;
        }
    }
    bool known = false;
    if (kind.substr(0, 5) == "depth") {
        known = parse_depth(kind, name);
    } else if (kind.substr(0, 6) == "kline_") {
        known = parse_kline(kind, name);
    } else if (kind == "blockTrade" || kind == "referencePrice") {
        return TopicError::unsupported;
    } else {
        name.kind = TopicKind::window_ticker;
        name.hours = window_hours(kind);
        known = name.hours != 0;
    }
    return known ? TopicError::none : TopicError::unknown_stream;
}

}  // namespace

ParsedTopic parse_topic(std::string_view text, Service<tenon_instruments_1> instruments) {
    if (text.substr(0, 1) == "!") {
        return parse_all_markets(text);
    }
    const std::size_t at = text.find('@');
    if (at == std::string_view::npos || at == 0 || at > 50) {
        return failed(TopicError::unknown_stream);
    }
    // Symbols of streams are lower case.
    std::string symbol{text.substr(0, at)};
    for (char& c : symbol) {
        if (c >= 'A' && c <= 'Z') {
            return failed(TopicError::unknown_symbol);
        }
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    ParsedTopic out;
    out.error = parse_kind(text.substr(at + 1), out.name);
    if (out.error == TopicError::none &&
        instruments->find_instrument(instruments.self, str(symbol), &out.name.instrument) !=
            TENON_OK) {
        out.error = TopicError::unknown_symbol;
    }
    return out;
}

}  // namespace tenon::binance
