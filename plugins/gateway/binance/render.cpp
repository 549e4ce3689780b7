// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/render.hpp"

#include "plugins/gateway/binance/errors.hpp"
#include "plugins/gateway/binance/user_render.hpp"

#include <tenon/order_state.hpp>

#include <algorithm>
#include <array>

namespace tenon::binance {
namespace {

constexpr std::array<std::string_view, TENON_INTERVAL_COUNT> k_intervals{
    "1s",
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "6h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
    "1M"};

// Binance writes -1 where there is no trade.
[[nodiscard]] std::int64_t id_or_none(std::uint64_t id) noexcept {
    return id == 0 ? -1 : static_cast<std::int64_t>(id);
}

void write_amounts(JsonWriter& json, const Market& market, const tenon_order& order) {
    const tenon_instrument& i = *market.instrument;
    json.field("price", order.price, i.price_scale)
        .field("origQty", shown_quantity(order), i.quantity_scale)
        .field("executedQty", order.filled_quantity, i.quantity_scale);
}

void write_kind(JsonWriter& json, const tenon_order& order) {
    json.field("status", order_status_name(order))
        .field("timeInForce", time_in_force_name(order))
        .field("type", order_type_name(order.type))
        .field("side", side_name(order.side));
}

void write_trailing_delta_and_date(JsonWriter& json, const tenon_order& order) {
    if (order.trailing_delta != 0) {
        json.field("trailingDelta", order.trailing_delta);
    }
    if (order.expires_real_ns != 0) {
        json.time_field("goodTillDate", order.expires_real_ns);
    }
}

// Fields of Binance that are there only when they say something.
void write_conditional(JsonWriter& json, const Market& market, const tenon_order& order) {
    if (order.stop_price != 0) {
        json.field("stopPrice", order.stop_price, market.instrument->price_scale);
    }
    if (order.display_quantity != 0) {
        json.field("icebergQty", order.display_quantity, market.instrument->quantity_scale);
    }
    write_trailing_delta_and_date(json, order);
}

void write_prevention(JsonWriter& json, const Market& market, const tenon_order& order) {
    json.field("selfTradePreventionMode", stp_mode_name(order.stp_mode));
    if (order.prevented_match_id != 0) {
        json.field("preventedMatchId", order.prevented_match_id)
            .field(
                "preventedQuantity", order.prevented_quantity, market.instrument->quantity_scale
            );
    }
}

void write_prevented_quantities(
    JsonWriter& json,
    const Market& market,
    const tenon_prevented_match& match
) {
    const int scale = market.instrument->quantity_scale;
    json.field("price", match.price, market.instrument->price_scale);
    if (match.taker_quantity != 0) {
        json.field("takerPreventedQuantity", match.taker_quantity, scale);
    }
    if (match.maker_quantity != 0) {
        json.field("makerPreventedQuantity", match.maker_quantity, scale);
    }
}

// Those that the order met when it took.
void write_prevented_matches(
    JsonWriter& json,
    const Market& market,
    const tenon_trading_reply& reply,
    std::uint64_t order_id
) {
    bool first = true;
    for (std::uint32_t row = 0; row < reply.prevented_count; ++row) {
        const tenon_prevented_match& match = tenon::at(reply.prevented, row);
        if (match.taker_order_id != order_id) {
            continue;
        }
        if (first) {
            json.key("preventedMatches").raw("[");
            first = false;
        }
        json.next()
            .raw("{")
            .field("preventedMatchId", match.match_id)
            .field("makerOrderId", match.maker_order_id);
        write_prevented_quantities(json, market, match);
        json.raw("}");
    }
    if (!first) {
        json.raw("]");
    }
}

void write_working_time(JsonWriter& json, const tenon_order& order) {
    if (is_working(order)) {
        json.time_field("workingTime", order.working_real_ns);
    } else {
        json.field("workingTime", -1);
    }
}

}  // namespace

std::int64_t shown_list_id(const tenon_order& order) noexcept {
    return id_or_none(order.list_id);
}

bool is_working(const tenon_order& order) noexcept {
    return order.status != TENON_STATUS_PENDING_NEW && order.working_real_ns != 0;
}

std::int64_t shown_quantity(const tenon_order& order) noexcept {
    return order.quantity != 0 ? order.quantity : order.filled_quantity;
}

Market market_of(Service<tenon_instruments_1> instruments, std::uint32_t instrument) {
    const tenon_instrument* const found = instruments->instrument(instruments.self, instrument);
    if (found == nullptr) {
        throw errors::symbol();
    }
    return {
        found,
        instruments->asset(instruments.self, found->base),
        instruments->asset(instruments.self, found->quote)};
}

Market market_of(Service<tenon_instruments_1> instruments, std::string_view symbol) {
    std::uint32_t id = 0;
    if (instruments->find_instrument(instruments.self, str(symbol), &id) != TENON_OK) {
        throw errors::symbol();
    }
    return market_of(instruments, id);
}

std::string_view side_name(std::uint32_t side) noexcept {
    return side == TENON_SIDE_SELL ? "SELL" : "BUY";
}

std::string_view order_type_name(std::uint32_t type) noexcept {
    constexpr std::array<std::string_view, 8> k_names{
        "",
        "LIMIT",
        "MARKET",
        "LIMIT_MAKER",
        "STOP_LOSS",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT"};
    return type < k_names.size() ? k_names[type] : k_names[0];
}

std::string_view time_in_force_name(const tenon_order& order) noexcept {
    constexpr std::array<std::string_view, 4> k_names{"GTC", "GTC", "IOC", "FOK"};
    if (order.expires_real_ns != 0) {
        return "GTD";
    }
    return order.time_in_force < k_names.size() ? k_names[order.time_in_force] : k_names[0];
}

std::string_view stp_mode_name(std::uint32_t mode) noexcept {
    constexpr std::array<std::string_view, 6> k_names{
        "NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"};
    return mode < k_names.size() ? k_names[mode] : k_names[0];
}

std::string_view order_status_name(const tenon_order& order) noexcept {
    constexpr std::array<std::string_view, 8> k_names{
        "PENDING_NEW",
        "PENDING_NEW",
        "NEW",
        "PARTIALLY_FILLED",
        "FILLED",
        "CANCELED",
        "EXPIRED",
        "REJECTED"};
    if (is_expired_in_match(order)) {
        return "EXPIRED_IN_MATCH";
    }
    return order.status < k_names.size() ? k_names[order.status] : k_names[0];
}

std::string_view instrument_status_name(std::uint32_t status) noexcept {
    if (status == TENON_INSTRUMENT_TRADING) {
        return "TRADING";
    }
    return status == TENON_INSTRUMENT_BREAK ? "BREAK" : "HALT";
}

std::string_view interval_name(std::uint32_t interval) noexcept {
    return interval < k_intervals.size() ? k_intervals[interval] : std::string_view{};
}

std::optional<std::uint32_t> find_interval(std::string_view name) noexcept {
    const auto* const found = std::find(k_intervals.begin(), k_intervals.end(), name);
    if (found == k_intervals.end()) {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(found - k_intervals.begin());
}

void write_ticker(JsonWriter& json, const Market& market, const tenon_ticker& t, TickerForm form) {
    const tenon_instrument& i = *market.instrument;
    const int price = i.price_scale;
    const int quantity = i.quantity_scale;
    json.next().raw("{").field("symbol", market.symbol());
    if (form == TickerForm::price) {
        json.field("price", t.last, price).raw("}");
        return;
    }
    if (form == TickerForm::full) {
        json.field("priceChange", t.price_change, price)
            .key("priceChangePercent")
            .decimal(t.price_change_ppm / 10, 3, 3)
            .field("weightedAvgPrice", t.weighted_average, price)
            .field("prevClosePrice", t.previous_close, price)
            .field("lastPrice", t.last, price)
            .field("lastQty", t.last_quantity, quantity);
    }
    if (form == TickerForm::full || form == TickerForm::book) {
        json.field("bidPrice", t.bid, price)
            .field("bidQty", t.bid_quantity, quantity)
            .field("askPrice", t.ask, price)
            .field("askQty", t.ask_quantity, quantity);
    }
    if (form == TickerForm::book) {
        json.raw("}");
        return;
    }
    json.field("openPrice", t.open, price)
        .field("highPrice", t.high, price)
        .field("lowPrice", t.low, price);
    if (form == TickerForm::mini) {
        json.field("lastPrice", t.last, price);
    }
    json.field("volume", t.volume, quantity)
        .field("quoteVolume", t.quote_volume, market.quote->scale)
        .time_field("openTime", t.open_real_ns)
        .time_field("closeTime", t.close_real_ns)
        .field("firstId", id_or_none(t.first_trade_id))
        .field("lastId", id_or_none(t.last_trade_id))
        .field("count", t.trade_count)
        .raw("}");
}

void write_levels(
    JsonWriter& json,
    const Market& market,
    const tenon_level* levels,
    std::uint32_t count
) {
    json.raw("[");
    for (std::uint32_t at = 0; at < count; ++at) {
        json.next()
            .raw("[")
            .decimal(levels[at].price, market.instrument->price_scale)
            .raw(",")
            .decimal(levels[at].quantity, market.instrument->quantity_scale)
            .raw("]");
    }
    json.raw("]");
}

void write_book(JsonWriter& json, const Market& market, const tenon_book& book) {
    json.raw("{").field("lastUpdateId", book.last_update_id).key("bids");
    write_levels(json, market, book.bids, book.bid_count);
    json.key("asks");
    write_levels(json, market, book.asks, book.ask_count);
    json.raw("}");
}

void write_public_trade(JsonWriter& json, const Market& market, const tenon_public_trade& trade) {
    json.next()
        .raw("{")
        .field("id", trade.trade_id)
        .field("price", trade.price, market.instrument->price_scale)
        .field("qty", trade.quantity, market.instrument->quantity_scale)
        .field("quoteQty", trade.quote_amount, market.quote->scale)
        .time_field("time", trade.time_real_ns)
        .field("isBuyerMaker", trade.buyer_is_maker != 0)
        .field("isBestMatch", true)
        .raw("}");
}

void write_agg_trade(JsonWriter& json, const Market& market, const tenon_agg_trade& trade) {
    json.next()
        .raw("{")
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

void write_candle(JsonWriter& json, const Market& market, const tenon_candle& candle) {
    const int price = market.instrument->price_scale;
    const int quantity = market.instrument->quantity_scale;
    const int quote = market.quote->scale;
    json.next().raw("[").time(candle.open_real_ns).raw(",");
    json.decimal(candle.open, price).raw(",").decimal(candle.high, price).raw(",");
    json.decimal(candle.low, price).raw(",").decimal(candle.close, price).raw(",");
    json.decimal(candle.volume, quantity).raw(",").time(candle.close_real_ns).raw(",");
    json.decimal(candle.quote_volume, quote).raw(",").number(candle.trade_count).raw(",");
    json.decimal(candle.taker_buy_volume, quantity).raw(",");
    json.decimal(candle.taker_buy_quote_volume, quote).raw(",\"0\"]");
}

void write_placed(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_trading_reply& reply,
    ResponseType type,
    std::uint32_t at
) {
    const tenon_order& order = tenon::at(reply.orders, at);
    const Market market = market_of(instruments, order.instrument);
    const int price = market.instrument->price_scale;
    const int quantity = market.instrument->quantity_scale;
    json.next()
        .raw("{")
        .field("symbol", market.symbol())
        .field("orderId", order.order_id)
        .field("orderListId", shown_list_id(order))
        .field("clientOrderId", text_of(order.client_id))
        .time_field("transactTime", reply.time_real_ns);
    if (type == ResponseType::ack) {
        json.raw("}");
        return;
    }
    write_amounts(json, market, order);
    json.field("origQuoteOrderQty", order.quote_quantity, market.quote->scale)
        .field("cummulativeQuoteQty", order.filled_quote, market.quote->scale);
    write_kind(json, order);
    write_conditional(json, market, order);
    write_working_time(json, order);
    write_prevention(json, market, order);
    if (type == ResponseType::full) {
        json.key("fills").raw("[");
        for (std::uint32_t row = 0; row < reply.trade_count; ++row) {
            const tenon_trade& trade = tenon::at(reply.trades, row);
            if (trade.order_id != order.order_id) {
                continue;
            }
            const tenon_asset* const fee = instruments->asset(instruments.self, trade.fee_asset);
            json.next()
                .raw("{")
                .field("price", trade.price, price)
                .field("qty", trade.quantity, quantity)
                .field("commission", trade.fee, fee == nullptr ? 8 : fee->scale)
                .field("commissionAsset", fee == nullptr ? std::string_view{} : view(fee->name))
                .field("tradeId", trade.trade_id)
                .raw("}");
        }
        json.raw("]");
        write_prevented_matches(json, market, reply, order.order_id);
    }
    json.raw("}");
}

void write_canceled(
    JsonWriter& json,
    const Market& market,
    const tenon_order& order,
    std::int64_t time_real_ns
) {
    json.next()
        .raw("{")
        .field("symbol", market.symbol())
        .field("origClientOrderId", text_of(order.client_id))
        .field("orderId", order.order_id)
        .field("orderListId", shown_list_id(order))
        .field("clientOrderId", text_of(order.cancel_client_id))
        .time_field("transactTime", time_real_ns);
    write_amounts(json, market, order);
    json.field("origQuoteOrderQty", order.quote_quantity, market.quote->scale)
        .field("cummulativeQuoteQty", order.filled_quote, market.quote->scale);
    write_kind(json, order);
    write_conditional(json, market, order);
    write_prevention(json, market, order);
    json.raw("}");
}

void write_order(JsonWriter& json, const Market& market, const tenon_order& order) {
    json.next()
        .raw("{")
        .field("symbol", market.symbol())
        .field("orderId", order.order_id)
        .field("orderListId", shown_list_id(order))
        .field("clientOrderId", text_of(order.client_id));
    write_amounts(json, market, order);
    json.field("cummulativeQuoteQty", order.filled_quote, market.quote->scale);
    write_kind(json, order);
    json.field("stopPrice", order.stop_price, market.instrument->price_scale)
        .field("icebergQty", order.display_quantity, market.instrument->quantity_scale)
        .time_field("time", order.created_real_ns)
        .time_field("updateTime", order.updated_real_ns)
        .field("isWorking", is_working(order));
    write_working_time(json, order);
    json.field("origQuoteOrderQty", order.quote_quantity, market.quote->scale);
    write_trailing_delta_and_date(json, order);
    write_prevention(json, market, order);
    json.raw("}");
}

void write_amended(
    JsonWriter& json,
    const Market& market,
    const tenon_order& order,
    const tenon_amendment& amendment
) {
    const tenon_instrument& i = *market.instrument;
    json.raw("{")
        .time_field("transactTime", amendment.time_real_ns)
        .field("executionId", execution_id(amendment.sequence, 0))
        .key("amendedOrder")
        .raw("{")
        .field("symbol", market.symbol())
        .field("orderId", order.order_id)
        .field("orderListId", shown_list_id(order))
        .field("origClientOrderId", text_of(amendment.old_client_id))
        .field("clientOrderId", text_of(order.client_id))
        .field("price", order.price, i.price_scale)
        .field("qty", order.quantity, i.quantity_scale)
        .field("executedQty", order.filled_quantity, i.quantity_scale)
        .field("preventedQty", order.prevented_quantity, i.quantity_scale)
        .field("quoteOrderQty", order.quote_quantity, market.quote->scale)
        .field("cumulativeQuoteQty", order.filled_quote, market.quote->scale);
    write_kind(json, order);
    write_conditional(json, market, order);
    write_working_time(json, order);
    json.field("selfTradePreventionMode", stp_mode_name(order.stp_mode)).raw("}}");
}

void write_amendment(JsonWriter& json, const Market& market, const tenon_amendment& amendment) {
    const int scale = market.instrument->quantity_scale;
    json.next()
        .raw("{")
        .field("symbol", market.symbol())
        .field("orderId", amendment.order_id)
        .field("executionId", execution_id(amendment.sequence, 0))
        .field("origClientOrderId", text_of(amendment.old_client_id))
        .field("newClientOrderId", text_of(amendment.client_id))
        .field("origQty", amendment.old_quantity, scale)
        .field("newQty", amendment.quantity, scale)
        .time_field("time", amendment.time_real_ns)
        .raw("}");
}

void write_prevented(JsonWriter& json, const Market& market, const tenon_prevented_match& match) {
    json.next()
        .raw("{")
        .field("symbol", market.symbol())
        .field("preventedMatchId", match.match_id)
        .field("takerOrderId", match.taker_order_id)
        .field("makerSymbol", market.symbol())
        .field("makerOrderId", match.maker_order_id)
        .field("tradeGroupId", -1)
        .field("selfTradePreventionMode", stp_mode_name(match.stp_mode));
    write_prevented_quantities(json, market, match);
    json.time_field("transactTime", match.time_real_ns).raw("}");
}

void write_own_trade(
    JsonWriter& json,
    const Market& market,
    const tenon_trade& trade,
    const tenon_asset* fee_asset
) {
    json.next()
        .raw("{")
        .field("symbol", market.symbol())
        .field("id", trade.trade_id)
        .field("orderId", trade.order_id)
        .field("orderListId", -1)
        .field("price", trade.price, market.instrument->price_scale)
        .field("qty", trade.quantity, market.instrument->quantity_scale)
        .field("quoteQty", trade.quote_amount, market.quote->scale)
        .field("commission", trade.fee, fee_asset == nullptr ? 8 : fee_asset->scale)
        .field("commissionAsset", fee_asset == nullptr ? std::string_view{} : view(fee_asset->name))
        .time_field("time", trade.time_real_ns)
        .field("isBuyer", trade.side == TENON_SIDE_BUY)
        .field("isMaker", trade.is_maker != 0)
        .field("isBestMatch", true)
        .raw("}");
}

}  // namespace tenon::binance
