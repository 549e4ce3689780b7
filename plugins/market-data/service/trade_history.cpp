// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/trade_history.hpp"

#include <atomic>
#include <utility>

namespace tenon::market_data {
namespace {

// Some writes between two of them: a busy market makes its number of rows a minute.
constexpr std::int64_t k_prune_every_ns = 60'000'000'000;
constexpr std::int64_t k_last_write_ns = 3'000'000'000;
constexpr std::int64_t k_timeout_ns = 30'000'000'000;

void count(std::uint64_t* cell, std::uint64_t by) noexcept {
    if (cell != nullptr) {
        std::atomic_ref{*cell}.fetch_add(by, std::memory_order_relaxed);
    }
}

}  // namespace

TradeHistory::TradeHistory(
    const Host& host,
    Storage storage,
    Market& market,
    std::chrono::seconds every,
    std::size_t kept
)
    : exec_{host.service<tenon_exec_1>("tenon.exec/1")},
      clock_{host.service<tenon_clock_1>("tenon.clock/1")},
      log_{host.log()},
      store_{std::move(storage)},
      every_{every},
      kept_{kept},
      market_{market} {
    const auto metrics = host.service<tenon_metrics_1>("tenon.metrics/1");
    const auto counter = [&](std::string_view name, std::string_view help) {
        return metrics->counter(metrics.self, str(name), str(help), nullptr, 0);
    };
    written_ = counter("tenon_market_data_trades_written_total", "Trades written to the database");
    restored_ = counter(
        "tenon_market_data_trades_restored_total", "Trades that a start found in the database"
    );
    prune_at_ns_ = now_ns() + k_prune_every_ns;
    JobOptions options;
    options.first_after = std::chrono::nanoseconds{0};
    job_ = tenon::every(
        host, "trades", every_, [this] { round(); }, options
    );
}

void TradeHistory::watch(StoredInstrument instrument) {
    watched_.push_back({std::move(instrument)});
}

void TradeHistory::stop() noexcept {
    job_.stop();
    (void)guard(nullptr, [this] {
        try {
            write_new(now_ns() + k_last_write_ns);
        } catch (const std::exception& error) {
            log_.warn("trades_not_written", {{"reason", error.what()}});
        }
    });
}

std::int64_t TradeHistory::deadline_ns() const {
    return now_ns() + k_timeout_ns;
}

void TradeHistory::round() {
    write_new(deadline_ns());
    if (now_ns() >= prune_at_ns_) {
        prune();
        prune_at_ns_ = now_ns() + k_prune_every_ns;
    }
}

std::vector<TradeHistory::Watched> TradeHistory::watched() {
    std::vector<Watched> copy;
    call_on_reactor(exec_, 0, [&] { copy = watched_; });
    return copy;
}

void TradeHistory::restore(
    std::size_t at,
    const StoredInstrument& instrument,
    std::int64_t deadline_ns
) {
    const std::vector<TapedTrade> kept = store_.read(instrument, kept_, deadline_ns);
    call_on_reactor(exec_, 0, [&] {
        Watched& mine = watched_[at];
        mine.restored = true;
        mine.restarts = market_.tape(instrument.id)->restarts();
        if (!market_.put_trades_before(instrument.id, kept)) {
            --mine.restarts;  // the next write begins afresh
            return;
        }
        mine.written_id = kept.empty() ? 0 : kept.back().trade.trade_id;
    });
    count(restored_, kept.size());
}

TradeHistory::Batch TradeHistory::next_batch(std::size_t at) {
    Batch batch;
    call_on_reactor(exec_, 0, [&] {
        const Watched& mine = watched_[at];
        const Tape& tape = *market_.tape(mine.instrument.id);
        batch.restarts = tape.restarts();
        batch.afresh = batch.restarts != mine.restarts;
        batch.trades = tape.after(batch.afresh ? 0 : mine.written_id, k_trades_a_write);
    });
    return batch;
}

void TradeHistory::write_new(std::int64_t deadline_ns) {
    const std::vector<Watched> all = watched();
    for (std::size_t at = 0; at < all.size(); ++at) {
        if (!all[at].restored) {
            restore(at, all[at].instrument, deadline_ns);
        }
        for (Batch batch = next_batch(at); !batch.trades.empty(); batch = next_batch(at)) {
            store_.write(all[at].instrument, batch.trades, batch.afresh, deadline_ns);
            count(written_, batch.trades.size());
            call_on_reactor(exec_, 0, [&] {
                watched_[at].written_id = batch.trades.back().trade.trade_id;
                watched_[at].restarts = batch.restarts;
            });
            if (batch.trades.size() < k_trades_a_write) {
                break;
            }
        }
    }
}

void TradeHistory::prune() {
    for (const Watched& one : watched()) {
        const std::uint64_t gone = store_.prune(one.instrument.id, kept_, deadline_ns());
        if (gone != 0) {
            log_.debug("trades_pruned", {{"rows", gone}});
        }
    }
}

}  // namespace tenon::market_data
