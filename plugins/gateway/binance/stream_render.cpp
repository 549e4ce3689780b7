// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/stream_render.hpp"

namespace tenon::binance {
namespace {

JsonWriter& open_event(
    JsonWriter& json,
    std::string_view type,
    std::int64_t now_real_ns,
    const Market& market
) {
    return json.next()
        .raw("{")
        .field("e", type)
        .time_field("E", now_real_ns)
        .field("s", market.symbol());
}

[[nodiscard]] std::int64_t id_or_none(std::uint64_t id) noexcept {
    return id == 0 ? -1 : static_cast<std::int64_t>(id);
}

}  // namespace

void write_trade_event(
    JsonWriter& json,
    const Market& market,
    const tenon_public_trade& trade,
    std::int64_t now_real_ns
) {
    open_event(json, "trade", now_real_ns, market)
        .field("t", trade.trade_id)
        .field("p", trade.price, market.instrument->price_scale)
        .field("q", trade.quantity, market.instrument->quantity_scale)
        .time_field("T", trade.time_real_ns)
        .field("m", trade.buyer_is_maker != 0)
        .field("M", true)
        .raw("}");
}

void write_agg_trade_event(
    JsonWriter& json,
    const Market& market,
    const tenon_agg_trade& trade,
    std::int64_t now_real_ns
) {
    open_event(json, "aggTrade", now_real_ns, market)
        .field("a", trade.agg_id)
        .field("p", trade.price, market.instrument->price_scale)
        .field("q", trade.quantity, market.instrument->quantity_scale)
        .field("f", trade.first_trade_id)
        .field("l", trade.last_trade_id)
        .time_field("T", trade.time_real_ns)
        .field("m", trade.buyer_is_maker != 0)
        .field("M", true)
        .raw("}");
}

void write_book_ticker_event(
    JsonWriter& json,
    const Market& market,
    std::uint64_t update_id,
    const tenon_level& bid,
    const tenon_level& ask
) {
    const int price = market.instrument->price_scale;
    const int quantity = market.instrument->quantity_scale;
    json.raw("{")
        .field("u", update_id)
        .field("s", market.symbol())
        .field("b", bid.price, price)
        .field("B", bid.quantity, quantity)
        .field("a", ask.price, price)
        .field("A", ask.quantity, quantity)
        .raw("}");
}

void write_depth_event(
    JsonWriter& json,
    const Market& market,
    DepthDiff& diff,
    std::int64_t now_real_ns
) {
    open_event(json, "depthUpdate", now_real_ns, market)
        .field("U", diff.first_update_id())
        .field("u", diff.last_update_id())
        .key("b");
    const auto bids = diff.bids();
    write_levels(json, market, bids.data(), static_cast<std::uint32_t>(bids.size()));
    const auto asks = diff.asks();
    json.key("a");
    write_levels(json, market, asks.data(), static_cast<std::uint32_t>(asks.size()));
    json.raw("}");
}

void write_kline_event(
    JsonWriter& json,
    const Market& market,
    const tenon_candle& candle,
    bool closed,
    std::int64_t now_real_ns
) {
    const int price = market.instrument->price_scale;
    const int quantity = market.instrument->quantity_scale;
    const int quote = market.quote->scale;
    open_event(json, "kline", now_real_ns, market)
        .key("k")
        .raw("{")
        .time_field("t", candle.open_real_ns)
        .time_field("T", candle.close_real_ns)
        .field("s", market.symbol())
        .field("i", interval_name(candle.interval))
        .field("f", id_or_none(candle.first_trade_id))
        .field("L", id_or_none(candle.last_trade_id))
        .field("o", candle.open, price)
        .field("c", candle.close, price)
        .field("h", candle.high, price)
        .field("l", candle.low, price)
        .field("v", candle.volume, quantity)
        .field("n", candle.trade_count)
        .field("x", closed)
        .field("q", candle.quote_volume, quote)
        .field("V", candle.taker_buy_volume, quantity)
        .field("Q", candle.taker_buy_quote_volume, quote)
        .field("B", "0")
        .raw("}}");
}

void write_ticker_event(
    JsonWriter& json,
    const Market& market,
    const tenon_ticker& t,
    std::int64_t now_real_ns
) {
    const int price = market.instrument->price_scale;
    const int quantity = market.instrument->quantity_scale;
    open_event(json, "24hrTicker", now_real_ns, market)
        .field("p", t.price_change, price)
        .key("P")
        .decimal(t.price_change_ppm / 10, 3, 3)
        .field("w", t.weighted_average, price)
        .field("x", t.previous_close, price)
        .field("c", t.last, price)
        .field("Q", t.last_quantity, quantity)
        .field("b", t.bid, price)
        .field("B", t.bid_quantity, quantity)
        .field("a", t.ask, price)
        .field("A", t.ask_quantity, quantity)
        .field("o", t.open, price)
        .field("h", t.high, price)
        .field("l", t.low, price)
        .field("v", t.volume, quantity)
        .field("q", t.quote_volume, market.quote->scale)
        .time_field("O", t.open_real_ns)
        .time_field("C", t.close_real_ns)
        .field("F", id_or_none(t.first_trade_id))
        .field("L", id_or_none(t.last_trade_id))
        .field("n", t.trade_count)
        .raw("}");
}

void write_mini_ticker_event(
    JsonWriter& json,
    const Market& market,
    const tenon_ticker& t,
    std::int64_t now_real_ns
) {
    const int price = market.instrument->price_scale;
    open_event(json, "24hrMiniTicker", now_real_ns, market)
        .field("c", t.last, price)
        .field("o", t.open, price)
        .field("h", t.high, price)
        .field("l", t.low, price)
        .field("v", t.volume, market.instrument->quantity_scale)
        .field("q", t.quote_volume, market.quote->scale)
        .raw("}");
}

void write_window_ticker_event(
    JsonWriter& json,
    const Market& market,
    const tenon_ticker& t,
    std::uint32_t hours,
    std::int64_t now_real_ns
) {
    const int price = market.instrument->price_scale;
    const std::string_view type = hours == 1 ? "1hTicker" : hours == 4 ? "4hTicker" : "1dTicker";
    open_event(json, type, now_real_ns, market)
        .field("p", t.price_change, price)
        .key("P")
        .decimal(t.price_change_ppm / 10, 3, 3)
        .field("o", t.open, price)
        .field("h", t.high, price)
        .field("l", t.low, price)
        .field("c", t.last, price)
        .field("w", t.weighted_average, price)
        .field("v", t.volume, market.instrument->quantity_scale)
        .field("q", t.quote_volume, market.quote->scale)
        .time_field("O", t.open_real_ns)
        .time_field("C", t.close_real_ns)
        .field("F", id_or_none(t.first_trade_id))
        .field("L", id_or_none(t.last_trade_id))
        .field("n", t.trade_count)
        .raw("}");
}

void write_average_price_event(
    JsonWriter& json,
    const Market& market,
    std::int64_t price,
    std::int64_t close_real_ns,
    std::int64_t now_real_ns
) {
    open_event(json, "avgPrice", now_real_ns, market)
        .field("i", "5m")
        .field("w", price, market.instrument->price_scale)
        .time_field("T", close_real_ns)
        .raw("}");
}

}  // namespace tenon::binance
