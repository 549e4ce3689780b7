// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/market_message.hpp"

#include <tenon/decimal.hpp>
#include <tenon/structs.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <limits>

namespace tenon::binance_venue {
namespace {

namespace json = boost::json;

constexpr int k_exchange_scale = 8;  // the decimals that the exchange writes
constexpr std::int64_t k_ms_ns = 1'000'000;
constexpr std::int64_t k_ms_max = 4'102'444'800'000;  // the year 2100
constexpr std::size_t k_levels_max = 20'000;

[[nodiscard]] std::string_view text(const json::object& object, std::string_view key) {
    const json::value* const value = object.if_contains(key);
    const json::string* const found = value != nullptr ? value->if_string() : nullptr;
    return found != nullptr ? std::string_view{*found} : std::string_view{};
}

template <class Number>
[[nodiscard]] bool number(const json::object& object, std::string_view key, Number& out) {
    const json::value* const value = object.if_contains(key);
    const std::int64_t* const found = value != nullptr ? value->if_int64() : nullptr;
    if (found == nullptr || *found < 0) {
        return false;
    }
    out = static_cast<Number>(*found);
    return true;
}

[[nodiscard]] bool time(const json::object& object, std::string_view key, std::int64_t& real_ns) {
    std::int64_t ms = 0;
    if (!number(object, key, ms) || ms > k_ms_max) {
        return false;
    }
    real_ns = ms * k_ms_ns;
    return true;
}

[[nodiscard]] bool flag(const json::object& object, std::string_view key, bool& out) {
    const json::value* const value = object.if_contains(key);
    const bool* const found = value != nullptr ? value->if_bool() : nullptr;
    out = found != nullptr && *found;
    return found != nullptr;
}

[[nodiscard]] bool price(std::string_view from, Scales scales, std::int64_t& out) {
    const ParsedDecimal parsed = parse_decimal(from, scales.price);
    out = parsed.value;
    return parsed && parsed.value >= 0;
}

[[nodiscard]] bool quantity(std::string_view from, Scales scales, std::int64_t& out) {
    const int read_scale = std::max(scales.quantity, k_exchange_scale);
    const ParsedDecimal parsed = parse_decimal(from, read_scale);
    out = parsed.value / power_of_ten(read_scale - scales.quantity);
    return parsed && parsed.value >= 0;
}

// Of the quote asset: what is finer than its scale is cut off.
[[nodiscard]] bool amount(std::string_view from, int scale, std::int64_t& out) {
    const std::size_t point = from.find('.');
    if (point != std::string_view::npos) {
        const auto digits = static_cast<std::size_t>(scale);
        from = from.substr(0, scale == 0 ? point : point + 1 + digits);
    }
    const ParsedDecimal parsed = parse_decimal(from, scale);
    out = parsed.status == DecimalStatus::overflow ? std::numeric_limits<std::int64_t>::max()
                                                   : parsed.value;
    return (parsed || parsed.status == DecimalStatus::overflow) && out >= 0;
}

[[nodiscard]] bool time_at(const json::array& row, std::size_t at, std::int64_t& real_ns) {
    const std::int64_t* const ms = row[at].if_int64();
    if (ms == nullptr || *ms < 0 || *ms > k_ms_max) {
        return false;
    }
    real_ns = *ms * k_ms_ns;
    return true;
}

[[nodiscard]] std::string_view text_at(const json::array& row, std::size_t at) {
    const json::string* const found = row[at].if_string();
    return found != nullptr ? std::string_view{*found} : std::string_view{};
}

// [open time, open, high, low, close, volume, close time, quote volume, trades, taker buy volume,
// taker buy quote volume, unused]
[[nodiscard]] bool candle_of(const json::array& row, Scales scales, tenon_candle& out) {
    if (row.size() < 11) {
        return false;
    }
    const std::int64_t* const trades = row[8].if_int64();
    const bool good =
        time_at(row, 0, out.open_real_ns) && time_at(row, 6, out.close_real_ns) &&
        out.close_real_ns > out.open_real_ns && price(text_at(row, 1), scales, out.open) &&
        price(text_at(row, 2), scales, out.high) && price(text_at(row, 3), scales, out.low) &&
        price(text_at(row, 4), scales, out.close) && out.low <= std::min(out.open, out.close) &&
        out.high >= std::max(out.open, out.close) &&
        quantity(text_at(row, 5), scales, out.volume) &&
        amount(text_at(row, 7), scales.quote, out.quote_volume) && trades != nullptr &&
        *trades >= 0 && quantity(text_at(row, 9), scales, out.taker_buy_volume) &&
        amount(text_at(row, 10), scales.quote, out.taker_buy_quote_volume);
    if (good) {
        out.close_real_ns += k_ms_ns - 1;  // the last nanosecond of the last millisecond
        out.trade_count = static_cast<std::uint64_t>(*trades);
    }
    return good;
}

[[nodiscard]] bool levels(
    const json::object& object,
    std::string_view key,
    Scales scales,
    std::vector<tenon_level>& out
) {
    const json::value* const value = object.if_contains(key);
    const json::array* const rows = value != nullptr ? value->if_array() : nullptr;
    if (rows == nullptr || rows->size() > k_levels_max) {
        return false;
    }
    out.reserve(rows->size());
    for (const json::value& row : *rows) {
        const json::array* const pair = row.if_array();
        tenon_level level{};
        if (pair == nullptr || pair->size() < 2 || !(*pair)[0].is_string() ||
            !(*pair)[1].is_string() ||
            !price(std::string_view{(*pair)[0].get_string()}, scales, level.price) ||
            !quantity(std::string_view{(*pair)[1].get_string()}, scales, level.quantity)) {
            return false;
        }
        out.push_back(level);
    }
    return true;
}

[[nodiscard]] std::optional<DepthDiff> depth_of(const json::object& data, Scales scales) {
    DepthDiff diff;
    const bool good = time(data, "E", diff.real_ns) && number(data, "U", diff.first_id) &&
                      number(data, "u", diff.last_id) && diff.first_id <= diff.last_id &&
                      levels(data, "b", scales, diff.bids) && levels(data, "a", scales, diff.asks);
    return good ? std::optional{std::move(diff)} : std::nullopt;
}

[[nodiscard]] std::optional<MarketTrade> trade_of(const json::object& data, Scales scales) {
    MarketTrade trade;
    const bool good = time(data, "T", trade.real_ns) && number(data, "t", trade.id) &&
                      price(text(data, "p"), scales, trade.price) &&
                      quantity(text(data, "q"), scales, trade.quantity) &&
                      flag(data, "m", trade.buyer_is_maker);
    return good ? std::optional{trade} : std::nullopt;
}

[[nodiscard]] std::optional<BestQuote> quote_of(const json::object& data, Scales scales) {
    BestQuote quote;
    const bool good = number(data, "u", quote.update_id) &&
                      price(text(data, "b"), scales, quote.bid.price) &&
                      quantity(text(data, "B"), scales, quote.bid.quantity) &&
                      price(text(data, "a"), scales, quote.ask.price) &&
                      quantity(text(data, "A"), scales, quote.ask.quantity);
    return good ? std::optional{quote} : std::nullopt;
}

[[nodiscard]] std::optional<json::value> parse(std::string_view text) {
    boost::system::error_code failed;
    json::value value = json::parse({text.data(), text.size()}, failed);
    return failed ? std::nullopt : std::optional{std::move(value)};
}

}  // namespace

std::optional<StreamMessage> read_stream_message(std::string_view text_in, const FindSymbol& find) {
    const auto document = parse(text_in);
    const json::object* const whole = document ? document->if_object() : nullptr;
    if (whole == nullptr) {
        return std::nullopt;
    }
    const json::value* const inner = whole->if_contains("data");
    const json::object* const data = inner != nullptr ? inner->if_object() : whole;
    if (data == nullptr) {
        return std::nullopt;
    }
    if (text(*data, "e") == "serverShutdown") {
        return StreamMessage{0, ServerShutdown{}};
    }
    const std::string_view stream = text(*whole, "stream");
    const std::size_t at = stream.find('@');
    const auto symbol =
        at != std::string_view::npos ? find(stream.substr(0, at)) : std::optional<KnownSymbol>{};
    if (!symbol) {
        return std::nullopt;
    }
    const std::string_view kind = stream.substr(at + 1);
    const auto give = [&](auto found) -> std::optional<StreamMessage> {
        return found ? std::optional{StreamMessage{symbol->number, std::move(*found)}}
                     : std::nullopt;
    };
    if (kind.starts_with("depth")) {
        return give(depth_of(*data, symbol->scales));
    }
    if (kind == "trade") {
        return give(trade_of(*data, symbol->scales));
    }
    return kind == "bookTicker" ? give(quote_of(*data, symbol->scales)) : std::nullopt;
}

std::optional<DepthSnapshot> read_depth(std::string_view text_in, Scales scales) {
    const auto document = parse(text_in);
    const json::object* const object = document ? document->if_object() : nullptr;
    DepthSnapshot snapshot;
    if (object == nullptr || !number(*object, "lastUpdateId", snapshot.last_id) ||
        !levels(*object, "bids", scales, snapshot.bids) ||
        !levels(*object, "asks", scales, snapshot.asks)) {
        return std::nullopt;
    }
    const auto descends = [](const tenon_level& a, const tenon_level& b) {
        return a.price > b.price;
    };
    const auto ascends = [](const tenon_level& a, const tenon_level& b) {
        return a.price < b.price;
    };
    // Of two levels of one price there is no better one, so strictly sorted means no such pair.
    const auto strictly = [](const std::vector<tenon_level>& side, auto better) {
        return std::adjacent_find(side.begin(), side.end(), [&](const auto& a, const auto& b) {
                   return !better(a, b);
               }) == side.end();
    };
    if (!strictly(snapshot.bids, descends) || !strictly(snapshot.asks, ascends)) {
        return std::nullopt;
    }
    // A quantity that was cut to nothing is no level.
    const auto is_empty = [](const tenon_level& level) { return level.quantity == 0; };
    std::erase_if(snapshot.bids, is_empty);
    std::erase_if(snapshot.asks, is_empty);
    return snapshot;
}

std::optional<std::vector<MarketTrade>> read_trades(std::string_view text_in, Scales scales) {
    const auto document = parse(text_in);
    const json::array* const rows = document ? document->if_array() : nullptr;
    if (rows == nullptr) {
        return std::nullopt;
    }
    std::vector<MarketTrade> trades;
    for (const json::value& row : *rows) {
        const json::object* const object = row.if_object();
        MarketTrade trade;
        if (object == nullptr || !number(*object, "id", trade.id) ||
            !time(*object, "time", trade.real_ns) ||
            !price(text(*object, "price"), scales, trade.price) ||
            !quantity(text(*object, "qty"), scales, trade.quantity) ||
            !flag(*object, "isBuyerMaker", trade.buyer_is_maker) ||
            (!trades.empty() && trade.id <= trades.back().id)) {
            return std::nullopt;
        }
        trades.push_back(trade);
    }
    return trades;
}

std::optional<std::vector<tenon_agg_trade>>
read_agg_trades(std::string_view text_in, Scales scales) {
    const auto document = parse(text_in);
    const json::array* const rows = document ? document->if_array() : nullptr;
    if (rows == nullptr) {
        return std::nullopt;
    }
    std::vector<tenon_agg_trade> trades;
    for (const json::value& row : *rows) {
        const json::object* const object = row.if_object();
        auto trade = sized<tenon_agg_trade>();
        bool buyer_is_maker = false;
        if (object == nullptr || !number(*object, "f", trade.first_trade_id) ||
            !number(*object, "l", trade.last_trade_id) ||
            trade.first_trade_id > trade.last_trade_id || !time(*object, "T", trade.time_real_ns) ||
            !price(text(*object, "p"), scales, trade.price) ||
            !quantity(text(*object, "q"), scales, trade.quantity) ||
            !flag(*object, "m", buyer_is_maker) ||
            (!trades.empty() && trade.first_trade_id <= trades.back().last_trade_id)) {
            return std::nullopt;
        }
        trade.agg_id = trade.last_trade_id;
        trade.buyer_is_maker = buyer_is_maker ? 1 : 0;
        trades.push_back(trade);
    }
    return trades;
}

std::optional<std::vector<tenon_candle>>
read_candles(std::string_view text_in, std::uint32_t interval, Scales scales) {
    const auto document = parse(text_in);
    const json::array* const rows = document ? document->if_array() : nullptr;
    if (rows == nullptr) {
        return std::nullopt;
    }
    std::vector<tenon_candle> candles;
    for (const json::value& row : *rows) {
        const json::array* const fields = row.if_array();
        auto candle = sized<tenon_candle>();
        candle.interval = interval;
        if (fields == nullptr || !candle_of(*fields, scales, candle) ||
            (!candles.empty() && candle.open_real_ns <= candles.back().close_real_ns)) {
            return std::nullopt;
        }
        candles.push_back(candle);
    }
    return candles;
}

}  // namespace tenon::binance_venue
