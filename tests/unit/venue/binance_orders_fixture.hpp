// SPDX-License-Identifier: Apache-2.0
// A listing of one symbol, and reports that are kept as lines.
#pragma once

#include "plugins/venue/binance/orders/order_table.hpp"

#include <string>
#include <vector>

namespace tenon::binance_venue::test {

inline constexpr std::uint32_t k_btcusdt = 0;
inline constexpr std::uint32_t k_bnb = 2;

// BTCUSDT: price in 0.01, quantity in 0.00001, amounts with 8 decimals.
class OneSymbol : public Listing {
public:
    [[nodiscard]] std::optional<Market> market(std::uint32_t instrument) const override {
        if (instrument != k_btcusdt) {
            return std::nullopt;
        }
        Market market;
        market.instrument = k_btcusdt;
        market.symbol = "BTCUSDT";
        market.price_scale = 2;
        market.quantity_scale = 5;
        market.quote_scale = 8;
        market.price_tick = 1;
        market.price_max = 100'000'000;
        market.bid_up_ppm = 5'000'000;
        return market;
    }

    [[nodiscard]] std::optional<std::uint32_t> instrument(std::string_view symbol) const override {
        return symbol == "BTCUSDT" ? std::optional{k_btcusdt} : std::nullopt;
    }

    [[nodiscard]] std::optional<Asset> asset(std::string_view name) const override {
        const std::vector<std::string_view> names{"BTC", "USDT", "BNB"};
        for (std::uint32_t id = 0; id < names.size(); ++id) {
            if (names[id] == name) {
                return Asset{id, 8};
            }
        }
        return std::nullopt;
    }
};

// What was reported, a word and the numbers that matter for each.
class Lines {
public:
    [[nodiscard]] Venue::Reports reports() { return Venue::Reports{{this, &Lines::put}}; }

    [[nodiscard]] std::vector<std::string> take() { return std::exchange(lines_, {}); }

private:
    static void put(void* ctx, const tenon_venue_report* report) {
        static_cast<Lines*>(ctx)->lines_.push_back(line(*report));
    }

    [[nodiscard]] static std::string line(const tenon_venue_report& report) {
        const std::string id = " " + std::to_string(report.order_id);
        switch (report.kind) {
            case TENON_REPORT_ACCEPTED:
                return "accepted" + id;
            case TENON_REPORT_REJECTED:
                return "rejected" + id + " " + std::to_string(report.reject);
            case TENON_REPORT_TRADE:
                return "trade" + id + "/" + std::to_string(report.maker_order_id) + " " +
                       std::to_string(report.quantity) + "@" + std::to_string(report.price);
            case TENON_REPORT_CANCELED:
                return "canceled" + id;
            case TENON_REPORT_EXPIRED:
                return "expired" + id;
            case TENON_REPORT_WORKING:
                return "working" + id;
            case TENON_REPORT_COMMISSION:
                return "commission" + id + " " + std::to_string(report.quantity) + " of " +
                       std::to_string(report.reject);
            default:
                return "?";
        }
    }

    std::vector<std::string> lines_;
};

[[nodiscard]] inline tenon_venue_order limit_buy(std::uint64_t id, std::int64_t quantity) {
    auto order = sized<tenon_venue_order>();
    order.order_id = id;
    order.account = 16;
    order.instrument = k_btcusdt;
    order.side = TENON_SIDE_BUY;
    order.type = TENON_ORDER_LIMIT;
    order.time_in_force = TENON_TIF_GTC;
    order.price = 100;
    order.quantity = quantity;
    order.funds = 100 * quantity * 10;
    return order;
}

[[nodiscard]] inline OrderNews accepted(std::uint64_t id) {
    OrderNews news;
    news.order_id = id;
    news.exchange_id = 1'000 + id;
    news.accepted = true;
    return news;
}

[[nodiscard]] inline Fill fill(std::uint64_t trade_id, std::int64_t quantity) {
    Fill one;
    one.trade_id = trade_id;
    one.price = 100;
    one.quantity = quantity;
    one.fee_asset = k_bnb;
    one.fee = 7;
    return one;
}

}  // namespace tenon::binance_venue::test
