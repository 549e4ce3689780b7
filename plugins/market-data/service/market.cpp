// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/market.hpp"

#include <tenon/decimal.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <limits>
#include <span>

namespace tenon::market_data {
namespace {

[[nodiscard]] std::int64_t clamp(Int128 value) {
    return fits_int64(value) ? static_cast<std::int64_t>(value)
                             : std::numeric_limits<std::int64_t>::max();
}

[[nodiscard]] tenon_level first_of(const tenon_level* levels, std::uint32_t count) {
    return count != 0 ? levels[0] : tenon_level{};
}

[[nodiscard]] bool same(const tenon_level& a, const tenon_level& b) {
    return a.price == b.price && a.quantity == b.quantity;
}

// quote_volume / volume in price units, rounded half up; 0 without volume.
[[nodiscard]] std::int64_t
average(std::int64_t quote_volume, std::int64_t volume, std::int64_t quote_factor) {
    if (volume == 0) {
        return 0;
    }
    const Int128 divisor = Int128{volume} * quote_factor;
    return clamp((Int128{quote_volume} + divisor / 2) / divisor);
}

}  // namespace

Market::Instrument::Instrument(
    const MarketSettings& settings,
    std::uint32_t own_id,
    const MarketScales& own
)
    : id{own_id},
      scales{own},
      quote_factor{power_of_ten(own.quote - own.price - own.quantity)},
      tape{settings.trades_kept, settings.aggregates_kept},
      candles{settings.candles} {}

Market::Market(MarketSettings settings, Publish publish)
    : settings_{settings}, publish_{std::move(publish)} {}

void Market::add_instrument(std::uint32_t id, const MarketScales& scales) {
    if (scales.quote < scales.price + scales.quantity) {
        throw Error{
            TENON_INVALID,
            "instrument " + std::to_string(id) +
                ": the quote asset has fewer decimals than price and quantity"};
    }
    if (instruments_.size() <= id) {
        instruments_.resize(id + std::size_t{1});
    }
    instruments_[id] = std::make_unique<Instrument>(settings_, id, scales);
}

Candles* Market::candles_of(std::uint32_t id) {
    Instrument* const instrument = find(id);
    return instrument == nullptr ? nullptr : &instrument->candles;
}

Market::Instrument* Market::find(std::uint32_t id) {
    return id < instruments_.size() ? instruments_[id].get() : nullptr;
}

const Market::Instrument* Market::find(std::uint32_t id) const {
    return id < instruments_.size() ? instruments_[id].get() : nullptr;
}

bool Market::knows(std::uint32_t id) const {
    return find(id) != nullptr;
}

void Market::publish(
    std::uint32_t kind,
    const Instrument& instrument,
    const tenon_feed_event* feed,
    const tenon_public_trade* trade,
    const tenon_agg_trade* aggregate
) const {
    tenon_md_event event{};
    event.size = sizeof event;
    event.kind = kind;
    event.instrument = instrument.id;
    event.feed = feed;
    event.trade = trade;
    event.agg = aggregate;
    publish_(event);
}

void Market::on_event(const tenon_feed_event& event) {
    Instrument* const instrument = find(event.instrument);
    if (instrument == nullptr) {
        return;
    }
    ++instrument->version;
    instrument->last_event_real_ns = std::max(instrument->last_event_real_ns, event.event_real_ns);
    switch (event.kind) {
        case TENON_FEED_SNAPSHOT:
            on_snapshot(*instrument, event);
            break;
        case TENON_FEED_DIFF:
            on_diff(*instrument, event);
            break;
        case TENON_FEED_TRADE:
            on_trade(*instrument, event);
            break;
        case TENON_FEED_BOOK_TICKER:
            on_ticker(*instrument, event);
            break;
        case TENON_FEED_GAP:
            on_gap(*instrument, event);
            break;
        default:
            break;  // a kind that a later feed may send
    }
}

void Market::on_snapshot(Instrument& instrument, const tenon_feed_event& event) {
    instrument.depth.assign({event.bids, event.bid_count}, {event.asks, event.ask_count});
    instrument.book_id = event.last_update_id;
    instrument.book_real_ns = event.event_real_ns;
    instrument.trusted = true;
    publish(TENON_MD_BOOK, instrument, &event);
    // A snapshot starts afresh: its ids need not follow those before.
    instrument.best_id = 0;
    set_best(
        instrument,
        instrument.depth.best_bid(),
        instrument.depth.best_ask(),
        instrument.book_id,
        nullptr
    );
}

void Market::on_diff(Instrument& instrument, const tenon_feed_event& event) {
    if (!instrument.trusted || event.last_update_id <= instrument.book_id) {
        return;
    }
    if (event.first_update_id != instrument.book_id + 1) {
        on_gap(instrument, event);
        return;
    }
    instrument.depth.apply({event.bids, event.bid_count}, {event.asks, event.ask_count});
    instrument.book_id = event.last_update_id;
    instrument.book_real_ns = event.event_real_ns;
    publish(TENON_MD_BOOK, instrument, &event);
    set_best(
        instrument,
        instrument.depth.best_bid(),
        instrument.depth.best_ask(),
        instrument.book_id,
        nullptr
    );
}

void Market::on_gap(Instrument& instrument, const tenon_feed_event& event) {
    if (instrument.trusted) {
        ++gaps_;
    }
    instrument.trusted = false;
    publish(TENON_MD_GAP, instrument, &event);
}

void Market::on_ticker(Instrument& instrument, const tenon_feed_event& event) {
    set_best(
        instrument,
        first_of(event.bids, event.bid_count),
        first_of(event.asks, event.ask_count),
        event.last_update_id,
        &event
    );
}

void Market::set_best(
    Instrument& instrument,
    tenon_level bid,
    tenon_level ask,
    std::uint64_t update_id,
    const tenon_feed_event* ticker
) {
    if (update_id < instrument.best_id) {
        return;  // the book's diffs come later than the tickers of the same changes
    }
    instrument.best_id = update_id;
    instrument.best_real_ns = ticker != nullptr ? ticker->event_real_ns : instrument.book_real_ns;
    if (same(bid, instrument.bid) && same(ask, instrument.ask)) {
        return;
    }
    instrument.bid = bid;
    instrument.ask = ask;
    publish(TENON_MD_BEST, instrument, ticker);
}

void Market::on_trade(Instrument& instrument, const tenon_feed_event& event) {
    // A lower id is a trade that is known, unless it is later: then the source numbers anew.
    const bool known = event.trade_id <= instrument.last_trade_id &&
                       event.event_real_ns <= instrument.last_trade_real_ns;
    if (known || event.price <= 0 || event.quantity <= 0) {
        return;
    }
    instrument.last_trade_id = event.trade_id;
    instrument.last_trade_real_ns = event.event_real_ns;
    auto trade = sized<tenon_public_trade>();
    trade.trade_id = event.trade_id;
    trade.price = event.price;
    trade.quantity = event.quantity;
    // The largest product is below 2^126: a factor of 10^18 may leave even 128 bits.
    const std::int64_t product = clamp(Int128{event.price} * event.quantity);
    trade.quote_amount = clamp(Int128{product} * instrument.quote_factor);
    trade.time_real_ns = event.event_real_ns;
    trade.buyer_is_maker = event.buyer_is_maker;
    trade.instrument = instrument.id;
    const auto done = instrument.tape.add(trade);
    instrument.candles.add(trade);
    if (done) {
        publish(TENON_MD_AGG, instrument, nullptr, nullptr, &*done);
    }
    publish(TENON_MD_TRADE, instrument, &event, &trade);
}

bool Market::complete_aggregates(std::int64_t now_real_ns) {
    bool open = false;
    for (const auto& instrument : instruments_) {
        if (!instrument) {
            continue;
        }
        const std::int64_t now = std::max(now_real_ns, instrument->last_event_real_ns);
        if (const auto done = instrument->tape.complete_before(now - k_aggregate_ns)) {
            ++instrument->version;
            publish(TENON_MD_AGG, *instrument, nullptr, nullptr, &*done);
        }
        open = open || instrument->tape.has_open();
    }
    return open;
}

tenon_status Market::book(std::uint32_t id, std::uint32_t depth, tenon_book& out) const {
    const Instrument* const instrument = find(id);
    if (instrument == nullptr || instrument->book_id == 0) {
        return TENON_NOT_FOUND;
    }
    const auto shown = [&](std::size_t have) {
        const auto count = static_cast<std::uint32_t>(have);
        return depth == 0 ? count : std::min(count, depth);
    };
    const auto bids = instrument->depth.bids();
    const auto asks = instrument->depth.asks();
    out.instrument = id;
    out.last_update_id = instrument->book_id;
    out.updated_real_ns = instrument->book_real_ns;
    out.bids = bids.data();
    out.asks = asks.data();
    out.bid_count = shown(bids.size());
    out.ask_count = shown(asks.size());
    out.trusted = instrument->trusted ? 1 : 0;
    return TENON_OK;
}

tenon_status Market::best(std::uint32_t id, tenon_level& bid, tenon_level& ask) const {
    const Instrument* const instrument = find(id);
    if (instrument == nullptr || instrument->best_id == 0) {
        return TENON_NOT_FOUND;
    }
    bid = instrument->bid;
    ask = instrument->ask;
    return TENON_OK;
}

const Tape* Market::tape(std::uint32_t id) const {
    const Instrument* const instrument = find(id);
    return instrument != nullptr ? &instrument->tape : nullptr;
}

bool Market::put_trades_before(std::uint32_t id, std::span<const TapedTrade> kept) {
    Instrument& instrument = *find(id);
    if (!instrument.tape.put_before(kept)) {
        return false;
    }
    if (!kept.empty() && kept.back().trade.trade_id > instrument.last_trade_id) {
        instrument.last_trade_id = kept.back().trade.trade_id;
        instrument.last_trade_real_ns = kept.back().trade.time_real_ns;
    }
    return true;
}

tenon_status Market::candles(
    std::uint32_t id,
    const CandleQuery& query,
    std::int64_t now_real_ns,
    const std::function<tenon_status(const tenon_candle&)>& row
) const {
    const Instrument* const instrument = find(id);
    if (instrument == nullptr) {
        return TENON_NOT_FOUND;
    }
    if (query.interval >= TENON_INTERVAL_COUNT) {
        return TENON_INVALID;
    }
    return instrument->candles.query(query, now_real_ns, [&](const tenon_candle& candle) {
        tenon_candle mine = candle;
        mine.instrument = id;
        return row(mine);
    });
}

tenon_status Market::ticker(std::uint32_t id, std::int64_t now_real_ns, tenon_ticker& out) const {
    const Instrument* const instrument = find(id);
    if (instrument == nullptr || instrument->version == 0) {
        return TENON_NOT_FOUND;
    }
    const std::uint32_t size = out.size;
    out = {};
    out.size = size;
    out.instrument = id;
    out.updated_real_ns = instrument->last_event_real_ns;
    out.close_real_ns = std::max(now_real_ns, instrument->last_event_real_ns);
    out.open_real_ns = out.close_real_ns - std::int64_t{86'400} * 1'000'000'000;
    out.bid = instrument->bid.price;
    out.bid_quantity = instrument->bid.quantity;
    out.ask = instrument->ask.price;
    out.ask_quantity = instrument->ask.quantity;
    const auto day = instrument->candles.day(out.close_real_ns);
    if (!day) {
        return TENON_OK;
    }
    out.open_real_ns = day->open_ns;
    out.open = day->open;
    out.high = day->high;
    out.low = day->low;
    out.last = day->close;
    // Candles may have come back at a start without a trade.
    const Ring<tenon_public_trade>& trades = instrument->tape.trades();
    out.last_quantity = trades.empty() ? 0 : trades.back().quantity;
    out.previous_close = day->previous_close;
    out.price_change = out.last - out.open;
    out.price_change_ppm = clamp(Int128{out.price_change} * 1'000'000 / out.open);
    out.weighted_average = average(day->quote_volume, day->volume, instrument->quote_factor);
    out.volume = day->volume;
    out.quote_volume = day->quote_volume;
    out.first_trade_id = day->first_trade_id;
    out.last_trade_id = day->last_trade_id;
    out.trade_count = day->trade_count;
    return TENON_OK;
}

tenon_status Market::average_price(
    std::uint32_t id,
    std::uint32_t minutes,
    std::int64_t now_real_ns,
    std::int64_t& price,
    std::int64_t& close_real_ns
) const {
    const Instrument* const instrument = find(id);
    if (instrument == nullptr || instrument->tape.trades().empty()) {
        return TENON_NOT_FOUND;
    }
    const tenon_public_trade& last = instrument->tape.trades().back();
    const std::int64_t now = std::max(now_real_ns, instrument->last_event_real_ns);
    const WindowStatistics sum = instrument->candles.recent(minutes, now);
    price = sum.volume != 0 ? average(sum.quote_volume, sum.volume, instrument->quote_factor)
                            : last.price;
    close_real_ns = last.time_real_ns;
    return TENON_OK;
}

std::uint64_t Market::version(std::uint32_t id) const {
    const Instrument* const instrument = find(id);
    return instrument != nullptr ? instrument->version : 0;
}

std::int64_t Market::last_event_real_ns(std::uint32_t id) const {
    const Instrument* const instrument = find(id);
    return instrument != nullptr ? instrument->last_event_real_ns : 0;
}

bool Market::trusted(std::uint32_t id) const {
    const Instrument* const instrument = find(id);
    return instrument != nullptr && instrument->trusted;
}

std::int64_t Market::newest_real_ns(std::uint32_t id, std::uint32_t kind) const {
    const Instrument* const instrument = find(id);
    if (instrument == nullptr) {
        return 0;
    }
    const Ring<tenon_agg_trade>& aggregates = instrument->tape.aggregates();
    const Ring<tenon_candle>& minutes = instrument->candles.minutes().bars();
    switch (kind) {
        case TENON_MD_KIND_BOOK:
            return instrument->book_real_ns;
        case TENON_MD_KIND_BEST:
            return instrument->best_real_ns;
        case TENON_MD_KIND_TRADES:
            return instrument->last_trade_real_ns;
        case TENON_MD_KIND_AGG_TRADES:
            return aggregates.empty() ? 0 : aggregates.back().time_real_ns;
        case TENON_MD_KIND_CANDLES:
            // A candle of before a restart tells its trades' times to the minute.
            return std::max(
                instrument->last_trade_real_ns, minutes.empty() ? 0 : minutes.back().open_real_ns
            );
        case TENON_MD_KIND_TICKER:
            return std::max(instrument->last_trade_real_ns, instrument->best_real_ns);
        default:
            return 0;
    }
}

}  // namespace tenon::market_data
