// SPDX-License-Identifier: Apache-2.0
// Open orders, found by id and by client id; and the client ids of closed ones, for a while.
//
// Slots are reused, indexes into them stay valid until the order leaves. Nothing is allocated once
// the tables are as large as the open orders need.
#pragma once

#include <tenon/abi/trading.h>
#include <tenon/structs.hpp>

#include <cstdint>
#include <vector>

namespace tenon::trading {

inline constexpr std::uint32_t k_no_slot = 0xffffffffU;

// On its own cache lines.
struct alignas(64) OrderSlot {
    tenon_order order = sized<tenon_order>();
    std::int64_t locked = 0;  // what is left of the reservation, in units of the paying asset
};

// What an account has open in an instrument.
struct Exposure {
    std::uint32_t open_orders = 0;
    std::uint32_t algo_orders = 0;       // conditional ones among them
    std::int64_t open_buy_quantity = 0;  // rest of the quantity of its buy orders
};

struct ClosedId {
    std::uint64_t account = 0;
    tenon_client_id client_id{};
    std::uint32_t tag = 0;
    std::uint32_t reserved = 0;
};

// Open addressing, linear probing, deletion by shifting back; 32-bit tags stand for the keys, what
// a reference means is the owner's to compare. Doubles when half full.
class TagTable {
public:
    static constexpr std::uint32_t k_empty = 0xffffffffU;

    TagTable();

    // The first reference with that tag for which same(reference) holds, or k_empty.
    template <class Same>
    [[nodiscard]] std::uint32_t find(std::uint32_t tag, Same&& same) const noexcept {
        for (std::uint32_t at = tag >> shift_;; at = (at + 1) & mask_) {
            const Entry& entry = entries_[at];
            if (entry.reference == k_empty) {
                return k_empty;
            }
            if (entry.tag == tag && same(entry.reference)) {
                return entry.reference;
            }
        }
    }

    void insert(std::uint32_t tag, std::uint32_t reference);
    // Of an entry that is there.
    void replace(std::uint32_t tag, std::uint32_t reference, std::uint32_t by) noexcept;
    void erase(std::uint32_t tag, std::uint32_t reference) noexcept;
    void clear() noexcept;

    void prefetch(std::uint32_t tag) const noexcept {
        __builtin_prefetch(entries_.data() + (tag >> shift_));
    }

private:
    struct Entry {
        std::uint32_t tag = 0;
        std::uint32_t reference = k_empty;
    };

    [[nodiscard]] std::uint32_t place_of(std::uint32_t tag, std::uint32_t reference) const noexcept;
    void grow();

    std::vector<Entry> entries_;
    std::uint32_t mask_ = 0;
    std::uint32_t shift_ = 0;  // 32 - log2(size)
    std::uint32_t used_ = 0;
};

class OrderStore {
public:
    // `remembered`: client ids of closed orders that are kept. The seed changes no result.
    OrderStore(std::uint32_t instrument_count, std::uint32_t remembered, std::uint64_t hash_seed);

    // Makes room for the next account id.
    void add_account();

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    // What stands for an account's client id in the tables; asked for early, it is looked up while
    // the caller does something else. The id has no bytes after its length but zeros.
    [[nodiscard]] std::uint32_t client_tag(std::uint64_t account, const tenon_client_id& id)
        const noexcept {
        const std::uint32_t tag = tag_of(account, id);
        by_client_.prefetch(tag);
        return tag;
    }

    // Takes an order whose id and client id are not there.
    std::uint32_t insert(const tenon_order& order, std::int64_t locked, std::uint32_t client_tag);

    std::uint32_t insert(const tenon_order& order, std::int64_t locked) {
        return insert(order, locked, tag_of(order.account, order.client_id));
    }

    // Hints: what a command will touch is fetched while the checks run.
    // An order of that account and id is about to come.
    void prefetch_insert(std::uint64_t order_id, std::uint64_t account) const noexcept {
        by_id_.prefetch(tag_of(order_id));
        if (free_ != k_no_slot) {
            prefetch_slot(free_);
        }
        if (account < lists_.size()) {
            __builtin_prefetch(&lists_[account]);
        }
    }

    // The order is about to change and perhaps to leave.
    void prefetch(std::uint32_t slot) const noexcept {
        prefetch_slot(slot);
        by_client_.prefetch(links_[slot].client_tag);
    }

    // The order is closed: it leaves, its client id stays taken.
    void close(std::uint32_t slot);
    // The order never was: it leaves, and its client id is free.
    void remove(std::uint32_t slot);

    [[nodiscard]] OrderSlot& operator[](std::uint32_t slot) noexcept { return slots_[slot]; }

    [[nodiscard]] const OrderSlot& operator[](std::uint32_t slot) const noexcept {
        return slots_[slot];
    }

    // k_no_slot when no open order has it.
    [[nodiscard]] std::uint32_t find(std::uint64_t order_id) const noexcept {
        return by_id_.find(tag_of(order_id), [&](std::uint32_t slot) {
            __builtin_prefetch(&slots_[slot]);
            return links_[slot].order_id == order_id;
        });
    }

    // The same, trying a slot first that probably holds it; k_no_slot: none.
    [[nodiscard]] std::uint32_t find(std::uint64_t order_id, std::uint32_t probably)
        const noexcept {
        if (order_id != 0 && probably < links_.size() && links_[probably].order_id == order_id) {
            return probably;
        }
        return find(order_id);
    }

    [[nodiscard]] std::uint32_t find_client(std::uint64_t account, const tenon_client_id& id)
        const noexcept;

    // True for the client id of an open order and of a remembered closed one.
    [[nodiscard]] bool client_id_taken(
        std::uint64_t account,
        const tenon_client_id& id,
        std::uint32_t client_tag
    ) const noexcept;

    [[nodiscard]] bool client_id_taken(std::uint64_t account, const tenon_client_id& id)
        const noexcept {
        return client_id_taken(account, id, tag_of(account, id));
    }

    [[nodiscard]] const Exposure& exposure(std::uint64_t account, std::uint32_t instrument)
        const noexcept {
        return exposures_[account * instruments_ + instrument];
    }

    // In all instruments.
    [[nodiscard]] std::uint32_t open_orders_of(std::uint64_t account) const noexcept {
        return lists_[account].count;
    }

    // A buy order's rest became less by `quantity`.
    void bought(const tenon_order& order, std::int64_t quantity) noexcept {
        exposures_[order.account * instruments_ + order.instrument].open_buy_quantity -= quantity;
    }

    // Slots of the account's open orders, ids ascending. visit may not change the store.
    template <class Visit>
    void for_each_of(std::uint64_t account, Visit&& visit) const {
        if (account < lists_.size()) {
            for (std::uint32_t at = lists_[account].first; at != k_no_slot; at = links_[at].next) {
                visit(slots_[at]);
            }
        }
    }

    // Slots of all open orders, ids ascending.
    [[nodiscard]] std::vector<std::uint32_t> sorted() const;

    // Remembered ids, oldest first.
    template <class Visit>
    void for_each_remembered(Visit&& visit) const {
        for (std::uint32_t i = 0; i < closed_count_; ++i) {
            visit(closed_[(closed_first_ + i) % closed_.size()]);
        }
    }

    // An open order gets another client id, which is not taken; its old one stays taken.
    void rename(std::uint32_t slot, const tenon_client_id& id);

    // For snapshots.
    void remember(std::uint64_t account, const tenon_client_id& id);
    void reset();

private:
    struct List {
        std::uint32_t first = k_no_slot, last = k_no_slot;
        std::uint32_t count = 0;
    };

    // What finding and unlinking need of a slot, apart from the rest: neighbours in a list are
    // touched with every order that comes and goes, and this stays in the cache.
    struct Link {
        std::uint64_t order_id = 0;
        std::uint32_t next = k_no_slot, previous = k_no_slot;  // of the account, ids ascending
        std::uint32_t client_tag = 0;
        std::uint32_t reserved = 0;
    };

    // References of by_client_: a slot, or a place in closed_ with this bit.
    static constexpr std::uint32_t k_closed_bit = 0x80000000U;

    void prefetch_slot(std::uint32_t slot) const noexcept {
        constexpr std::size_t k_line = 64;
        const auto* bytes = reinterpret_cast<const char*>(&slots_[slot]);
        for (std::size_t at = 0; at < sizeof(OrderSlot); at += k_line) {
            __builtin_prefetch(bytes + at);
        }
        __builtin_prefetch(&links_[slot]);
    }

    [[nodiscard]] static std::uint32_t tag_of(std::uint64_t order_id) noexcept {
        return static_cast<std::uint32_t>((order_id * 0x9e3779b97f4a7c15ULL) >> 32);
    }

    [[nodiscard]] std::uint32_t tag_of(std::uint64_t account, const tenon_client_id& id)
        const noexcept;
    [[nodiscard]] std::uint32_t
    lookup(std::uint32_t tag, std::uint64_t account, const tenon_client_id& id) const noexcept;
    void unlink(std::uint32_t slot) noexcept;
    void give_up_client_id(std::uint32_t slot);
    std::uint32_t place_for_closed();

    std::uint32_t instruments_;
    std::uint64_t hash_seed_;
    std::size_t size_ = 0;
    std::uint32_t free_ = k_no_slot;  // list through next
    std::vector<OrderSlot> slots_;
    std::vector<Link> links_;          // by slot
    std::vector<List> lists_;          // by account
    std::vector<Exposure> exposures_;  // by account and instrument
    TagTable by_id_;
    TagTable by_client_;
    std::vector<ClosedId> closed_;  // ring
    std::uint32_t closed_first_ = 0;
    std::uint32_t closed_count_ = 0;
};

}  // namespace tenon::trading
