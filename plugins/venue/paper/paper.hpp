// SPDX-License-Identifier: Apache-2.0
// The deterministic half of the paper venue: orders meet recorded or live market data.
//
// A function of its state and its arguments alone; what is known of the market comes as evidence.
//
// Model
//   taking   An order takes the displayed levels of the other side, best first, up to its limit.
//   What
//            paper orders took of a level is remembered until the book changes, so that two orders
//            do not meet the same quantity; beyond that they leave no trace in the market.
//   resting  An order joins the queue at its price behind everything displayed there. Trades at its
//            price eat the queue first, then fill it; when less is displayed than is thought to be
//            ahead, the difference is taken to have been cancelled ahead of it. Trades beyond its
//            price, and quantity that the other side newly offers at or beyond it, fill it, never
//            more than was traded or offered, at the order's own price.
//   waiting  A conditional order waits for a trade at or beyond its stop price, and then meets the
//            market of that moment as what it became.
//   trailing A trailing stop follows the price of public trades. One that is triggered is due: it
//            meets the market as soon as there is a trusted book.
//   less     An amended order keeps its place in the queue.
//   Paper orders do not trade with each other (so no self-trade has to be prevented); among
//   themselves they share what a trade gives by price, then time.
#pragma once

#include "plugins/venue/paper/evidence.hpp"
#include "sdk/triggers/trailing_book.hpp"
#include "sdk/triggers/trigger_book.hpp"

#include <tenon/abi/venue.h>
#include <tenon/structs.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tenon::paper {

struct Rules {
    std::int64_t base_unit = 1;   // of the base asset, in one unit of quantity
    std::int64_t quote_unit = 1;  // of the quote asset, in price 1 * quantity 1
    std::int64_t step = 1;        // market orders by quote buy and sell multiples of it
};

struct Resting {
    std::uint64_t order_id = 0;
    std::int64_t remaining = 0;
    std::int64_t ahead = 0;
};

// Orders of one side by price, the best first: bids under their negated price.
using RestingSide = std::map<std::int64_t, std::vector<Resting>>;

// The key of a price in RestingSide.
[[nodiscard]] constexpr std::int64_t side_key(std::uint8_t side, std::int64_t price) noexcept {
    return side == TENON_SIDE_BUY ? -price : price;
}

struct Waiting {
    tenon_venue_order order = sized<tenon_venue_order>();
    std::int64_t due_real_ns = 0;
};

class PaperVenue {
public:
    // Empty: the instrument is unknown.
    using RulesOf = std::function<std::optional<Rules>(std::uint32_t instrument)>;

    explicit PaperVenue(RulesOf rules_of) : rules_of_{std::move(rules_of)} {}

    // As tenon.venue/1 has them.
    void submit(const tenon_venue_order& order, std::string_view evidence, tenon_venue_reports out);
    void cancel(std::uint64_t order_id, tenon_venue_reports out);
    // `quantity` is left of the order, which keeps its place. False: it is not here.
    [[nodiscard]] bool amend(std::uint64_t order_id, std::int64_t quantity);
    [[nodiscard]] bool apply(std::string_view evidence, tenon_venue_reports out);
    [[nodiscard]] static std::int64_t
    reference_price(std::uint32_t instrument, std::string_view evidence);

    // Layout: u32 magic "TPV3", then resting orders, orders under way, consumed quantities,
    // conditional orders and what trailing stops have seen (u64 order_id, i64 best, u8 due), each a
    // u32 count and its rows, in ascending order of their keys. "TPV2", without trailing stops, and
    // "TPV1", without conditional orders and stop prices, are read too.
    [[nodiscard]] std::string snapshot() const;
    // False: not a snapshot of this venue; nothing changed.
    [[nodiscard]] bool restore(std::string_view bytes);
    [[nodiscard]] std::uint64_t hash() const;

    // For the live half, which only looks.
    [[nodiscard]] const RestingSide* resting(std::uint32_t instrument, std::uint8_t side) const;

    [[nodiscard]] const std::map<std::uint64_t, Waiting>& waiting() const { return waiting_; }

    // Conditional orders that are not triggered, of an instrument; nullptr: none ever.
    [[nodiscard]] const TriggerBook* triggers(std::uint32_t instrument) const;
    // Likewise, trailing stops.
    [[nodiscard]] const TrailingBook* trailing(std::uint32_t instrument) const;

    // Trailing stops that were triggered and have not met the market yet, ascending.
    [[nodiscard]] const std::set<std::uint64_t>& due() const noexcept { return due_; }

    // nullptr: it does not wait for a price.
    [[nodiscard]] const tenon_venue_order* conditional(std::uint64_t order_id) const;

    [[nodiscard]] std::size_t conditional_count() const noexcept { return conditional_.size(); }

    [[nodiscard]] std::size_t resting_count() const noexcept { return places_.size(); }

    // What paper orders took of a level already, as long as the book is this one.
    [[nodiscard]] std::int64_t consumed(const Look& look, std::uint8_t side, std::int64_t price)
        const;

private:
    struct Place {
        std::uint32_t instrument = 0;
        std::uint8_t side = 0;
        std::int64_t price = 0;
    };

    struct Market {
        RestingSide sides[2];  // by TENON_SIDE_*
        std::uint64_t book_id = 0;
        tenon_level bid{}, ask{};
        std::map<std::int64_t, std::int64_t> taken[2];  // of the displayed levels, by their side
    };

    void execute(const tenon_venue_order& order, const Look& look, tenon_venue_reports out);
    void wait_for_price(const tenon_venue_order& order, std::int64_t reference);
    void forget_conditional(const tenon_venue_order& order);
    [[nodiscard]] bool restore_trailing(Reader& in);
    [[nodiscard]] std::int64_t walk(
        const tenon_venue_order& order,
        const Rules& rules,
        const Look& look,
        Market& market,
        tenon_venue_reports out
    );
    void rest(const tenon_venue_order& order, std::int64_t remaining, std::int64_t ahead);
    void meet(std::uint32_t instrument, const Item& item, tenon_venue_reports out);
    [[nodiscard]] static bool same_book(const Market& market, const Look& look);

    RulesOf rules_of_;
    std::map<std::uint32_t, Market> markets_;
    std::unordered_map<std::uint64_t, Place> places_;  // of resting orders
    std::map<std::uint64_t, Waiting> waiting_;
    std::map<std::uint64_t, tenon_venue_order> conditional_;
    std::map<std::uint32_t, TriggerBook> triggers_;   // of conditional_, by instrument
    std::map<std::uint32_t, TrailingBook> trailing_;  // likewise
    std::set<std::uint64_t> due_;                     // of conditional_
};

}  // namespace tenon::paper
