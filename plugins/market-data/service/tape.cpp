// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/tape.hpp"

#include "plugins/market-data/service/candles.hpp"

namespace tenon::market_data {
namespace {

constexpr std::int64_t k_ms = 1'000'000;

[[nodiscard]] bool belongs(const tenon_agg_trade& open, const tenon_public_trade& trade) {
    return open.price == trade.price && open.buyer_is_maker == trade.buyer_is_maker &&
           open.time_real_ns / k_ms == trade.time_real_ns / k_ms &&
           open.last_trade_id + 1 == trade.trade_id;
}

}  // namespace

std::optional<tenon_agg_trade> Tape::complete() {
    std::optional<tenon_agg_trade> done;
    open_.swap(done);
    if (done) {
        aggregates_.push(*done);
    }
    return done;
}

std::optional<tenon_agg_trade> Tape::add(const tenon_public_trade& trade) {
    trades_.push(trade);
    if (open_ && belongs(*open_, trade)) {
        open_->last_trade_id = trade.trade_id;
        open_->quantity = saturating_add(open_->quantity, trade.quantity);
        return std::nullopt;
    }
    const auto done = complete();
    next_id_ = next_id_ == 0 ? trade.trade_id : next_id_ + 1;
    open_ = tenon_agg_trade{
        sizeof(tenon_agg_trade),
        trade.instrument,
        next_id_,
        trade.trade_id,
        trade.trade_id,
        trade.price,
        trade.quantity,
        trade.time_real_ns,
        trade.buyer_is_maker,
        0};
    return done;
}

std::optional<tenon_agg_trade> Tape::complete_before(std::int64_t time_ns) {
    return open_ && open_->time_real_ns < time_ns ? complete() : std::nullopt;
}

}  // namespace tenon::market_data
