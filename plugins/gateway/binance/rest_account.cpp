// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/rest_trading.hpp"

#include <algorithm>

namespace tenon::binance::rest {
namespace {

constexpr int k_ppm_scale = 6;

// The rates of an account as a whole: those of the dearest instrument.
struct Rates {
    std::uint32_t maker_ppm = 0, taker_ppm = 0;
};

[[nodiscard]] Rates dearest(Service<tenon_instruments_1> instruments) {
    Rates rates;
    const std::uint32_t count = instruments->instrument_count(instruments.self);
    for (std::uint32_t id = 0; id < count; ++id) {
        const tenon_instrument* const i = instruments->instrument(instruments.self, id);
        rates.maker_ppm = std::max(rates.maker_ppm, i->maker_fee_ppm);
        rates.taker_ppm = std::max(rates.taker_ppm, i->taker_fee_ppm);
    }
    return rates;
}

[[nodiscard]] tenon_balance balance_of(const Pending& pending, std::uint32_t asset) {
    const auto found = std::find_if(
        pending.balances.begin(),
        pending.balances.end(),
        [&](const tenon_balance& row) { return row.asset == asset; }
    );
    return found == pending.balances.end() ? tenon_balance{} : *found;
}

template <class Write>
void each_asset(Api& api, Write&& write) {
    const auto& instruments = api.services().instruments;
    const std::uint32_t count = instruments->asset_count(instruments.self);
    for (std::uint32_t id = 0; id < count; ++id) {
        write(*instruments->asset(instruments.self, id));
    }
}

void write_account(JsonWriter& json, Api& api, const Pending& pending) {
    const Rates rates = dearest(api.services().instruments);
    json.raw("{")
        .field("makerCommission", rates.maker_ppm / 100)
        .field("takerCommission", rates.taker_ppm / 100)
        .field("buyerCommission", 0)
        .field("sellerCommission", 0);
    write_commission(json, "commissionRates", rates.maker_ppm, rates.taker_ppm);
    json.field("canTrade", true)
        .field("canWithdraw", false)
        .field("canDeposit", false)
        .field("brokered", false)
        .field("requireSelfTradePrevention", false)
        .field("preventSor", false)
        .time_field("updateTime", api.account_updated_real_ns(pending.account))
        .field("accountType", "SPOT")
        .key("balances")
        .raw("[");
    each_asset(api, [&](const tenon_asset& asset) {
        const tenon_balance balance = balance_of(pending, asset.id);
        if (pending.omit_zero && balance.free == 0 && balance.locked == 0) {
            return;
        }
        json.next()
            .raw("{")
            .field("asset", view(asset.name))
            .field("free", balance.free, asset.scale)
            .field("locked", balance.locked, asset.scale)
            .raw("}");
    });
    json.raw(R"(],"permissions":["SPOT"])").field("uid", pending.account).raw("}");
}

void write_coins(JsonWriter& json, Api& api, const Pending& pending) {
    json.raw("[");
    each_asset(api, [&](const tenon_asset& asset) {
        const tenon_balance balance = balance_of(pending, asset.id);
        json.next()
            .raw("{")
            .field("coin", view(asset.name))
            .field("depositAllEnable", false)
            .field("free", balance.free, asset.scale)
            .raw(R"(,"freeze":"0.00000000","ipoable":"0.00000000","ipoing":"0.00000000")")
            .field("isLegalMoney", false)
            .field("locked", balance.locked, asset.scale)
            .field("name", view(asset.name))
            .raw(R"(,"networkList":[],"storage":"0.00000000","trading":true)")
            .raw(R"(,"withdrawAllEnable":false,"withdrawing":"0.00000000"})");
    });
    json.raw("]");
}

tenon_status put_balance(void* ctx, const tenon_balance* balance) noexcept {
    return guard(nullptr, [&] { static_cast<Pending*>(ctx)->balances.push_back(*balance); });
}

void on_balances(void* ctx, tenon_status status, const tenon_err* err) noexcept {
    auto& pending = *static_cast<Pending*>(ctx);
    Api& api = *pending.api;
    try {
        if (status != TENON_OK && status != TENON_NOT_FOUND) {
            throw status_error(status, err);
        }
        JsonWriter json{pending.text, pending.to.micro};
        if (pending.coins) {
            write_coins(json, api, pending);
        } else {
            write_account(json, api, pending);
        }
        api.reply(pending.to, pending.text);
    } catch (const ApiError& error) {
        (void)guard(nullptr, [&] { api.reply_error(pending.to, error); });
    } catch (...) {
        (void)guard(nullptr, [&] { api.reply_error(pending.to, errors::unknown()); });
    }
    api.release(pending);
}

void ask_balances(Api& api, Pending& pending) {
    const auto& trading = api.services().trading;
    ErrorBuffer err;
    const tenon_status status = trading->balances(
        trading.self, pending.account, &pending, &put_balance, {&pending, &on_balances}, &err
    );
    if (status != TENON_PENDING) {
        on_balances(&pending, status, &err);
    }
}

}  // namespace

void write_commission(
    JsonWriter& json,
    std::string_view name,
    std::uint32_t maker_ppm,
    std::uint32_t taker_ppm
) {
    json.key(name)
        .raw("{")
        .field("maker", maker_ppm, k_ppm_scale)
        .field("taker", taker_ppm, k_ppm_scale)
        .field("buyer", 0, 0)
        .field("seller", 0, 0)
        .raw("}");
}

void account(Api& api, Call& call) {
    const bool omit_zero = call.params.boolean("omitZeroBalances").value_or(false);
    call.finish();
    Pending& pending = api.hold(call);
    pending.omit_zero = omit_zero;
    ask_balances(api, pending);
}

void capital_config(Api& api, Call& call) {
    call.finish();
    Pending& pending = api.hold(call);
    pending.coins = true;
    ask_balances(api, pending);
}

void account_commission(Api& api, Call& call) {
    const auto symbol = call.params.symbol();
    if (!symbol) {
        throw errors::mandatory("symbol");
    }
    const Market market = market_of(api.services().instruments, *symbol);
    call.finish();
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw("{").field("symbol", market.symbol());
    write_commission(
        json,
        "standardCommission",
        market.instrument->maker_fee_ppm,
        market.instrument->taker_fee_ppm
    );
    write_commission(json, "specialCommission", 0, 0);
    write_commission(json, "taxCommission", 0, 0);
    json.raw(R"(,"discount":{"enabledForAccount":false,"enabledForSymbol":false)")
        .raw(R"(,"discountAsset":"BNB","discount":"0.00000000"}})");
    api.reply(call.to, json.text());
}

void rate_limit_order(Api& api, Call& call) {
    call.finish();
    const LimitSettings& limits = api.limit_settings();
    const OrderLimits::Counts counts = api.orders().counts(call.account, api.now_real_ns());
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw(R"([{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10)")
        .field("limit", limits.orders_per_10_seconds)
        .field("count", counts.ten_seconds)
        .raw(R"(},{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1)")
        .field("limit", limits.orders_per_day)
        .field("count", counts.day)
        .raw("}]");
    api.reply(call.to, json.text());
}

void margin_pairs(Api& api, Call& call) {
    (void)call.params.symbol();
    call.finish();
    api.reply(call.to, "[]");
}

void trade_fee(Api& api, Call& call) {
    const auto symbol = call.params.symbol();
    call.finish();
    const auto& instruments = api.services().instruments;
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw("[");
    const auto write = [&](const Market& market) {
        json.next()
            .raw("{")
            .field("symbol", market.symbol())
            .key("makerCommission")
            .decimal(market.instrument->maker_fee_ppm, k_ppm_scale, 3)
            .key("takerCommission")
            .decimal(market.instrument->taker_fee_ppm, k_ppm_scale, 3)
            .raw("}");
    };
    if (symbol) {
        write(market_of(instruments, *symbol));
    } else {
        const std::uint32_t count = instruments->instrument_count(instruments.self);
        for (std::uint32_t id = 0; id < count; ++id) {
            write(market_of(instruments, id));
        }
    }
    json.raw("]");
    api.reply(call.to, json.text());
}

}  // namespace tenon::binance::rest
