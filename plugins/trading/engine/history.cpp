// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/history.hpp"

#include <algorithm>
#include <limits>
#include <string_view>

namespace tenon::engine {
namespace {

constexpr std::uint64_t k_nothing = std::numeric_limits<std::uint64_t>::max();

std::uint32_t tag_of_id(std::uint64_t id) noexcept {
    return static_cast<std::uint32_t>((id * 0x9e3779b97f4a7c15ULL) >> 32);
}

std::string_view text_of(const tenon_client_id& id) noexcept {
    return {id.text, std::min<std::size_t>(id.length, TENON_CLIENT_ID_MAX)};
}

std::uint32_t tag_of_client(std::uint64_t account, const tenon_client_id& id) noexcept {
    return tag_of_id(std::hash<std::string_view>{}(text_of(id)) ^ account);
}

struct Range {
    std::uint64_t from_id;          // 0: none
    std::int64_t start_ns, end_ns;  // 0: open
    std::size_t limit;
    std::uint64_t complete_from;  // of the book
};

// Rows of a book (ids and times ascend) that are in the range, ascending. With neither id nor start
// the newest ones. True when no row can be missing.
template <class Rows, class Get, class Id, class Time, class Fits, class Out>
bool collect(
    const Rows& rows,
    const Range& range,
    Get get,
    Id id,
    Time time,
    Fits fits,
    std::vector<Out>& out
) {
    const auto by_id = [&](std::uint64_t wanted) {
        return std::partition_point(rows.begin(), rows.end(), [&](const auto& row) {
            return id(get(row)) < wanted;
        });
    };
    const auto until = range.end_ns == 0
                           ? rows.end()
                           : std::partition_point(rows.begin(), rows.end(), [&](const auto& row) {
                                 return time(get(row)) <= range.end_ns;
                             });
    const std::size_t first = out.size();
    const auto full = [&] { return out.size() - first >= range.limit; };
    if (range.from_id == 0 && range.start_ns == 0) {
        for (auto at = until; at != rows.begin() && !full();) {
            if (const auto& row = get(*--at); fits(row)) {
                out.push_back(row);
            }
        }
        std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
        return range.complete_from == 0 || (full() && id(out[first]) >= range.complete_from);
    }
    for (auto at = by_id(range.from_id); at < until && !full(); ++at) {
        const auto& row = get(*at);
        if (time(row) >= range.start_ns && fits(row)) {
            out.push_back(row);
        }
    }
    const auto certain = by_id(range.complete_from);
    return range.complete_from == 0 ||
           (range.from_id != 0 && range.from_id >= range.complete_from) ||
           (certain != rows.end() && time(get(*certain)) < range.start_ns);
}

}  // namespace

bool fits(const tenon_list_query& query, const tenon_order_list& list) noexcept {
    return list.account == query.account &&
           (query.which == TENON_ORDERS_ALL || list.status == TENON_LIST_EXECUTING) &&
           (query.list_id == 0 || list.list_id == query.list_id) &&
           (query.client_id.length == 0 || text_of(list.client_id) == text_of(query.client_id)) &&
           list.list_id >= query.from_list_id &&
           (query.start_real_ns == 0 || list.created_real_ns >= query.start_real_ns) &&
           (query.end_real_ns == 0 || list.created_real_ns <= query.end_real_ns);
}

History::History(std::size_t orders_max, std::size_t trades_max, bool complete)
    : orders_max_{orders_max}, trades_max_{trades_max}, complete_{complete} {}

std::uint32_t History::find(std::uint64_t order_id) const noexcept {
    return by_id_.find(tag_of_id(order_id), [&](std::uint32_t reference) {
        return at(reference).order_id == order_id;
    });
}

std::uint32_t History::find_client(std::uint64_t account, const tenon_client_id& id)
    const noexcept {
    return by_client_.find(tag_of_client(account, id), [&](std::uint32_t reference) {
        const tenon_order& order = at(reference);
        return order.account == account && text_of(order.client_id) == text_of(id);
    });
}

// What came before the first row of a book is unknown, unless memory is complete from the start.
History::Book& History::book_of(const tenon_order& order, bool created) {
    const auto [found, made] = books_.try_emplace(book_key(order.account, order.instrument));
    Book& book = found->second;
    if (made && !complete_) {
        book.orders_from = book.trades_from = k_nothing;
    }
    if (created && book.orders_from == k_nothing) {
        book.orders_from = order.order_id;
    }
    return book;
}

void History::insert(const tenon_order& order, bool created) {
    const auto reference = first_reference_ + static_cast<std::uint32_t>(orders_.size());
    Book& book = book_of(order, created);
    orders_.push_back(order);
    auto place = book.orders.end();
    while (place != book.orders.begin() && at(*std::prev(place)).order_id > order.order_id) {
        --place;
    }
    book.orders.insert(place, reference);
    const std::uint32_t tag = tag_of_client(order.account, order.client_id);
    const std::uint32_t older = find_client(order.account, order.client_id);
    if (older == trading::TagTable::k_empty) {
        by_client_.insert(tag, reference);
    } else if (at(older).order_id < order.order_id) {
        by_client_.replace(tag, older, reference);
    }
    by_id_.insert(tag_of_id(order.order_id), reference);
}

// An amended order may have another client id.
void History::update(std::uint32_t reference, const tenon_order& order) {
    tenon_order& row = orders_[reference - first_reference_];
    if (text_of(row.client_id) == text_of(order.client_id)) {
        row = order;
        return;
    }
    if (find_client(row.account, row.client_id) == reference) {
        by_client_.erase(tag_of_client(row.account, row.client_id), reference);
    }
    row = order;
    const std::uint32_t tag = tag_of_client(order.account, order.client_id);
    const std::uint32_t taken = by_client_.find(tag, [&](std::uint32_t other) {
        return other != reference && at(other).account == order.account &&
               text_of(at(other).client_id) == text_of(order.client_id);
    });
    if (taken == trading::TagTable::k_empty) {
        by_client_.insert(tag, reference);
    } else if (at(taken).order_id < order.order_id) {
        by_client_.replace(tag, taken, reference);
    }
}

// The taker's and the maker's row of a prevented match name the same one.
void History::add_changes(const tenon_execution_event& event) {
    if (const tenon_prevented_match* match = event.prevented; match != nullptr) {
        const bool again = !prevented_.empty() && prevented_.back().match_id == match->match_id &&
                           prevented_.back().instrument == match->instrument;
        if (!again) {
            prevented_.push_back(*match);
        }
    }
    if (event.amendment != nullptr) {
        amendments_.push_back(*event.amendment);
    }
}

void History::add(const tenon_execution_event& event) {
    if (event.list != nullptr) {
        lists_.insert_or_assign(event.list->list_id, *event.list);
    }
    add_changes(event);
    if (event.kind != TENON_EVENT_ORDER || event.order == nullptr) {
        return;
    }
    const tenon_order& order = *event.order;
    const std::uint32_t reference = find(order.order_id);
    if (reference != trading::TagTable::k_empty) {
        update(reference, order);
    } else {
        insert(order, order.created_real_ns == event.time_real_ns);
    }
    if (event.trade == nullptr) {
        return;
    }
    Book& book = book_of(order, false);
    if (book.trades_from == k_nothing) {
        book.trades_from = event.trade->trade_id;
    }
    // Both sides of a trade may belong to one account: the id comes twice.
    book.trades.push_back(*event.trade);
    trade_order_.push_back({&book, event.trade->sequence});
}

void History::evict(std::uint64_t projected) {
    while (orders_.size() > orders_max_) {
        const tenon_order& oldest = orders_.front();
        const bool elsewhere = oldest.update_sequence <= projected || !is_closed(oldest.status);
        if (!elsewhere && orders_.size() <= 2 * orders_max_) {
            break;
        }
        evict_order();
    }
    while (trade_order_.size() > trades_max_) {
        if (trade_order_.front().sequence > projected && trade_order_.size() <= 2 * trades_max_) {
            break;
        }
        evict_trade();
    }
    while (lists_.size() > orders_max_) {
        const auto oldest = lists_.begin();
        if (oldest->second.update_sequence > projected && lists_.size() <= 2 * orders_max_) {
            break;
        }
        evict_list(oldest);
    }
    evict_rows(prevented_, projected);
    evict_rows(amendments_, projected);
}

template <class Row>
void History::evict_rows(std::deque<Row>& rows, std::uint64_t projected) {
    while (rows.size() > trades_max_) {
        if (rows.front().sequence > projected && rows.size() <= 2 * trades_max_) {
            break;
        }
        evicted_sequence_ = std::max(evicted_sequence_, rows.front().sequence);
        rows.pop_front();
        complete_ = false;
    }
}

// An open one is in the core, too.
void History::evict_list(std::map<std::uint64_t, tenon_order_list>::iterator list) {
    if (list->second.status == TENON_LIST_ALL_DONE) {
        evicted_sequence_ = std::max(evicted_sequence_, list->second.update_sequence);
    }
    lists_.erase(list);
    complete_ = false;
}

void History::evict_order() {
    const tenon_order& order = orders_.front();
    Book& book = books_.at(book_key(order.account, order.instrument));
    if (is_closed(order.status)) {
        evicted_sequence_ = std::max(evicted_sequence_, order.update_sequence);
    }
    by_id_.erase(tag_of_id(order.order_id), first_reference_);
    if (find_client(order.account, order.client_id) == first_reference_) {
        by_client_.erase(tag_of_client(order.account, order.client_id), first_reference_);
    }
    const auto place = std::find(book.orders.begin(), book.orders.end(), first_reference_);
    book.orders.erase(place);
    if (book.orders_from != k_nothing) {
        book.orders_from = std::max(book.orders_from, order.order_id + 1);
    }
    orders_.pop_front();
    ++first_reference_;
    complete_ = false;
}

void History::evict_trade() {
    Book& book = *trade_order_.front().book;
    evicted_sequence_ = std::max(evicted_sequence_, trade_order_.front().sequence);
    book.trades_from = book.trades.front().trade_id + 1;
    book.trades.pop_front();
    trade_order_.pop_front();
    complete_ = false;
}

const tenon_order* History::order(
    std::uint64_t account,
    std::uint32_t instrument,
    std::uint64_t order_id,
    const tenon_client_id& client_id
) const {
    const std::uint32_t reference =
        order_id != 0 ? find(order_id) : find_client(account, client_id);
    if (reference == trading::TagTable::k_empty) {
        return nullptr;
    }
    const tenon_order& found = at(reference);
    const bool fits = found.account == account &&
                      (instrument == TENON_ANY_INSTRUMENT || found.instrument == instrument) &&
                      (client_id.length == 0 || text_of(found.client_id) == text_of(client_id));
    return fits ? &found : nullptr;
}

bool History::orders(const tenon_order_query& query, std::vector<tenon_order>& out) const {
    const auto found = books_.find(book_key(query.account, query.instrument));
    if (found == books_.end()) {
        return complete_;
    }
    const Book& book = found->second;
    const auto get = [this](std::uint32_t reference) -> const tenon_order& {
        return at(reference);
    };
    const auto id = [](const tenon_order& order) { return order.order_id; };
    const auto time = [](const tenon_order& order) { return order.created_real_ns; };
    const Range range{
        query.from_order_id, query.start_real_ns, query.end_real_ns, query.limit, book.orders_from};
    return collect(
        book.orders, range, get, id, time, [](const auto&) { return true; }, out
    );
}

void History::lists(const tenon_list_query& query, std::vector<tenon_order_list>& out) const {
    for (const auto& [id, list] : lists_) {
        if (fits(query, list)) {
            out.push_back(list);
        }
    }
}

void History::prevented(const tenon_prevented_query& query, std::vector<tenon_prevented_match>& out)
    const {
    for (const tenon_prevented_match& match : prevented_) {
        const bool named = query.order_id == 0 || match.taker_order_id == query.order_id ||
                           match.maker_order_id == query.order_id;
        if (match.account == query.account && match.instrument == query.instrument && named &&
            (query.match_id == 0 || match.match_id == query.match_id) &&
            match.match_id >= query.from_match_id) {
            out.push_back(match);
        }
    }
}

void History::amendments(const tenon_amendment_query& query, std::vector<tenon_amendment>& out)
    const {
    for (const tenon_amendment& amendment : amendments_) {
        if (amendment.account == query.account && amendment.instrument == query.instrument &&
            amendment.order_id == query.order_id && amendment.sequence >= query.from_sequence) {
            out.push_back(amendment);
        }
    }
}

bool History::trades(const tenon_trade_query& query, std::vector<tenon_trade>& out) const {
    const auto found = books_.find(book_key(query.account, query.instrument));
    if (found == books_.end()) {
        return complete_;
    }
    const Book& book = found->second;
    const auto get = [](const tenon_trade& trade) -> const tenon_trade& { return trade; };
    const auto id = [](const tenon_trade& trade) { return trade.trade_id; };
    const auto time = [](const tenon_trade& trade) { return trade.time_real_ns; };
    const auto fits = [&](const tenon_trade& trade) {
        return query.order_id == 0 || trade.order_id == query.order_id;
    };
    const Range range{
        query.from_trade_id, query.start_real_ns, query.end_real_ns, query.limit, book.trades_from};
    return collect(book.trades, range, get, id, time, fits, out);
}

}  // namespace tenon::engine
