// SPDX-License-Identifier: Apache-2.0
// tenon.venue.binance: settings, what is served, metrics and health; the rest is in Connector.
#include "plugins/venue/binance/connector.hpp"
#include "plugins/venue/binance/credential_watch.hpp"
#include "plugins/venue/binance/orders/order_metrics.hpp"
#include "plugins/venue/binance/orders/order_venue.hpp"

#include <tenon/background_job.hpp>
#include <tenon/feed.hpp>
#include <tenon/instruments.hpp>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>

namespace tenon::binance_venue {
namespace {

[[nodiscard]] std::string text_of_file(const std::string& path) {
    std::ifstream in{path, std::ios::binary};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (!in) {
        throw Error{TENON_INVALID, "weights_file: " + path + " cannot be read"};
    }
    return text;
}

class BinancePlugin final : public Plugin, public Feed {
public:
    explicit BinancePlugin(const tenon_host* raw) : Plugin{raw}, Feed{raw, true} {
        provide<Feed>(this);
        provide<Venue>(&orders_);
    }

    void configure(std::string_view json, bool dry_run) override {
        auto settings = std::make_unique<const BinanceSettings>(
            Settings{json}, host().environment("deployment_dir")
        );
        (void)RequestWeights{text_of_file(settings->weights_file)};
        (void)OrderIds{settings->order_tag};
        if (!dry_run) {
            settings_ = std::move(settings);
        }
    }

    void start() override;
    void stop() noexcept override;

    [[nodiscard]] bool serves(std::uint32_t instrument) const noexcept override {
        return std::find(served_.begin(), served_.end(), instrument) != served_.end();
    }

    void snapshots(const Send& send) override {
        if (connector_) {
            connector_->feed().snapshots(send);
        }
    }

    std::uint64_t fetch(const tenon_history_query& query, Fetched done) override {
        if (!connector_) {
            throw Error{TENON_UNAVAILABLE, "the connector is not started"};
        }
        return connector_->history().fetch(query, std::move(done));
    }

    void cancel_fetch(std::uint64_t handle) noexcept override {
        if (connector_) {
            connector_->history().cancel(handle);
        }
    }

private:
    [[nodiscard]] std::vector<FeedSymbol> listed_symbols() const;
    [[nodiscard]] RestMetrics rest_metrics() const;
    [[nodiscard]] FeedMetrics feed_metrics() const;
    void set_health(std::string_view component, bool well, const std::string& reason) const;
    [[nodiscard]] OrderVenue::Links order_links(Service<tenon_clock_1> clock);
    void bind_orders(OrderVenue::Links links);
    void watch_orders(const OrderTable& table, const Desk& desk);
    void watch_credential(Service<tenon_clock_1> clock);

    std::unique_ptr<const BinanceSettings> settings_;
    std::vector<std::uint32_t> served_;  // fixed between start and stop
    net::Exec exec_;
    Service<tenon_health_1> health_;
    Log log_;
    std::optional<ThrottleGate> gate_;
    std::unique_ptr<Connector> connector_;              // reactor 0's
    std::map<std::uint32_t, std::int64_t> last_price_;  // reactor 0's, by instrument
    OrderMetrics order_metrics_;
    OrderVenue orders_;
    std::optional<CredentialWatch> credential_;  // the job's
    BackgroundJob credential_job_;
};

std::vector<FeedSymbol> BinancePlugin::listed_symbols() const {
    const InstrumentList instruments{host()};
    const auto listed = host().require<tenon_instruments_1>("tenon.instruments/1");
    const std::string instance = host().environment("instance");
    std::vector<FeedSymbol> symbols;
    const auto add = [&](const tenon_instrument& instrument) {
        const tenon_asset* const quote = listed->asset(listed.self, instrument.quote);
        symbols.push_back(
            {instrument.id,
             std::string{view(instrument.symbol)},
             {instrument.price_scale,
              instrument.quantity_scale,
              quote != nullptr ? quote->scale : 0}}
        );
    };
    for (const std::string& name : settings_->symbols) {
        const tenon_instrument* const found = instruments.find(name);
        if (found == nullptr) {
            throw Error{TENON_INVALID, "symbols: " + name + " is not a listed instrument"};
        }
        add(*found);
    }
    for (std::uint32_t id = 0; settings_->symbols.empty() && id < instruments.size(); ++id) {
        if (view(instruments.at(id).venue) == instance) {
            add(instruments.at(id));
        }
    }
    if (symbols.empty()) {
        throw Error{TENON_INVALID, "no instrument is listed for the venue " + instance};
    }
    return symbols;
}

RestMetrics BinancePlugin::rest_metrics() const {
    const Metrics metrics{host()};
    RestMetrics out;
    constexpr std::array<std::string_view, 3> k_outcomes{"answered", "not_sent", "unknown"};
    for (std::size_t i = 0; i < out.requests.size(); ++i) {
        out.requests[i] = metrics.counter(
            "tenon_exchange_requests_total",
            "Requests to the exchange, by what came of them",
            {{"outcome", k_outcomes[i]}}
        );
    }
    const auto limited = [&](std::string_view kind) {
        return metrics.counter(
            "tenon_exchange_limited_total", "Answers 429 and 403, and bans (418)", {{"kind", kind}}
        );
    };
    out.limited = limited("limited");
    out.banned = limited("banned");
    out.repeated = metrics.counter("tenon_exchange_repeated_total", "GETs that were asked again");
    out.refused = metrics.counter(
        "tenon_exchange_refused_total", "Requests that found no place before their deadline"
    );
    out.answer_seconds = metrics.histogram(
        "tenon_exchange_answer_seconds", "From writing a request until its answer is read"
    );
    out.used_weight = metrics.gauge(
        "tenon_exchange_used_weight", "Of the exchange's limit in its minute, by its own count"
    );
    out.queued = metrics.gauge("tenon_exchange_queued_requests", "Requests that wait for budget");
    out.clock_offset = metrics.gauge(
        "tenon_exchange_clock_offset_seconds", "The exchange's clock less ours, whole seconds"
    );
    return out;
}

FeedMetrics BinancePlugin::feed_metrics() const {
    const Metrics metrics{host()};
    FeedMetrics out;
    constexpr std::array<std::string_view, 6> k_kinds{
        "", "snapshot", "diff", "trade", "book_ticker", "gap"};
    for (std::size_t kind = 1; kind < k_kinds.size(); ++kind) {
        out.events[kind] = metrics.counter(
            "tenon_exchange_feed_events_total", "Events sent", {{"kind", k_kinds[kind]}}
        );
    }
    out.gaps = metrics.counter("tenon_exchange_feed_gaps_total", "Books that lost their diffs");
    out.damaged =
        metrics.counter("tenon_exchange_feed_damaged_total", "Messages that cannot be read");
    out.connects = metrics.counter("tenon_exchange_feed_connects_total", "Connections of streams");
    out.polls = metrics.counter(
        "tenon_exchange_feed_polls_total", "Times a book was asked for because its stream was away"
    );
    out.filled_trades =
        metrics.counter("tenon_exchange_trades_filled_total", "Missing trades that were got");
    out.missed_trades =
        metrics.counter("tenon_exchange_trades_missed_total", "Missing trades that were not got");
    return out;
}

void BinancePlugin::set_health(std::string_view component, bool well, const std::string& reason)
    const {
    health_->set(health_.self, str(component), well ? TENON_HEALTHY : TENON_DEGRADED, str(reason));
}

void BinancePlugin::start() {
    if (!settings_) {
        throw Error{TENON_INVALID, "there are no settings"};
    }
    exec_ = host().service<tenon_exec_1>("tenon.exec/1");
    health_ = host().service<tenon_health_1>("tenon.health/1");
    log_ = host().log();
    const auto clock = host().service<tenon_clock_1>("tenon.clock/1");
    const bool needs_tls = settings_->rest_url.is_tls || settings_->stream_url.is_tls ||
                           (settings_->trades() && settings_->api_url.is_tls);
    if (!settings_->throttle_limit.empty()) {
        gate_.emplace(
            host(), ThrottleGate::Names{settings_->throttle_limit, settings_->rest_url.authority()}
        );
    }
    std::vector<FeedSymbol> symbols = listed_symbols();
    served_.clear();
    for (const FeedSymbol& symbol : symbols) {
        served_.push_back(symbol.instrument);
    }
    const std::uint64_t seed = static_cast<std::uint64_t>(clock->now_real_ns(clock.self)) ^
                               std::hash<std::string>{}(host().environment("instance"));
    Connector::Parts parts{
        exec_,
        clock,
        needs_tls ? std::make_shared<net::TlsContext>(settings_->ca_file) : nullptr,
        RequestWeights{text_of_file(settings_->weights_file)},
        std::move(symbols),
        [this](const tenon_feed_event& event) {
            if (event.kind == TENON_FEED_TRADE) {
                last_price_[event.instrument] = event.price;
            }
            emit(event);
        },
        [this](std::string_view component, bool well, const std::string& reason) {
            set_health(component, well, reason);
        },
        rest_metrics(),
        feed_metrics(),
        gate_ ? &*gate_ : nullptr,
        seed};
    OrderVenue::Links links = order_links(clock);
    call_on_reactor(exec_, 0, [&] {
        try {
            connector_ = std::make_unique<Connector>(*settings_, std::move(parts));
            bind_orders(std::move(links));
            connector_->open();
        } catch (...) {
            orders_.unbind();
            connector_.reset();  // here, where its timers are
            throw;
        }
    });
    log_.info(
        "exchange_started",
        {{"rest", settings_->rest_url.authority()},
         {"streams", settings_->stream_url.authority()},
         {"symbols", served_.size()},
         {"credential", settings_->trades()}}
    );
    watch_credential(clock);
}

OrderVenue::Links BinancePlugin::order_links(Service<tenon_clock_1> clock) {
    order_metrics_.make(Metrics{host()});
    OrderVenue::Links links;
    links.exec = host().service<tenon_exec_1>("tenon.exec/1");
    links.clock = clock;
    links.instruments = host().require<tenon_instruments_1>("tenon.instruments/1");
    links.reference = [this](std::uint32_t instrument) {
        const auto found = last_price_.find(instrument);
        return found == last_price_.end() ? 0 : found->second;
    };
    links.warn = [this](std::string_view event, std::string_view detail) {
        log_.warn(event, {{"detail", detail}});
    };
    links.watch = [this](const OrderTable& table, const Desk& desk) { watch_orders(table, desk); };
    links.balances = [this](const BalanceWatch& balances, const std::string& text) {
        order_metrics_.set(balances);
        set_health(
            "balances",
            text.empty(),
            text.empty() ? text : "the exchange account differs from what is booked here: " + text
        );
    };
    return links;
}

// The engine attaches later: it requires its venues.
void BinancePlugin::bind_orders(OrderVenue::Links links) {
    links.rest = &connector_->rest();
    links.stream = connector_->user_stream();
    DeskSettings desk;
    desk.order_timeout_ns = settings_->order_timeout_ns;
    desk.recv_window_ms = settings_->recv_window_ms;
    desk.absence_margin_ms = settings_->absence_margin_ms;
    desk.compare_ns = settings_->compare_ns;
    desk.balances_ns = settings_->balances_ns;
    orders_.bind(std::move(links), settings_->order_tag, desk);
}

void BinancePlugin::watch_orders(const OrderTable& table, const Desk& desk) {
    order_metrics_.set(table, desk);
    if (desk.counts().orphans != 0) {
        set_health("orders", false, "the exchange has orders of ours that are unknown here");
    } else if (!desk.stream_up()) {
        set_health("orders", false, "the user stream is away: orders are asked about");
    } else {
        set_health("orders", true, "");
    }
}

void BinancePlugin::watch_credential(Service<tenon_clock_1> clock) {
    if (!settings_->credential) {
        return;
    }
    credential_.emplace(
        *settings_->credential,
        Storage{host().require<tenon_storage_1>("tenon.storage/1")},
        host().service<tenon_secret_1>("tenon.secret/1"),
        [this](std::shared_ptr<const Signer> signer) {
            post(exec_, 0, [this, signer = std::move(signer)] {
                if (connector_) {
                    log_.info("credential_changed", {{"present", signer != nullptr}});
                    connector_->set_signer(signer);
                }
            });
        }
    );
    JobOptions options;
    options.first_after = std::chrono::nanoseconds{0};
    options.backoff_max = std::chrono::nanoseconds{settings_->credential_check_ns};
    credential_job_ = every(
        host(),
        "credential",
        std::chrono::nanoseconds{settings_->credential_check_ns},
        [this, clock] {
            constexpr std::int64_t k_patience_ns = 10'000'000'000;
            const std::string wrong = credential_->look(clock->now_ns(clock.self) + k_patience_ns);
            set_health("credential", wrong.empty(), wrong);
        },
        options
    );
}

void BinancePlugin::stop() noexcept {
    credential_job_.stop();
    (void)guard(nullptr, [&] {
        if (connector_) {
            drop_listeners();
            call_on_reactor(exec_, 0, [this] {
                orders_.unbind();
                connector_.reset();
            });
        }
        gate_.reset();
    });
}

}  // namespace
}  // namespace tenon::binance_venue

TENON_EXPORT_PLUGIN(tenon::binance_venue::BinancePlugin)
