// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/trade_sync.hpp"

#include <algorithm>

namespace tenon::binance_venue {

void TradeSync::give(const MarketTrade& trade) {
    last_id_ = trade.id;
    emit_(trade);
}

void TradeSync::on_trade(const MarketTrade& trade) {
    const std::uint64_t newest = held_.empty() ? last_id_ : held_.back().id;
    const bool anew = newest > k_anew && trade.id < newest - k_anew && trade.real_ns > latest_ns_;
    latest_ns_ = std::max(latest_ns_, trade.real_ns);
    if (anew) {
        while (!held_.empty()) {
            release();
        }
        last_id_ = 0;
    } else if (trade.id <= newest && newest != 0) {
        return;
    }
    if (held_.empty() && (last_id_ == 0 || trade.id == last_id_ + 1)) {
        give(trade);
        return;
    }
    held_.push_back(trade);
    if (fill_max_ == 0 || held_.size() > k_held_max) {
        on_fill({});
    } else if (held_.size() == 1 && trade.id - last_id_ - 1 > fill_max_) {
        const std::uint64_t skipped = trade.id - last_id_ - 1 - fill_max_;
        missed_ += skipped;
        last_id_ += skipped;
    }
}

std::optional<std::uint64_t> TradeSync::wanted() const noexcept {
    return held_.empty() ? std::nullopt : std::optional{last_id_ + 1};
}

void TradeSync::on_fill(const std::vector<MarketTrade>& trades) {
    if (held_.empty()) {
        return;
    }
    bool moved = false;
    for (const MarketTrade& trade : trades) {
        if (trade.id > last_id_ && trade.id < held_.front().id) {
            missed_ += trade.id - last_id_ - 1;
            ++filled_;
            give(trade);
            moved = true;
        }
    }
    if (held_.front().id == last_id_ + 1 || !moved) {
        release();
    }
}

// All that is held, up to the next hole.
void TradeSync::release() {
    missed_ += held_.front().id - last_id_ - 1;
    do {
        give(held_.front());
        held_.pop_front();
    } while (!held_.empty() && held_.front().id == last_id_ + 1);
}

}  // namespace tenon::binance_venue
