// SPDX-License-Identifier: Apache-2.0
#include "random_walk.hpp"

#include <tenon/abi/instruments.h>
#include <tenon/feed.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>

#include <algorithm>
#include <optional>

namespace {

class WalkFeed final : public tenon::Plugin, public tenon::Feed {
public:
    explicit WalkFeed(const tenon_host* host) : Plugin{host}, Feed{host} {
        provide<tenon::Feed>(this);
    }

    void configure(std::string_view json, bool dry_run) override {
        const tenon::Settings settings{json};
        if (!dry_run) {
            symbol_ = settings.get<std::string>("symbol");
            interval_ = settings.get<std::chrono::milliseconds>("interval_ms");
            start_ticks_ = settings.get<std::int64_t>("start_ticks");
            seed_ = settings.get<std::uint64_t>("seed");
        }
    }

    void start() override {
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        events_ = tenon::Metrics{host()}.counter("tenon_@identifier@_events_total", "Events sent");
        const tenon_instrument& instrument = find_instrument();
        const std::int64_t tick = std::max<std::int64_t>(instrument.price_tick, 1);
        const std::int64_t quantity =
            std::max<std::int64_t>({instrument.quantity_min, instrument.quantity_step, 1});
        tenon::call_on_reactor(exec_, 0, [&] {
            walk_.emplace(instrument.id, tick, quantity);
            walk_->begin(start_ticks_, seed_);
            arm();
        });
    }

    void stop() noexcept override {
        (void)tenon::guard(nullptr, [this] {
            tenon::call_on_reactor(exec_, 0, [this] {
                exec_->cancel_timer(exec_.self, timer_);
                timer_ = 0;
            });
            drop_listeners();
        });
    }

    [[nodiscard]] bool serves(std::uint32_t instrument) const noexcept override {
        return walk_ && walk_->instrument() == instrument;
    }

    void snapshots(const Send& send) override { send(walk_->snapshot(now_real_ns())); }

private:
    [[nodiscard]] const tenon_instrument& find_instrument() const {
        const auto list = host().require<tenon_instruments_1>("tenon.instruments/1");
        std::uint32_t id = 0;
        if (!symbol_.empty() &&
            list->find_instrument(list.self, tenon::str(symbol_), &id) != TENON_OK) {
            throw tenon::Error{TENON_NOT_FOUND, "/symbol: there is no instrument " + symbol_};
        }
        const tenon_instrument* const found = list->instrument(list.self, id);
        if (found == nullptr) {
            throw tenon::Error{TENON_NOT_FOUND, "no instrument is listed"};
        }
        return *found;
    }

    [[nodiscard]] std::int64_t now_real_ns() const { return clock_->now_real_ns(clock_.self); }

    // On reactor 0, as everything from here on.
    void arm() {
        const auto fire = [](void* ctx) noexcept { static_cast<WalkFeed*>(ctx)->tick(); };
        const std::int64_t now_ns = exec_->turn_now_ns(exec_.self);
        timer_ = exec_->timer(
            exec_.self, now_ns + std::chrono::nanoseconds{interval_}.count(), fire, this
        );
    }

    void tick() noexcept {
        const RandomWalk::Step step = walk_->step(now_real_ns());
        emit(step.book);
        emit(step.trade);
        events_.add(2);
        arm();
    }

    std::string symbol_;
    std::chrono::milliseconds interval_{};
    std::int64_t start_ticks_ = 0;
    std::uint64_t seed_ = 0;
    tenon::Service<tenon_exec_1> exec_;
    tenon::Service<tenon_clock_1> clock_;
    tenon::Counter events_;
    std::optional<RandomWalk> walk_;
    std::uint64_t timer_ = 0;
};

}  // namespace

TENON_EXPORT_PLUGIN(WalkFeed)
