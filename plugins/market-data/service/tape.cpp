// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/tape.hpp"

#include "plugins/market-data/service/candles.hpp"

namespace tenon::market_data {
namespace {

constexpr std::int64_t k_ms = 1'000'000;

void extend(tenon_agg_trade& open, const tenon_public_trade& trade) {
    open.agg_id = open.last_trade_id = trade.trade_id;
    open.quantity = saturating_add(open.quantity, trade.quantity);
}

[[nodiscard]] bool belongs(const tenon_agg_trade& open, const tenon_public_trade& trade) {
    return open.price == trade.price && open.buyer_is_maker == trade.buyer_is_maker &&
           open.time_real_ns / k_ms == trade.time_real_ns / k_ms &&
           open.last_trade_id + 1 == trade.trade_id;
}

// In one history a trade with this id or a later one is not earlier.
[[nodiscard]] bool is_earlier(const tenon_public_trade& known, const tenon_public_trade& trade) {
    return known.time_real_ns < trade.time_real_ns;
}

[[nodiscard]] tenon_agg_trade begin_aggregate(const tenon_public_trade& trade) {
    return {
        sizeof(tenon_agg_trade),
        trade.instrument,
        trade.trade_id,
        trade.trade_id,
        trade.trade_id,
        trade.price,
        trade.quantity,
        trade.time_real_ns,
        trade.buyer_is_maker,
        0};
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
    if (!trades_.empty() && trade.trade_id <= trades_.back().trade_id) {
        const std::size_t at = trades_.partition_point([&](const tenon_public_trade& one) {
            return one.trade_id < trade.trade_id;
        });
        if (!is_earlier(trades_[at], trade)) {
            return std::nullopt;  // known: another server has stored it
        }
        trades_ = Ring<tenon_public_trade>{trades_kept_};
        aggregates_ = Ring<tenon_agg_trade>{aggregates_kept_};
        open_.reset();
        ++restarts_;
    }
    if (trades_.empty() || trade.trade_id != trades_.back().trade_id + 1) {
        whole_from_ = trade.trade_id;
    }
    trades_.push(trade);
    if (open_ && belongs(*open_, trade)) {
        extend(*open_, trade);
        return std::nullopt;
    }
    const auto done = complete();
    open_ = begin_aggregate(trade);
    return done;
}

bool Tape::put_before(std::span<const TapedTrade> kept) {
    if (!trades_.empty()) {
        const auto same = std::find_if(kept.begin(), kept.end(), [&](const TapedTrade& one) {
            return one.trade.trade_id >= trades_[0].trade_id;
        });
        if (same != kept.end() && is_earlier(same->trade, trades_[0])) {
            return false;
        }
    }
    Ring<tenon_public_trade> trades{trades_kept_};
    Ring<tenon_agg_trade> aggregates{aggregates_kept_};
    std::optional<tenon_agg_trade> open;
    std::uint64_t of = 0;  // the stored number of `open`
    for (const auto& [trade, agg_id] : kept) {
        if (!trades_.empty() && trade.trade_id >= trades_[0].trade_id) {
            break;
        }
        trades.push(trade);
        if (open && agg_id == of) {
            extend(*open, trade);
            continue;
        }
        if (open) {
            aggregates.push(*open);
            open.reset();
        }
        if (agg_id != 0) {
            open = begin_aggregate(trade);
            of = agg_id;
        }
    }
    if (open) {
        aggregates.push(*open);
    }
    for (std::size_t at = 0; at < trades_.size(); ++at) {
        trades.push(trades_[at]);
    }
    for (std::size_t at = 0; at < aggregates_.size(); ++at) {
        aggregates.push(aggregates_[at]);
    }
    trades_ = std::move(trades);
    aggregates_ = std::move(aggregates);
    find_whole();
    return true;
}

void Tape::find_whole() {
    whole_from_ = trades_.empty() ? 0 : trades_[0].trade_id;
    for (std::size_t at = 1; at < trades_.size(); ++at) {
        if (trades_[at].trade_id != trades_[at - 1].trade_id + 1) {
            whole_from_ = trades_[at].trade_id;
        }
    }
}

std::uint64_t Tape::aggregate_of(std::uint64_t trade_id) const {
    if (open_ && trade_id >= open_->first_trade_id) {
        return open_->first_trade_id;
    }
    const std::size_t at = aggregates_.partition_point([&](const tenon_agg_trade& one) {
        return one.last_trade_id < trade_id;
    });
    const bool within = at < aggregates_.size() && aggregates_[at].first_trade_id <= trade_id;
    return within ? aggregates_[at].first_trade_id : 0;
}

std::vector<TapedTrade> Tape::after(std::uint64_t trade_id, std::size_t most) const {
    std::vector<TapedTrade> out;
    std::size_t at = trades_.partition_point([&](const tenon_public_trade& trade) {
        return trade.trade_id <= trade_id;
    });
    for (; at < trades_.size() && out.size() < most; ++at) {
        out.push_back({trades_[at], aggregate_of(trades_[at].trade_id)});
    }
    return out;
}

std::optional<tenon_agg_trade> Tape::complete_before(std::int64_t time_ns) {
    return open_ && open_->time_real_ns < time_ns ? complete() : std::nullopt;
}

}  // namespace tenon::market_data
