// SPDX-License-Identifier: Apache-2.0
// The paper venue's state as bytes.
#include "plugins/venue/paper/paper.hpp"

#include <utility>

namespace tenon::paper {
namespace {

constexpr std::uint32_t k_magic = 0x32565054;                      // "TPV2"
constexpr std::uint32_t k_magic_without_conditional = 0x31565054;  // "TPV1"
constexpr std::size_t k_rows_max = 100'000'000;
constexpr std::size_t k_number = sizeof(std::int64_t);

void put(Writer& out, const tenon_venue_order& order) {
    out.put(order.order_id);
    out.put(order.account);
    out.put(order.instrument);
    out.put(order.side);
    out.put(order.type);
    out.put(order.time_in_force);
    out.put(order.price);
    out.put(order.quantity);
    out.put(order.quote_quantity);
    out.put(order.funds);
    out.put(order.stop_price);
}

[[nodiscard]] tenon_venue_order get_order(Reader& in, bool with_stop_price) {
    auto order = sized<tenon_venue_order>();
    in.get(order.order_id);
    in.get(order.account);
    in.get(order.instrument);
    in.get(order.side);
    in.get(order.type);
    in.get(order.time_in_force);
    in.get(order.price);
    in.get(order.quantity);
    in.get(order.quote_quantity);
    in.get(order.funds);
    if (with_stop_price) {
        in.get(order.stop_price);
    }
    return order;
}

}  // namespace

std::string PaperVenue::snapshot() const {
    Writer out;
    out.put(k_magic);
    out.put(static_cast<std::uint32_t>(places_.size()));
    for (const auto& [instrument, market] : markets_) {
        for (const std::uint8_t side : {std::uint8_t{0}, std::uint8_t{1}}) {
            for (const auto& [key, orders] : market.sides[side]) {
                for (const Resting& order : orders) {
                    out.put(instrument);
                    out.put(side);
                    out.put(key);
                    out.put(order.order_id);
                    out.put(order.remaining);
                    out.put(order.ahead);
                }
            }
        }
    }
    out.put(static_cast<std::uint32_t>(waiting_.size()));
    for (const auto& [id, waiting] : waiting_) {
        put(out, waiting.order);
        out.put(waiting.due_real_ns);
    }
    std::uint32_t books = 0;
    for (const auto& [instrument, market] : markets_) {
        books += market.taken[0].empty() && market.taken[1].empty() ? 0U : 1U;
    }
    out.put(books);
    for (const auto& [instrument, market] : markets_) {
        if (market.taken[0].empty() && market.taken[1].empty()) {
            continue;
        }
        out.put(instrument);
        out.put(market.book_id);
        out.put(market.bid);
        out.put(market.ask);
        for (const auto& taken : market.taken) {
            out.put(static_cast<std::uint32_t>(taken.size()));
            for (const auto& [price, quantity] : taken) {
                out.put(price);
                out.put(quantity);
            }
        }
    }
    out.put(static_cast<std::uint32_t>(conditional_.size()));
    for (const auto& [id, order] : conditional_) {
        put(out, order);
    }
    return out.take();
}

bool PaperVenue::restore(std::string_view bytes) {
    PaperVenue read{rules_of_};
    Reader in{bytes};
    std::uint32_t magic = 0;
    in.get(magic);
    const bool current = magic == k_magic;
    if (!current && magic != k_magic_without_conditional) {
        return false;
    }
    for (std::size_t n = in.get_count(4 * k_number, k_rows_max); n > 0 && in.sound(); --n) {
        std::uint32_t instrument = 0;
        std::uint8_t side = 0;
        std::int64_t key = 0;
        Resting order;
        in.get(instrument);
        in.get(side);
        in.get(key);
        in.get(order.order_id);
        in.get(order.remaining);
        in.get(order.ahead);
        if (side > TENON_SIDE_SELL || order.remaining <= 0 || order.ahead < 0) {
            return false;
        }
        read.markets_[instrument].sides[side][key].push_back(order);
        read.places_[order.order_id] = {instrument, side, side == TENON_SIDE_BUY ? -key : key};
    }
    for (std::size_t n = in.get_count(7 * k_number, k_rows_max); n > 0 && in.sound(); --n) {
        Waiting waiting;
        waiting.order = get_order(in, current);
        in.get(waiting.due_real_ns);
        read.waiting_[waiting.order.order_id] = waiting;
    }
    for (std::size_t n = in.get_count(6 * k_number, k_rows_max); n > 0 && in.sound(); --n) {
        std::uint32_t instrument = 0;
        in.get(instrument);
        Market& market = read.markets_[instrument];
        in.get(market.book_id);
        in.get(market.bid);
        in.get(market.ask);
        for (auto& taken : market.taken) {
            for (std::size_t m = in.get_count(2 * k_number, k_rows_max); m > 0; --m) {
                tenon_level level{};
                in.get(level);
                taken[level.price] = level.quantity;
            }
        }
    }
    for (std::size_t n = current ? in.get_count(7 * k_number, k_rows_max) : 0; n > 0 && in.sound();
         --n) {
        read.wait_for_price(get_order(in, current));
    }
    if (!in.complete()) {
        return false;
    }
    markets_ = std::move(read.markets_);
    places_ = std::move(read.places_);
    waiting_ = std::move(read.waiting_);
    conditional_ = std::move(read.conditional_);
    triggers_ = std::move(read.triggers_);
    return true;
}

// FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv), of the snapshot.
std::uint64_t PaperVenue::hash() const {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char byte : snapshot()) {
        hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
    }
    return hash;
}

}  // namespace tenon::paper
