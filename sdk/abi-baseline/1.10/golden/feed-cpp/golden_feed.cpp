// SPDX-License-Identifier: Apache-2.0
// A feed of instrument 0: each listener gets a snapshot, and all get a trade.
#include <tenon/feed.hpp>

class GoldenFeed final : public tenon::Plugin, public tenon::Feed {
public:
    explicit GoldenFeed(const tenon_host* host) : Plugin{host}, Feed{host} {
        provide<tenon::Feed>(this);
    }

    void configure(std::string_view, bool) override {}

    bool serves(std::uint32_t instrument) const noexcept override { return instrument == 0; }

    void snapshots(const Send& send) override {
        const tenon_level bid{9900, 5};
        const tenon_level ask{10100, 7};
        tenon_feed_event event{};
        event.kind = TENON_FEED_SNAPSHOT;
        event.event_real_ns = 1;
        event.last_update_id = 1;
        event.bids = &bid;
        event.asks = &ask;
        event.bid_count = 1;
        event.ask_count = 1;
        send(event);
        tenon::post(host().service<tenon_exec_1>("tenon.exec/1"), 0, [this] { trade(); });
    }

    void stop() noexcept override { drop_listeners(); }

private:
    void trade() noexcept {
        tenon_feed_event event{};
        event.kind = TENON_FEED_TRADE;
        event.event_real_ns = 2;
        event.trade_id = 1;
        event.price = 10000;
        event.quantity = 3;
        event.buyer_is_maker = 1;
        emit(event);
    }
};

TENON_EXPORT_PLUGIN(GoldenFeed)
