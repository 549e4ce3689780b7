// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/candle_history.hpp"

#include "plugins/market-data/service/intervals.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace tenon::market_data {
namespace {

constexpr std::int64_t k_prune_every_ns = 3'600'000'000'000;
constexpr std::int64_t k_last_write_ns = 3'000'000'000;
// New instruments get their candles so soon, however seldom is written.
constexpr std::chrono::seconds k_look{1};

void count(std::uint64_t* cell, std::uint64_t by) noexcept {
    if (cell != nullptr) {
        std::atomic_ref{*cell}.fetch_add(by, std::memory_order_relaxed);
    }
}

[[nodiscard]] const CandleTier& tier_of(const Candles& candles, std::uint32_t interval) {
    return interval == TENON_INTERVAL_1M ? candles.minutes() : candles.hours();
}

}  // namespace

void take_changed(
    const CandleTier& tier,
    std::uint32_t interval,
    std::size_t most,
    CandleMark& mark,
    std::vector<tenon_candle>& out
) {
    const Ring<tenon_candle>& bars = tier.bars();
    std::size_t i = tier.at(mark.open_ns);
    if (i < bars.size() && bars[i].open_real_ns == mark.open_ns &&
        bars[i].trade_count == mark.trades) {
        ++i;
    }
    for (; i < bars.size() && out.size() < most; ++i) {
        out.push_back(bars[i]);
        out.back().interval = interval;
        mark = {bars[i].open_real_ns, bars[i].trade_count};
    }
}

CandleHistory::CandleHistory(
    const Host& host,
    Storage storage,
    Market& market,
    const HistorySettings& settings
)
    : exec_{host.service<tenon_exec_1>("tenon.exec/1")},
      clock_{host.service<tenon_clock_1>("tenon.clock/1")},
      log_{host.log()},
      store_{std::move(storage)},
      settings_{settings},
      market_{market} {
    const auto metrics = host.service<tenon_metrics_1>("tenon.metrics/1");
    const auto counter = [&](std::string_view name, std::string_view help) {
        return metrics->counter(metrics.self, str(name), str(help), nullptr, 0);
    };
    written_ =
        counter("tenon_market_data_candles_written_total", "Candles written to the database");
    restored_ = counter(
        "tenon_market_data_candles_restored_total", "Candles that a start found in the database"
    );
    prune_at_ns_ = now_ns() + k_prune_every_ns;
    JobOptions options;
    options.first_after = std::chrono::nanoseconds{0};
    job_ = every(
        host, "candles", settings_.every, [this] { round(); }, options
    );
}

void CandleHistory::watch(StoredInstrument instrument) {
    watched_.push_back({std::move(instrument), {}, false});
}

void CandleHistory::stop() noexcept {
    job_.stop();
    (void)guard(nullptr, [this] {
        try {
            const std::int64_t deadline_ns = now_ns() + k_last_write_ns;
            restore_new(deadline_ns);
            write_changed(deadline_ns);
        } catch (const std::exception& error) {
            log_.warn("candles_not_written", {{"reason", error.what()}});
        }
    });
}

std::int64_t CandleHistory::deadline_ns() const {
    return now_ns() + std::chrono::nanoseconds{settings_.timeout}.count();
}

void CandleHistory::round() {
    restore_new(deadline_ns());
    if (now_ns() >= write_at_ns_) {
        write_changed(deadline_ns());
        write_at_ns_ = now_ns() + std::chrono::nanoseconds{settings_.every}.count();
    }
    if (now_ns() >= prune_at_ns_) {
        prune();
        prune_at_ns_ = now_ns() + k_prune_every_ns;
    }
}

void CandleHistory::restore_new(std::int64_t deadline_ns) {
    std::vector<std::pair<std::size_t, StoredInstrument>> fresh;
    call_on_reactor(exec_, 0, [&] {
        for (std::size_t i = 0; i < watched_.size(); ++i) {
            if (!watched_[i].restored) {
                fresh.emplace_back(i, watched_[i].instrument);
            }
        }
    });
    for (const auto& [at, instrument] : fresh) {
        restore(at, instrument, deadline_ns);
    }
}

void CandleHistory::restore(
    std::size_t at,
    const StoredInstrument& instrument,
    std::int64_t deadline_ns
) {
    const std::array<std::size_t, k_tiers> limits{settings_.bounds.minutes, settings_.bounds.hours};
    std::array<std::vector<tenon_candle>, k_tiers> kept;
    Marks marks;
    for (std::size_t tier = 0; tier < k_tiers; ++tier) {
        kept[tier] = store_.read(instrument, k_intervals[tier], limits[tier], deadline_ns);
        if (!kept[tier].empty()) {
            marks[tier] = {kept[tier].back().open_real_ns, kept[tier].back().trade_count};
        }
    }
    call_on_reactor(exec_, 0, [&] {
        market_.candles_of(instrument.id)->put_before(kept[0], kept[1]);
        watched_[at].marks = marks;
        watched_[at].restored = true;
    });
    count(restored_, kept[0].size() + kept[1].size());
}

CandleHistory::Batch CandleHistory::changed() {
    Batch batch;
    call_on_reactor(exec_, 0, [&] {
        for (const Watched& watched : watched_) {
            Marks marks = watched.marks;
            const std::size_t before = batch.candles.size();
            if (watched.restored) {
                const Candles& candles = *market_.candles_of(watched.instrument.id);
                for (std::size_t tier = 0; tier < k_tiers; ++tier) {
                    const std::uint32_t interval = k_intervals[tier];
                    const CandleTier& bars = tier_of(candles, interval);
                    take_changed(bars, interval, k_candles_a_write, marks[tier], batch.candles);
                }
            }
            for (std::size_t i = before; i < batch.candles.size(); ++i) {
                batch.candles[i].instrument = watched.instrument.id;
            }
            if (batch.candles.size() != before) {
                batch.instruments.push_back(watched.instrument);
            }
            batch.marks.push_back(marks);
        }
    });
    return batch;
}

void CandleHistory::write_changed(std::int64_t deadline_ns) {
    for (Batch batch = changed(); !batch.candles.empty(); batch = changed()) {
        store_.write(batch.instruments, batch.candles, deadline_ns);
        count(written_, batch.candles.size());
        call_on_reactor(exec_, 0, [&] {
            for (std::size_t i = 0; i < batch.marks.size(); ++i) {
                watched_[i].marks = batch.marks[i];
            }
        });
        if (batch.candles.size() < k_candles_a_write) {
            return;
        }
    }
}

// By time; memory goes by number and may keep older ones of a quiet market until the restart.
void CandleHistory::prune() {
    const std::int64_t now = clock_->now_real_ns(clock_.self);
    const std::array<std::size_t, k_tiers> limits{settings_.bounds.minutes, settings_.bounds.hours};
    for (std::size_t tier = 0; tier < k_tiers; ++tier) {
        const auto kept_ns =
            static_cast<std::int64_t>(limits[tier]) * interval_length(k_intervals[tier]);
        const std::uint64_t gone = store_.prune(k_intervals[tier], now - kept_ns, deadline_ns());
        if (gone != 0) {
            log_.info("candles_pruned", {{"rows", gone}});
        }
    }
}

}  // namespace tenon::market_data
