// SPDX-License-Identifier: Apache-2.0
// The six warm queries over the schema, with the parameters of one call and the time each may take.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

namespace tenon::bench {

inline constexpr std::int64_t k_day_ns = 86'400'000'000'000;
// The newest time of what tools/generate-data writes by default.
inline constexpr std::int64_t k_data_now_ns = 1'767'225'600'000'000'000;

struct WarmQuery {
    std::string_view name;
    double target_ms;
    std::string_view sql;
    std::string_view pgbench;  // the same with pgbench's variables :user and :instrument
    bool by_instrument = false, with_time = false;
};

inline constexpr std::array<WarmQuery, 6> k_warm_queries{{
    {"user settings",
     0.027,
     "SELECT exchange, account_type, strategy, trading_enabled, leverage, positions_max, "
     "risk_per_trade_bp, daily_loss_max_bp, take_profit_bp, stop_loss_bp, notify, extra, version "
     "FROM user_settings WHERE user_id = ?",
     "SELECT exchange, account_type, strategy, trading_enabled, leverage, positions_max, "
     "risk_per_trade_bp, daily_loss_max_bp, take_profit_bp, stop_loss_bp, notify, extra, version "
     "FROM user_settings WHERE user_id = :user"},
    {"active positions",
     0.010,
     "SELECT id, exchange, account_type, instrument, strategy, side, quantity, entry_price, "
     "take_profit, stop_loss FROM active_positions WHERE user_id = ?",
     "SELECT id, exchange, account_type, instrument, strategy, side, quantity, entry_price, "
     "take_profit, stop_loss FROM active_positions WHERE user_id = :user"},
    {"trade logs of 24 h",
     0.009,
     "SELECT id, instrument, side, quantity, entry_price, exit_price, entry_real_ns, exit_real_ns, "
     "pnl FROM trade_logs WHERE user_id = ? AND entry_real_ns >= ? "
     "ORDER BY entry_real_ns DESC LIMIT 20",
     "SELECT id, instrument, side, quantity, entry_price, exit_price, entry_real_ns, exit_real_ns, "
     "pnl FROM trade_logs WHERE user_id = :user AND entry_real_ns >= :since "
     "ORDER BY entry_real_ns DESC LIMIT 20",
     false,
     true},
    {"licence check",
     0.006,
     "SELECT license_type, end_real_ns FROM user_licenses "
     "WHERE is_active = 1 AND user_id = ? AND end_real_ns > ?",
     "SELECT license_type, end_real_ns FROM user_licenses "
     "WHERE is_active = 1 AND user_id = :user AND end_real_ns > :since",
     false,
     true},
    {"pending orders",
     0.006,
     "SELECT id, exchange, instrument, strategy, side, price, quantity, client_id "
     "FROM pending_limit_orders WHERE user_id = ? AND account_type = 'real'",
     "SELECT id, exchange, instrument, strategy, side, price, quantity, client_id "
     "FROM pending_limit_orders WHERE user_id = :user AND account_type = 'real'"},
    {"recent signals",
     0.009,
     "SELECT id, side, strategy, price, confidence_bp, time_real_ns FROM signals "
     "WHERE instrument = ? AND time_real_ns >= ? ORDER BY time_real_ns DESC LIMIT 20",
     "SELECT id, side, strategy, price, confidence_bp, time_real_ns FROM signals "
     "WHERE instrument = :instrument AND time_real_ns >= :since ORDER BY time_real_ns DESC LIMIT "
     "20",
     true,
     true},
}};

// Users and instruments as they are asked for: a tenth of the users by half of the calls.
class Callers {
public:
    Callers(std::uint64_t seed, std::int64_t users) : random_{seed}, users_{users} {}

    [[nodiscard]] std::int64_t next(bool by_instrument) {
        constexpr std::int64_t k_instruments = 10;
        if (by_instrument) {
            return pick(k_instruments) - 1;
        }
        return pick(pick(2) == 1 && users_ >= 10 ? users_ / 10 : users_);
    }

private:
    std::int64_t pick(std::int64_t count) {
        return std::uniform_int_distribution<std::int64_t>{1, count}(random_);
    }

    std::mt19937_64 random_;
    std::int64_t users_;
};

}  // namespace tenon::bench
