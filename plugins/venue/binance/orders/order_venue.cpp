// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/orders/order_venue.hpp"

#include <tenon/decimal.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace tenon::binance_venue {

std::optional<Market> InstrumentListing::market(std::uint32_t id) const {
    const tenon_instrument* const found = instruments_->instrument(instruments_.self, id);
    if (found == nullptr) {
        return std::nullopt;
    }
    const tenon_asset* const quote = instruments_->asset(instruments_.self, found->quote);
    if (quote == nullptr) {
        return std::nullopt;
    }
    Market market;
    market.instrument = id;
    market.symbol = std::string{view(found->symbol)};
    market.price_scale = found->price_scale;
    market.quantity_scale = found->quantity_scale;
    market.quote_scale = quote->scale;
    market.price_tick = found->price_tick;
    market.price_max = found->price_max;
    market.bid_up_ppm = found->bid_multiplier_up_ppm;
    return market;
}

std::optional<std::uint32_t> InstrumentListing::instrument(std::string_view symbol) const {
    std::uint32_t id = 0;
    const tenon_status status = instruments_->find_instrument(instruments_.self, str(symbol), &id);
    return status == TENON_OK ? std::optional{id} : std::nullopt;
}

std::optional<Asset> InstrumentListing::asset(std::string_view name) const {
    std::uint32_t id = 0;
    if (instruments_->find_asset(instruments_.self, str(name), &id) != TENON_OK) {
        return std::nullopt;
    }
    const tenon_asset* const found = instruments_->asset(instruments_.self, id);
    return found == nullptr ? std::nullopt : std::optional{Asset{id, found->scale}};
}

void OrderVenue::bind(Links links, std::string_view tag, const DeskSettings& settings) {
    ids_ = std::make_unique<OrderIds>(tag);
    links_ = std::move(links);
    settings_ = settings;
    listing_ = std::make_unique<InstrumentListing>(links_.instruments);
    table_ = std::make_unique<OrderTable>(*listing_);
}

void OrderVenue::unbind() noexcept {
    close_desk();
    input_ = {};
    links_.rest = nullptr;  // they go now: an order that comes after that cannot be sent
    links_.stream = nullptr;
}

// An engine that attaches brings the state with it: snapshot and journal.
void OrderVenue::attach(Service<tenon_venue_input_1> input) {
    close_desk();
    input_ = input;
    if (input_ && listing_) {
        table_ = std::make_unique<OrderTable>(*listing_);
    }
}

// May be called from the control thread, while the reactor runs.
void OrderVenue::live() {
    post(links_.exec, 0, [this] {
        if (input_ && !desk_ && links_.stream != nullptr) {
            open_desk();
        }
    });
}

void OrderVenue::open_desk() {
    Desk::Hooks hooks;
    hooks.now_ns = [this] { return links_.clock->now_ns(links_.clock.self); };
    hooks.command = [this](std::string_view bytes) -> tenon_status {
        return input_ ? input_->command(input_.self, {bytes.data(), bytes.size()})
                      : TENON_UNAVAILABLE;
    };
    hooks.changed = [this] { arm(links_.clock->now_ns(links_.clock.self)); };
    hooks.warn = links_.warn;
    desk_ = std::make_unique<Desk>(
        *table_, *listing_, *ids_, *links_.rest, settings_, std::move(hooks)
    );
    alive_ = std::make_shared<char>();
    balances_ = {};
    asking_balances_ = false;
    balances_due_ns_ =
        settings_.balances_ns == 0 ? Desk::k_never : links_.clock->now_ns(links_.clock.self);
    desk_->start();
    links_.stream->open(*desk_);
    wake();
}

void OrderVenue::close_desk() noexcept {
    (void)guard(nullptr, [&] {
        if (timer_ != 0) {
            links_.exec->cancel_timer(links_.exec.self, timer_);
            timer_ = 0;
        }
        if (desk_) {
            links_.stream->close();
            desk_.reset();
            alive_.reset();
        }
    });
}

void OrderVenue::wake() {
    timer_ = 0;
    if (!desk_) {
        return;
    }
    arm(desk_->tick());
    ask_balances();
    if (links_.watch) {
        links_.watch(*table_, *desk_);
    }
}

void OrderVenue::arm(std::int64_t deadline_ns) {
    if (!desk_ || deadline_ns == Desk::k_never) {
        return;
    }
    if (timer_ != 0) {
        if (timer_deadline_ns_ <= deadline_ns) {
            return;
        }
        links_.exec->cancel_timer(links_.exec.self, timer_);
    }
    const auto fire = [](void* ctx) noexcept {
        (void)guard(nullptr, [&] { static_cast<OrderVenue*>(ctx)->wake(); });
    };
    timer_deadline_ns_ = deadline_ns;
    timer_ = links_.exec->timer(links_.exec.self, deadline_ns, fire, this);
}

std::string OrderVenue::evidence(const tenon_venue_order& order, std::int64_t) {
    if (links_.stream == nullptr || !links_.rest->can_sign()) {
        return encode(Closed{});
    }
    if (!desk_) {
        throw Error{TENON_UNAVAILABLE, "the exchange cannot be asked now"};
    }
    return encode(Reference{links_.reference ? links_.reference(order.instrument) : 0});
}

void OrderVenue::submit(
    const tenon_venue_order& order,
    std::string_view evidence,
    std::int64_t now_real_ns,
    Reports& out
) {
    table_->submit(order, evidence, now_real_ns, out);
    if (desk_ && table_->find(order.order_id) != nullptr) {
        desk_->submitted(order.order_id);
    }
}

void OrderVenue::cancel(std::uint64_t order_id, std::uint32_t, std::int64_t, Reports&) {
    if (table_->cancel(order_id) && desk_) {
        desk_->cancel_wanted(order_id);
    }
}

// What is applied while the exchange is watched is what its balances should show.
void OrderVenue::apply(std::string_view evidence, std::int64_t, Reports& out) {
    if (!desk_) {
        (void)table_->apply(evidence, out);
        return;
    }

    struct Both {
        OrderVenue& venue;
        Reports& out;
        std::optional<tenon_venue_order> order;
    } both{*this, out, std::nullopt};

    const std::optional<Evidence> read = decode(evidence);
    if (read && std::holds_alternative<OrderNews>(*read)) {
        const BookedOrder* const booked = table_->find(std::get<OrderNews>(*read).order_id);
        both.order = booked != nullptr ? std::optional{booked->order} : std::nullopt;
    }
    Reports reports{{&both, [](void* ctx, const tenon_venue_report* report) {
                         auto& to = *static_cast<Both*>(ctx);
                         if (to.order) {
                             to.venue.book(*to.order, *report);
                         }
                         to.out.put(*report);
                     }}};
    desk_->applied(table_->apply(evidence, reports));
}

void OrderVenue::durable() {
    if (desk_) {
        desk_->durable();
    }
}

std::string OrderVenue::snapshot_write() const {
    return table_->snapshot();
}

void OrderVenue::snapshot_read(std::string_view state) {
    table_->restore(state);
}

std::uint64_t OrderVenue::hash() const noexcept {
    return table_->hash();
}

std::int64_t OrderVenue::reference_price(std::uint32_t, std::string_view evidence) {
    const std::optional<Evidence> read = decode(evidence);
    return read && std::holds_alternative<Reference>(*read) ? std::get<Reference>(*read).price : 0;
}

}  // namespace tenon::binance_venue
