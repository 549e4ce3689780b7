// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/exchange_world.hpp"

#include <algorithm>

namespace tenon::test {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_window_ms = 5'000;
constexpr int k_ticks_at_once = 1'000;

ModelExchange::Parameters parse(const std::string& query) {
    ModelExchange::Parameters out;
    for (std::size_t from = 0; from < query.size();) {
        const std::size_t end = std::min(query.find('&', from), query.size());
        const std::size_t equal = query.find('=', from);
        out[query.substr(from, equal - from)] = query.substr(equal + 1, end - equal - 1);
        from = end + 1;
    }
    return out;
}

}  // namespace

ExchangeWorld::ExchangeWorld(std::uint64_t seed)
    : random_{seed},
      exchange_{
          [this](std::uint64_t n) { return chance(n); },
          [this](const std::string& event) { deliver(event); }} {
    boot();
}

void ExchangeWorld::at(std::int64_t delay_ns, std::function<void()> what) {
    events_.emplace(now_ns_ + delay_ns, std::move(what));
}

void ExchangeWorld::complain(const std::string& what) {
    if (complaint_.empty()) {
        complaint_ = what;
    }
}

// ---- time

void ExchangeWorld::run(std::int64_t duration_ns) {
    const std::int64_t end = now_ns_ + duration_ns;
    at(duration_ns, [] {});
    while (!events_.empty() && events_.begin()->first <= end && complaint_.empty()) {
        auto first = events_.extract(events_.begin());
        now_ns_ = first.key();
        first.mapped()();
        pump();
    }
}

// The desk's timer, and the journal's turn.
void ExchangeWorld::pump() {
    std::int64_t due = desk_->tick();
    for (int n = 0; due <= now_ns_; ++n) {
        if (n == k_ticks_at_once) {
            complain("the desk does not come to rest");
            return;
        }
        due = desk_->tick();
    }
    if (due != bv::Desk::k_never) {
        at(due - now_ns_, [] {});
    }
    if (durable_ != journal_.size() && !commit_due_) {
        commit_due_ = true;
        at(static_cast<std::int64_t>(chance(4)) * k_ms, [this, life = life_] {
            if (life == life_) {
                commit();
            }
        });
    }
}

void ExchangeWorld::commit() {
    commit_due_ = false;
    durable_ = journal_.size();
    desk_->durable();
}

void ExchangeWorld::live(std::int64_t duration_ns) {
    for (std::int64_t t = 0; t < duration_ns; t += 20 * k_ms) {
        at(t + static_cast<std::int64_t>(chance(20)) * k_ms, [this] { act(); });
    }
    run(duration_ns);
}

void ExchangeWorld::settle() {
    faults_ = false;
    engine_busy_until_ns_ = 0;
    run(std::int64_t{180'000} * k_ms);
}

void ExchangeWorld::act() {
    const std::uint64_t what = chance(1'000);
    if (what < 60) {
        submit();
    } else if (what < 110) {
        cancel();
    } else if (what < 160) {
        exchange_.stir();
    } else if (what < 166) {
        break_stream();
    } else if (what < 170) {
        kill();
    } else if (what < 173) {
        engine_busy_until_ns_ = now_ns_ + static_cast<std::int64_t>(chance(3'000)) * k_ms;
    }
}

// ---- the process

void ExchangeWorld::boot() {
    ++life_;
    commit_due_ = false;
    journal_.resize(durable_);
    desk_.reset();
    engine_.clear();
    table_ = std::make_unique<bv::OrderTable>(listing_);
    next_id_ = 1;
    for (const Entry& entry : journal_) {
        apply(entry, true);
    }
    bv::Desk::Hooks hooks;
    hooks.now_ns = [this] { return now_ns_; };
    hooks.command = [this](std::string_view bytes) { return command(bytes); };
    hooks.warn = [](std::string_view, std::string_view) {};
    desk_ = std::make_unique<bv::Desk>(
        *table_, listing_, ids_, *this, bv::DeskSettings{}, std::move(hooks)
    );
    desk_->start();
    connected_ = false;
    ++connection_;
    break_stream();
}

void ExchangeWorld::kill() {
    ++seen_.restarts;
    boot();
}

void ExchangeWorld::apply(const Entry& entry, bool replay) {
    Venue::Reports out{{this, &ExchangeWorld::on_report}};
    switch (entry.kind) {
        case Kind::submit:
            next_id_ = entry.order_id + 1;
            engine_[entry.order_id].quantity = entry.order.quantity;
            table_->submit(entry.order, entry.evidence, entry.time_ns, out);
            if (!replay) {
                desk_->submitted(entry.order_id);
            }
            break;
        case Kind::cancel:
            if (table_->cancel(entry.order_id) && !replay) {
                desk_->cancel_wanted(entry.order_id);
            }
            break;
        case Kind::evidence:
            const std::uint64_t id = table_->apply(entry.evidence, out);
            if (!replay) {
                desk_->applied(id);
            }
            break;
    }
}

tenon_status ExchangeWorld::command(std::string_view bytes) {
    if (now_ns_ < engine_busy_until_ns_) {
        return TENON_UNAVAILABLE;
    }
    Entry entry;
    entry.kind = Kind::evidence;
    entry.evidence = bytes;
    journal_.push_back(entry);
    apply(entry, false);
    return TENON_PENDING;
}

void ExchangeWorld::submit() {
    Entry entry;
    entry.order_id = next_id_;
    entry.time_ns = now_ns_;
    entry.order = bv::test::limit_buy(next_id_, 1 + static_cast<std::int64_t>(chance(20)));
    entry.order.time_in_force = chance(4) == 0 ? TENON_TIF_IOC : TENON_TIF_GTC;
    entry.evidence = bv::encode(bv::Reference{100});
    journal_.push_back(entry);
    ++seen_.orders;
    apply(entry, false);
}

void ExchangeWorld::cancel() {
    if (table_->orders().empty()) {
        return;
    }
    auto one = table_->orders().begin();
    std::advance(one, static_cast<std::ptrdiff_t>(chance(table_->orders().size())));
    Entry entry;
    entry.kind = Kind::cancel;
    entry.order_id = one->first;
    journal_.push_back(entry);
    ++seen_.cancels;
    apply(entry, false);
}

void ExchangeWorld::on_report(void* ctx, const tenon_venue_report* report) {
    auto& world = *static_cast<ExchangeWorld*>(ctx);
    const std::uint64_t id = report->order_id != 0 ? report->order_id : report->maker_order_id;
    EngineOrder& order = world.engine_[id];
    if (order.ended) {
        world.complain("a report after the end of order " + std::to_string(id));
    }
    switch (report->kind) {
        case TENON_REPORT_ACCEPTED:
            if (order.accepted) {
                world.complain("accepted twice: order " + std::to_string(id));
            }
            order.accepted = true;
            return;
        case TENON_REPORT_COMMISSION:
            ++order.commissions;
            return;
        case TENON_REPORT_TRADE:
            order.filled += report->quantity;
            ++order.trades;
            order.ended = order.filled == order.quantity;
            order.end_kind = report->kind;
            return;
        case TENON_REPORT_REJECTED:
            order.reject = report->reject;
            break;
        default:
            break;
    }
    order.end_kind = report->kind;
    order.ended = true;
}

// ---- the network

std::int64_t ExchangeWorld::exchange_now_ms() const {
    return now_ns_ / k_ms + 180;  // the estimate is off by so much
}

void ExchangeWorld::send(bv::RestRequest request, Done done) {
    const std::int64_t signed_ms = now_ns_ / k_ms + static_cast<std::int64_t>(chance(400));
    if (request.method == "POST") {
        const std::string id = parse(request.query).at("newClientOrderId");
        if (++posts_[id] > 1) {
            complain("sent twice: " + id);
        }
        const auto order = ids_.order_of(id);
        const bool on_disk = std::any_of(
            journal_.begin(),
            journal_.begin() + static_cast<std::ptrdiff_t>(durable_),
            [&](const Entry& entry) {
                return entry.kind == Kind::submit && entry.order_id == order;
            }
        );
        if (!on_disk) {
            complain("sent before it was on disk: " + id);
        }
    }
    deal(request, done, signed_ms);
}

void ExchangeWorld::arrive(
    const bv::RestRequest& request,
    std::int64_t signed_ms,
    bv::RestReply& reply
) {
    const ModelExchange::Answer answer = exchange_.handle(
        request.method, request.path, parse(request.query), now_ns_ / k_ms, signed_ms, k_window_ms
    );
    reply.outcome = bv::Outcome::answered;
    reply.status = answer.status;
    reply.body = answer.body;
}

void ExchangeWorld::deal(const bv::RestRequest& request, const Done& done, std::int64_t signed_ms) {
    const std::int64_t there =
        static_cast<std::int64_t>(1 + chance(unlucky(8) ? 8'000 : 300)) * k_ms;
    const std::int64_t back =
        static_cast<std::int64_t>(1 + chance(unlucky(8) ? 4'000 : 300)) * k_ms;
    bv::RestReply none;
    none.outcome = bv::Outcome::unknown;
    none.signed_ms = signed_ms;
    none.window_ms = k_window_ms;
    if (unlucky(4)) {
        none.outcome = bv::Outcome::not_sent;
        none.signed_ms = 0;
        at(back, [done, none] { done(none); });
        return;
    }
    if (unlucky(6)) {  // lost on the way
        at(back, [done, none] { done(none); });
        return;
    }
    const bool answer_lost = unlucky(8);
    const bool garbled = unlucky(5);
    const bool doubled = unlucky(5);
    if (answer_lost) {  // perhaps given up before it even arrives
        at(back, [done, none] { done(none); });
    }
    at(there, [this, request, done, none, back, answer_lost, garbled, doubled] {
        bv::RestReply reply = none;
        arrive(request, none.signed_ms, reply);
        // A client id may be used again once its order has ended: against a copy of a request that
        // comes after that no client can do anything, and TLS lets none through.
        const bool harmless = request.method != "POST" ||
                              reply.body.find("\"NEW\"") < reply.body.size() ||
                              reply.body.find("PARTIALLY") < reply.body.size();
        if (doubled && harmless) {
            arrive(request, none.signed_ms, reply);
        }
        if (garbled) {
            reply.status = chance(2) == 0 ? 503 : 200;
            reply.body = reply.body.substr(0, reply.body.size() / 2);
        }
        if (!answer_lost) {
            at(back, [done, reply] { done(reply); });
        }
    });
}

void ExchangeWorld::deliver(const std::string& event) {
    if (!connected_) {
        return;
    }
    const int copies = unlucky(10) ? 2 : 1;
    for (int n = 0; n < copies; ++n) {
        at(static_cast<std::int64_t>(1 + chance(unlucky(10) ? 3'000 : 200)) * k_ms,
           [this, event, connection = connection_] {
               if (connection == connection_) {
                   desk_->user_stream_event(event);
               }
           });
    }
}

void ExchangeWorld::note_states() {
    for (const auto& [id, booked] : table_->orders()) {
        std::string state = booked.state == bv::BookState::pending  ? "pending"
                            : booked.state == bv::BookState::ending ? "ending"
                            : booked.filled != 0                    ? "partly filled"
                                                                    : "open";
        seen_.broken_in.insert(state + (booked.cancel_wanted ? ", cancel wanted" : ""));
    }
}

void ExchangeWorld::break_stream() {
    if (connected_) {
        ++seen_.breaks;
        note_states();
        connected_ = false;
        desk_->user_stream_broken("cut");
    }
    const std::uint64_t connection = ++connection_;  // what was on its way is lost
    at(static_cast<std::int64_t>(100 + chance(5'000)) * k_ms, [this, connection] {
        if (connection == connection_) {
            connected_ = true;
            desk_->user_stream_connected();
        }
    });
}

// ---- the verdict

std::string ExchangeWorld::judge() const {
    if (!complaint_.empty()) {
        return complaint_;
    }
    std::map<std::uint64_t, const Entry*> submits;
    for (const Entry& entry : journal_) {
        if (entry.kind == Kind::submit) {
            submits[entry.order_id] = &entry;
        }
    }
    for (const auto& [id, entry] : submits) {
        const EngineOrder& ours = engine_.at(id);
        bv::BookedOrder booked;
        booked.order = entry->order;
        booked.submitted_real_ns = entry->time_ns;
        const ModelOrder* const theirs = exchange_.find(ids_.id_of(booked));
        const std::string what = "order " + std::to_string(id);
        if (theirs == nullptr) {
            if (!ours.ended || ours.accepted || ours.filled != 0) {
                return what + " is not at the exchange, and not ended here";
            }
            continue;
        }
        if (!ours.accepted || ours.reject != 0) {
            return what + " is at the exchange, and denied here";
        }
        if (ours.filled != theirs->filled || ours.trades != theirs->fills.size() ||
            ours.commissions != ours.trades) {
            return what + " has filled " + std::to_string(theirs->filled) + " there and " +
                   std::to_string(ours.filled) + " here";
        }
        const std::map<std::string, std::uint32_t> ends{
            {"FILLED", TENON_REPORT_TRADE},
            {"CANCELED", TENON_REPORT_CANCELED},
            {"EXPIRED", TENON_REPORT_EXPIRED}};
        if (theirs->open() == ours.ended ||
            (!theirs->open() && ends.at(theirs->status) != ours.end_kind)) {
            return what + " is " + theirs->status + " there and " +
                   (ours.ended ? "ended" : "open") + " here";
        }
    }
    for (const auto& [id, theirs] : exchange_.orders()) {
        const auto order = ids_.order_of(theirs.client_id);
        if (!order || submits.count(*order) == 0) {
            return "the exchange has an order that is not in the journal: " + theirs.client_id;
        }
    }
    if (desk_->unknown_now() != 0) {
        return "orders are still unknown";
    }
    return {};
}

}  // namespace tenon::test
