// SPDX-License-Identifier: Apache-2.0
// The book of one instrument: resting orders by price and time, and the matching of a new one.
//
// A level is a queue of orders linked through a pool. The prices of a side lie sorted in one array,
// the best last: a search reads a few cache lines, and what happens near the best price moves
// little memory. Measured against std::map on 1,000 levels: engine_bench. Nothing is allocated once
// the pools are as large as the book.
//
// An iceberg is in its level with what it shows; each time that is traded, the next part goes to
// the end of the level. Orders of one account trade, unless the mode of the one that takes forbids
// it.
//
// It knows no money beyond the order's own bounds, and does not publish anything: it notes what
// changed, for whoever asks.
#pragma once

#include "plugins/venue/internal/iceberg_pool.hpp"
#include "sdk/triggers/id_table.hpp"
#include "sdk/triggers/trailing_book.hpp"
#include "sdk/triggers/trigger_book.hpp"

#include <tenon/abi/feed.h>
#include <tenon/abi/venue.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace tenon::internal {

inline constexpr std::uint8_t k_sides[] = {TENON_SIDE_BUY, TENON_SIDE_SELL};

// What of an instrument the matching needs.
struct BookRules {
    std::uint32_t instrument = 0;
    std::int64_t base_unit = 1;   // quantity * base_unit = units of the base asset
    std::int64_t quote_unit = 1;  // price * quantity * quote_unit = units of the quote asset
    std::int64_t step = 1;        // market orders by quote quantity are cut to it
};

struct RestingOrder {
    std::uint64_t order_id = 0;
    std::int64_t quantity = 0;  // what is left, > 0; of an iceberg what it shows of that
    std::uint32_t account = 0;  // 0: not known, from a snapshot of an older server
    Iceberg iceberg{};          // display 0: it is none
};

// A trade as the public sees it.
struct PublicTrade {
    std::uint64_t trade_id = 0;
    std::int64_t price = 0, quantity = 0;
    std::int64_t time_real_ns = 0;
    bool buyer_is_maker = false;
};

struct LevelChange {
    std::uint8_t side = 0;
    std::int64_t price = 0;
};

class Book {
public:
    explicit Book(const BookRules& rules) : rules_{rules} {}

    [[nodiscard]] const BookRules& rules() const noexcept { return rules_; }

    // Reports what becomes of the order, and which conditional ones its trades triggered: see
    // tenon/abi/venue.h.
    void submit(const tenon_venue_order& order, std::int64_t now_real_ns, tenon_venue_reports out);

    // Reports CANCELED, or nothing when the order neither rests nor waits here.
    void cancel(std::uint64_t order_id, tenon_venue_reports out);

    // Of an order that rests or waits, `quantity` is left, less than before. False: it is not here.
    [[nodiscard]] bool amend(std::uint64_t order_id, std::int64_t quantity);

    // Whose an order is, after restoring what an older server wrote.
    void owned(std::uint64_t order_id, std::uint64_t account) noexcept;

    [[nodiscard]] std::size_t resting() const noexcept { return resting_; }

    // Conditional orders that are not triggered.
    [[nodiscard]] const TriggerBook& triggers() const noexcept { return triggers_; }

    [[nodiscard]] const TrailingBook& trailing() const noexcept { return trailing_; }

    [[nodiscard]] std::size_t level_count(std::uint8_t side) const noexcept {
        return sides_[side].keys.size();
    }

    // Changes of levels and trades since the book began; both are part of its state.
    [[nodiscard]] std::uint64_t update_id() const noexcept { return update_id_; }

    [[nodiscard]] std::uint64_t trade_id() const noexcept { return trade_id_; }

    // The level at a price; 0 when there is none.
    [[nodiscard]] std::int64_t quantity_at(std::uint8_t side, std::int64_t price) const noexcept;

    [[nodiscard]] std::optional<tenon_level> best(std::uint8_t side) const noexcept {
        const Side& levels = sides_[side];
        if (levels.keys.empty()) {
            return std::nullopt;
        }
        const Level& level = levels_[levels.places.back()];
        return tenon_level{level.price, level.quantity};
    }

    // Levels from the best on.
    template <class Visit>
    void for_each_level(std::uint8_t side, Visit&& visit) const {
        const Side& levels = sides_[side];
        for (std::size_t i = levels.keys.size(); i-- > 0;) {
            const Level& level = levels_[levels.places[i]];
            visit(tenon_level{level.price, level.quantity});
        }
    }

    // Orders from the best level and the oldest on: visit(price, RestingOrder).
    template <class Visit>
    void for_each_order(std::uint8_t side, Visit&& visit) const {
        const Side& levels = sides_[side];
        for (std::size_t i = levels.keys.size(); i-- > 0;) {
            const Level& level = levels_[levels.places[i]];
            for (std::uint32_t at = level.first; at != k_none; at = nodes_[at].next) {
                visit(level.price, resting_order(nodes_[at]));
            }
        }
    }

    // While on, trades and changed levels are noted below; at most k_noted_max of each.
    void note_changes(bool on) noexcept { noting_ = on; }

    [[nodiscard]] const std::vector<PublicTrade>& noted_trades() const noexcept { return trades_; }

    [[nodiscard]] const std::vector<LevelChange>& noted_levels() const noexcept { return changes_; }

    // True when something was not noted for lack of room.
    [[nodiscard]] bool notes_lost() const noexcept { return lost_; }

    void forget_notes() noexcept;

    // For snapshots: puts an order at the end of its level; an id that is there gives false.
    [[nodiscard]] bool restore(std::uint8_t side, std::int64_t price, const RestingOrder& order);

    // For snapshots; a waiting order that is there gives false.
    [[nodiscard]] bool restore(const Trigger& trigger) { return triggers_.add(trigger); }

    [[nodiscard]] bool restore(const Trailing& trailing) { return trailing_.add(trailing); }

    void restore_counters(std::uint64_t update_id, std::uint64_t trade_id) noexcept {
        update_id_ = update_id;
        trade_id_ = trade_id;
    }

    static constexpr std::size_t k_noted_max = 65'536;

private:
    static constexpr std::uint32_t k_none = IdTable::k_none;

    static constexpr std::uint32_t k_account_mask = 0x7fffffffU;

    struct Node {
        std::uint64_t order_id = 0;
        std::int64_t quantity = 0;
        std::uint32_t next = k_none, previous = k_none;  // next also links free nodes
        std::uint32_t level = k_none;
        std::uint32_t account : 31 = 0;  // ids are dense and fewer
        std::uint32_t is_iceberg : 1 = 0;
    };

    static_assert(sizeof(Node) == 32);

    struct Level {
        std::int64_t price = 0;
        std::int64_t quantity = 0;
        std::uint32_t first = k_none, last = k_none;
        std::uint8_t side = 0;
    };

    // Sorted ascending by key, which is the price for bids and its negative for asks: best last.
    struct Side {
        std::vector<std::int64_t> keys;
        std::vector<std::uint32_t> places;
    };

    // What a new order may still take.
    struct Taker {
        const tenon_venue_order& order;
        std::int64_t quantity;  // INT64_MAX for an order by quote quantity
        std::int64_t quote;     // left of the quote quantity, else INT64_MAX
        std::int64_t funds;
        bool lessened = false;  // a prevented match took some of it
        bool ended = false;     // or all that was left
    };

    [[nodiscard]] static std::int64_t key_of(std::uint8_t side, std::int64_t price) noexcept {
        return side == TENON_SIDE_BUY ? price : -price;
    }

    [[nodiscard]] static std::size_t
    place_of(const std::vector<std::int64_t>& keys, std::int64_t key) noexcept;
    [[nodiscard]] bool crosses(const tenon_venue_order& order, std::int64_t price) const noexcept;
    [[nodiscard]] bool would_match(const tenon_venue_order& order) const noexcept;
    [[nodiscard]] bool can_fill(const tenon_venue_order& order) const noexcept;
    [[nodiscard]] std::int64_t takes(const Taker& taker, std::int64_t price, std::int64_t offered)
        const noexcept;
    [[nodiscard]] bool can_fill_past_own(const tenon_venue_order& order) const noexcept;
    [[nodiscard]] bool wait_for_price(const tenon_venue_order& order);
    void execute(const tenon_venue_order& order, std::int64_t now_real_ns, tenon_venue_reports out);
    void report_triggered(tenon_venue_reports out);
    void match(Taker& taker, std::int64_t now_real_ns, tenon_venue_reports out);
    void trade(
        Taker& taker,
        Level& level,
        std::int64_t quantity,
        std::int64_t now_real_ns,
        tenon_venue_reports out
    );
    void prevent(Taker& taker, Level& level, std::int64_t quantity, tenon_venue_reports out);
    static void take(Taker& taker, std::int64_t quantity, std::int64_t amount) noexcept;
    [[nodiscard]] bool lessen_first(Level& level, std::int64_t quantity);
    void rest(std::uint8_t side, std::int64_t price, const RestingOrder& order);
    [[nodiscard]] RestingOrder resting_order(const Node& node) const noexcept;
    [[nodiscard]] std::int64_t quantity_left(const Node& node) const noexcept;
    void unlink(std::uint32_t node) noexcept;
    void append(std::uint32_t node) noexcept;
    void remove(std::uint32_t node);
    std::uint32_t level_for(std::uint8_t side, std::int64_t price);
    void note_level(std::uint8_t side, std::int64_t price);
    void note_trade(const PublicTrade& trade);

    BookRules rules_;
    Side sides_[2];
    std::vector<Level> levels_;
    std::vector<std::uint32_t> free_levels_;
    std::vector<Node> nodes_;
    std::uint32_t free_node_ = k_none;
    std::size_t resting_ = 0;
    IdTable ids_;
    std::uint64_t update_id_ = 0;
    std::uint64_t trade_id_ = 0;
    IcebergPool icebergs_;
    TriggerBook triggers_;
    TrailingBook trailing_;
    // Of the submit under way: its first and last trade, 0 without one. One taker's prices only
    // rise or only fall, so that between them lies all that was passed.
    std::int64_t first_price_ = 0, last_price_ = 0;
    std::vector<std::int64_t> trade_prices_;  // while orders trail: each once, as they came
    std::vector<std::uint64_t> triggered_;
    bool noting_ = false;
    bool lost_ = false;
    std::vector<PublicTrade> trades_;
    std::vector<LevelChange> changes_;
};

}  // namespace tenon::internal
