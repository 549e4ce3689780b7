// SPDX-License-Identifier: Apache-2.0
#include "instant_venue.hpp"

#include <tenon/abi/instruments.h>
#include <tenon/metrics.hpp>

namespace {

class Venue final : public tenon::Plugin, public tenon::Venue {
public:
    explicit Venue(const tenon_host* host) : Plugin{host} { provide<tenon::Venue>(this); }

    void configure(std::string_view, bool) override {}

    void start() override {
        instruments_ = host().require<tenon_instruments_1>("tenon.instruments/1");
        fills_ = tenon::Metrics{host()}.counter("tenon_@identifier@_fills_total", "Orders filled");
    }

    // An engine that attaches brings the state with it: its snapshot and its journal.
    void attach(tenon::Service<tenon_venue_input_1> input) override {
        if (input) {
            venue_ = {};
        }
    }

    void submit(const tenon_venue_order& order, std::string_view, std::int64_t, Reports& out)
        override {
        const std::uint64_t before = venue_.fills();
        const bool listed = order.instrument < instruments_->instrument_count(instruments_.self);
        venue_.submit(order, listed, out);
        fills_.add(venue_.fills() - before);
    }

    // Nothing rests here, so no order is known.
    void cancel(std::uint64_t, std::uint32_t, std::int64_t, Reports&) override {}

    [[nodiscard]] std::string snapshot_write() const override { return venue_.snapshot(); }

    void snapshot_read(std::string_view state) override {
        if (!venue_.restore(state)) {
            throw tenon::Error{TENON_CORRUPT, "not a snapshot of this venue"};
        }
    }

    [[nodiscard]] std::uint64_t hash() const noexcept override { return venue_.hash(); }

private:
    tenon::Service<tenon_instruments_1> instruments_;
    tenon::Counter fills_;
    InstantVenue venue_;
};

}  // namespace

TENON_EXPORT_PLUGIN(Venue)
