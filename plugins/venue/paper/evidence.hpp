// SPDX-License-Identifier: Apache-2.0
// What the paper venue learns of the market, and its bytes in the engine's journal.
//
// Encoding, version 1, little-endian, no padding:
//   u8 version (1), u8 kind, then by kind
//   1 look    <look>                      travels with an order: the market that it meets
//   2 wait    i64 due_real_ns, i64 reference   travels with an order that is under way until then
//   3 arrival u64 order_id, <look>        a command: the order has arrived, and meets this market
//   4 market  u32 instrument, u32 count, then count times
//             u8 kind (1 trade, 2 level, 3 cross), u8 side of the resting orders it concerns,
//             i64 price, i64 quantity
//   5 trigger u64 order_id, <look>        a command: the last price reached the order's stop price;
//                                         it goes on in this market
//   6 price   u32 instrument, i64 price   a command: a public trade that moves or triggers a
//                                         trailing stop
//   <look>    u32 instrument, u8 trusted, i64 reference, u64 book_id, i64 bid, i64 bid_quantity,
//             i64 ask, i64 ask_quantity, i64 displayed, u32 count, then count times
//             i64 price, i64 quantity
// Example: an order under way until 1 ns, reference price 2:
//   01 02 | 01 00 00 00 00 00 00 00 | 02 00 00 00 00 00 00 00
#pragma once

#include <tenon/abi/feed.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tenon::paper {

inline constexpr std::uint8_t k_evidence_version = 1;
// A look that is larger does not fit into the engine's bound of an order's evidence.
inline constexpr std::size_t k_levels_max = 10'000;
inline constexpr std::size_t k_items_max = 100'000;

struct Look {
    std::uint32_t instrument = 0;
    bool trusted = false;             // false: no book, or one with a gap
    std::int64_t reference = 0;       // price of the last public trade, or 0
    std::uint64_t book_id = 0;        // update id of the book
    tenon_level bid{}, ask{};         // the newest best prices; quantity 0: none
    std::int64_t displayed = 0;       // at the order's own price, on its own side
    std::vector<tenon_level> levels;  // that the order would take, best first
};

struct Wait {
    std::int64_t due_real_ns = 0;
    std::int64_t reference = 0;
};

struct Arrival {
    std::uint64_t order_id = 0;
    Look look;
};

struct Triggered {
    std::uint64_t order_id = 0;
    Look look;
};

enum class ItemKind : std::uint8_t {
    trade = 1,  // traded against orders of this side, at this price
    level = 2,  // displayed now on this side at this price
    cross = 3   // offered newly to orders of this side by the other side, at this price
};

struct Item {
    ItemKind kind = ItemKind::trade;
    std::uint8_t side = 0;
    std::int64_t price = 0, quantity = 0;
};

struct MarketNews {
    std::uint32_t instrument = 0;
    std::vector<Item> items;
};

struct Price {
    std::uint32_t instrument = 0;
    std::int64_t price = 0;
};

using Evidence = std::variant<Look, Wait, Arrival, MarketNews, Triggered, Price>;

[[nodiscard]] std::string encode(const Evidence& evidence);
// Empty: not such bytes.
[[nodiscard]] std::optional<Evidence> decode(std::string_view bytes);

// Little-endian writing and bounded reading; the venue's snapshot uses them too.
class Writer {
public:
    template <class Number>
    void put(Number value) {
        for (std::size_t i = 0; i < sizeof value; ++i) {
            const auto wide = static_cast<std::uint64_t>(value);
            bytes_.push_back(static_cast<char>((wide >> (8 * i)) & 0xffU));
        }
    }

    void put(const tenon_level& level) {
        put(level.price);
        put(level.quantity);
    }

    [[nodiscard]] std::string take() { return std::move(bytes_); }

private:
    std::string bytes_;
};

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_{bytes} {}

    template <class Number>
    void get(Number& value) {
        if (bytes_.size() < sizeof value) {
            sound_ = false;
            bytes_ = {};
            value = {};
            return;
        }
        std::uint64_t wide = 0;
        for (std::size_t i = 0; i < sizeof value; ++i) {
            wide |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[i])) << (8 * i);
        }
        value = static_cast<Number>(wide);
        bytes_.remove_prefix(sizeof value);
    }

    void get(tenon_level& level) {
        get(level.price);
        get(level.quantity);
    }

    // A count of elements of at least `bytes_each`; 0 and not sound when they cannot be there.
    [[nodiscard]] std::size_t get_count(std::size_t bytes_each, std::size_t max) {
        std::uint32_t count = 0;
        get(count);
        if (count > max || count > bytes_.size() / bytes_each) {
            sound_ = false;
            return 0;
        }
        return count;
    }

    [[nodiscard]] bool sound() const noexcept { return sound_; }

    // Sound, and nothing is left.
    [[nodiscard]] bool complete() const noexcept { return sound_ && bytes_.empty(); }

private:
    std::string_view bytes_;
    bool sound_ = true;
};

}  // namespace tenon::paper
