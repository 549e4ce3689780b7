// SPDX-License-Identifier: Apache-2.0
// A market of one instrument, made up: a step moves the middle by a tick, or not, and has one
// trade. The book has one level a side, a tick from the middle. The same seed gives the same
// market.
#pragma once

#include <tenon/abi/feed.h>

#include <array>
#include <cstdint>

class RandomWalk {
public:
    RandomWalk(std::uint32_t instrument, std::int64_t tick, std::int64_t quantity)
        : instrument_{instrument}, tick_{tick}, quantity_{quantity} {}

    void begin(std::int64_t start_ticks, std::uint64_t seed) noexcept {
        middle_ = start_ticks;
        random_ = seed;
        update_id_ = 1;
    }

    // What changed in the book, then the trade. Events are valid until the next call.
    struct Step {
        tenon_feed_event book, trade;
    };

    [[nodiscard]] Step step(std::int64_t now_real_ns) noexcept {
        const std::int64_t before = middle_;
        const auto moved = static_cast<std::int64_t>(random() % 3) - 1;
        middle_ = middle_ + moved < 2 ? 2 : middle_ + moved;
        ++update_id_;
        Step out{event(TENON_FEED_DIFF, now_real_ns), event(TENON_FEED_TRADE, now_real_ns)};
        out.book.first_update_id = update_id_;
        out.book.last_update_id = update_id_;
        // Levels are absolute: the old one goes by quantity 0 before the new one comes.
        std::uint32_t count = 0;
        if (before != middle_) {
            bids_[count] = {(before - 1) * tick_, 0};
            asks_[count++] = {(before + 1) * tick_, 0};
        }
        bids_[count] = bid();
        asks_[count++] = ask();
        set_levels(out.book, count);
        const bool buyer_is_maker = random() % 2 == 0;
        out.trade.trade_id = ++trade_id_;
        out.trade.price = buyer_is_maker ? bid().price : ask().price;
        out.trade.quantity = quantity_;
        out.trade.buyer_is_maker = buyer_is_maker ? 1 : 0;
        return out;
    }

    [[nodiscard]] tenon_feed_event snapshot(std::int64_t now_real_ns) noexcept {
        tenon_feed_event out = event(TENON_FEED_SNAPSHOT, now_real_ns);
        out.last_update_id = update_id_;
        bids_[0] = bid();
        asks_[0] = ask();
        set_levels(out, 1);
        return out;
    }

    [[nodiscard]] std::uint32_t instrument() const noexcept { return instrument_; }

private:
    [[nodiscard]] tenon_level bid() const noexcept { return {(middle_ - 1) * tick_, quantity_}; }

    [[nodiscard]] tenon_level ask() const noexcept { return {(middle_ + 1) * tick_, quantity_}; }

    [[nodiscard]] tenon_feed_event event(std::uint32_t kind, std::int64_t now_real_ns)
        const noexcept {
        tenon_feed_event out{};
        out.size = sizeof out;
        out.kind = kind;
        out.instrument = instrument_;
        out.event_real_ns = now_real_ns;
        return out;
    }

    void set_levels(tenon_feed_event& out, std::uint32_t count) noexcept {
        out.bids = bids_.data();
        out.asks = asks_.data();
        out.bid_count = count;
        out.ask_count = count;
    }

    // SplitMix64 (Steele, Lea, Flood 2014).
    std::uint64_t random() noexcept {
        std::uint64_t z = (random_ += 0x9e3779b97f4a7c15U);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }

    std::uint32_t instrument_;
    std::int64_t tick_, quantity_;
    std::int64_t middle_ = 2;
    std::uint64_t random_ = 0;
    std::uint64_t update_id_ = 0;
    std::uint64_t trade_id_ = 0;
    std::array<tenon_level, 2> bids_{}, asks_{};
};
