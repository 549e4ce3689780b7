// SPDX-License-Identifier: Apache-2.0
// Recent orders and trades in memory, with the indexes that queries need.
//
// It holds every order and trade since the server's state was loaded, bounded: beyond the bounds
// the oldest leave, first only those that the projection has written, and from twice the bound on
// all (then a dead database makes old rows unavailable until it is back). It knows whether an
// answer from memory is complete; when it is not, the caller merges rows from SQL. It is not the
// state: open orders live in the core, too, and their last change is here only if it happened
// since. One thread.
#pragma once

#include "plugins/trading/engine/core/order_store.hpp"

#include <tenon/abi/trading.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <unordered_map>
#include <vector>

namespace tenon::engine {

class History {
public:
    // `complete`: nothing happened before what add() will be told. Bounds are at least 1.
    History(std::size_t orders_max, std::size_t trades_max, bool complete);

    // An event of an applied command; those without order are ignored.
    void add(const tenon_execution_event& event);

    // Lets old rows leave; `projected` is the sequence up to which SQL has them.
    void evict(std::uint64_t projected);

    // By id, or (id 0) the newest one with this client id; nullptr when memory does not have it.
    [[nodiscard]] const tenon_order* order(
        std::uint64_t account,
        std::uint32_t instrument,
        std::uint64_t order_id,
        const tenon_client_id& client_id
    ) const;

    // Appends the rows of memory that fit, ascending, not more than the query's limit. True when
    // these are all there are, false when SQL may have others.
    bool orders(const tenon_order_query& query, std::vector<tenon_order>& out) const;
    bool trades(const tenon_trade_query& query, std::vector<tenon_trade>& out) const;
    // All that fit, ascending; SQL may have others unless complete().
    void lists(const tenon_list_query& query, std::vector<tenon_order_list>& out) const;

    // Likewise.
    void prevented(const tenon_prevented_query& query, std::vector<tenon_prevented_match>& out)
        const;
    void amendments(const tenon_amendment_query& query, std::vector<tenon_amendment>& out) const;

    // True while nothing is missing: what is not here does not exist.
    [[nodiscard]] bool complete() const noexcept { return complete_; }

    // Of the newest row that left: below it SQL must have caught up before it can complete an
    // answer.
    [[nodiscard]] std::uint64_t evicted_sequence() const noexcept { return evicted_sequence_; }

    [[nodiscard]] std::size_t order_count() const noexcept { return orders_.size(); }

    [[nodiscard]] std::size_t trade_count() const noexcept { return trade_order_.size(); }

private:
    // Orders and trades of one account in one instrument.
    struct Book {
        std::deque<std::uint32_t> orders;  // references, order ids ascending
        std::deque<tenon_trade> trades;    // trade ids ascending
        // Everything with an id not below is here; 0: everything.
        std::uint64_t orders_from = 0, trades_from = 0;
    };

    struct OldestTrade {
        Book* book;
        std::uint64_t sequence;
    };

    [[nodiscard]] static std::uint64_t
    book_key(std::uint64_t account, std::uint32_t instrument) noexcept {
        return account << 24 | instrument;
    }

    [[nodiscard]] const tenon_order& at(std::uint32_t reference) const noexcept {
        return orders_[reference - first_reference_];
    }

    [[nodiscard]] std::uint32_t find(std::uint64_t order_id) const noexcept;
    [[nodiscard]] std::uint32_t find_client(std::uint64_t account, const tenon_client_id& id)
        const noexcept;
    Book& book_of(const tenon_order& order, bool created);
    void insert(const tenon_order& order, bool created);
    void update(std::uint32_t reference, const tenon_order& order);
    void add_changes(const tenon_execution_event& event);
    template <class Row>
    void evict_rows(std::deque<Row>& rows, std::uint64_t projected);
    void evict_order();
    void evict_trade();
    void evict_list(std::map<std::uint64_t, tenon_order_list>::iterator list);

    const std::size_t orders_max_, trades_max_;
    bool complete_;
    std::deque<tenon_order> orders_;  // in the order of their coming
    std::uint32_t first_reference_ = 0;
    std::uint64_t evicted_sequence_ = 0;
    std::deque<OldestTrade> trade_order_;
    std::unordered_map<std::uint64_t, Book> books_;
    trading::TagTable by_id_, by_client_;
    std::map<std::uint64_t, tenon_order_list> lists_;
    // In the order of their coming.
    std::deque<tenon_prevented_match> prevented_;
    std::deque<tenon_amendment> amendments_;
};

// True for a row that the query asks for.
[[nodiscard]] bool fits(const tenon_list_query& query, const tenon_order_list& list) noexcept;

// True when the order can not change any more.
[[nodiscard]] constexpr bool is_closed(std::uint8_t status) noexcept {
    return status >= TENON_STATUS_FILLED;
}

}  // namespace tenon::engine
