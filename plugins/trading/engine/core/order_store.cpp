// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/core/order_store.hpp"

#include <tenon/byte_codec.hpp>
#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>
#include <cstring>

namespace tenon::trading {
namespace {

[[nodiscard]] bool same(const tenon_client_id& a, const tenon_client_id& b) noexcept {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

// What the order may still buy; nothing is known of an order by quote quantity.
[[nodiscard]] std::int64_t open_buy_quantity(const tenon_order& order) noexcept {
    return order.side == TENON_SIDE_BUY && order.quote_quantity == 0
               ? order.quantity - order.filled_quantity - order.prevented_quantity
               : 0;
}

}  // namespace

TagTable::TagTable() : entries_(1024), mask_{1023}, shift_{22} {}

void TagTable::insert(std::uint32_t tag, std::uint32_t reference) {
    if (used_ * 2 >= entries_.size()) {
        grow();
    }
    std::uint32_t at = tag >> shift_;
    while (entries_[at].reference != k_empty) {
        at = (at + 1) & mask_;
    }
    entries_[at] = {tag, reference};
    ++used_;
}

void TagTable::grow() {
    std::vector<Entry> old(entries_.size() * 2);
    old.swap(entries_);
    mask_ = static_cast<std::uint32_t>(entries_.size() - 1);
    --shift_;
    for (const Entry& entry : old) {
        if (entry.reference != k_empty) {
            std::uint32_t at = entry.tag >> shift_;
            while (entries_[at].reference != k_empty) {
                at = (at + 1) & mask_;
            }
            entries_[at] = entry;
        }
    }
}

std::uint32_t TagTable::place_of(std::uint32_t tag, std::uint32_t reference) const noexcept {
    std::uint32_t at = tag >> shift_;
    while (entries_[at].tag != tag || entries_[at].reference != reference) {
        at = (at + 1) & mask_;
    }
    return at;
}

void TagTable::replace(std::uint32_t tag, std::uint32_t reference, std::uint32_t by) noexcept {
    entries_[place_of(tag, reference)].reference = by;
}

void TagTable::erase(std::uint32_t tag, std::uint32_t reference) noexcept {
    std::uint32_t hole = place_of(tag, reference);
    for (std::uint32_t at = (hole + 1) & mask_; entries_[at].reference != k_empty;
         at = (at + 1) & mask_) {
        // An entry may fill the hole when its home is not between the hole and itself.
        const std::uint32_t distance = (at - (entries_[at].tag >> shift_)) & mask_;
        if (distance >= ((at - hole) & mask_)) {
            entries_[hole] = entries_[at];
            hole = at;
        }
    }
    entries_[hole] = {};
    --used_;
}

void TagTable::clear() noexcept {
    std::fill(entries_.begin(), entries_.end(), Entry{});
    used_ = 0;
}

OrderStore::OrderStore(
    std::uint32_t instrument_count,
    std::uint32_t remembered,
    std::uint64_t hash_seed
)
    : instruments_{instrument_count},
      hash_seed_{hash_seed},
      lists_(TENON_ACCOUNT_FIRST),
      exposures_(std::size_t{instrument_count} * TENON_ACCOUNT_FIRST),
      closed_(remembered) {}

void OrderStore::add_account() {
    lists_.emplace_back();
    exposures_.resize(exposures_.size() + instruments_);
}

std::uint32_t OrderStore::tag_of(std::uint64_t account, const tenon_client_id& id) const noexcept {
    // 128-bit multiplications folded, two words at a time (as in wyhash, public domain).
    const auto fold = [](std::uint64_t a, std::uint64_t b) {
        const Uint128 product = Uint128{a} * b;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    };
    static_assert(sizeof id == 40);
    std::uint64_t words[5];
    std::memcpy(words, &id, sizeof words);
    std::uint64_t hash =
        fold(words[0] ^ hash_seed_ ^ 0xa0761d6478bd642fULL, words[1] ^ 0xe7037ed1a0b428dbULL);
    hash ^= fold(words[2] ^ 0x8ebc6af09c88c6e3ULL, words[3] ^ 0x589965cc75374cc3ULL);
    hash =
        fold(hash ^ words[4] ^ 0x1d8e4e27c47d124fULL, account ^ hash_seed_ ^ 0xeb44accab455d165ULL);
    return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

std::uint32_t OrderStore::lookup(
    std::uint32_t tag,
    std::uint64_t account,
    const tenon_client_id& id
) const noexcept {
    return by_client_.find(tag, [&](std::uint32_t reference) {
        if ((reference & k_closed_bit) != 0) {
            const ClosedId& closed = closed_[reference & ~k_closed_bit];
            return closed.account == account && same(closed.client_id, id);
        }
        const tenon_order& order = slots_[reference].order;
        return order.account == account && same(order.client_id, id);
    });
}

std::uint32_t OrderStore::find_client(std::uint64_t account, const tenon_client_id& id)
    const noexcept {
    const std::uint32_t found = lookup(tag_of(account, id), account, id);
    return (found & k_closed_bit) != 0 ? k_no_slot : found;
}

bool OrderStore::client_id_taken(
    std::uint64_t account,
    const tenon_client_id& id,
    std::uint32_t client_tag
) const noexcept {
    return lookup(client_tag, account, id) != TagTable::k_empty;
}

std::uint32_t
OrderStore::insert(const tenon_order& order, std::int64_t locked, std::uint32_t client_tag) {
    std::uint32_t at = free_;
    if (at == k_no_slot) {
        at = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
        links_.emplace_back();
    } else {
        free_ = links_[at].next;
    }
    slots_[at] = {order, locked};
    List& list = lists_[order.account];
    Link& link = links_[at];
    link = {order.order_id, k_no_slot, list.last, client_tag, 0};
    (list.last == k_no_slot ? list.first : links_[list.last].next) = at;
    list.last = at;
    ++list.count;
    by_id_.insert(tag_of(order.order_id), at);
    by_client_.insert(link.client_tag, at);

    Exposure& exposure = exposures_[order.account * instruments_ + order.instrument];
    ++exposure.open_orders;
    exposure.algo_orders += is_conditional(order.type) ? 1U : 0U;
    exposure.open_buy_quantity += open_buy_quantity(order);
    ++size_;
    return at;
}

void OrderStore::unlink(std::uint32_t at) noexcept {
    Link& link = links_[at];
    const tenon_order& order = slots_[at].order;
    by_id_.erase(tag_of(order.order_id), at);
    List& list = lists_[order.account];
    (link.previous == k_no_slot ? list.first : links_[link.previous].next) = link.next;
    (link.next == k_no_slot ? list.last : links_[link.next].previous) = link.previous;
    --list.count;

    Exposure& exposure = exposures_[order.account * instruments_ + order.instrument];
    --exposure.open_orders;
    exposure.algo_orders -= is_conditional(order.type) ? 1U : 0U;
    exposure.open_buy_quantity -= open_buy_quantity(order);
    link.order_id = 0;
    link.next = free_;
    free_ = at;
    --size_;
}

std::uint32_t OrderStore::place_for_closed() {
    const auto capacity = static_cast<std::uint32_t>(closed_.size());
    if (closed_count_ == capacity) {
        const std::uint32_t oldest = closed_first_;
        by_client_.erase(closed_[oldest].tag, oldest | k_closed_bit);
        closed_first_ = closed_first_ + 1 == capacity ? 0 : closed_first_ + 1;
        by_client_.prefetch(closed_[closed_first_].tag);  // the next to go
        __builtin_prefetch(&closed_[(closed_first_ + 4) % capacity].tag);
        return oldest;
    }
    const std::uint32_t at = closed_first_ + closed_count_;
    ++closed_count_;
    return at >= capacity ? at - capacity : at;
}

// Nobody may take it, for a while.
void OrderStore::give_up_client_id(std::uint32_t at) {
    const tenon_order& order = slots_[at].order;
    const std::uint32_t tag = links_[at].client_tag;
    if (closed_.empty()) {
        by_client_.erase(tag, at);
    } else {
        const std::uint32_t place = place_for_closed();
        closed_[place] = {order.account, order.client_id, tag, 0};
        by_client_.replace(tag, at, place | k_closed_bit);
    }
}

void OrderStore::close(std::uint32_t at) {
    give_up_client_id(at);
    unlink(at);
}

void OrderStore::rename(std::uint32_t at, const tenon_client_id& id) {
    give_up_client_id(at);
    tenon_order& order = slots_[at].order;
    order.client_id = id;
    links_[at].client_tag = tag_of(order.account, id);
    by_client_.insert(links_[at].client_tag, at);
}

void OrderStore::remove(std::uint32_t at) {
    by_client_.erase(links_[at].client_tag, at);
    unlink(at);
}

std::vector<std::uint32_t> OrderStore::sorted() const {
    std::vector<std::uint32_t> all;
    all.reserve(size_);
    for (std::uint64_t account = 0; account < lists_.size(); ++account) {
        for (std::uint32_t at = lists_[account].first; at != k_no_slot; at = links_[at].next) {
            all.push_back(at);
        }
    }
    std::sort(all.begin(), all.end(), [&](std::uint32_t a, std::uint32_t b) {
        return slots_[a].order.order_id < slots_[b].order.order_id;
    });
    return all;
}

void OrderStore::remember(std::uint64_t account, const tenon_client_id& id) {
    if (!closed_.empty()) {
        const std::uint32_t tag = tag_of(account, id);
        const std::uint32_t place = place_for_closed();
        closed_[place] = {account, id, tag, 0};
        by_client_.insert(tag, place | k_closed_bit);
    }
}

void OrderStore::reset() {
    slots_.clear();
    links_.clear();
    free_ = k_no_slot;
    size_ = 0;
    lists_.assign(TENON_ACCOUNT_FIRST, {});
    exposures_.assign(std::size_t{instruments_} * TENON_ACCOUNT_FIRST, {});
    by_id_.clear();
    by_client_.clear();
    closed_first_ = 0;
    closed_count_ = 0;
}

}  // namespace tenon::trading
