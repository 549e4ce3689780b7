// SPDX-License-Identifier: Apache-2.0
// The newest trades of one instrument, and the aggregate trades made of them.
//
// An aggregate is a run of consecutive trades of the same price, side and millisecond. It is
// complete when a trade that does not belong to it comes, or when it is old enough
// (`complete_before`). Its id is the one of its last trade, so it is the same after a restart, at
// every server, and for who gets the aggregate from the exchange.
#pragma once

#include "plugins/market-data/service/ring.hpp"

#include <tenon/abi/market_data.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tenon::market_data {

// A trade and the first trade of the aggregate that it is part of; 0: not known.
struct TapedTrade {
    tenon_public_trade trade;
    std::uint64_t agg_id;
};

class Tape {
public:
    Tape(std::size_t trades_kept, std::size_t aggregates_kept)
        : trades_kept_{trades_kept},
          aggregates_kept_{aggregates_kept},
          trades_{trades_kept},
          aggregates_{aggregates_kept} {}

    // The aggregate that this trade completed, if any. Ids that begin again are another history:
    // what was is forgotten.
    std::optional<tenon_agg_trade> add(const tenon_public_trade& trade);

    // The aggregate in progress, when its trades are older than the time.
    std::optional<tenon_agg_trade> complete_before(std::int64_t time_ns);

    // What was kept before the start, ascending: the part of it that is older than what came since.
    // False: it is of another history, whose ids began again since; nothing changed.
    [[nodiscard]] bool put_before(std::span<const TapedTrade> kept);

    // At most `most` trades behind this id, oldest first.
    [[nodiscard]] std::vector<TapedTrade> after(std::uint64_t trade_id, std::size_t most) const;

    // How often the ids began again.
    [[nodiscard]] std::uint64_t restarts() const noexcept { return restarts_; }

    [[nodiscard]] bool has_open() const noexcept { return open_.has_value(); }

    // From this trade on none is missing here; 0: there is none at all.
    [[nodiscard]] std::uint64_t whole_from() const noexcept {
        return trades_.empty() ? 0 : std::max(whole_from_, trades_[0].trade_id);
    }

    // Complete aggregates whose trades are all here: from this position on.
    [[nodiscard]] std::size_t whole_aggregates() const {
        return aggregates_.partition_point([from = whole_from()](const tenon_agg_trade& one) {
            return one.first_trade_id <= from;
        });
    }

    [[nodiscard]] const Ring<tenon_public_trade>& trades() const noexcept { return trades_; }

    // Complete ones only.
    [[nodiscard]] const Ring<tenon_agg_trade>& aggregates() const noexcept { return aggregates_; }

private:
    std::optional<tenon_agg_trade> complete();
    void find_whole();

    [[nodiscard]] std::uint64_t aggregate_of(std::uint64_t trade_id) const;

    std::size_t trades_kept_, aggregates_kept_;
    std::uint64_t restarts_ = 0;
    Ring<tenon_public_trade> trades_;
    Ring<tenon_agg_trade> aggregates_;
    std::optional<tenon_agg_trade> open_;
    std::uint64_t whole_from_ = 0;  // after the newest hole
};

// From the id on, or the newest `limit` with from_id 0; ascending. Stops when `row` fails.
template <class Row>
tenon_status each_trade(
    const Ring<tenon_public_trade>& trades,
    std::uint64_t from_id,
    std::size_t limit,
    Row row
) {
    std::size_t at = trades.size() - std::min(trades.size(), limit);
    if (from_id != 0) {
        at = trades.partition_point([&](const auto& trade) { return trade.trade_id < from_id; });
    }
    for (; at < trades.size() && limit != 0; ++at, --limit) {
        if (const tenon_status status = row(trades[at]); status != TENON_OK) {
            return status;
        }
    }
    return TENON_OK;
}

struct AggregateQuery {
    std::uint64_t from_id = 0;
    std::int64_t start_ns = 0, end_ns = 0;  // inclusive; 0: open
    std::size_t limit = 500;
};

// With from_id or a start the first `limit` from there, else the newest ones before the end.
template <class Row>
tenon_status
each_aggregate(const Ring<tenon_agg_trade>& trades, const AggregateQuery& query, Row row) {
    const auto end = query.end_ns == 0 ? trades.size() : trades.partition_point([&](const auto& t) {
        return t.time_real_ns <= query.end_ns;
    });
    std::size_t at = end - std::min(end, query.limit);
    if (query.from_id != 0 || query.start_ns != 0) {
        at = trades.partition_point([&](const auto& t) {
            return t.agg_id < query.from_id || t.time_real_ns < query.start_ns;
        });
    }
    std::size_t left = query.limit;
    for (; at < end && left != 0; ++at, --left) {
        if (const tenon_status status = row(trades[at]); status != TENON_OK) {
            return status;
        }
    }
    return TENON_OK;
}

}  // namespace tenon::market_data
