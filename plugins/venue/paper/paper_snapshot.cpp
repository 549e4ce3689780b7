// SPDX-License-Identifier: Apache-2.0
// The paper venue's state as bytes.
#include "plugins/venue/paper/paper.hpp"

#include <tenon/conditional_order.hpp>

#include <utility>

namespace tenon::paper {
namespace {

constexpr std::uint32_t k_magic = 0x33565054;                      // "TPV3"
constexpr std::uint32_t k_magic_without_trailing = 0x32565054;     // "TPV2"
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
    out.put(order.trailing_delta);
}

[[nodiscard]] tenon_venue_order get_order(Reader& in, std::uint32_t magic) {
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
    if (magic != k_magic_without_conditional) {
        in.get(order.stop_price);
    }
    if (magic == k_magic) {
        in.get(order.trailing_delta);
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
    std::map<std::uint64_t, std::int64_t> best;
    for (const auto& [id, order] : conditional_) {
        put(out, order);
        if (order.trailing_delta != 0) {
            best[id] = 0;
        }
    }
    for (const auto& [instrument, trailing] : trailing_) {
        for (const Trailing& order : trailing.orders()) {
            best[order.order_id] = order.best;
        }
    }
    out.put(static_cast<std::uint32_t>(best.size()));
    for (const auto& [id, price] : best) {
        out.put(id);
        out.put(price);
        out.put(static_cast<std::uint8_t>(due_.contains(id)));
    }
    return out.take();
}

// Each trailing stop among the conditional orders, once.
bool PaperVenue::restore_trailing(Reader& in) {
    std::size_t expected = 0;
    for (const auto& [id, order] : conditional_) {
        expected += order.trailing_delta != 0 ? 1U : 0U;
    }
    const std::size_t count = in.get_count(2 * k_number + 1, k_rows_max);
    for (std::size_t n = 0; n < count && in.sound(); ++n) {
        std::uint64_t id = 0;
        std::int64_t best = 0;
        std::uint8_t due = 0;
        in.get(id);
        in.get(best);
        in.get(due);
        const auto found = conditional_.find(id);
        if (found == conditional_.end() || best < 0 || due > 1) {
            return false;
        }
        const tenon_venue_order& order = found->second;
        TrailingBook& book = trailing_[order.instrument];
        const Trailing trailing{
            id,
            order.stop_price,
            waits_for_rise(order.side, order.type),
            order.side == TENON_SIDE_SELL,
            order.trailing_delta,
            best};
        if (due == 1 ? !due_.insert(id).second : !book.add(trailing)) {
            return false;
        }
    }
    return in.sound() && count == expected;
}

bool PaperVenue::restore(std::string_view bytes) {
    PaperVenue read{rules_of_};
    Reader in{bytes};
    std::uint32_t magic = 0;
    in.get(magic);
    if (magic != k_magic && magic != k_magic_without_trailing &&
        magic != k_magic_without_conditional) {
        return false;
    }
    const bool has_conditional = magic != k_magic_without_conditional;
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
        waiting.order = get_order(in, magic);
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
    const std::size_t waiting = has_conditional ? in.get_count(7 * k_number, k_rows_max) : 0;
    for (std::size_t n = waiting; n > 0 && in.sound(); --n) {
        const tenon_venue_order order = get_order(in, magic);
        if (order.trailing_delta != 0) {
            read.conditional_[order.order_id] = order;
        } else {
            read.wait_for_price(order, 0);
        }
    }
    if ((magic == k_magic && !read.restore_trailing(in)) || !in.complete()) {
        return false;
    }
    markets_ = std::move(read.markets_);
    places_ = std::move(read.places_);
    waiting_ = std::move(read.waiting_);
    conditional_ = std::move(read.conditional_);
    triggers_ = std::move(read.triggers_);
    trailing_ = std::move(read.trailing_);
    due_ = std::move(read.due_);
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
