// SPDX-License-Identifier: Apache-2.0
// The order side as tenon.venue/1: table, desk, timer.
//
// The plugin makes one, binds it to its transport before the engine attaches, and gives it out as
// its venue. Nothing is taken that could not be sent: without a credential orders are rejected as
// not sent, and between the engine's live() and the first turn after it they are unavailable.
#pragma once

#include "plugins/venue/binance/orders/balance_watch.hpp"
#include "plugins/venue/binance/orders/desk.hpp"

#include <tenon/abi/host.h>
#include <tenon/abi/instruments.h>
#include <tenon/venue.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::binance_venue {

// Over tenon.instruments/1, which outlives it.
class InstrumentListing final : public Listing {
public:
    explicit InstrumentListing(Service<tenon_instruments_1> instruments)
        : instruments_{instruments} {}

    [[nodiscard]] std::optional<Market> market(std::uint32_t instrument) const override;
    [[nodiscard]] std::optional<std::uint32_t> instrument(std::string_view symbol) const override;
    [[nodiscard]] std::optional<Asset> asset(std::string_view name) const override;

private:
    Service<tenon_instruments_1> instruments_;
};

class OrderVenue final : public Venue {
public:
    struct Links {
        Service<tenon_exec_1> exec;
        Service<tenon_clock_1> clock;
        Service<tenon_instruments_1> instruments;
        RestClient* rest = nullptr;
        UserStream* stream = nullptr;  // NULL: no credential
        // The last price of an instrument, 0: unknown. May be empty.
        std::function<std::int64_t(std::uint32_t instrument)> reference;
        // What an operator should see.
        std::function<void(std::string_view event, std::string_view detail)> warn;
        // After every change, for metrics and health. May be empty.
        std::function<void(const OrderTable& table, const Desk& desk)> watch;
        // After every look at the balances; what they differ by as a text, empty: in nothing. May
        // be empty.
        std::function<void(const BalanceWatch& balances, const std::string& text)> balances;
    };

    // [control] What `links` points to outlives the venue. Throws Error when the tag is none.
    void bind(Links links, std::string_view tag, const DeskSettings& settings);
    // [reactor 0] Takes leave of the transport. The engine is gone by then, or goes without it.
    void unbind() noexcept;

    void attach(Service<tenon_venue_input_1> input) override;
    void live() override;
    [[nodiscard]] std::string evidence(const tenon_venue_order& order, std::int64_t now_real_ns)
        override;
    void submit(
        const tenon_venue_order& order,
        std::string_view evidence,
        std::int64_t now_real_ns,
        Reports& out
    ) override;
    void cancel(
        std::uint64_t order_id,
        std::uint32_t instrument,
        std::int64_t now_real_ns,
        Reports& out
    ) override;
    void apply(std::string_view evidence, std::int64_t now_real_ns, Reports& out) override;
    void durable() override;
    [[nodiscard]] std::string snapshot_write() const override;
    void snapshot_read(std::string_view state) override;
    [[nodiscard]] std::uint64_t hash() const noexcept override;
    [[nodiscard]] std::int64_t reference_price(std::uint32_t instrument, std::string_view evidence)
        override;

    [[nodiscard]] std::uint32_t takes() const noexcept override {
        return TENON_VENUE_STP | TENON_VENUE_STP_EXPIRES | TENON_VENUE_ICEBERG |
               TENON_VENUE_TRAILING;
    }

private:
    void open_desk();
    void close_desk() noexcept;
    void wake();
    void arm(std::int64_t deadline_ns);
    void ask_balances();
    void on_balances(const RestReply& reply, std::uint64_t changes_when_asked);
    void tell_balances(bool changed);
    void book(const tenon_venue_order& order, const tenon_venue_report& report);

    Links links_;
    DeskSettings settings_;
    std::unique_ptr<OrderIds> ids_;
    std::unique_ptr<InstrumentListing> listing_;
    std::unique_ptr<OrderTable> table_;
    Service<tenon_venue_input_1> input_;
    std::unique_ptr<Desk> desk_;
    std::uint64_t timer_ = 0;
    std::int64_t timer_deadline_ns_ = 0;
    BalanceWatch balances_;
    std::int64_t balances_due_ns_ = 0;
    bool asking_balances_ = false;
    std::shared_ptr<char> alive_;  // as long as the desk
};

}  // namespace tenon::binance_venue
