// SPDX-License-Identifier: Apache-2.0
// The table's state as bytes.
#include "plugins/venue/binance/orders/order_table.hpp"

#include <tenon/byte_codec.hpp>

#include <algorithm>
#include <utility>

namespace tenon::binance_venue {
namespace {

constexpr std::uint32_t k_magic = 0x334f4254;                      // "TBO3"
constexpr std::uint32_t k_magic_without_trailing = 0x324f4254;     // "TBO2"
constexpr std::uint32_t k_magic_without_conditional = 0x314f4254;  // "TBO1"
constexpr std::size_t k_order_bytes = 4 + 8 + 8 + 3 + 8 * 4 + 8 + 8 + 3 + 8 * 3 + 4;

void put(ByteWriter& out, const BookedOrder& booked) {
    const tenon_venue_order& order = booked.order;
    out.put(order.instrument);
    out.put(order.order_id);
    out.put(order.account);
    out.put(order.side);
    out.put(order.type);
    out.put(order.time_in_force);
    out.put(order.price);
    out.put(order.quantity);
    out.put(order.quote_quantity);
    out.put(order.funds);
    out.put(booked.submitted_real_ns);
    out.put(booked.limit);
    out.put(static_cast<std::uint8_t>(booked.state));
    out.put(std::uint8_t{booked.cancel_wanted});
    out.put(static_cast<std::uint8_t>(booked.end));
    out.put(booked.exchange_id);
    out.put(booked.filled);
    out.put(booked.executed);
    out.put(static_cast<std::uint32_t>(booked.trades.size()));
    for (const std::uint64_t trade : booked.trades) {
        out.put(trade);
    }
    out.put(order.stop_price);
    out.put(std::uint8_t{booked.working});
    out.put(order.display_quantity);
    out.put(order.trailing_delta);
    out.put(order.stp_mode);
}

[[nodiscard]] BookedOrder get_order(ByteReader& in, std::uint32_t magic) {
    BookedOrder booked;
    tenon_venue_order& order = booked.order;
    order.instrument = in.get<std::uint32_t>();
    order.order_id = in.get<std::uint64_t>();
    order.account = in.get<std::uint64_t>();
    order.side = in.get<std::uint8_t>();
    order.type = in.get<std::uint8_t>();
    order.time_in_force = in.get<std::uint8_t>();
    order.price = in.get<std::int64_t>();
    order.quantity = in.get<std::int64_t>();
    order.quote_quantity = in.get<std::int64_t>();
    order.funds = in.get<std::int64_t>();
    booked.submitted_real_ns = in.get<std::int64_t>();
    booked.limit = in.get<std::int64_t>();
    const auto state = in.get<std::uint8_t>();
    booked.cancel_wanted = in.get<std::uint8_t>() != 0;
    const auto end = in.get<std::uint8_t>();
    booked.exchange_id = in.get<std::uint64_t>();
    booked.filled = in.get<std::int64_t>();
    booked.executed = in.get<std::int64_t>();
    const auto count = in.get<std::uint32_t>();
    if (state >= static_cast<std::uint8_t>(BookState::gone) ||
        end > static_cast<std::uint8_t>(End::expired) || booked.filled < 0 || booked.executed < 0 ||
        count > in.left() / sizeof(std::uint64_t)) {
        in.fail();
        return booked;
    }
    booked.state = static_cast<BookState>(state);
    booked.end = static_cast<End>(end);
    for (std::uint32_t i = 0; i < count; ++i) {
        booked.trades.push_back(in.get<std::uint64_t>());
    }
    if (!std::is_sorted(booked.trades.begin(), booked.trades.end())) {
        in.fail();
    }
    if (magic != k_magic_without_conditional) {
        order.stop_price = in.get<std::int64_t>();
        booked.working = in.get<std::uint8_t>() != 0;
    }
    if (magic == k_magic) {
        order.display_quantity = in.get<std::int64_t>();
        order.trailing_delta = in.get<std::uint32_t>();
        order.stp_mode = in.get<std::uint32_t>();
        if (order.stp_mode > TENON_STP_EXPIRE_BOTH) {
            in.fail();
        }
    }
    return booked;
}

}  // namespace

std::string OrderTable::snapshot() const {
    std::string bytes;
    ByteWriter out{bytes};
    out.put(k_magic);
    out.put(contradictions_);
    out.put(fills_);
    out.put(static_cast<std::uint32_t>(orders_.size()));
    for (const auto& [id, booked] : orders_) {
        put(out, booked);
    }
    return bytes;
}

void OrderTable::restore(std::string_view bytes) {
    OrderTable read{*listing_};
    ByteReader in{bytes};
    const auto magic = in.get<std::uint32_t>();
    read.contradictions_ = in.get<std::uint64_t>();
    read.fills_ = in.get<std::uint64_t>();
    const auto count = in.get<std::uint32_t>();
    if (count > in.left() / k_order_bytes) {
        in.fail();
    }
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        BookedOrder booked = get_order(in, magic);
        const std::uint64_t id = booked.order.order_id;
        read.orders_.insert_or_assign(id, std::move(booked));
    }
    const bool known = magic == k_magic || magic == k_magic_without_trailing ||
                       magic == k_magic_without_conditional;
    if (!known || !in.ok() || !in.at_end() || read.orders_.size() != count) {
        throw Error{TENON_CORRUPT, "not a snapshot of this venue's orders"};
    }
    orders_ = std::move(read.orders_);
    contradictions_ = read.contradictions_;
    fills_ = read.fills_;
}

std::uint64_t OrderTable::hash() const {
    return hash64(snapshot());
}

}  // namespace tenon::binance_venue
