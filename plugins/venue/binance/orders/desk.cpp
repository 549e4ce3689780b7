// SPDX-License-Identifier: Apache-2.0
// Requests out, evidence in.
#include "plugins/venue/binance/orders/desk.hpp"

#include <tenon/conditional_order.hpp>

#include <algorithm>
#include <utility>

namespace tenon::binance_venue {
namespace {

constexpr std::size_t k_gone_max = 4'096;
constexpr std::int64_t k_second_ns = 1'000'000'000;

}  // namespace

Desk::Desk(
    const OrderTable& table,
    const Listing& listing,
    const OrderIds& ids,
    RestClient& rest,
    const DeskSettings& settings,
    Hooks hooks
)
    : table_{table},
      listing_{listing},
      ids_{ids},
      rest_{rest},
      settings_{settings},
      hooks_{std::move(hooks)} {}

void Desk::start() {
    started_ = true;
    for (const auto& [id, booked] : table_.orders()) {
        Track& track = tracks_[id];
        const bool pending = booked.state == BookState::pending;
        track.send = pending ? SendPhase::held : SendPhase::settled;
        step(track, SendEvent::restart);
        if (booked.cancel_wanted) {
            step(track, CancelEvent::asked);
        }
        step(track, CancelEvent::restart);
        // Whatever the last process sent was signed before now.
        track.accept_until = later(now(), settings_.recv_window_ms);
        ask_soon(track);
    }
    compare_due_ns_ = hooks_.now_ns();
}

void Desk::submitted(std::uint64_t order_id) {
    if (started_) {
        tracks_[order_id] = {};
        held_.push_back(order_id);
    }
}

void Desk::cancel_wanted(std::uint64_t order_id) {
    if (Track* const track = find(order_id); started_ && track != nullptr) {
        step(*track, CancelEvent::asked);
        wished_.push_back(order_id);
    }
}

void Desk::durable() {
    for (const std::uint64_t id : std::exchange(held_, {})) {
        Track* const track = find(id);
        if (track == nullptr || track->send != SendPhase::held) {
            continue;
        }
        if (track->cancel == CancelPhase::wanted) {
            step(*track, SendEvent::withdrawn);
            deny(id, End::withdrawn);
        } else {
            send_order(id);
        }
    }
    for (const std::uint64_t id : std::exchange(wished_, {})) {
        try_cancel(id);
    }
}

void Desk::applied(std::uint64_t order_id) {
    if (!started_) {
        return;
    }
    const auto found = tracks_.find(order_id);
    if (found == tracks_.end()) {
        return;
    }
    const BookedOrder* const booked = table_.find(order_id);
    if (booked == nullptr) {
        if (!found->second.denied) {
            gone_.push_back(order_id);
        }
        if (gone_.size() > k_gone_max) {
            gone_.pop_front();
        }
        tracks_.erase(found);
        return;
    }
    Track& track = found->second;
    if (booked->state != BookState::pending && track.send != SendPhase::settled) {
        step(track, SendEvent::evidence);
        track.ask_ns = k_never;
    }
    if (misses_fills(order_id, track)) {
        ask_soon(track);
    }
    if (track.cancel == CancelPhase::wanted && track.send == SendPhase::settled) {
        track.cancel_ns = std::min(track.cancel_ns, hooks_.now_ns());
    }
}

std::int64_t Desk::tick() {
    const std::int64_t now = hooks_.now_ns();
    const bool flushed = flush();
    std::vector<std::uint64_t> to_ask, to_cancel;
    for (const auto& [id, track] : tracks_) {
        if (track.ask_ns <= now && !track.asking) {
            to_ask.push_back(id);
        }
        if (track.cancel_ns <= now && track.cancel == CancelPhase::wanted) {
            to_cancel.push_back(id);
        }
    }
    for (const std::uint64_t id : to_cancel) {
        try_cancel(id);
    }
    for (const std::uint64_t id : to_ask) {
        Track* const track = find(id);
        if (track == nullptr) {
            continue;
        }
        if (misses_fills(id, *track) && table_.find(id)->exchange_id != 0) {
            ask_trades(id, 0);
        } else {
            ask(id);
        }
    }
    if (compare_due_ns_ <= now) {
        compare();
    }
    std::int64_t due = flushed ? compare_due_ns_ : now + settings_.pause_min_ns;
    for (const auto& [id, track] : tracks_) {
        due = std::min(due, track.asking ? k_never : track.ask_ns);
        due = std::min(due, track.cancel == CancelPhase::wanted ? track.cancel_ns : k_never);
    }
    return due;
}

std::size_t Desk::unknown_now() const {
    return static_cast<std::size_t>(std::count_if(
        tracks_.begin(),
        tracks_.end(),
        [](const auto& entry) { return entry.second.send == SendPhase::unknown; }
    ));
}

bool Desk::quiet() const {
    return outbox_.empty() && std::all_of(tracks_.begin(), tracks_.end(), [](const auto& entry) {
               const Track& track = entry.second;
               return track.send == SendPhase::settled && track.cancel == CancelPhase::none &&
                      !track.asking && track.ask_ns == k_never;
           });
}

Desk::Track* Desk::find(std::uint64_t order_id) {
    const auto found = tracks_.find(order_id);
    return found == tracks_.end() ? nullptr : &found->second;
}

void Desk::step(Track& track, SendEvent event) {
    const std::optional<SendPhase> phase = next(track.send, event);
    counts_.contradictions += phase ? 0U : 1U;
    track.send = phase.value_or(track.send);
}

void Desk::step(Track& track, CancelEvent event) {
    const std::optional<CancelPhase> phase = next(track.cancel, event);
    counts_.contradictions += phase ? 0U : 1U;
    track.cancel = phase.value_or(track.cancel);
}

void Desk::request(RestRequest request, Answer answer) {
    rest_.send(
        std::move(request),
        [this,
         answer = std::move(answer),
         alive = std::weak_ptr<char>{alive_}](const RestReply& reply) {
            if (!alive.expired()) {
                answer(reply);
                changed();
            }
        }
    );
}

void Desk::changed() const {
    if (hooks_.changed) {
        hooks_.changed();
    }
}

// ---- new orders

void Desk::send_order(std::uint64_t order_id) {
    const BookedOrder* const booked = table_.find(order_id);
    Track* const track = find(order_id);
    const std::optional<Market> market =
        booked == nullptr ? std::nullopt : listing_.market(booked->order.instrument);
    if (track == nullptr || !market) {
        return;
    }
    step(*track, SendEvent::durable);
    ++counts_.sent;
    RestRequest order;
    order.method = "POST";
    order.path = "/api/v3/order";
    order.query = place_query(*booked, *market, ids_.id_of(*booked));
    order.sign = true;
    order.lane = Lane::order;
    order.orders = 1;
    order.deadline_ns = hooks_.now_ns() + settings_.order_timeout_ns;
    order.client = std::to_string(booked->order.account);
    request(std::move(order), [this, order_id](const RestReply& reply) {
        on_placed(order_id, reply);
    });
}

void Desk::on_placed(std::uint64_t order_id, const RestReply& reply) {
    Track* const track = find(order_id);
    if (track == nullptr) {
        return;  // the stream was faster, and it has ended
    }
    const BookedOrder* const booked = table_.find(order_id);
    Moment sent = now();
    if (reply.signed_ms != 0) {
        sent = {reply.signed_ms, reply.sent_ns != 0 ? reply.sent_ns : sent.own_ns};
    }
    track->accept_until =
        later(sent, reply.signed_ms != 0 ? reply.window_ms : settings_.recv_window_ms);
    if (reply.outcome == Outcome::not_sent) {
        const bool first = track->send == SendPhase::sent;
        step(*track, SendEvent::not_sent);
        if (first) {
            hooks_.warn("order_not_sent", reply.reason);
            deny(order_id, End::not_sent);
        }
        return;
    }
    Verdict verdict;
    if (reply.outcome == Outcome::answered) {
        verdict = judge(reply, listing_);
        if (verdict.kind == Verdict::Kind::told &&
            (booked == nullptr || verdict.told.client_id != ids_.id_of(*booked))) {
            verdict.kind = Verdict::Kind::unknown;
            verdict.reason = "the answer is about another order";
        }
    } else {
        verdict.reason = reply.reason;
    }
    if (verdict.kind == Verdict::Kind::unknown) {
        hooks_.warn("order_in_doubt", verdict.reason);
        in_doubt(order_id);
        return;
    }
    step(*track, SendEvent::answered);
    if (verdict.kind == Verdict::Kind::refused) {
        ++counts_.refused;
        deny(order_id, End::refused, verdict.reject, std::move(verdict.reason));
    } else {
        (void)learn(std::move(verdict.told));
    }
}

void Desk::in_doubt(std::uint64_t order_id) {
    Track& track = *find(order_id);
    step(track, SendEvent::no_answer);
    if (track.send != SendPhase::unknown) {
        return;  // the stream told of it already
    }
    ++counts_.unknown;
    track.absences = 0;
    ask_soon(track);
    if (track.cancel == CancelPhase::wanted) {
        track.cancel_ns = hooks_.now_ns();
    }
}

// ---- cancels

void Desk::try_cancel(std::uint64_t order_id) {
    Track* const track = find(order_id);
    const BookedOrder* const booked = table_.find(order_id);
    if (track == nullptr || booked == nullptr) {
        return;
    }
    track->cancel_ns = k_never;
    if (track->cancel != CancelPhase::wanted || track->send == SendPhase::held ||
        track->send == SendPhase::sent) {
        return;  // the order's own answer comes first
    }
    const std::optional<Market> market = listing_.market(booked->order.instrument);
    if (!market) {
        return;
    }
    step(*track, CancelEvent::send);
    RestRequest cancel;
    cancel.method = "DELETE";
    cancel.path = "/api/v3/order";
    cancel.query = order_query(*market, ids_.id_of(*booked));
    cancel.sign = true;
    cancel.lane = Lane::cancel;
    cancel.deadline_ns = hooks_.now_ns() + settings_.order_timeout_ns;
    cancel.client = std::to_string(booked->order.account);
    request(std::move(cancel), [this, order_id](const RestReply& reply) {
        on_cancel(order_id, reply);
    });
}

void Desk::on_cancel(std::uint64_t order_id, const RestReply& reply) {
    Track* track = find(order_id);
    if (track == nullptr) {
        return;
    }
    const bool limited =
        reply.outcome == Outcome::answered && (reply.status == 429 || reply.status == 418);
    if (reply.outcome == Outcome::not_sent || limited) {
        step(*track, CancelEvent::not_sent);
        const std::int64_t pause = limited ? k_second_ns : settings_.pause_min_ns;
        track->cancel_ns = hooks_.now_ns() + std::max(reply.retry_after_ns, pause);
        return;
    }
    step(*track, CancelEvent::unresolved);
    if (reply.outcome == Outcome::answered && reply.status / 100 == 2) {
        const std::optional<Json> json = read_json(reply.body);
        std::optional<Told> told = json ? read_order(*json, listing_) : std::nullopt;
        if (told) {
            (void)learn(std::move(*told));
        } else {
            ++counts_.unread;
        }
    }
    track = find(order_id);
    if (track != nullptr) {
        ask_soon(*track);  // it says nothing, or not all
    }
}

// ---- evidence

// What the table knows already needs no journal.
bool Desk::is_new(const OrderNews& news) const {
    const BookedOrder* const booked = table_.find(news.order_id);
    if (booked == nullptr) {
        return false;
    }
    const bool first = booked->state == BookState::pending && news.accepted;
    const bool ends = news.end != End::none && booked->end == End::none;
    const bool works = news.working && is_conditional(booked->order.type) && !booked->working;
    return first || ends || works ||
           std::any_of(news.fills.begin(), news.fills.end(), [&](const Fill& f) {
               return !std::binary_search(booked->trades.begin(), booked->trades.end(), f.trade_id);
           });
}

void Desk::deny(std::uint64_t order_id, End end, std::uint32_t reject, std::string reason) {
    if (Track* const track = find(order_id)) {
        track->denied = true;
    }
    OrderNews news;
    news.order_id = order_id;
    news.end = end;
    news.reject = reject;
    news.reason = std::move(reason);
    tell(std::move(news));
}

void Desk::tell(OrderNews news) {
    if (!is_new(news)) {
        return;
    }
    if (outbox_.size() >= k_outbox_max) {
        ++counts_.put_off;  // it can be asked for at any time
        if (Track* const track = find(news.order_id)) {
            ask_later(*track);
        }
        return;
    }
    outbox_.push_back(encode(std::move(news)));
    (void)flush();
}

// In order; true when nothing is kept any more.
bool Desk::flush() {
    while (!outbox_.empty()) {
        const tenon_status status = hooks_.command(outbox_.front());
        if (status == TENON_UNAVAILABLE) {
            return false;
        }
        if (status != TENON_OK && status != TENON_PENDING) {
            ++counts_.put_off;
            hooks_.warn("evidence_refused", std::to_string(status));
            not_taken(outbox_.front());
        }
        outbox_.pop_front();
    }
    return true;
}

// Nobody else would come back to an order whose request is settled.
void Desk::not_taken(const std::string& evidence) {
    const std::optional<Evidence> read = decode(evidence);
    const auto* const news = read ? std::get_if<OrderNews>(&*read) : nullptr;
    Track* const track = news != nullptr ? find(news->order_id) : nullptr;
    if (track != nullptr) {
        track->denied = false;
        ask_later(*track);
    }
}

}  // namespace tenon::binance_venue
