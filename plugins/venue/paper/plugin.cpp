// SPDX-License-Identifier: Apache-2.0
// tenon.venue.paper: settings, the contract's table, subscriptions and timers.
#include "plugins/venue/paper/paper_live.hpp"

#include <tenon/abi/host.h>
#include <tenon/abi/instruments.h>
#include <tenon/decimal.hpp>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>

namespace tenon::paper {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_retry_ns = 10 * k_ms;

class PaperPlugin : public Plugin {
public:
    explicit PaperPlugin(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.venue/1", this, &k_table);
    }

    void configure(std::string_view json, bool dry_run) override;
    void start() override;
    void stop() noexcept override;

private:
    static PaperPlugin& of(void* self) noexcept { return *static_cast<PaperPlugin*>(self); }

    [[nodiscard]] std::optional<Rules> rules_of(std::uint32_t id) const;
    void make_metrics();
    void make_venue();
    void go_live();
    void on_market(const tenon_md_event& event);
    void wake();
    void arm(std::int64_t deadline_ns);
    void publish();

    // An engine that attaches brings the state with it: snapshot and journal.
    static tenon_status attach(void* self, tenon_iface input, tenon_err* err) noexcept {
        return guard(err, [&] {
            PaperPlugin& mine = of(self);
            mine.input_ = service_from<tenon_venue_input_1>(input);
            mine.live_on_ = false;
            if (mine.input_) {
                mine.make_venue();
            }
        });
    }

    static void live(void* self) noexcept {
        (void)guard(nullptr, [&] { of(self).go_live(); });
    }

    static tenon_status evidence(
        void* self,
        const tenon_venue_order* order,
        std::int64_t now_real_ns,
        tenon_sink sink
    ) noexcept {
        return guard(nullptr, [&]() -> tenon_status {
            PaperPlugin& mine = of(self);
            if (!mine.live_) {
                return TENON_UNAVAILABLE;
            }
            const std::string bytes = mine.live_->evidence(*order, now_real_ns);
            if (mine.settings_.latency_ns > 0) {
                mine.arm(mine.clock_->now_ns(mine.clock_.self) + mine.settings_.latency_ns + k_ms);
            }
            return sink.put(sink.ctx, {bytes.data(), bytes.size()});
        });
    }

    static void submit(
        void* self,
        const tenon_venue_order* order,
        tenon_bytes evidence,
        std::int64_t,
        tenon_venue_reports out
    ) noexcept {
        (void)guard(nullptr, [&] { of(self).venue_->submit(*order, view(evidence), out); });
    }

    static void cancel(
        void* self,
        std::uint64_t order_id,
        std::uint32_t,
        std::int64_t,
        tenon_venue_reports out
    ) noexcept {
        (void)guard(nullptr, [&] { of(self).venue_->cancel(order_id, out); });
    }

    static tenon_status
    apply(void* self, tenon_bytes evidence, std::int64_t, tenon_venue_reports out) noexcept {
        return guard(nullptr, [&]() -> tenon_status {
            return of(self).venue_->apply(view(evidence), out) ? TENON_OK : TENON_INVALID;
        });
    }

    static tenon_status snapshot_write(void* self, tenon_sink sink, tenon_err* err) noexcept {
        return guard(err, [&]() -> tenon_status {
            const std::string bytes = of(self).venue_->snapshot();
            return sink.put(sink.ctx, {bytes.data(), bytes.size()});
        });
    }

    static tenon_status snapshot_read(void* self, tenon_bytes bytes, tenon_err* err) noexcept {
        return guard(err, [&] {
            if (!of(self).venue_->restore(view(bytes))) {
                throw Error{TENON_CORRUPT, "not a snapshot of the paper venue"};
            }
        });
    }

    static std::uint64_t hash(void* self) noexcept { return of(self).venue_->hash(); }

    static tenon_status
    amend(void* self, std::uint64_t order_id, std::uint32_t, std::int64_t quantity) noexcept {
        return guard(nullptr, [&] {
            return of(self).venue_->amend(order_id, quantity) ? TENON_OK : TENON_NOT_FOUND;
        });
    }

    static std::int64_t
    reference_price(void*, std::uint32_t instrument, tenon_bytes evidence) noexcept {
        std::int64_t price = 0;
        (void
        )guard(nullptr, [&] { price = PaperVenue::reference_price(instrument, view(evidence)); });
        return price;
    }

    static constexpr tenon_venue_1 k_table{
        sizeof(tenon_venue_1),
        TENON_VENUE_LISTS | TENON_VENUE_STP | TENON_VENUE_TRAILING | TENON_VENUE_AMEND,
        &attach,
        &live,
        &evidence,
        &submit,
        &cancel,
        &apply,
        nullptr,
        &snapshot_write,
        &snapshot_read,
        &hash,
        &reference_price,
        &amend,
        nullptr};

    LiveSettings settings_;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    Service<tenon_instruments_1> instruments_;
    Service<tenon_market_data_1> market_;
    std::uint64_t* commands_ = nullptr;
    std::uint64_t* dropped_ = nullptr;
    std::int64_t* resting_ = nullptr;
    std::int64_t* waiting_ = nullptr;
    std::uint64_t published_commands_ = 0;
    std::uint64_t published_dropped_ = 0;
    std::uint64_t subscription_ = 0;
    // Reactor 0's from here on.
    Service<tenon_venue_input_1> input_;
    bool live_on_ = false;
    std::unique_ptr<PaperVenue> venue_;
    std::unique_ptr<PaperLive> live_;
    std::uint64_t timer_ = 0;
    std::int64_t timer_deadline_ns_ = 0;
};

void PaperPlugin::configure(std::string_view json, bool dry_run) {
    const boost::json::value parsed = boost::json::parse({json.data(), json.size()});
    const auto latency_ms = parsed.at("latency_ms").to_number<std::int64_t>();
    const auto depth_max = parsed.at("depth_max").to_number<std::size_t>();
    if (!dry_run) {
        settings_ = {latency_ms * k_ms, depth_max};
    }
}

std::optional<Rules> PaperPlugin::rules_of(std::uint32_t id) const {
    const tenon_instrument* instrument = instruments_->instrument(instruments_.self, id);
    if (instrument == nullptr) {
        return std::nullopt;
    }
    const tenon_asset* base = instruments_->asset(instruments_.self, instrument->base);
    const tenon_asset* quote = instruments_->asset(instruments_.self, instrument->quote);
    if (base == nullptr || quote == nullptr) {
        return std::nullopt;
    }
    return Rules{
        power_of_ten(base->scale - instrument->quantity_scale),
        power_of_ten(quote->scale - instrument->price_scale - instrument->quantity_scale),
        std::max({std::int64_t{1}, instrument->quantity_step, instrument->market_quantity_step})};
}

void PaperPlugin::make_metrics() {
    const auto metrics = host().service<tenon_metrics_1>("tenon.metrics/1");
    commands_ = metrics->counter(
        metrics.self,
        str("tenon_paper_commands_total"),
        str("Commands sent: market events that concern resting orders, arrivals"),
        nullptr,
        0
    );
    dropped_ = metrics->counter(
        metrics.self,
        str("tenon_paper_dropped_total"),
        str("Commands lost: the engine took none for too long, or refused one"),
        nullptr,
        0
    );
    resting_ = metrics->gauge(
        metrics.self, str("tenon_paper_resting_orders"), str("Orders that rest"), nullptr, 0
    );
    waiting_ = metrics->gauge(
        metrics.self,
        str("tenon_paper_waiting_orders"),
        str("Orders that wait for a price"),
        nullptr,
        0
    );
}

void PaperPlugin::make_venue() {
    const auto rules = [this](std::uint32_t id) { return rules_of(id); };
    venue_ = std::make_unique<PaperVenue>(rules);
    live_ = std::make_unique<PaperLive>(
        *venue_,
        market_,
        rules,
        settings_,
        [this](std::string_view bytes) -> tenon_status {
            return input_ ? input_->command(input_.self, {bytes.data(), bytes.size()})
                          : TENON_UNAVAILABLE;
        }
    );
    published_commands_ = published_dropped_ = 0;
}

void PaperPlugin::start() {
    exec_ = host().service<tenon_exec_1>("tenon.exec/1");
    clock_ = host().service<tenon_clock_1>("tenon.clock/1");
    health_ = host().service<tenon_health_1>("tenon.health/1");
    instruments_ = host().require<tenon_instruments_1>("tenon.instruments/1");
    market_ = host().require<tenon_market_data_1>("tenon.market_data/1");
    make_metrics();
    make_venue();
    health_->set(health_.self, str("paper"), TENON_HEALTHY, str(""));
    const auto fn = [](void* ctx, const tenon_md_event* event) noexcept {
        (void)guard(nullptr, [&] { static_cast<PaperPlugin*>(ctx)->on_market(*event); });
    };
    const tenon_status status = market_->subscribe(
        market_.self, TENON_MD_BOOK | TENON_MD_TRADE | TENON_MD_BEST, this, fn, &subscription_
    );
    if (status != TENON_OK) {
        throw Error{status, "the market data refuses to be listened to"};
    }
}

void PaperPlugin::stop() noexcept {
    (void)guard(nullptr, [&] {
        if (subscription_ != 0) {
            market_->unsubscribe(market_.self, subscription_);
            subscription_ = 0;
        }
        if (!exec_) {
            return;
        }
        call_on_reactor(exec_, 0, [this] {
            if (timer_ != 0) {
                exec_->cancel_timer(exec_.self, timer_);
                timer_ = 0;
            }
            live_on_ = false;
            input_ = {};
        });
    });
}

// May be called from the control thread, while the reactor runs.
void PaperPlugin::go_live() {
    post(exec_, 0, [this] {
        live_on_ = static_cast<bool>(input_);
        wake();  // orders that were under way when the server stopped
    });
}

void PaperPlugin::on_market(const tenon_md_event& event) {
    if (live_on_) {
        live_->on_market(event);
        publish();
    }
}

void PaperPlugin::wake() {
    timer_ = 0;
    if (!live_on_) {
        return;
    }
    const std::int64_t real = clock_->now_real_ns(clock_.self);
    const std::int64_t due = live_->deliver(real);
    const std::int64_t now = clock_->now_ns(clock_.self);
    if (due != PaperLive::k_never) {
        arm(now + std::max<std::int64_t>(due - real, 0) + k_ms);
    }
    publish();
}

void PaperPlugin::arm(std::int64_t deadline_ns) {
    if (timer_ != 0) {
        if (timer_deadline_ns_ <= deadline_ns) {
            return;
        }
        exec_->cancel_timer(exec_.self, timer_);
    }
    const auto fire = [](void* ctx) noexcept {
        (void)guard(nullptr, [&] { static_cast<PaperPlugin*>(ctx)->wake(); });
    };
    timer_deadline_ns_ = deadline_ns;
    timer_ = exec_->timer(exec_.self, deadline_ns, fire, this);
}

void PaperPlugin::publish() {
    if (!live_->flush()) {
        arm(clock_->now_ns(clock_.self) + k_retry_ns);
    }
    const auto add = [](std::uint64_t* cell, std::uint64_t now, std::uint64_t& before) {
        if (cell != nullptr) {
            std::atomic_ref{*cell}.fetch_add(now - before, std::memory_order_relaxed);
        }
        before = now;
    };
    if (live_->dropped() != published_dropped_) {
        health_->set(
            health_.self,
            str("paper"),
            TENON_DEGRADED,
            str("market events were lost: resting orders may have missed fills")
        );
    }
    add(commands_, live_->commands(), published_commands_);
    add(dropped_, live_->dropped(), published_dropped_);
    if (resting_ != nullptr) {
        std::atomic_ref{*resting_}.store(
            static_cast<std::int64_t>(venue_->resting_count()), std::memory_order_relaxed
        );
    }
    if (waiting_ != nullptr) {
        std::atomic_ref{*waiting_}.store(
            static_cast<std::int64_t>(venue_->conditional_count()), std::memory_order_relaxed
        );
    }
}

}  // namespace
}  // namespace tenon::paper

TENON_EXPORT_PLUGIN(tenon::paper::PaperPlugin)
