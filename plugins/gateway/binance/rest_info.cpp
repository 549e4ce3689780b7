// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/rest_public.hpp"
#include "plugins/gateway/binance/rest_trading.hpp"

#include <tenon/abi/venue.h>
#include <tenon/conditional_order.hpp>

#include <algorithm>

namespace tenon::binance::rest {
namespace {

void write_rate_limit(
    JsonWriter& json,
    std::string_view type,
    std::string_view interval,
    int number,
    std::uint32_t limit
) {
    json.next()
        .raw("{")
        .field("rateLimitType", type)
        .field("interval", interval)
        .field("intervalNum", number)
        .field("limit", limit)
        .raw("}");
}

void write_rate_limits(JsonWriter& json, const LimitSettings& limits) {
    json.key("rateLimits").raw("[");
    write_rate_limit(json, "REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute);
    write_rate_limit(json, "ORDERS", "SECOND", 10, limits.orders_per_10_seconds);
    write_rate_limit(json, "ORDERS", "DAY", 1, limits.orders_per_day);
    write_rate_limit(json, "RAW_REQUESTS", "MINUTE", 5, limits.requests_per_5_minutes);
    json.raw("]");
}

JsonWriter& open_filter(JsonWriter& json, std::string_view type) {
    return json.next().raw("{").field("filterType", type);
}

void write_lot(
    JsonWriter& json,
    std::string_view type,
    int scale,
    std::int64_t min,
    std::int64_t max,
    std::int64_t step
) {
    open_filter(json, type)
        .field("minQty", min, scale)
        .field("maxQty", max, scale)
        .field("stepSize", step, scale)
        .raw("}");
}

void write_price_filters(JsonWriter& json, const tenon_instrument& i) {
    constexpr int k_ppm_scale = 6;
    open_filter(json, "PRICE_FILTER")
        .field("minPrice", i.price_min, i.price_scale)
        .field("maxPrice", i.price_max, i.price_scale)
        .field("tickSize", i.price_tick, i.price_scale)
        .raw("}");
    if (i.bid_multiplier_up_ppm != 0 || i.ask_multiplier_up_ppm != 0) {
        open_filter(json, "PERCENT_PRICE_BY_SIDE")
            .key("bidMultiplierUp")
            .decimal(i.bid_multiplier_up_ppm, k_ppm_scale, 0)
            .key("bidMultiplierDown")
            .decimal(i.bid_multiplier_down_ppm, k_ppm_scale, 0)
            .key("askMultiplierUp")
            .decimal(i.ask_multiplier_up_ppm, k_ppm_scale, 0)
            .key("askMultiplierDown")
            .decimal(i.ask_multiplier_down_ppm, k_ppm_scale, 0)
            .field("avgPriceMins", 0)
            .raw("}");
    }
}

void write_filters(JsonWriter& json, const Market& market, std::uint32_t takes) {
    const tenon_instrument& i = *market.instrument;
    const int quantity = i.quantity_scale;
    json.key("filters").raw("[");
    write_price_filters(json, i);
    write_lot(json, "LOT_SIZE", quantity, i.quantity_min, i.quantity_max, i.quantity_step);
    write_lot(
        json,
        "MARKET_LOT_SIZE",
        quantity,
        i.market_quantity_min,
        i.market_quantity_max,
        i.market_quantity_step
    );
    open_filter(json, "NOTIONAL")
        .field("minNotional", i.notional_min, market.quote->scale)
        .field("applyMinToMarket", i.notional_min_to_market != 0)
        .field("maxNotional", i.notional_max, market.quote->scale)
        .field("applyMaxToMarket", i.notional_max_to_market != 0)
        .field("avgPriceMins", 0)
        .raw("}");
    if (i.position_max != 0) {
        open_filter(json, "MAX_POSITION").field("maxPosition", i.position_max, quantity).raw("}");
    }
    if ((takes & TENON_VENUE_ICEBERG) != 0) {
        open_filter(json, "ICEBERG_PARTS").field("limit", k_iceberg_parts_max).raw("}");
    }
    if ((takes & TENON_VENUE_TRAILING) != 0) {
        open_filter(json, "TRAILING_DELTA")
            .field("minTrailingAboveDelta", k_trailing_delta_min)
            .field("maxTrailingAboveDelta", k_trailing_delta_max)
            .field("minTrailingBelowDelta", k_trailing_delta_min)
            .field("maxTrailingBelowDelta", k_trailing_delta_max)
            .raw("}");
    }
    if (i.orders_max != 0) {
        open_filter(json, "MAX_NUM_ORDERS").field("maxNumOrders", i.orders_max).raw("}");
    }
    if (i.algo_orders_max != 0) {
        open_filter(json, "MAX_NUM_ALGO_ORDERS")
            .field("maxNumAlgoOrders", i.algo_orders_max)
            .raw("}");
    }
    json.raw("]");
}

void write_market(
    JsonWriter& json,
    const Market& market,
    std::uint32_t status,
    std::uint32_t takes,
    bool permission_sets
) {
    const auto can = [&](std::uint32_t flag) { return (takes & flag) != 0; };
    json.next()
        .raw("{")
        .field("symbol", market.symbol())
        .field("status", instrument_status_name(status))
        .field("baseAsset", view(market.base->name))
        .field("baseAssetPrecision", k_precision)
        .field("quoteAsset", view(market.quote->name))
        .field("quotePrecision", k_precision)
        .field("quoteAssetPrecision", k_precision)
        .field("baseCommissionPrecision", k_precision)
        .field("quoteCommissionPrecision", k_precision)
        .raw(R"(,"orderTypes":["LIMIT","LIMIT_MAKER","MARKET","STOP_LOSS",)"
             R"("STOP_LOSS_LIMIT","TAKE_PROFIT","TAKE_PROFIT_LIMIT"])")
        .field("icebergAllowed", can(TENON_VENUE_ICEBERG))
        .field("ocoAllowed", can(TENON_VENUE_LISTS))
        .raw(R"(,"otoAllowed":false,"opoAllowed":false,"quoteOrderQtyMarketAllowed":true)")
        .field("allowTrailingStop", can(TENON_VENUE_TRAILING))
        .field("cancelReplaceAllowed", true)
        .field("amendAllowed", can(TENON_VENUE_AMEND))
        .raw(R"(,"pegInstructionsAllowed":false,"isSpotTradingAllowed":true)")
        .raw(R"(,"isMarginTradingAllowed":false)");
    write_filters(json, market, takes);
    json.raw(R"(,"permissions":[])");
    if (permission_sets) {
        json.raw(R"(,"permissionSets":[["SPOT"]])");
    }
    json.raw(R"(,"defaultSelfTradePreventionMode":"NONE","allowedSelfTradePreventionModes":["NONE")"
    );
    if (can(TENON_VENUE_STP)) {
        json.raw(R"(,"EXPIRE_TAKER","EXPIRE_MAKER","EXPIRE_BOTH")");
        if (!can(TENON_VENUE_STP_EXPIRES)) {
            json.raw(R"(,"DECREMENT","TRANSFER")");
        }
    }
    json.raw("]}");
}

struct InfoQuery {
    std::optional<std::vector<std::string_view>> symbols;
    SymbolStatus status;
    bool spot = true;
    bool permission_sets = true;
};

[[nodiscard]] InfoQuery read_query(Call& call) {
    InfoQuery query;
    const auto symbol = call.params.symbol();
    query.symbols = call.params.symbols("symbols");
    const auto permissions = call.params.text("permissions");
    query.status = read_symbol_status(call.params);
    query.permission_sets = call.params.boolean("showPermissionSets").value_or(true);
    call.finish();
    const bool named = symbol.has_value() || query.symbols.has_value();
    if ((symbol && query.symbols) || (named && (permissions || query.status))) {
        throw errors::combination();
    }
    if (symbol) {
        query.symbols = {*symbol};
    }
    if (permissions) {
        query.spot = permissions->find("SPOT") != std::string_view::npos;
    }
    return query;
}

}  // namespace

SymbolStatus read_symbol_status(Params& params) {
    const auto text = params.text("symbolStatus");
    if (!text) {
        return std::nullopt;
    }
    for (const auto known :
         {TENON_INSTRUMENT_TRADING, TENON_INSTRUMENT_HALT, TENON_INSTRUMENT_BREAK}) {
        const auto status = static_cast<std::uint32_t>(known);
        if (*text == instrument_status_name(status)) {
            return status;
        }
    }
    throw ApiError{-1122, "Invalid symbolStatus."};
}

bool has_status(Api& api, std::uint32_t instrument, const SymbolStatus& asked) {
    const auto& trading = api.services().trading;
    return !asked || trading->status_of(trading.self, instrument) == *asked;
}

void require_status(Api& api, const Market& market, const SymbolStatus& asked) {
    if (!has_status(api, market.id(), asked)) {
        throw ApiError{-1220, "The symbol's status does not match the requested symbolStatus."};
    }
}

void ping(Api& api, Call& call) {
    call.finish();
    api.reply(call.to, "{}");
}

void time(Api& api, Call& call) {
    call.finish();
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw("{").time_field("serverTime", api.now_real_ns()).raw("}");
    api.reply(call.to, json.text());
}

void exchange_info(Api& api, Call& call) {
    const InfoQuery query = read_query(call);
    const Services& services = api.services();
    const auto status_of = [&](std::uint32_t id) {
        return services.trading->status_of(services.trading.self, id);
    };
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw("{").field("timezone", "UTC").time_field("serverTime", api.now_real_ns());
    write_rate_limits(json, api.limit_settings());
    json.key("exchangeFilters").raw("[]").key("symbols").raw("[");
    if (query.symbols) {
        for (const std::string_view symbol : *query.symbols) {
            const Market market = market_of(services.instruments, symbol);
            write_market(
                json,
                market,
                status_of(market.id()),
                venue_takes(api, market.id()),
                query.permission_sets
            );
        }
    } else if (query.spot) {
        const std::uint32_t count =
            services.instruments->instrument_count(services.instruments.self);
        for (std::uint32_t id = 0; id < count; ++id) {
            const std::uint32_t status = status_of(id);
            if (query.status && status != *query.status) {
                continue;
            }
            write_market(
                json,
                market_of(services.instruments, id),
                status,
                venue_takes(api, id),
                query.permission_sets
            );
        }
    }
    json.raw("]}");
    api.reply(call.to, json.text());
}

void system_status(Api& api, Call& call) {
    call.finish();
    const Services& services = api.services();
    tenon_trading_status status{};
    status.size = sizeof status;
    const bool normal = services.trading->status(services.trading.self, &status) == TENON_OK &&
                        status.accepting != 0;
    api.reply(
        call.to,
        normal ? R"({"status":0,"msg":"normal"})" : R"({"status":1,"msg":"system_maintenance"})"
    );
}

}  // namespace tenon::binance::rest
