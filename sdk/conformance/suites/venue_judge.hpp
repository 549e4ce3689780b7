// SPDX-License-Identifier: Apache-2.0
// Holds a venue's reports against the rules of tenon.venue/1, order by order.
//
// It never throws inside a report: what breaks a rule is kept, the first breach of each rule.
#pragma once

#include "sdk/conformance/suites/fakes.hpp"

#include <tenon/abi/venue.h>
#include <tenon/decimal.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tenon::suites {

enum class Rule : std::uint8_t {
    answered,      // every order gets ACCEPTED or REJECTED
    first,         // ACCEPTED before anything else, REJECTED alone and with a reason
    quantity,      // never more than the order's quantity, or its quote quantity
    funds,         // never more than what was set aside
    price,         // never worse than the limit, never 0
    ending,        // IOC, FOK and market orders do not rest, LIMIT_MAKER does not take
    closed,        // nothing after the end
    counterparty,  // both sides are known, open, opposite, of one instrument
    count
};

class VenueJudge {
public:
    explicit VenueJudge(const FakeInstruments& instruments) : instruments_{instruments} {}

    VenueJudge(const VenueJudge&) = delete;
    VenueJudge& operator=(const VenueJudge&) = delete;

    // Before the order is submitted.
    void expect_order(const tenon_venue_order& order);
    // What comes back after TRIGGERED: the order as it goes on. Empty when the report was a breach.
    [[nodiscard]] std::optional<tenon_venue_order> triggered(std::uint64_t order_id) const;
    // A cancel is under way: CANCELED may come for this order.
    void expect_cancel(std::uint64_t order_id);

    // Where reports go. Their bytes are kept as well.
    [[nodiscard]] tenon_venue_reports out() noexcept { return {this, &put}; }

    // The bytes of the reports since the last call.
    [[nodiscard]] std::vector<tenon_venue_report> take();

    // Nothing more is under way: who was accepted and should have ended by now?
    void at_rest();
    // The session is over: who was never answered?
    void at_end();

    // Empty, or the first breach of the rule.
    [[nodiscard]] const std::string& breach(Rule rule) const {
        return breaches_[static_cast<std::size_t>(rule)];
    }

    [[nodiscard]] std::vector<std::uint64_t> open_orders() const;
    [[nodiscard]] std::int64_t filled(std::uint64_t order_id) const;

    [[nodiscard]] std::uint64_t trades() const noexcept { return trades_; }

    // "ACCEPTED 7", "TRADE 7 with 3, 20 at 100", …
    [[nodiscard]] static std::string describe(const tenon_venue_report& report);

private:
    struct Tracked {
        tenon_venue_order order;
        std::int64_t left, quote_left;
        Int128 funds_left;
        std::int64_t filled = 0;
        bool accepted = false, rejected = false, closed = false, canceling = false;
        bool comes_back = false;  // TRIGGERED, not submitted again yet
    };

    static void put(void* ctx, const tenon_venue_report* report) noexcept;
    void judge(const tenon_venue_report& report);
    void judge_trade(const tenon_venue_report& report);
    void fill(Tracked& one, const tenon_venue_report& report, bool taker);
    void broken(Rule rule, const tenon_venue_report& report, const std::string& why);
    [[nodiscard]] static std::string name(const tenon_venue_order& order);

    const FakeInstruments& instruments_;
    std::map<std::uint64_t, Tracked> orders_;
    std::vector<tenon_venue_report> reports_;
    std::array<std::string, static_cast<std::size_t>(Rule::count)> breaches_;
    std::uint64_t trades_ = 0;
};

}  // namespace tenon::suites
