// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/internal/venue.hpp"

#include <tenon/plugin.hpp>

#include <atomic>
#include <memory>

namespace tenon::internal {

// The engine and the feed's callbacks run on reactor 0, and so does everything here but control
// calls, which hand over to it.
class InternalVenuePlugin : public Plugin {
public:
    explicit InternalVenuePlugin(const tenon_host* host) : Plugin{host} {
        provide("tenon.venue/1", this, &k_venue);
        provide("tenon.feed/1", this, &k_feed);
    }

    void configure(std::string_view, bool) override {}

    void start() override {
        venue_ = std::make_unique<InternalVenue>(
            host().require<tenon_instruments_1>("tenon.instruments/1"),
            host().environment("instance")
        );
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        resting_ = metrics_->gauge(
            metrics_.self,
            str("tenon_internal_resting_orders"),
            str("Orders in all internal books."),
            nullptr,
            0
        );
        waiting_ = metrics_->gauge(
            metrics_.self,
            str("tenon_internal_waiting_orders"),
            str("Orders that wait for a price, in all internal books."),
            nullptr,
            0
        );
        trades_ = metrics_->counter(
            metrics_.self,
            str("tenon_internal_trades_total"),
            str("Trades in the internal books since the start."),
            nullptr,
            0
        );
    }

    void stop() noexcept override { venue_.reset(); }

private:
    static InternalVenuePlugin& of(void* self) noexcept {
        return *static_cast<InternalVenuePlugin*>(self);
    }

    static tenon_status
    subscribe(void* self, void* ctx, Feed::Callback fn, std::uint64_t* handle) noexcept {
        return guard(nullptr, [&] {
            InternalVenuePlugin& plugin = of(self);
            const std::uint64_t given = ++plugin.last_handle_;
            post(plugin.exec_, 0, [&plugin, given, ctx, fn] {
                if (plugin.venue_) {
                    plugin.venue_->subscribe(given, ctx, fn);
                }
            });
            *handle = given;
        });
    }

    static void unsubscribe(void* self, std::uint64_t handle) noexcept {
        (void)guard(nullptr, [&] {
            InternalVenuePlugin& plugin = of(self);
            call_on_reactor(plugin.exec_, 0, [&plugin, handle] {
                if (plugin.venue_) {
                    plugin.venue_->unsubscribe(handle);
                }
            });
        });
    }

    static std::uint32_t serves(void* self, std::uint32_t instrument) noexcept {
        const auto& venue = of(self).venue_;
        return venue && venue->book(instrument) != nullptr ? 1 : 0;
    }

    void bring_metrics_up_to_date() noexcept {
        if (resting_ != nullptr) {
            std::atomic_ref{*resting_}.store(
                static_cast<std::int64_t>(venue_->resting()), std::memory_order_relaxed
            );
        }
        if (waiting_ != nullptr) {
            std::atomic_ref{*waiting_}.store(
                static_cast<std::int64_t>(venue_->waiting()), std::memory_order_relaxed
            );
        }
        const std::uint64_t trades = venue_->trade_count();
        if (trades_ != nullptr && trades > counted_trades_) {
            std::atomic_ref{*trades_}.fetch_add(
                trades - counted_trades_, std::memory_order_relaxed
            );
        }
        counted_trades_ = trades;
    }

    static const tenon_venue_1 k_venue;
    static const tenon_feed_1 k_feed;

    std::unique_ptr<InternalVenue> venue_;
    Service<tenon_exec_1> exec_;
    Service<tenon_metrics_1> metrics_;
    std::int64_t* resting_ = nullptr;
    std::int64_t* waiting_ = nullptr;
    std::uint64_t* trades_ = nullptr;
    std::uint64_t counted_trades_ = 0;
    std::atomic<std::uint64_t> last_handle_{0};
};

const tenon_venue_1 InternalVenuePlugin::k_venue{
    sizeof(tenon_venue_1),
    InternalVenue::k_takes,
    [](void*, tenon_iface, tenon_err*) noexcept -> tenon_status { return TENON_OK; },
    [](void* self) noexcept {
        InternalVenue::k_table.live(of(self).venue_.get());
        of(self).counted_trades_ = of(self).venue_->trade_count();
    },
    nullptr,
    [](void* self,
       const tenon_venue_order* order,
       tenon_bytes evidence,
       std::int64_t now_real_ns,
       tenon_venue_reports out) noexcept {
        InternalVenue::k_table.submit(of(self).venue_.get(), order, evidence, now_real_ns, out);
    },
    [](void* self,
       std::uint64_t order_id,
       std::uint32_t instrument,
       std::int64_t now_real_ns,
       tenon_venue_reports out) noexcept {
        InternalVenue::k_table.cancel(
            of(self).venue_.get(), order_id, instrument, now_real_ns, out
        );
    },
    nullptr,
    [](void* self) noexcept {
        InternalVenue::k_table.durable(of(self).venue_.get());
        of(self).bring_metrics_up_to_date();
    },
    [](void* self, tenon_sink sink, tenon_err* err) noexcept {
        return InternalVenue::k_table.snapshot_write(of(self).venue_.get(), sink, err);
    },
    [](void* self, tenon_bytes bytes, tenon_err* err) noexcept {
        return InternalVenue::k_table.snapshot_read(of(self).venue_.get(), bytes, err);
    },
    [](void* self) noexcept { return InternalVenue::k_table.hash(of(self).venue_.get()); },
    nullptr,
    [](void* self, std::uint64_t order_id, std::uint32_t instrument, std::int64_t quantity
    ) noexcept {
        return InternalVenue::k_table.amend(of(self).venue_.get(), order_id, instrument, quantity);
    },
    [](void* self, std::uint64_t order_id, std::uint32_t instrument, std::uint64_t account
    ) noexcept {
        InternalVenue::k_table.owned(of(self).venue_.get(), order_id, instrument, account);
    }};

const tenon_feed_1 InternalVenuePlugin::k_feed{
    sizeof(tenon_feed_1),
    0,
    &subscribe,
    &unsubscribe,
    &serves,
    nullptr,
    nullptr};

}  // namespace tenon::internal

TENON_EXPORT_PLUGIN(tenon::internal::InternalVenuePlugin)
