// SPDX-License-Identifier: Apache-2.0
// The book of one symbol from snapshots and diffs, by the exchange's rules: diffs are kept until a
// snapshot is there that one of them continues; those at or before it are dropped, the one that
// spans it is clipped; from then on each diff must begin right behind the one before. Where it does
// not, a GAP is sent and the search for a snapshot begins anew with the diffs that came since.
//
// Decides only: no clock, no socket, one thread. Events are borrowed during the call.
#pragma once

#include "plugins/venue/binance/market_message.hpp"

#include <tenon/depth_book.hpp>

#include <cstdint>
#include <deque>
#include <functional>

namespace tenon::binance_venue {

class BookSync {
public:
    using Emit = std::function<void(const tenon_feed_event&)>;

    static constexpr std::size_t k_waiting_max = 5000;  // diffs; more push out the oldest

    BookSync(std::uint32_t instrument, Emit emit)
        : instrument_{instrument}, emit_{std::move(emit)} {}

    // The stream is there, or there anew.
    void connected();
    // Diffs may have been missed.
    void broken(std::int64_t real_ns);
    void on_diff(DepthDiff diff);
    // False: older than the diffs that wait, ask for another. Without a stream it is the book until
    // the next one.
    bool on_snapshot(const DepthSnapshot& snapshot, std::int64_t real_ns);

    [[nodiscard]] bool wants_snapshot() const noexcept { return state_ == State::waiting; }

    [[nodiscard]] bool is_following() const noexcept { return state_ == State::following; }

    [[nodiscard]] bool has_book() const noexcept { return has_book_; }

    [[nodiscard]] std::uint64_t gaps() const noexcept { return gaps_; }

    // The present book, for a new listener. Only when has_book().
    void give_snapshot(const Emit& to) const;

private:
    enum class State { offline, waiting, following };

    [[nodiscard]] tenon_feed_event event(std::uint32_t kind) const;
    void gap(std::int64_t real_ns);
    void apply(const DepthDiff& diff);

    std::uint32_t instrument_;
    Emit emit_;
    State state_ = State::offline;
    DepthBook book_;
    bool has_book_ = false;  // and it is not known to be wrong
    std::uint64_t last_id_ = 0;
    std::int64_t real_ns_ = 0;
    std::deque<DepthDiff> waiting_;
    std::uint64_t gaps_ = 0;
};

}  // namespace tenon::binance_venue
