// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/paper/paper_live.hpp"

#include <tenon/abi/trading.h>
#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>
#include <span>
#include <utility>

namespace tenon::paper {
namespace {

using Levels = std::span<const tenon_level>;

[[nodiscard]] std::int64_t quantity_at(Levels levels, std::uint8_t side, std::int64_t price) {
    const std::int64_t key = side_key(side, price);
    const auto at = std::lower_bound(
        levels.begin(),
        levels.end(),
        key,
        [&](const tenon_level& level, std::int64_t wanted) {
            return side_key(side, level.price) < wanted;
        }
    );
    return at != levels.end() && at->price == price ? at->quantity : 0;
}

// Levels of one side that shrank below what is thought to be ahead of the orders there.
void add_shrunk(
    const RestingSide* resting,
    std::uint8_t side,
    Levels changed,
    std::vector<Item>& items
) {
    if (resting == nullptr) {
        return;
    }
    for (const tenon_level& level : changed) {
        const auto orders = resting->find(side_key(side, level.price));
        if (orders == resting->end()) {
            continue;
        }
        const bool shrank =
            std::any_of(orders->second.begin(), orders->second.end(), [&](const Resting& order) {
                return order.ahead > level.quantity;
            });
        if (shrank) {
            items.push_back({ItemKind::level, side, level.price, level.quantity});
        }
    }
}

// The same for a whole book: levels that it does not have are empty, as far as it reaches.
[[nodiscard]] std::vector<tenon_level>
resting_levels(const RestingSide* resting, std::uint8_t side, Levels whole) {
    std::vector<tenon_level> found;
    if (resting == nullptr || whole.empty()) {
        return found;
    }
    const std::int64_t worst = side_key(side, whole.back().price);
    for (auto level = resting->begin(); level != resting->end() && level->first <= worst; ++level) {
        const std::int64_t price = side == TENON_SIDE_BUY ? -level->first : level->first;
        found.push_back({price, quantity_at(whole, side, price)});
    }
    return found;
}

// What the other side offers newly at its best.
[[nodiscard]] std::int64_t newly(const tenon_level& before, const tenon_level& now) {
    return before.price == now.price ? std::max<std::int64_t>(0, now.quantity - before.quantity)
                                     : now.quantity;
}

}  // namespace

PaperLive::PaperLive(
    const PaperVenue& venue,
    Service<tenon_market_data_1> market,
    PaperVenue::RulesOf rules_of,
    LiveSettings settings,
    Send send
)
    : venue_{venue},
      market_{market},
      rules_of_{std::move(rules_of)},
      settings_{settings},
      send_{std::move(send)} {}

std::string PaperLive::evidence(const tenon_venue_order& order, std::int64_t now_real_ns) const {
    if (settings_.latency_ns > 0) {
        return encode(Wait{now_real_ns + settings_.latency_ns, reference(order.instrument)});
    }
    return encode(look(order));
}

std::int64_t PaperLive::reference(std::uint32_t instrument) const {
    std::int64_t price = 0;
    const auto row = [](void* ctx, const tenon_public_trade* trade) noexcept -> tenon_status {
        *static_cast<std::int64_t*>(ctx) = trade->price;
        return TENON_OK;
    };
    (void)market_->trades(market_.self, instrument, 0, 1, &price, row);
    return price;
}

Look PaperLive::look(const tenon_venue_order& order) const {
    Look seen;
    seen.instrument = order.instrument;
    tenon_book book{};
    book.size = sizeof book;
    if (market_->book(market_.self, order.instrument, 0, &book) != TENON_OK) {
        return seen;
    }
    seen.trusted = book.trusted != 0;
    seen.book_id = book.last_update_id;
    if (market_->best(market_.self, order.instrument, &seen.bid, &seen.ask) != TENON_OK) {
        seen.bid = book.bid_count != 0 ? book.bids[0] : tenon_level{};
        seen.ask = book.ask_count != 0 ? book.asks[0] : tenon_level{};
    }
    seen.reference = reference(order.instrument);
    if (seen.reference == 0 && seen.bid.price > 0 && seen.ask.price > 0) {
        seen.reference = seen.bid.price + (seen.ask.price - seen.bid.price) / 2;
    }
    if (is_conditional(order.type)) {
        return seen;  // it meets nothing yet
    }
    add_levels(order, book, seen);
    if (order.type == TENON_ORDER_MARKET) {
        return seen;
    }
    const bool buy = order.side == TENON_SIDE_BUY;
    const tenon_level& own = buy ? seen.bid : seen.ask;
    const Levels levels =
        buy ? Levels{book.bids, book.bid_count} : Levels{book.asks, book.ask_count};
    if (order.price == own.price) {
        seen.displayed = own.quantity;
    } else if (side_key(order.side, order.price) > side_key(order.side, own.price)) {
        seen.displayed = quantity_at(levels, order.side, order.price);
    }
    return seen;
}

// The book comes some time after the best prices of the same changes: levels better than the best
// price are gone, and the best has its own quantity.
void PaperLive::add_levels(const tenon_venue_order& order, const tenon_book& book, Look& look)
    const {
    const bool buy = order.side == TENON_SIDE_BUY;
    const std::uint8_t side = buy ? TENON_SIDE_SELL : TENON_SIDE_BUY;
    const tenon_level& best = buy ? look.ask : look.bid;
    Levels levels = buy ? Levels{book.asks, book.ask_count} : Levels{book.bids, book.bid_count};
    if (order.type == TENON_ORDER_LIMIT_MAKER || best.quantity == 0) {
        return;
    }
    const auto rules = rules_of_(order.instrument);
    const std::int64_t quote_unit = rules ? rules->quote_unit : 1;
    Int128 wanted = order.quote_quantity != 0 ? order.quote_quantity : order.quantity;
    const auto add = [&](const tenon_level& level) {
        const std::int64_t limit = side_key(side, order.price);
        const bool beyond = order.type != TENON_ORDER_MARKET && side_key(side, level.price) > limit;
        if (wanted <= 0 || beyond || look.levels.size() == settings_.depth_max) {
            return false;
        }
        look.levels.push_back(level);
        const std::int64_t there =
            std::max<std::int64_t>(0, level.quantity - venue_.consumed(look, side, level.price));
        wanted -= order.quote_quantity != 0 ? Int128{level.price} * there * quote_unit : there;
        return true;
    };
    if (!add(best)) {
        return;
    }
    for (const tenon_level& level : levels) {
        if (side_key(side, level.price) > side_key(side, best.price) && !add(level)) {
            return;
        }
    }
}

bool PaperLive::reaches(std::uint32_t instrument, std::uint8_t side, std::int64_t price) const {
    const RestingSide* resting = venue_.resting(instrument, side);
    return resting != nullptr && resting->begin()->first <= side_key(side, price);
}

void PaperLive::on_market(const tenon_md_event& event) {
    MarketNews news{event.instrument, {}};
    switch (event.kind) {
        case TENON_MD_BOOK:
            on_book(event, news);
            break;
        case TENON_MD_BEST:
            on_best(event, news);
            break;
        case TENON_MD_TRADE:
            on_trade(event, news);
            break;
        default:
            return;
    }
    if (!news.items.empty()) {
        (void)send(encode(std::move(news)));
    }
    if (event.kind == TENON_MD_TRADE && event.trade != nullptr) {
        trigger(*event.trade, event.instrument);
        follow(*event.trade, event.instrument);
    }
    trigger_due(event.instrument);
}

void PaperLive::on_book(const tenon_md_event& event, MarketNews& news) const {
    const RestingSide* buys = venue_.resting(event.instrument, TENON_SIDE_BUY);
    const RestingSide* sells = venue_.resting(event.instrument, TENON_SIDE_SELL);
    if (event.feed == nullptr || (buys == nullptr && sells == nullptr)) {
        return;
    }
    const Levels bids{event.feed->bids, event.feed->bid_count};
    const Levels asks{event.feed->asks, event.feed->ask_count};
    if (event.feed->kind == TENON_FEED_SNAPSHOT) {
        add_shrunk(buys, TENON_SIDE_BUY, resting_levels(buys, TENON_SIDE_BUY, bids), news.items);
        add_shrunk(
            sells, TENON_SIDE_SELL, resting_levels(sells, TENON_SIDE_SELL, asks), news.items
        );
        return;
    }
    add_shrunk(buys, TENON_SIDE_BUY, bids, news.items);
    add_shrunk(sells, TENON_SIDE_SELL, asks, news.items);
}

void PaperLive::on_best(const tenon_md_event& event, MarketNews& news) {
    Best now;
    if (market_->best(market_.self, event.instrument, &now.bid, &now.ask) != TENON_OK) {
        return;
    }
    const Best before = std::exchange(best_[event.instrument], now);
    const auto cross = [&](std::uint8_t side, const tenon_level& was, const tenon_level& is) {
        const std::int64_t offered = newly(was, is);
        if (offered > 0 && reaches(event.instrument, side, is.price)) {
            news.items.push_back({ItemKind::cross, side, is.price, offered});
        }
    };
    cross(TENON_SIDE_BUY, before.ask, now.ask);
    cross(TENON_SIDE_SELL, before.bid, now.bid);
}

void PaperLive::on_trade(const tenon_md_event& event, MarketNews& news) const {
    if (event.trade == nullptr) {
        return;
    }
    const std::uint8_t side = event.trade->buyer_is_maker != 0 ? TENON_SIDE_BUY : TENON_SIDE_SELL;
    if (reaches(event.instrument, side, event.trade->price)) {
        news.items.push_back({ItemKind::trade, side, event.trade->price, event.trade->quantity});
    }
}

void PaperLive::trigger(const tenon_public_trade& trade, std::uint32_t instrument) {
    const TriggerBook* const triggers = venue_.triggers(instrument);
    if (triggers == nullptr || triggers->size() == 0) {
        return;
    }
    std::vector<std::uint64_t> ids;
    triggers->for_each_triggered(trade.price, [&](std::uint64_t id) { ids.push_back(id); });
    std::sort(ids.begin(), ids.end());
    send_triggered(ids);
}

void PaperLive::follow(const tenon_public_trade& trade, std::uint32_t instrument) {
    const TrailingBook* const trailing = venue_.trailing(instrument);
    if (trailing == nullptr || trailing->size() == 0) {
        return;
    }
    // Prices that wait may change what is quiet.
    if (!outbox_.empty() || !trailing->is_quiet(trade.price)) {
        (void)send(encode(Price{instrument, trade.price}));
    }
}

void PaperLive::trigger_due(std::uint32_t instrument) {
    if (venue_.due().empty()) {
        return;
    }
    std::vector<std::uint64_t> ids;
    for (const std::uint64_t id : venue_.due()) {
        if (venue_.conditional(id)->instrument == instrument) {
            ids.push_back(id);
        }
    }
    send_triggered(ids);
}

void PaperLive::send_triggered(const std::vector<std::uint64_t>& ids) {
    std::erase_if(triggered_, [&](std::uint64_t id) { return venue_.conditional(id) == nullptr; });
    for (const std::uint64_t id : ids) {
        // What was sent for one before it may have ended this one: the other of a list, a time
        // over.
        const tenon_venue_order* const found = venue_.conditional(id);
        if (found == nullptr || triggered_.contains(id)) {
            continue;
        }
        tenon_venue_order order = *found;
        order.type = working_type(order.type);
        order.stop_price = 0;
        order.trailing_delta = 0;
        Look seen = look(order);
        // Without a book it would come to nothing: it waits for the next trade.
        if (seen.trusted) {
            triggered_.insert(id);
            if (!send(encode(Triggered{id, std::move(seen)}))) {
                triggered_.erase(id);
            }
        }
    }
}

std::int64_t PaperLive::deliver(std::int64_t now_real_ns) {
    std::erase_if(delivered_, [&](std::uint64_t id) { return venue_.waiting().count(id) == 0; });
    std::vector<tenon_venue_order> due;
    std::int64_t next = k_never;
    for (const auto& [id, waiting] : venue_.waiting()) {
        if (waiting.due_real_ns > now_real_ns) {
            next = std::min(next, waiting.due_real_ns);
        } else if (delivered_.insert(id).second) {
            due.push_back(waiting.order);
        }
    }
    for (const tenon_venue_order& order : due) {
        if (!send(encode(Arrival{order.order_id, look(order)}))) {
            delivered_.erase(order.order_id);
        }
    }
    return next;
}

bool PaperLive::send(std::string bytes) {
    if (outbox_.size() == k_outbox_max) {
        ++dropped_;
        return false;
    }
    outbox_.push_back(std::move(bytes));
    (void)flush();
    return true;
}

bool PaperLive::flush() {
    while (!outbox_.empty()) {
        const tenon_status status = send_(outbox_.front());
        if (status == TENON_UNAVAILABLE) {
            return false;
        }
        if (status == TENON_OK) {
            ++commands_;
        } else {
            ++dropped_;
            // It may have been one of these; what comes twice is ignored.
            delivered_.clear();
            triggered_.clear();
        }
        outbox_.pop_front();
    }
    return true;
}

}  // namespace tenon::paper
