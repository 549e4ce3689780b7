// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/suites/fakes.hpp"

#include <tenon/decimal.hpp>

#include <algorithm>

namespace tenon::suites {
namespace {

FakeInstruments& instruments_of(void* self) {
    return *static_cast<FakeInstruments*>(self);
}

[[nodiscard]] tenon_status no_rows(bool known) {
    return known ? TENON_OK : TENON_NOT_FOUND;
}

}  // namespace

FakeInstruments::FakeInstruments(std::string_view venue) : venue_{venue} {
    add_asset("BTC");
    add_asset("ETH");
    add_asset("USDT");
    add("BTCUSDT", 0, 5);
    add("ETHUSDT", 1, 4);
}

void FakeInstruments::add_asset(std::string_view name) {
    const auto id = static_cast<std::uint32_t>(assets_.size());
    names_.emplace_back(name);
    assets_.push_back({sizeof(tenon_asset), id, str(names_.back()), 8, 0});
}

void FakeInstruments::add(std::string_view symbol, std::uint32_t base, int quantity_scale) {
    tenon_instrument made{};
    made.size = sizeof made;
    made.id = static_cast<std::uint32_t>(instruments_.size());
    names_.emplace_back(symbol);
    made.symbol = str(names_.back());
    made.venue = str(venue_);
    made.base = base;
    made.quote = 2;
    made.price_scale = 2;
    made.quantity_scale = quantity_scale;
    made.status = TENON_INSTRUMENT_TRADING;
    made.price_tick = 1;
    made.quantity_step = 1;
    instruments_.push_back(made);
}

std::int64_t FakeInstruments::quote_unit(std::uint32_t instrument) const {
    const tenon_instrument& listed = instruments_.at(instrument);
    return power_of_ten(8 - listed.price_scale - listed.quantity_scale);
}

std::int64_t FakeInstruments::base_unit(std::uint32_t instrument) const {
    return power_of_ten(8 - instruments_.at(instrument).quantity_scale);
}

const tenon_instruments_1 FakeInstruments::k_table{
    sizeof(tenon_instruments_1),
    0,
    [](void* self) { return static_cast<std::uint32_t>(instruments_of(self).assets_.size()); },
    [](void* self) { return instruments_of(self).count(); },
    [](void* self, std::uint32_t id) -> const tenon_asset* {
        const auto& assets = instruments_of(self).assets_;
        return id < assets.size() ? &assets[id] : nullptr;
    },
    [](void* self, std::uint32_t id) -> const tenon_instrument* {
        const auto& listed = instruments_of(self).instruments_;
        return id < listed.size() ? &listed[id] : nullptr;
    },
    [](void* self, tenon_str name, std::uint32_t* id) -> tenon_status {
        for (const tenon_asset& asset : instruments_of(self).assets_) {
            if (view(asset.name) == view(name)) {
                *id = asset.id;
                return TENON_OK;
            }
        }
        return TENON_NOT_FOUND;
    },
    [](void* self, tenon_str symbol, std::uint32_t* id) -> tenon_status {
        for (const tenon_instrument& listed : instruments_of(self).instruments_) {
            if (view(listed.symbol) == view(symbol)) {
                *id = listed.id;
                return TENON_OK;
            }
        }
        return TENON_NOT_FOUND;
    }};

void FakeMarket::set_book(
    std::uint32_t instrument,
    std::vector<tenon_level> bids,
    std::vector<tenon_level> asks
) {
    Book& book = books_[instrument];
    book.bids = std::move(bids);
    book.asks = std::move(asks);
    book.updated_real_ns = bench_.now_real_ns();
    ++book.update_id;
    tenon_feed_event feed{};
    feed.size = sizeof feed;
    feed.kind = TENON_FEED_SNAPSHOT;
    feed.instrument = instrument;
    feed.event_real_ns = book.updated_real_ns;
    feed.last_update_id = book.update_id;
    feed.bids = book.bids.data();
    feed.asks = book.asks.data();
    feed.bid_count = static_cast<std::uint32_t>(book.bids.size());
    feed.ask_count = static_cast<std::uint32_t>(book.asks.size());
    send({sizeof(tenon_md_event), TENON_MD_BOOK, instrument, 0, &feed, nullptr, nullptr});
    send({sizeof(tenon_md_event), TENON_MD_BEST, instrument, 0, nullptr, nullptr, nullptr});
}

void FakeMarket::trade(
    std::uint32_t instrument,
    std::int64_t price,
    std::int64_t quantity,
    bool sold
) {
    Book& book = books_[instrument];
    book.last = price;
    book.last_quantity = quantity;
    tenon_public_trade made{};
    made.size = sizeof made;
    made.instrument = instrument;
    made.trade_id = ++book.trade_id;
    made.price = price;
    made.quantity = quantity;
    made.time_real_ns = bench_.now_real_ns();
    made.buyer_is_maker = sold ? 1U : 0U;
    send({sizeof(tenon_md_event), TENON_MD_TRADE, instrument, 0, nullptr, &made, nullptr});
}

std::size_t FakeMarket::subscribers() const {
    const std::lock_guard lock{mutex_};
    return listeners_.size();
}

void FakeMarket::send(const tenon_md_event& event) {
    std::vector<Listener> listeners;
    {
        const std::lock_guard lock{mutex_};
        listeners = listeners_;
    }
    for (const Listener& listener : listeners) {
        if ((listener.kinds & event.kind) != 0) {
            listener.fn(listener.ctx, &event);
        }
    }
}

tenon_status FakeMarket::book(std::uint32_t instrument, std::uint32_t depth, tenon_book* out)
    const {
    const auto found = books_.find(instrument);
    if (found == books_.end()) {
        return TENON_NOT_FOUND;
    }
    const Book& book = found->second;
    const auto levels = [depth](const std::vector<tenon_level>& side) {
        const auto all = static_cast<std::uint32_t>(side.size());
        return depth == 0 ? all : std::min(all, depth);
    };
    *out = {
        out->size,
        instrument,
        book.update_id,
        book.updated_real_ns,
        book.bids.data(),
        book.asks.data(),
        levels(book.bids),
        levels(book.asks),
        1,
        0};
    return TENON_OK;
}

tenon_status FakeMarket::ticker(std::uint32_t instrument, tenon_ticker* out) const {
    const auto found = books_.find(instrument);
    if (found == books_.end()) {
        return TENON_NOT_FOUND;
    }
    const Book& book = found->second;
    tenon_ticker made{};
    made.size = out->size;
    made.instrument = instrument;
    made.updated_real_ns = book.updated_real_ns;
    made.open = made.high = made.low = made.last = book.last;
    made.last_quantity = book.last_quantity;
    made.last_trade_id = made.trade_count = book.trade_id;
    *out = made;
    return TENON_OK;
}

const tenon_market_data_1 FakeMarket::k_table{
    sizeof(tenon_market_data_1),
    0,
    [](void* self, std::uint32_t instrument, std::uint32_t depth, tenon_book* out) {
        return of(self).book(instrument, depth, out);
    },
    [](void* self, std::uint32_t instrument, tenon_level* bid, tenon_level* ask) -> tenon_status {
        const auto found = of(self).books_.find(instrument);
        if (found == of(self).books_.end()) {
            return TENON_NOT_FOUND;
        }
        *bid = found->second.bids.empty() ? tenon_level{} : found->second.bids.front();
        *ask = found->second.asks.empty() ? tenon_level{} : found->second.asks.front();
        return TENON_OK;
    },
    [](void* self,
       std::uint32_t instrument,
       std::uint64_t,
       std::uint32_t,
       void*,
       tenon_status (*)(void*, const tenon_public_trade*)) {
        return no_rows(of(self).books_.count(instrument) != 0);
    },
    [](void* self,
       std::uint32_t instrument,
       std::uint64_t,
       std::int64_t,
       std::int64_t,
       std::uint32_t,
       void*,
       tenon_status (*)(void*, const tenon_agg_trade*)) {
        return no_rows(of(self).books_.count(instrument) != 0);
    },
    [](void* self,
       std::uint32_t instrument,
       std::uint32_t,
       std::int64_t,
       std::int64_t,
       std::int64_t,
       std::uint32_t,
       void*,
       tenon_status (*)(void*, const tenon_candle*)) {
        return no_rows(of(self).books_.count(instrument) != 0);
    },
    [](void* self, std::uint32_t instrument, tenon_ticker* out) {
        return of(self).ticker(instrument, out);
    },
    [](void* self,
       std::uint32_t instrument,
       std::uint32_t,
       std::int64_t* price,
       std::int64_t* close_real_ns) -> tenon_status {
        const auto found = of(self).books_.find(instrument);
        if (found == of(self).books_.end()) {
            return TENON_NOT_FOUND;
        }
        *price = found->second.last;
        *close_real_ns = found->second.updated_real_ns;
        return TENON_OK;
    },
    [](void* self, std::uint32_t instrument) -> std::uint64_t {
        const auto found = of(self).books_.find(instrument);
        return found == of(self).books_.end() ? 0
                                              : found->second.update_id + found->second.trade_id;
    },
    [](void* self,
       std::uint32_t kinds,
       void* ctx,
       void (*fn)(void*, const tenon_md_event*),
       std::uint64_t* handle) -> tenon_status {
        const std::lock_guard lock{of(self).mutex_};
        *handle = of(self).next_handle_++;
        of(self).listeners_.push_back({*handle, kinds, ctx, fn});
        return TENON_OK;
    },
    [](void* self, std::uint64_t handle) {
        // On the reactor, so that no callback is under way when this returns.
        of(self).bench_.on_reactor([&] {
            const std::lock_guard lock{of(self).mutex_};
            std::erase_if(of(self).listeners_, [handle](const Listener& one) {
                return one.handle == handle;
            });
        });
    },
    nullptr,
    nullptr,
    nullptr};

}  // namespace tenon::suites
