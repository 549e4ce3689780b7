// SPDX-License-Identifier: Apache-2.0
// What the desk asks the exchange, and what it hears without asking.
#include "plugins/venue/binance/orders/desk.hpp"

#include <algorithm>
#include <utility>

namespace tenon::binance_venue {

RestRequest Desk::question(std::string path, std::string query) const {
    RestRequest request;
    request.path = std::move(path);
    request.query = std::move(query);
    request.sign = true;
    request.lane = Lane::query;
    request.deadline_ns = hooks_.now_ns() + settings_.query_timeout_ns;
    return request;
}

void Desk::ask_soon(Track& track) {
    track.pause_ns = settings_.pause_min_ns;
    track.ask_ns = std::min(track.ask_ns, hooks_.now_ns());
}

void Desk::ask_later(Track& track) {
    track.pause_ns = std::clamp(track.pause_ns, settings_.pause_min_ns, settings_.pause_max_ns);
    track.ask_ns = hooks_.now_ns() + track.pause_ns;
    track.pause_ns = std::min(2 * track.pause_ns, settings_.pause_max_ns);
}

bool Desk::misses_fills(std::uint64_t order_id, const Track& track) const {
    const BookedOrder* const booked = table_.find(order_id);
    return booked != nullptr &&
           (booked->state == BookState::ending || booked->filled < track.executed);
}

// ---- one order

Desk::Moment Desk::now() const {
    return {rest_.exchange_now_ms(), hooks_.now_ns()};
}

Desk::Moment Desk::later(const Moment& moment, std::int64_t ms) {
    constexpr std::int64_t k_ms_ns = 1'000'000;
    return {moment.exchange_ms + ms, moment.own_ns + ms * k_ms_ns};
}

void Desk::ask(std::uint64_t order_id) {
    Track& track = *find(order_id);
    const BookedOrder* const booked = table_.find(order_id);
    const std::optional<Market> market =
        booked == nullptr ? std::nullopt : listing_.market(booked->order.instrument);
    track.ask_ns = k_never;
    if (!market) {
        return;
    }
    track.asking = true;
    ++counts_.queries;
    const Moment asked = now();
    const bool after_cancel = track.cancel == CancelPhase::unknown;
    request(
        question("/api/v3/order", order_query(*market, ids_.id_of(*booked))),
        [this, order_id, asked, after_cancel](const RestReply& reply) {
            on_order(order_id, asked, after_cancel, reply);
        }
    );
}

void Desk::on_order(
    std::uint64_t order_id,
    const Moment& asked,
    bool after_cancel,
    const RestReply& reply
) {
    Track* track = find(order_id);
    if (track == nullptr) {
        return;
    }
    track->asking = false;
    const bool answered = reply.outcome == Outcome::answered;
    if (answered && reply.status == 400 && error_code(reply) == k_code_no_such_order) {
        on_missing(order_id, asked);
        return;
    }
    const std::optional<Json> json =
        answered && reply.status == 200 ? read_json(reply.body) : std::nullopt;
    std::optional<Told> told = json ? read_order(*json, listing_) : std::nullopt;
    if (!told) {
        counts_.unread += answered && reply.status == 200 ? 1U : 0U;
        ask_later(*track);
        return;
    }
    const bool lives = told->news.end == End::none;
    const bool about_it = learn(std::move(*told)) == order_id;
    track = find(order_id);
    if (track == nullptr) {
        return;
    }
    if (!about_it) {
        ++counts_.contradictions;
        ask_later(*track);
        return;
    }
    if (lives && after_cancel && track->cancel == CancelPhase::unknown) {
        step(*track, CancelEvent::still_open);
        track->cancel_ns = hooks_.now_ns() + track->pause_ns;
        track->pause_ns = std::min(2 * track->pause_ns, settings_.pause_max_ns);
    } else if (track->cancel == CancelPhase::unknown || misses_fills(order_id, *track)) {
        ask_later(*track);
    }
}

// The exchange does not know the order. That counts once it cannot come to know it any more: by its
// clock, since a request may have been signed ahead of it, and by ours, since what is known of its
// clock may have been wrong by any amount when it was asked.
void Desk::on_missing(std::uint64_t order_id, const Moment& asked) {
    Track& track = *find(order_id);
    const BookedOrder* const booked = table_.find(order_id);
    if (booked == nullptr || booked->state != BookState::pending) {
        ++counts_.contradictions;
        ask_later(track);
        return;
    }
    const Moment over = later(track.accept_until, settings_.absence_margin_ms);
    if (asked.exchange_ms > over.exchange_ms && asked.own_ns > over.own_ns) {
        ++track.absences;
    }
    if (track.absences < settings_.absences) {
        ask_later(track);
        return;
    }
    ++counts_.absent;
    hooks_.warn("order_never_arrived", std::to_string(order_id));
    ask_later(track);  // in case the engine does not take it now
    deny(order_id, End::absent);
}

// ---- its trades

void Desk::ask_trades(std::uint64_t order_id, std::uint64_t from_trade_id) {
    Track& track = *find(order_id);
    const BookedOrder* const booked = table_.find(order_id);
    const std::optional<Market> market = listing_.market(booked->order.instrument);
    track.ask_ns = k_never;
    if (!market) {
        return;
    }
    track.asking = true;
    ++counts_.queries;
    request(
        question("/api/v3/myTrades", trades_query(*market, booked->exchange_id, from_trade_id)),
        [this, order_id](const RestReply& reply) { on_trades(order_id, reply); }
    );
}

void Desk::on_trades(std::uint64_t order_id, const RestReply& reply) {
    Track* track = find(order_id);
    if (track == nullptr) {
        return;
    }
    track->asking = false;
    const BookedOrder* booked = table_.find(order_id);
    const std::optional<Market> market =
        booked == nullptr ? std::nullopt : listing_.market(booked->order.instrument);
    const std::optional<Json> json = reply.outcome == Outcome::answered && reply.status == 200
                                         ? read_json(reply.body)
                                         : std::nullopt;
    if (!market || !json || !json->is(Json::Kind::array)) {
        ask_later(*track);
        return;
    }
    OrderNews news;
    news.order_id = order_id;
    for (const Json& row : json->items()) {
        const std::optional<Fill> fill = read_trade(row, *market, listing_);
        const Json* const of = row.find("orderId");
        const bool mine = of != nullptr && of->is(Json::Kind::number) &&
                          of->number() == std::to_string(booked->exchange_id);
        if (fill && mine && news.fills.size() < k_fills_max) {
            news.fills.push_back(*fill);
        } else {
            ++counts_.unread;
        }
    }
    const bool more = news.fills.size() == k_trades_of_an_answer;
    const std::uint64_t last = news.fills.empty() ? 0 : news.fills.back().trade_id;
    tell(std::move(news));
    track = find(order_id);
    if (track == nullptr) {
        return;
    }
    const bool misses = misses_fills(order_id, *track);
    if (misses && more) {
        ask_trades(order_id, last + 1);
    } else if (misses || track->cancel == CancelPhase::unknown) {
        ask_later(*track);
    }
}

// ---- all open orders

void Desk::compare() {
    compared_ns_ = hooks_.now_ns();
    compare_due_ns_ =
        compared_ns_ + (stream_up_ ? settings_.compare_ns : settings_.compare_blind_ns);
    if (comparing_) {
        compare_again_ = true;
        return;
    }
    comparing_ = true;
    compare_again_ = false;
    ++counts_.queries;
    expected_.clear();
    for (const auto& [id, booked] : table_.orders()) {
        if (booked.state == BookState::open) {
            expected_.push_back(id);
        }
    }
    request(question("/api/v3/openOrders", ""), [this](const RestReply& reply) {
        on_open_orders(reply);
    });
}

void Desk::on_open_orders(const RestReply& reply) {
    comparing_ = false;
    const std::optional<Json> json = reply.outcome == Outcome::answered && reply.status == 200
                                         ? read_json(reply.body)
                                         : std::nullopt;
    if (!json || !json->is(Json::Kind::array)) {
        compare_due_ns_ = std::min(compare_due_ns_, hooks_.now_ns() + settings_.compare_blind_ns);
        return;
    }
    ++counts_.compared;
    std::vector<std::uint64_t> there;
    std::uint64_t foreign = 0;
    for (const Json& row : json->items()) {
        std::optional<Told> told = read_order(row, listing_);
        if (!told || !ids_.order_of(told->client_id)) {
            ++foreign;
            continue;
        }
        there.push_back(learn(std::move(*told)));
    }
    if (foreign != counts_.foreign) {
        hooks_.warn("foreign_open_orders", std::to_string(foreign));
    }
    counts_.foreign = foreign;
    std::sort(there.begin(), there.end());
    for (const std::uint64_t id : std::exchange(expected_, {})) {
        Track* const track = find(id);
        if (track != nullptr && !std::binary_search(there.begin(), there.end(), id)) {
            ask_soon(*track);
        }
    }
    if (compare_again_) {
        compare_due_ns_ = hooks_.now_ns();
    }
}

// ---- what comes by itself

void Desk::user_stream_connected() {
    stream_up_ = true;
    compare_due_ns_ = hooks_.now_ns();
    changed();
}

void Desk::user_stream_broken(std::string_view reason) {
    stream_up_ = false;
    hooks_.warn("user_stream_broken", reason);
    compare_due_ns_ = std::min(compare_due_ns_, hooks_.now_ns() + settings_.compare_blind_ns);
    changed();
}

void Desk::user_stream_event(std::string_view text) {
    const std::optional<Json> json = read_json(text);
    const Json* const kind = json ? json->find("e") : nullptr;
    if (kind == nullptr || !kind->is(Json::Kind::text)) {
        ++counts_.unread;
        return;
    }
    if (kind->text() != "executionReport" || is_of_others(*json)) {
        return;
    }
    std::optional<Told> told = read_report(*json, listing_);
    if (!told) {
        ++counts_.unread;
        // Whatever it was, the orders say it again. Not for each message: openOrders is dear.
        compare_due_ns_ = std::min(
            compare_due_ns_, std::max(hooks_.now_ns(), compared_ns_ + settings_.compare_blind_ns)
        );
    } else {
        (void)learn(std::move(*told));
    }
    changed();
}

// A report that names an id, and none of ours: its market may not even be listed here.
bool Desk::is_of_others(const Json& report) const {
    bool named = false;
    for (const std::string_view key : {"c", "C"}) {
        const Json* const id = report.find(key);
        if (id != nullptr && id->is(Json::Kind::text) && !id->text().empty()) {
            if (ids_.order_of(id->text())) {
                return false;
            }
            named = true;
        }
    }
    return named;
}

std::uint64_t Desk::ours(const std::string& client_id) {
    const std::optional<std::uint64_t> id = ids_.order_of(client_id);
    if (!id) {
        return 0;
    }
    const BookedOrder* const booked = table_.find(*id);
    if (booked != nullptr && ids_.id_of(*booked) == client_id) {
        return *id;
    }
    if (std::find(gone_.begin(), gone_.end(), *id) == gone_.end()) {
        ++counts_.orphans;
        hooks_.warn("order_of_ours_unknown_here", client_id);
    }
    return 0;
}

std::uint64_t Desk::learn(Told told) {
    const std::uint64_t id = ours(told.client_id);
    Track* track = find(id);
    if (id == 0 || track == nullptr) {
        return 0;
    }
    track->executed = std::max(track->executed, told.executed);
    told.news.order_id = id;
    tell(std::move(told.news));
    track = find(id);
    if (track != nullptr && misses_fills(id, *track)) {
        ask_soon(*track);
    }
    return id;
}

}  // namespace tenon::binance_venue
