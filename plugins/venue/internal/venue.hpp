// SPDX-License-Identifier: Apache-2.0
// The internal venue: a book for each instrument it executes.
//
// It answers every order at once and never sends commands of its own. Not thread-safe: the engine's
// thread uses it. What the public may see leaves through the Feed, in durable().
#pragma once

#include "plugins/venue/internal/book.hpp"
#include "plugins/venue/internal/feed.hpp"

#include <tenon/abi/instruments.h>
#include <tenon/abi/venue.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::internal {

class InternalVenue {
public:
    // Books for the instruments whose venue is `instance`.
    InternalVenue(Service<tenon_instruments_1> instruments, std::string_view instance);

    void submit(const tenon_venue_order& order, std::int64_t now_real_ns, tenon_venue_reports out);
    void cancel(
        std::uint64_t order_id,
        std::uint32_t instrument,
        std::int64_t now_real_ns,
        tenon_venue_reports out
    );

    // False: the order is not here.
    [[nodiscard]] bool
    amend(std::uint64_t order_id, std::uint32_t instrument, std::int64_t quantity);

    // Replay has ended: changes are noted from here on, and the feed begins with snapshots.
    void live();
    // All commands so far are on disk: what they changed leaves on the feed.
    void durable();

    // Of the feed; on the venue's thread. The snapshots come now, or with the next durable() when
    // the books hold what is not on disk yet, or with live().
    void subscribe(std::uint64_t handle, void* ctx, Feed::Callback fn);

    void unsubscribe(std::uint64_t handle) { feed_.remove(handle); }

    [[nodiscard]] std::string snapshot() const;
    // Replaces the state, or leaves it: throws Error (TENON_CORRUPT, TENON_INVALID) with the
    // offset.
    void restore(std::string_view bytes);
    [[nodiscard]] std::uint64_t hash() const;

    // nullptr when this venue does not execute the instrument.
    [[nodiscard]] Book* book(std::uint32_t instrument) noexcept {
        return instrument < by_instrument_.size() ? by_instrument_[instrument] : nullptr;
    }

    [[nodiscard]] std::size_t resting() const noexcept;

    // Conditional orders that are not triggered.
    [[nodiscard]] std::size_t waiting() const noexcept;
    [[nodiscard]] std::uint64_t trade_count() const noexcept;

    // tenon.venue/1 over an InternalVenue: `self` is an InternalVenue*.
    static const tenon_venue_1 k_table;
    static constexpr std::uint32_t k_takes = TENON_VENUE_LISTS | TENON_VENUE_STP |
                                             TENON_VENUE_ICEBERG | TENON_VENUE_TRAILING |
                                             TENON_VENUE_AMEND;

private:
    void make_books();
    void read(std::string_view bytes);

    std::vector<BookRules> rules_;
    std::vector<Book> books_;
    std::vector<Book*> by_instrument_;
    Feed feed_;
    bool live_ = false;
    bool changed_ = false;  // since durable()
    std::int64_t changed_real_ns_ = 0;
};

}  // namespace tenon::internal
