// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/candles.hpp"

#include "plugins/market-data/service/intervals.hpp"

#include <tenon/structs.hpp>

#include <algorithm>
#include <limits>

namespace tenon::market_data {
namespace {

void merge(tenon_candle& into, const tenon_candle& bar) {
    if (into.trade_count == 0) {
        into.open = bar.open;
        into.high = bar.high;
        into.low = bar.low;
        into.first_trade_id = bar.first_trade_id;
    }
    into.high = std::max(into.high, bar.high);
    into.low = std::min(into.low, bar.low);
    into.close = bar.close;
    into.volume = saturating_add(into.volume, bar.volume);
    into.quote_volume = saturating_add(into.quote_volume, bar.quote_volume);
    into.taker_buy_volume = saturating_add(into.taker_buy_volume, bar.taker_buy_volume);
    into.taker_buy_quote_volume =
        saturating_add(into.taker_buy_quote_volume, bar.taker_buy_quote_volume);
    into.trade_count += bar.trade_count;
    into.last_trade_id = bar.last_trade_id;
}

void merge(WindowStatistics& into, const tenon_candle& bar) {
    if (into.trade_count == 0) {
        into.open = bar.open;
        into.high = bar.high;
        into.low = bar.low;
        into.first_trade_id = bar.first_trade_id;
    }
    into.high = std::max(into.high, bar.high);
    into.low = std::min(into.low, bar.low);
    into.close = bar.close;
    into.volume = saturating_add(into.volume, bar.volume);
    into.quote_volume = saturating_add(into.quote_volume, bar.quote_volume);
    into.trade_count += bar.trade_count;
    into.last_trade_id = bar.last_trade_id;
}

[[nodiscard]] tenon_candle
flat(std::int64_t open_ns, std::int64_t next_open_ns, std::int64_t price) {
    auto candle = sized<tenon_candle>();
    candle.open_real_ns = open_ns;
    candle.close_real_ns = next_open_ns - 1;
    candle.open = candle.high = candle.low = candle.close = price;
    return candle;
}

}  // namespace

std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

void CandleTier::add(const tenon_public_trade& trade) {
    const std::int64_t open = trade.time_real_ns / length_ns_ * length_ns_;
    tenon_candle bar = flat(open, open + length_ns_, trade.price);
    bar.volume = trade.quantity;
    bar.quote_volume = trade.quote_amount;
    if (trade.buyer_is_maker == 0) {
        bar.taker_buy_volume = trade.quantity;
        bar.taker_buy_quote_volume = trade.quote_amount;
    }
    bar.trade_count = 1;
    bar.first_trade_id = bar.last_trade_id = trade.trade_id;
    if (bars_.empty() || trade.trade_id != bars_.back().last_trade_id + 1) {
        // Trades before this one are missing, of this bar or of the ones between.
        whole_from_ = open + length_ns_;
    }
    if (bars_.empty() || bars_.back().open_real_ns < open) {
        bars_.push(bar);
    } else {
        merge(bars_.back(), bar);
    }
}

void CandleTier::put_before(std::span<const tenon_candle> kept) {
    Ring<tenon_candle> bars{kept_};
    const std::int64_t first =
        bars_.empty() ? std::numeric_limits<std::int64_t>::max() : bars_[0].open_real_ns;
    for (const tenon_candle& bar : kept) {
        if (bar.open_real_ns <= first) {
            bars.push(bar);
        }
    }
    for (std::size_t i = 0; i < bars_.size(); ++i) {
        if (i == 0 && !bars.empty() && bars.back().open_real_ns == first) {
            merge(bars.back(), bars_[0]);
        } else {
            bars.push(bars_[i]);
        }
    }
    bars_ = std::move(bars);
    find_whole();
}

void CandleTier::find_whole() {
    for (std::size_t i = 0; i < bars_.size(); ++i) {
        const tenon_candle& bar = bars_[i];
        const bool joins = i != 0 && bar.first_trade_id == bars_[i - 1].last_trade_id + 1;
        if (!joins || bar.last_trade_id - bar.first_trade_id + 1 != bar.trade_count) {
            whole_from_ = bars_[i].open_real_ns + length_ns_;
        }
    }
}

std::int64_t CandleTier::whole_from() const {
    return bars_.empty() ? std::numeric_limits<std::int64_t>::max()
                         : std::max(whole_from_, bars_[0].open_real_ns);
}

std::size_t CandleTier::at(std::int64_t open_ns) const {
    return bars_.partition_point([&](const tenon_candle& bar) { return bar.open_real_ns < open_ns; }
    );
}

Candles::Candles(const CandleBounds& bounds)
    : seconds_{k_second_ns, bounds.seconds},
      minutes_{k_minute_ns, bounds.minutes},
      hours_{k_hour_ns, bounds.hours},
      bounds_{bounds} {}

void Candles::add(const tenon_public_trade& trade) {
    seconds_.add(trade);
    minutes_.add(trade);
    hours_.add(trade);
}

void Candles::put_before(
    std::span<const tenon_candle> minutes,
    std::span<const tenon_candle> hours
) {
    minutes_.put_before(minutes);
    hours_.put_before(hours);
    closed_ = {};
}

std::int64_t Candles::whole_from(std::uint32_t interval, std::int64_t offset_ns) const {
    CandleQuery query;
    query.interval = interval;
    query.offset_ns = offset_ns;
    const std::int64_t from = tier_for(query).whole_from();
    if (from == std::numeric_limits<std::int64_t>::max()) {
        return from;
    }
    const std::int64_t open = candle_open(interval, from, offset_ns);
    return open < from ? candle_step(interval, open, 1, offset_ns) : open;
}

const CandleTier& Candles::tier_for(const CandleQuery& query) const {
    if (query.interval == TENON_INTERVAL_1S) {
        return seconds_;
    }
    const bool hourly = query.interval >= TENON_INTERVAL_1H && query.offset_ns % k_hour_ns == 0;
    return hourly ? hours_ : minutes_;
}

tenon_status Candles::query(
    const CandleQuery& query,
    std::int64_t now_ns,
    const std::function<tenon_status(const tenon_candle&)>& row
) const {
    const Ring<tenon_candle>& bars = tier_for(query).bars();
    if (bars.empty() || query.limit == 0) {
        return TENON_OK;
    }
    const auto open_of = [&](std::int64_t time) {
        return candle_open(query.interval, time, query.offset_ns);
    };
    const auto step = [&](std::int64_t open, std::int64_t steps) {
        return candle_step(query.interval, open, steps, query.offset_ns);
    };
    std::int64_t last = open_of(std::max(now_ns, bars.back().open_real_ns));
    if (query.end_ns > 0) {
        last = std::min(last, open_of(query.end_ns));
    }
    std::int64_t first = open_of(bars[0].open_real_ns);
    if (query.start_ns > 0) {
        const std::int64_t open = open_of(query.start_ns);
        first = std::max(first, open < query.start_ns ? step(open, 1) : open);
    } else {
        // Never further back than there are candles: a large limit must not leave 64 bits.
        const std::int64_t length = interval_length(query.interval);
        const std::int64_t between =
            std::max<std::int64_t>(last - first, 0) / (length != 0 ? length : 28 * k_day_ns);
        const std::int64_t back = std::min(std::int64_t{query.limit} - 1, between);
        first = std::max(first, step(last, -back));
    }
    std::size_t next = tier_for(query).at(first);
    std::int64_t price = next > 0 ? bars[next - 1].close : bars[0].open;
    std::uint32_t rows = 0;
    for (std::int64_t open = first; open <= last && rows < query.limit; ++rows) {
        const std::int64_t following = step(open, 1);
        tenon_candle candle = flat(open, following, price);
        candle.interval = query.interval;
        for (; next < bars.size() && bars[next].open_real_ns < following; ++next) {
            merge(candle, bars[next]);
        }
        price = candle.close;
        if (const tenon_status status = row(candle); status != TENON_OK) {
            return status;
        }
        open = following;
    }
    return TENON_OK;
}

std::optional<WindowStatistics> Candles::day(std::int64_t now_ns) const {
    const Ring<tenon_candle>& bars = minutes_.bars();
    if (bars.empty()) {
        return std::nullopt;
    }
    const std::int64_t window = (now_ns - k_day_ns) / k_minute_ns * k_minute_ns;
    const std::int64_t newest = bars.back().open_real_ns;
    if (closed_.window_open_ns != window || closed_.newest_open_ns != newest) {
        closed_ = {window, newest, {}};
        const std::size_t first = minutes_.at(window);
        closed_.sum.previous_close = first > 0 ? bars[first - 1].close : bars[0].open;
        for (std::size_t i = first; i + 1 < bars.size(); ++i) {
            merge(closed_.sum, bars[i]);
        }
    }
    WindowStatistics sum = closed_.sum;
    sum.open_ns = window;
    if (newest >= window) {
        merge(sum, bars.back());
    } else {
        sum.open = sum.high = sum.low = sum.close = bars.back().close;
    }
    return sum;
}

WindowStatistics Candles::recent(std::uint32_t minutes, std::int64_t now_ns) const {
    const bool by_second = std::size_t{minutes} * 60 <= bounds_.seconds;
    const CandleTier& tier = by_second ? seconds_ : minutes_;
    const std::int64_t unit = by_second ? k_second_ns : k_minute_ns;
    WindowStatistics sum;
    sum.open_ns = (now_ns - std::int64_t{minutes} * k_minute_ns) / unit * unit;
    const Ring<tenon_candle>& bars = tier.bars();
    for (std::size_t i = tier.at(sum.open_ns); i < bars.size(); ++i) {
        merge(sum, bars[i]);
    }
    return sum;
}

}  // namespace tenon::market_data
