// SPDX-License-Identifier: Apache-2.0
// Fills limit orders at their limit. The whole state is two sums, so that a snapshot is 16 bytes.
// It reads no clock, no market and no random source: a replay of the journal gives the same.
#pragma once

#include <tenon/venue.hpp>

#include <cstring>
#include <string>
#include <string_view>

class InstantVenue {
public:
    void submit(const tenon_venue_order& order, bool listed, tenon::Venue::Reports& out) {
        if (!listed) {
            out.rejected(order.order_id, order.instrument, TENON_REJECT_UNKNOWN_INSTRUMENT);
            return;
        }
        if (order.type == TENON_ORDER_LIMIT_MAKER) {
            out.rejected(order.order_id, order.instrument, TENON_REJECT_WOULD_MATCH);
            return;
        }
        if (order.type == TENON_ORDER_MARKET) {
            out.rejected(order.order_id, order.instrument, TENON_REJECT_NO_LIQUIDITY);
            return;
        }
        if (order.type != TENON_ORDER_LIMIT) {
            out.rejected(order.order_id, order.instrument, TENON_REJECT_UNSUPPORTED);
            return;
        }
        out.accepted(order.order_id, order.instrument);
        out.trade(order.order_id, 0, order.instrument, order.price, order.quantity);
        ++state_.fills;
        state_.quantity += static_cast<std::uint64_t>(order.quantity);
    }

    [[nodiscard]] std::uint64_t fills() const noexcept { return state_.fills; }

    [[nodiscard]] std::string snapshot() const {
        std::string bytes(sizeof state_, '\0');
        std::memcpy(bytes.data(), &state_, sizeof state_);
        return bytes;
    }

    // False, and nothing changed, when these are not a snapshot's bytes.
    [[nodiscard]] bool restore(std::string_view bytes) noexcept {
        if (bytes.size() != sizeof state_) {
            return false;
        }
        std::memcpy(&state_, bytes.data(), sizeof state_);
        return true;
    }

    // FNV-1a, 64 bits (Fowler, Noll, Vo), over the snapshot.
    [[nodiscard]] std::uint64_t hash() const noexcept {
        unsigned char bytes[sizeof state_];
        std::memcpy(bytes, &state_, sizeof state_);
        std::uint64_t hash = 0xcbf29ce484222325U;
        for (const unsigned char byte : bytes) {
            hash = (hash ^ byte) * 0x100000001b3U;
        }
        return hash;
    }

private:
    struct State {
        std::uint64_t fills = 0;
        std::uint64_t quantity = 0;  // of all instruments, in their own units
    };

    State state_;
};
