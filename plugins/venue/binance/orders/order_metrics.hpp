// SPDX-License-Identifier: Apache-2.0
// Metrics of the order side. Reactor 0.
#pragma once

#include "plugins/venue/binance/orders/balance_watch.hpp"
#include "plugins/venue/binance/orders/desk.hpp"

#include <tenon/metrics.hpp>

#include <array>
#include <cstdint>

namespace tenon::binance_venue {

class OrderMetrics {
public:
    void make(const Metrics& metrics) {
        const auto orders = [&](std::string_view outcome) {
            return metrics.counter(
                "tenon_exchange_orders_total",
                "New orders: sent, and of these the ones refused, left without an outcome, or "
                "certainly never arrived",
                {{"outcome", outcome}}
            );
        };
        cells_ = {orders("sent"), orders("refused"), orders("unknown"), orders("absent")};
        alarms_ = metrics.counter(
            "tenon_exchange_order_alarms_total",
            "Orders of ours that the exchange has and nobody here knows; contradictions"
        );
        unknown_ = metrics.gauge(
            "tenon_exchange_orders_unknown", "Orders whose outcome nobody knows at the moment"
        );
        foreign_ = metrics.gauge(
            "tenon_exchange_orders_foreign", "Open orders of others on the same account"
        );
        differences_ = metrics.gauge(
            "tenon_exchange_balance_differences",
            "Assets of which the exchange account has more or less than is booked here"
        );
        compared_ = metrics.counter(
            "tenon_exchange_balances_compared_total", "Times the balances were compared"
        );
    }

    void set(const OrderTable& table, const Desk& desk) {
        const DeskCounts& counts = desk.counts();
        const std::array<std::uint64_t, 4> now{
            counts.sent, counts.refused, counts.unknown, counts.absent};
        for (std::size_t i = 0; i < now.size(); ++i) {
            add(cells_[i], now[i], before_[i]);
        }
        add(alarms_, counts.orphans + counts.contradictions + table.contradictions(), alarms_before_
        );
        put(unknown_, desk.unknown_now());
        put(foreign_, counts.foreign);
    }

    void set(const BalanceWatch& balances) {
        put(differences_, balances.differences().size());
        add(compared_, balances.compared(), compared_before_);
    }

private:
    static void add(const Counter& cell, std::uint64_t now, std::uint64_t& before) {
        cell.add(now > before ? now - before : 0);
        before = now;
    }

    static void put(const Gauge& cell, std::uint64_t value) {
        cell.set(static_cast<std::int64_t>(value));
    }

    std::array<Counter, 4> cells_;
    std::array<std::uint64_t, 4> before_{};
    Counter alarms_;
    std::uint64_t alarms_before_ = 0;
    Gauge unknown_;
    Gauge foreign_;
    Gauge differences_;
    Counter compared_;
    std::uint64_t compared_before_ = 0;
};

}  // namespace tenon::binance_venue
