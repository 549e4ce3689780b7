// SPDX-License-Identifier: Apache-2.0
// A paper venue with two instruments, orders made short, and its reports as text.
#pragma once

#include "plugins/venue/paper/paper.hpp"

#include <tenon/abi/trading.h>

#include <string>
#include <utility>
#include <vector>

namespace tenon::test {

// Price scale 2, quantity scale 5, assets of 8 decimals.
inline std::optional<paper::Rules> paper_rules(std::uint32_t instrument) {
    return instrument < 2 ? std::optional{paper::Rules{1000, 10, 1}} : std::nullopt;
}

// "accepted 1", "trade taker/maker quantity@price", …
class Reports {
public:
    [[nodiscard]] tenon_venue_reports out() noexcept { return {this, &put}; }

    [[nodiscard]] std::vector<std::string> take() { return std::exchange(lines_, {}); }

private:
    static void put(void* ctx, const tenon_venue_report* report) {
        auto& lines = static_cast<Reports*>(ctx)->lines_;
        const std::string id = std::to_string(report->order_id);
        switch (report->kind) {
            case TENON_REPORT_ACCEPTED:
                lines.push_back("accepted " + id);
                break;
            case TENON_REPORT_REJECTED:
                lines.push_back("rejected " + id + " " + std::to_string(report->reject));
                break;
            case TENON_REPORT_TRADE:
                lines.push_back(
                    "trade " + id + "/" + std::to_string(report->maker_order_id) + " " +
                    std::to_string(report->quantity) + "@" + std::to_string(report->price)
                );
                break;
            case TENON_REPORT_CANCELED:
                lines.push_back("canceled " + id);
                break;
            case TENON_REPORT_TRIGGERED:
                lines.push_back("triggered " + id);
                break;
            default:
                lines.push_back("expired " + id);
        }
    }

    std::vector<std::string> lines_;
};

inline tenon_venue_order limit_order(
    std::uint64_t id,
    std::uint8_t side,
    std::int64_t price,
    std::int64_t quantity,
    std::uint8_t time_in_force = TENON_TIF_GTC
) {
    auto order = tenon::sized<tenon_venue_order>();
    order.order_id = id;
    order.account = 16;
    order.side = side;
    order.type = TENON_ORDER_LIMIT;
    order.time_in_force = time_in_force;
    order.price = price;
    order.quantity = quantity;
    order.funds = side == TENON_SIDE_BUY ? price * quantity * 10 : quantity * 1000;
    return order;
}

// Waits at 98 for the price to fall, or at 103 for it to rise.
inline tenon_venue_order stop_loss(std::uint64_t id, std::uint8_t side, std::int64_t quantity) {
    const bool buy = side == TENON_SIDE_BUY;
    tenon_venue_order order = limit_order(id, side, buy ? 103 : 98, quantity);
    order.type = TENON_ORDER_STOP_LOSS;
    order.stop_price = std::exchange(order.price, 0);
    return order;
}

inline tenon_venue_order market_order(
    std::uint64_t id,
    std::uint8_t side,
    std::int64_t quantity,
    std::int64_t quote_quantity = 0
) {
    auto order = tenon::sized<tenon_venue_order>();
    order.order_id = id;
    order.account = 16;
    order.side = side;
    order.type = TENON_ORDER_MARKET;
    order.time_in_force = TENON_TIF_GTC;
    order.quantity = quantity;
    order.quote_quantity = quote_quantity;
    order.funds = std::int64_t{1} << 60U;
    return order;
}

}  // namespace tenon::test
