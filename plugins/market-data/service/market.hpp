// SPDX-License-Identifier: Apache-2.0
// Everything that is known of every instrument's market, from the events of feeds.
//
// Knows no feeds, subscribers or clocks: events and the time are passed in, what happens is passed
// on through one callback. History begins with the first event, or with the candles that are put
// before it. One thread.
#pragma once

#include "plugins/market-data/service/candles.hpp"
#include "plugins/market-data/service/tape.hpp"

#include <tenon/abi/market_data.h>
#include <tenon/depth_book.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace tenon::market_data {

struct MarketSettings {
    std::size_t trades_kept = 10'000;
    std::size_t aggregates_kept = 10'000;
    CandleBounds candles;
};

struct MarketScales {
    int price = 0, quantity = 0, quote = 0;
};

class Market {
public:
    using Publish = std::function<void(const tenon_md_event&)>;

    // An aggregate trade in progress is complete after this time without another trade.
    static constexpr std::int64_t k_aggregate_ns = 100'000'000;

    Market(MarketSettings settings, Publish publish);

    void add_instrument(std::uint32_t id, const MarketScales& scales);
    [[nodiscard]] bool knows(std::uint32_t id) const;

    // An event of an instrument that was not added is ignored.
    void on_event(const tenon_feed_event& event);
    // Completes aggregates that are old enough; true when one is still open.
    bool complete_aggregates(std::int64_t now_real_ns);

    // As tenon.market_data/1 has them.
    tenon_status book(std::uint32_t id, std::uint32_t depth, tenon_book& out) const;
    tenon_status best(std::uint32_t id, tenon_level& bid, tenon_level& ask) const;
    [[nodiscard]] const Tape* tape(std::uint32_t id) const;
    // What was kept of trades before the start, ascending. Trades that a feed sends again are then
    // known. False: it is of another history, whose ids began again since; nothing changed.
    [[nodiscard]] bool put_trades_before(std::uint32_t id, std::span<const TapedTrade> kept);
    tenon_status candles(
        std::uint32_t id,
        const CandleQuery& query,
        std::int64_t now_real_ns,
        const std::function<tenon_status(const tenon_candle&)>& row
    ) const;
    // Null for an instrument that was not added.
    [[nodiscard]] Candles* candles_of(std::uint32_t id);
    tenon_status ticker(std::uint32_t id, std::int64_t now_real_ns, tenon_ticker& out) const;
    tenon_status average_price(
        std::uint32_t id,
        std::uint32_t minutes,
        std::int64_t now_real_ns,
        std::int64_t& price,
        std::int64_t& close_real_ns
    ) const;
    [[nodiscard]] std::uint64_t version(std::uint32_t id) const;

    // 0 before the first event.
    [[nodiscard]] std::int64_t last_event_real_ns(std::uint32_t id) const;
    [[nodiscard]] bool trusted(std::uint32_t id) const;

    // When the newest datum of a TENON_MD_KIND_* was, by its source; 0: there is none.
    [[nodiscard]] std::int64_t newest_real_ns(std::uint32_t id, std::uint32_t kind) const;

    [[nodiscard]] std::uint64_t gaps() const noexcept { return gaps_; }

private:
    struct Instrument {
        Instrument(const MarketSettings& settings, std::uint32_t own_id, const MarketScales& own);

        std::uint32_t id;
        MarketScales scales;
        std::int64_t quote_factor;  // price * quantity to an amount of the quote asset
        DepthBook depth;
        std::uint64_t book_id = 0;  // update id of the book; 0: none yet
        std::int64_t book_real_ns = 0;
        bool trusted = false;
        tenon_level bid{}, ask{};  // the newest known, by update id
        std::uint64_t best_id = 0;
        Tape tape;
        Candles candles;
        std::uint64_t last_trade_id = 0;
        std::int64_t last_trade_real_ns = 0;
        std::int64_t best_real_ns = 0;
        std::uint64_t version = 0;
        std::int64_t last_event_real_ns = 0;
    };

    [[nodiscard]] Instrument* find(std::uint32_t id);
    [[nodiscard]] const Instrument* find(std::uint32_t id) const;
    void on_snapshot(Instrument& instrument, const tenon_feed_event& event);
    void on_diff(Instrument& instrument, const tenon_feed_event& event);
    void on_trade(Instrument& instrument, const tenon_feed_event& event);
    void on_ticker(Instrument& instrument, const tenon_feed_event& event);
    void on_gap(Instrument& instrument, const tenon_feed_event& event);
    void set_best(
        Instrument& instrument,
        tenon_level bid,
        tenon_level ask,
        std::uint64_t update_id,
        const tenon_feed_event* ticker
    );
    void publish(
        std::uint32_t kind,
        const Instrument& instrument,
        const tenon_feed_event* feed,
        const tenon_public_trade* trade = nullptr,
        const tenon_agg_trade* aggregate = nullptr
    ) const;

    MarketSettings settings_;
    Publish publish_;
    std::vector<std::unique_ptr<Instrument>> instruments_;  // by id; null where not added
    std::uint64_t gaps_ = 0;
};

}  // namespace tenon::market_data
