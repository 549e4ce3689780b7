// SPDX-License-Identifier: Apache-2.0
// Every limit order trades at its price with the market, a post-only one rests, as in the one in C.
#include <tenon/abi/trading.h>
#include <tenon/venue.hpp>

#include <array>
#include <cstring>

class GoldenVenue final : public tenon::Plugin, public tenon::Venue {
public:
    explicit GoldenVenue(const tenon_host* host) : Plugin{host} { provide<tenon::Venue>(this); }

    void configure(std::string_view, bool) override {}

    void attach(tenon::Service<tenon_venue_input_1> input) override { input_ = input; }

    // The outside speaks as soon as it may.
    void live() override { (void)input_->command(input_.self, tenon::bytes("live")); }

    std::string evidence(const tenon_venue_order&, std::int64_t) override { return "seen"; }

    void submit(
        const tenon_venue_order& order,
        std::string_view evidence,
        std::int64_t,
        Reports& out
    ) override {
        if (evidence != "seen" ||
            (order.type != TENON_ORDER_LIMIT && order.type != TENON_ORDER_LIMIT_MAKER)) {
            out.rejected(order.order_id, order.instrument, TENON_REJECT_UNSUPPORTED);
            return;
        }
        out.accepted(order.order_id, order.instrument);
        if (order.type == TENON_ORDER_LIMIT_MAKER) {
            state_[k_resting] = order.order_id;
            return;
        }
        ++state_[k_trades];
        out.trade(order.order_id, 0, order.instrument, order.price, order.quantity);
    }

    void cancel(std::uint64_t order_id, std::uint32_t instrument, std::int64_t, Reports& out)
        override {
        if (order_id != 0 && state_[k_resting] == order_id) {
            state_[k_resting] = 0;
            out.canceled(order_id, instrument);
        }
    }

    void apply(std::string_view evidence, std::int64_t, Reports&) override {
        if (evidence != "live") {
            throw tenon::Error{TENON_INVALID, "not this venue's bytes"};
        }
        ++state_[k_applied];
    }

    std::string snapshot_write() const override {
        return {reinterpret_cast<const char*>(state_.data()), sizeof state_};
    }

    void snapshot_read(std::string_view state) override {
        if (state.size() != sizeof state_) {
            throw tenon::Error{TENON_CORRUPT, "a snapshot has 24 bytes"};
        }
        std::memcpy(state_.data(), state.data(), sizeof state_);
    }

    std::uint64_t hash() const noexcept override {
        return state_[k_trades] * 31 + state_[k_resting] * 17 + state_[k_applied] + 1;
    }

private:
    static constexpr std::size_t k_trades = 0;
    static constexpr std::size_t k_resting = 1;
    static constexpr std::size_t k_applied = 2;

    tenon::Service<tenon_venue_input_1> input_;
    std::array<std::uint64_t, 3> state_{};
};

TENON_EXPORT_PLUGIN(GoldenVenue)
