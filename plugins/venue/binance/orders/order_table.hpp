// SPDX-License-Identifier: Apache-2.0
// The deterministic half: the orders at the exchange, as far as evidence goes.
//
// A function of its state and its arguments alone; the same commands give the same reports and the
// same bytes at replay. It sends nothing and asks nobody.
//
// An order leaves only when it has ended there and every fill of it is known here (the exchange
// tells how much was executed in all), so that no fill can come for an order that is gone. Fills
// are told apart by the exchange's trade id, per order.
//
// What is not supported is refused at once: selling for a quote quantity and conditional market
// buys (the exchange might take more than was set aside). Conditional orders wait at the exchange,
// which tells when they are triggered. A market buy of a base quantity goes out as a limit order,
// immediate or cancel, at the price up to which the funds reach.
#pragma once

#include "plugins/venue/binance/orders/evidence.hpp"
#include "plugins/venue/binance/orders/listing.hpp"
#include "plugins/venue/binance/orders/order_state.hpp"

#include <tenon/venue.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::binance_venue {

struct BookedOrder {
    tenon_venue_order order = sized<tenon_venue_order>();
    std::int64_t submitted_real_ns = 0;
    std::int64_t limit = 0;  // the price to send; a market order's bound, 0: none
    BookState state = BookState::pending;
    bool cancel_wanted = false;
    bool working = false;               // a conditional order: it was triggered
    std::uint64_t exchange_id = 0;      // 0: not told yet
    std::int64_t filled = 0;            // base quantity
    End end = End::none;                // in `ending`: how
    std::int64_t executed = 0;          // in `ending`: what the exchange filled in all
    std::vector<std::uint64_t> trades;  // ids, ascending
};

class OrderTable {
public:
    using Reports = Venue::Reports;

    // The listing outlives the table.
    explicit OrderTable(const Listing& listing) : listing_{&listing} {}

    void submit(
        const tenon_venue_order& order,
        std::string_view evidence,
        std::int64_t now_real_ns,
        Reports& out
    );
    // Notes the wish; the order ends by evidence. False: no such order, or it was wished already.
    bool cancel(std::uint64_t order_id);
    // Throws Error TENON_INVALID when these are not this venue's bytes; nothing changed. Returns
    // the order that the news was about.
    std::uint64_t apply(std::string_view evidence, Reports& out);

    [[nodiscard]] const BookedOrder* find(std::uint64_t order_id) const;

    [[nodiscard]] const std::map<std::uint64_t, BookedOrder>& orders() const noexcept {
        return orders_;
    }

    // News that contradicts what is known: nothing of it was taken.
    [[nodiscard]] std::uint64_t contradictions() const noexcept { return contradictions_; }

    [[nodiscard]] std::uint64_t fills() const noexcept { return fills_; }

    // Layout: u32 magic "TBO2" ("TBO1", without conditional orders, is read too), u64
    // contradictions, u64 fills, u32 count, then the orders, ids ascending.
    [[nodiscard]] std::string snapshot() const;
    // Throws Error TENON_CORRUPT; nothing changed.
    void restore(std::string_view bytes);
    [[nodiscard]] std::uint64_t hash() const;

private:
    void step(BookedOrder& booked, Fact fact, Reports& out);
    void take(BookedOrder& booked, const OrderNews& news, Reports& out);
    bool take_fill(BookedOrder& booked, const Fill& fill, Reports& out);
    void never_there(BookedOrder& booked, const OrderNews& news, Reports& out);
    [[nodiscard]] std::int64_t bound_of(const tenon_venue_order& order, std::int64_t reference)
        const;

    const Listing* listing_;
    std::map<std::uint64_t, BookedOrder> orders_;
    std::uint64_t contradictions_ = 0;
    std::uint64_t fills_ = 0;
};

}  // namespace tenon::binance_venue
