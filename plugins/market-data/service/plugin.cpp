// SPDX-License-Identifier: Apache-2.0
// tenon.market-data.service: settings, feeds, subscribers, the contract's table.
#include "plugins/market-data/service/candle_history.hpp"
#include "plugins/market-data/service/history_reads.hpp"
#include "plugins/market-data/service/settings.hpp"
#include "plugins/market-data/service/trade_history.hpp"

#include <tenon/abi/host.h>
#include <tenon/abi/instruments.h>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tenon::market_data {
namespace {

constexpr std::int64_t k_second = 1'000'000'000;
constexpr std::int64_t k_check_ns = 5 * k_second;

class MarketDataPlugin : public Plugin {
public:
    explicit MarketDataPlugin(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.market_data/1", this, &k_table);
    }

    void configure(std::string_view json, bool dry_run) override;
    void start() override;
    void stop() noexcept override;

private:
    struct Feed {
        MarketDataPlugin* plugin;
        Service<tenon_feed_1> service;
        std::string name;
        bool quiet;
        std::uint64_t handle;
        std::unique_ptr<HistoryCalls> history;  // none: it does not tell what was before
    };

    struct Subscriber {
        std::uint64_t handle;
        std::uint32_t kinds;
        void* ctx;
        void (*fn)(void* ctx, const tenon_md_event*);
    };

    struct Watched {  // one instrument
        const Feed* feed = nullptr;
        std::string symbol;
        StoredInstrument stored;
        std::int64_t* age = nullptr;
        bool stale = false;
        std::int64_t received_ns = 0;  // monotonic; 0: nothing yet
    };

    static MarketDataPlugin& of(void* self) noexcept {
        return *static_cast<MarketDataPlugin*>(self);
    }

    void find_feeds();
    [[nodiscard]] Watched* watched(std::uint32_t id, const Feed& from);
    void on_feed(const Feed& feed, const tenon_feed_event& event);
    void publish(const tenon_md_event& event) const;
    void arm_aggregates();
    void check_health();
    void update_ages();
    [[nodiscard]] bool is_silent(const Watched& instrument) const;
    tenon_status tell_origin(std::uint32_t id, std::uint32_t kind, tenon_md_origin* out) const;
    std::uint64_t ask_history(const tenon_history_query& query, tenon_history_done done);

    [[nodiscard]] std::int64_t now_real() const { return clock_->now_real_ns(clock_.self); }

    static tenon_status
    book(void* self, std::uint32_t id, std::uint32_t depth, tenon_book* out) noexcept {
        return of(self).market_->book(id, depth, *out);
    }

    static tenon_status
    best(void* self, std::uint32_t id, tenon_level* bid, tenon_level* ask) noexcept {
        return of(self).market_->best(id, *bid, *ask);
    }

    static tenon_status trades(
        void* self,
        std::uint32_t id,
        std::uint64_t from_id,
        std::uint32_t limit,
        void* ctx,
        tenon_status (*row)(void*, const tenon_public_trade*)
    ) noexcept;
    static tenon_status agg_trades(
        void* self,
        std::uint32_t id,
        std::uint64_t from_id,
        std::int64_t start_real_ns,
        std::int64_t end_real_ns,
        std::uint32_t limit,
        void* ctx,
        tenon_status (*row)(void*, const tenon_agg_trade*)
    ) noexcept;

    static tenon_status candles(
        void* self,
        std::uint32_t id,
        std::uint32_t interval,
        std::int64_t start_real_ns,
        std::int64_t end_real_ns,
        std::int64_t offset_ns,
        std::uint32_t limit,
        void* ctx,
        tenon_status (*row)(void*, const tenon_candle*)
    ) noexcept {
        return guard(nullptr, [&] {
            return of(self).market_->candles(
                id,
                {interval, start_real_ns, end_real_ns, offset_ns, limit},
                of(self).now_real(),
                [&](const tenon_candle& candle) { return row(ctx, &candle); }
            );
        });
    }

    static tenon_status ticker(void* self, std::uint32_t id, tenon_ticker* out) noexcept {
        return guard(nullptr, [&] {
            return of(self).market_->ticker(id, of(self).now_real(), *out);
        });
    }

    static tenon_status average_price(
        void* self,
        std::uint32_t id,
        std::uint32_t minutes,
        std::int64_t* price,
        std::int64_t* close_real_ns
    ) noexcept {
        return guard(nullptr, [&] {
            return of(self).market_->average_price(
                id, minutes, of(self).now_real(), *price, *close_real_ns
            );
        });
    }

    static std::uint64_t version(void* self, std::uint32_t id) noexcept {
        return of(self).market_->version(id);
    }

    static tenon_status subscribe(
        void* self,
        std::uint32_t kinds,
        void* ctx,
        void (*fn)(void*, const tenon_md_event*),
        std::uint64_t* handle
    ) noexcept {
        return guard(nullptr, [&] {
            MarketDataPlugin& mine = of(self);
            call_on_reactor(mine.exec_, 0, [&] {
                *handle = mine.next_handle_++;
                mine.subscribers_.push_back({*handle, kinds, ctx, fn});
            });
        });
    }

    static void unsubscribe(void* self, std::uint64_t handle) noexcept {
        (void)guard(nullptr, [&] {
            MarketDataPlugin& mine = of(self);
            call_on_reactor(mine.exec_, 0, [&] {
                std::erase_if(mine.subscribers_, [&](const Subscriber& have) {
                    return have.handle == handle;
                });
            });
        });
    }

    static tenon_status
    origin(void* self, std::uint32_t id, std::uint32_t kind, tenon_md_origin* out) noexcept {
        return guard(nullptr, [&] { return of(self).tell_origin(id, kind, out); });
    }

    static tenon_status history(
        void* self,
        const tenon_history_query* query,
        tenon_history_done done,
        std::uint64_t* handle,
        tenon_err* err
    ) noexcept {
        return guard(err, [&]() -> tenon_status {
            auto asked = sized<tenon_history_query>();
            copy_out(*query, &asked);
            *handle = of(self).ask_history(asked, done);
            return *handle == 0 ? TENON_OK : TENON_PENDING;
        });
    }

    static void cancel_history(void* self, std::uint64_t handle) noexcept {
        if (of(self).reads_) {
            of(self).reads_->cancel(handle);
        }
    }

    static constexpr tenon_market_data_1 k_table{
        sizeof(tenon_market_data_1),
        0,
        &book,
        &best,
        &trades,
        &agg_trades,
        &candles,
        &ticker,
        &average_price,
        &version,
        &subscribe,
        &unsubscribe,
        &origin,
        &history,
        &cancel_history};

    ServiceSettings settings_;
    std::int64_t stale_after_ns_ = 0;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    Service<tenon_metrics_1> metrics_;
    Service<tenon_instruments_1> instruments_;
    Log log_;
    EventMetrics counts_;
    std::uint64_t published_gaps_ = 0;
    std::deque<Feed> feeds_;
    // Reactor 0's from here on.
    std::unique_ptr<Market> market_;
    std::map<std::uint32_t, Watched> watched_;
    std::vector<Subscriber> subscribers_;
    std::uint64_t next_handle_ = 1;
    std::unique_ptr<CandleHistory> history_;       // none without a database
    std::unique_ptr<TradeHistory> trade_history_;  // likewise
    std::unique_ptr<HistoryReads> reads_;          // while started
    std::uint64_t aggregate_timer_ = 0;
    std::uint64_t check_timer_ = 0;
};

void MarketDataPlugin::configure(std::string_view json, bool dry_run) {
    ServiceSettings settings = read_settings(json);
    if (dry_run) {
        return;
    }
    if (reads_) {
        call_on_reactor(exec_, 0, [&] {
            stale_after_ns_ = settings.stale_after_ns;
            reads_->set(settings.history_from_database, settings.join_reads);
        });
    } else {
        stale_after_ns_ = settings.stale_after_ns;
    }
    settings_ = std::move(settings);
}

void MarketDataPlugin::find_feeds() {
    feeds_.clear();
    const auto services = host().service<tenon_services_1>("tenon.services/1");
    const auto row = [](void* ctx, tenon_str instance, tenon_iface iface) noexcept {
        return guard(nullptr, [&] {
            auto& plugin = *static_cast<MarketDataPlugin*>(ctx);
            const std::string name{view(instance)};
            const auto& quiet = plugin.settings_.quiet_feeds;
            const auto feed = service_from<tenon_feed_1>(iface);
            std::unique_ptr<HistoryCalls> calls;
            if (TENON_HAS(feed.table, tenon_feed_1, fetch) &&
                TENON_HAS(feed.table, tenon_feed_1, cancel_fetch)) {
                calls = std::make_unique<HistoryCalls>(feed.self, feed->fetch, feed->cancel_fetch);
            }
            const bool is_quiet = std::find(quiet.begin(), quiet.end(), name) != quiet.end();
            plugin.feeds_.push_back({&plugin, feed, name, is_quiet, 0, std::move(calls)});
        });
    };
    const tenon_status status = services->each(services.self, str("tenon.feed/1"), this, row);
    if (status != TENON_OK && status != TENON_NOT_FOUND) {
        throw Error{status, "the feeds cannot be listed"};
    }
}

void MarketDataPlugin::start() {
    exec_ = host().service<tenon_exec_1>("tenon.exec/1");
    clock_ = host().service<tenon_clock_1>("tenon.clock/1");
    health_ = host().service<tenon_health_1>("tenon.health/1");
    metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
    instruments_ = host().require<tenon_instruments_1>("tenon.instruments/1");
    log_ = host().log();
    counts_ = make_event_metrics(host());
    find_feeds();
    published_gaps_ = 0;
    call_on_reactor(exec_, 0, [this] {
        market_ = std::make_unique<Market>(settings_.market, [this](const tenon_md_event& event) {
            publish(event);
        });
        watched_.clear();
        check_health();
    });
    const auto storage = host().find<tenon_storage_1>("tenon.storage/1");
    if (storage && settings_.history_every.count() != 0) {
        HistorySettings history;
        history.every = settings_.history_every;
        history.bounds = settings_.market.candles;
        history_ = std::make_unique<CandleHistory>(host(), Storage{storage}, *market_, history);
        trade_history_ = std::make_unique<TradeHistory>(
            host(), Storage{storage}, *market_, history.every, settings_.market.trades_kept
        );
    }
    reads_ = std::make_unique<HistoryReads>(
        host(),
        storage && settings_.history_every.count() != 0 ? std::optional{Storage{storage}}
                                                        : std::nullopt,
        *market_,
        settings_.history_rows_kept
    );
    reads_->set(settings_.history_from_database, settings_.join_reads);
    for (Feed& feed : feeds_) {
        const auto fn = [](void* ctx, const tenon_feed_event* event) noexcept {
            (void)guard(nullptr, [&] {
                const Feed& from = *static_cast<const Feed*>(ctx);
                from.plugin->on_feed(from, *event);
            });
        };
        const tenon_status status =
            feed.service->subscribe(feed.service.self, &feed, fn, &feed.handle);
        if (status != TENON_OK) {
            throw Error{status, "feed " + feed.name + " refuses to be listened to"};
        }
    }
    // So that what is kept of them is there before their first event, which may be long in coming.
    call_on_reactor(exec_, 0, [this] {
        for (const Feed& feed : feeds_) {
            const std::uint32_t count = instruments_->instrument_count(instruments_.self);
            for (std::uint32_t id = 0; feed.history && id < count; ++id) {
                (void)watched(id, feed);
            }
        }
    });
    log_.info("market_data_started", {{"feeds", feeds_.size()}});
}

void MarketDataPlugin::stop() noexcept {
    (void)guard(nullptr, [&] {
        for (Feed& feed : feeds_) {
            if (feed.handle != 0) {
                feed.service->unsubscribe(feed.service.self, feed.handle);
                feed.handle = 0;
            }
        }
        if (!exec_) {
            return;
        }
        if (reads_) {
            reads_->stop();
            call_on_reactor(exec_, 0, [this] {
                reads_.reset();
                for (Feed& feed : feeds_) {
                    feed.history.reset();
                }
            });
        }
        if (history_) {
            history_->stop();
            history_.reset();
        }
        if (trade_history_) {
            trade_history_->stop();
            trade_history_.reset();
        }
        call_on_reactor(exec_, 0, [this] {
            for (std::uint64_t* timer : {&aggregate_timer_, &check_timer_}) {
                if (*timer != 0) {
                    exec_->cancel_timer(exec_.self, *timer);
                    *timer = 0;
                }
            }
            subscribers_.clear();
        });
    });
}

MarketDataPlugin::Watched* MarketDataPlugin::watched(std::uint32_t id, const Feed& from) {
    const auto known = watched_.find(id);
    if (known != watched_.end()) {
        return known->second.feed == &from ? &known->second : nullptr;
    }
    const tenon_instrument* instrument = instruments_->instrument(instruments_.self, id);
    if (instrument == nullptr) {
        return nullptr;
    }
    const auto owner = std::find_if(feeds_.begin(), feeds_.end(), [&](const Feed& feed) {
        return feed.service->serves(feed.service.self, id) != 0;
    });
    if (owner == feeds_.end() || &*owner != &from) {
        return nullptr;
    }
    const tenon_asset* quote = instruments_->asset(instruments_.self, instrument->quote);
    market_->add_instrument(
        id,
        {instrument->price_scale, instrument->quantity_scale, quote != nullptr ? quote->scale : 0}
    );
    const StoredInstrument stored{
        id,
        std::string{view(instrument->symbol)},
        instrument->price_scale,
        instrument->quantity_scale};
    if (history_) {
        history_->watch(stored);
        trade_history_->watch(stored);
    }
    Watched& made = watched_[id];
    made.feed = &from;
    made.received_ns = exec_->turn_now_ns(exec_.self);
    made.symbol = stored.symbol;
    made.stored = stored;
    const tenon_label label{str("instrument"), instrument->symbol};
    made.age = metrics_->gauge(
        metrics_.self,
        str("tenon_market_data_age_seconds"),
        str("Since the newest event"),
        &label,
        1
    );
    return &made;
}

void MarketDataPlugin::on_feed(const Feed& feed, const tenon_feed_event& event) {
    Watched* const instrument = watched(event.instrument, feed);
    if (instrument == nullptr) {
        return;
    }
    instrument->received_ns = exec_->turn_now_ns(exec_.self);
    if (event.kind < counts_.events.size()) {
        counts_.events[event.kind].add();
    }
    market_->on_event(event);
    if (market_->gaps() != published_gaps_) {
        counts_.gaps.add(market_->gaps() - published_gaps_);
        published_gaps_ = market_->gaps();
        log_.warn("book_lost_place", {{"instrument", instrument->symbol}});
    }
    if (event.kind == TENON_FEED_TRADE) {
        arm_aggregates();
    }
}

void MarketDataPlugin::publish(const tenon_md_event& event) const {
    for (const Subscriber& subscriber : subscribers_) {
        if ((subscriber.kinds & event.kind) != 0) {
            subscriber.fn(subscriber.ctx, &event);
        }
    }
}

void MarketDataPlugin::arm_aggregates() {
    if (aggregate_timer_ != 0) {
        return;
    }
    const auto fire = [](void* ctx) noexcept {
        (void)guard(nullptr, [&] {
            auto& mine = *static_cast<MarketDataPlugin*>(ctx);
            mine.aggregate_timer_ = 0;
            if (mine.market_->complete_aggregates(mine.now_real())) {
                mine.arm_aggregates();
            }
        });
    };
    aggregate_timer_ = exec_->timer(
        exec_.self, exec_->turn_now_ns(exec_.self) + Market::k_aggregate_ns, fire, this
    );
}

void MarketDataPlugin::check_health() {
    const std::int64_t now = clock_->now_ns(clock_.self);
    for (auto& [id, instrument] : watched_) {
        if (market_->last_event_real_ns(id) == 0) {
            continue;  // its feed tells of itself
        }
        const std::int64_t silent_ns = now - instrument.received_ns;
        const bool silent = is_silent(instrument);
        const bool stale = silent || !market_->trusted(id);
        if (stale != instrument.stale) {
            instrument.stale = stale;
            const std::string reason =
                !stale   ? ""
                : silent ? "no event from " + instrument.feed->name + " for " +
                               std::to_string(silent_ns / k_second) + " s"
                         : "the book is not to be trusted since a gap in " + instrument.feed->name;
            health_->set(
                health_.self,
                str(instrument.symbol),
                stale ? TENON_DEGRADED : TENON_HEALTHY,
                str(reason)
            );
        }
    }
    update_ages();
    const auto fire = [](void* ctx) noexcept {
        (void)guard(nullptr, [&] { static_cast<MarketDataPlugin*>(ctx)->check_health(); });
    };
    check_timer_ = exec_->timer(exec_.self, now + k_check_ns, fire, this);
}

void MarketDataPlugin::update_ages() {
    const std::int64_t now = clock_->now_ns(clock_.self);
    for (const auto& [id, instrument] : watched_) {
        if (instrument.age != nullptr) {
            std::atomic_ref{*instrument.age}.store(
                (now - instrument.received_ns) / k_second, std::memory_order_relaxed
            );
        }
    }
}

bool MarketDataPlugin::is_silent(const Watched& instrument) const {
    return stale_after_ns_ != 0 && !instrument.feed->quiet &&
           clock_->now_ns(clock_.self) - instrument.received_ns > stale_after_ns_;
}

tenon_status
MarketDataPlugin::tell_origin(std::uint32_t id, std::uint32_t kind, tenon_md_origin* out) const {
    const auto found = watched_.find(id);
    const std::int64_t newest = market_->newest_real_ns(id, kind);
    if (found == watched_.end() || newest == 0) {
        return TENON_NOT_FOUND;
    }
    auto told = sized<tenon_md_origin>();
    told.newest_real_ns = newest;
    told.age_ns = std::max<std::int64_t>(now_real() - newest, 0);
    const bool heard = market_->last_event_real_ns(id) != 0;
    told.silent_ns = heard ? exec_->turn_now_ns(exec_.self) - found->second.received_ns : -1;
    told.source = heard ? TENON_MD_SOURCE_FEED : TENON_MD_SOURCE_STORAGE;
    told.trusted = market_->trusted(id) && !is_silent(found->second) ? 1 : 0;
    return copy_out(told, out);
}

std::uint64_t
MarketDataPlugin::ask_history(const tenon_history_query& query, tenon_history_done done) {
    if (!reads_) {
        throw Error{TENON_UNAVAILABLE, "market data is not started"};
    }
    const auto found = watched_.find(query.instrument);
    if (found != watched_.end()) {
        return reads_->ask(query, found->second.stored, found->second.feed->history.get(), done);
    }
    return reads_->ask(query, {}, nullptr, done);
}

tenon_status MarketDataPlugin::trades(
    void* self,
    std::uint32_t id,
    std::uint64_t from_id,
    std::uint32_t limit,
    void* ctx,
    tenon_status (*row)(void*, const tenon_public_trade*)
) noexcept {
    return guard(nullptr, [&]() -> tenon_status {
        const Tape* tape = of(self).market_->tape(id);
        if (tape == nullptr) {
            return TENON_NOT_FOUND;
        }
        return each_trade(tape->trades(), from_id, limit, [&](const tenon_public_trade& trade) {
            return row(ctx, &trade);
        });
    });
}

tenon_status MarketDataPlugin::agg_trades(
    void* self,
    std::uint32_t id,
    std::uint64_t from_id,
    std::int64_t start_real_ns,
    std::int64_t end_real_ns,
    std::uint32_t limit,
    void* ctx,
    tenon_status (*row)(void*, const tenon_agg_trade*)
) noexcept {
    return guard(nullptr, [&]() -> tenon_status {
        const Tape* tape = of(self).market_->tape(id);
        if (tape == nullptr) {
            return TENON_NOT_FOUND;
        }
        return each_aggregate(
            tape->aggregates(),
            {from_id, start_real_ns, end_real_ns, limit},
            [&](const tenon_agg_trade& trade) { return row(ctx, &trade); }
        );
    });
}

}  // namespace
}  // namespace tenon::market_data

TENON_EXPORT_PLUGIN(tenon::market_data::MarketDataPlugin)
