// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/suites/venue_scene.hpp"

#include <tenon/conditional_order.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace tenon::suites {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_middle = 10'000;

}  // namespace

bool same_reports(
    const std::vector<tenon_venue_report>& a,
    const std::vector<tenon_venue_report>& b
) {
    return std::equal(
        a.begin(),
        a.end(),
        b.begin(),
        b.end(),
        [](const tenon_venue_report& x, const tenon_venue_report& y) {
            return x.kind == y.kind && x.reject == y.reject && x.order_id == y.order_id &&
                   x.maker_order_id == y.maker_order_id && x.price == y.price &&
                   x.quantity == y.quantity && x.instrument == y.instrument;
        }
    );
}

VenueScene::VenueScene(Bench& bench, Mode mode)
    : bench_{bench},
      instruments_{bench.instance_name()},
      market_{bench},
      judge_{instruments_},
      now_real_ns_{bench.now_real_ns()},
      middle_(instruments_.count(), k_middle) {
    bench.bind("tenon.instruments/1", instruments_.iface());
    bench.bind("tenon.market_data/1", market_.iface());
    instance_ = bench.open();
    venue_ = instance_->service<tenon_venue_1>("tenon.venue/1");
    attach(true);
    if (mode == Mode::live) {
        bench_.on_reactor([&] {
            for (std::uint32_t id = 0; id < instruments_.count(); ++id) {
                market_.set_book(id, {{k_middle - 1, 1'000}}, {{k_middle + 1, 1'000}});
                market_.trade(id, k_middle, 1, false);
            }
            if (TENON_HAS(venue_.table, tenon_venue_1, live)) {
                venue_->live(venue_.self);
            }
        });
        bench_.settle();
    }
}

VenueScene::~VenueScene() {
    (void)guard(nullptr, [&] { attach(false); });
    (void)guard(nullptr, [&] { instance_.reset(); });
}

void VenueScene::attach(bool on) {
    static constexpr tenon_venue_input_1 k_input{sizeof(tenon_venue_input_1), 0, &command};
    bench_.on_reactor([&] {
        ErrorBuffer err;
        const tenon_iface input = on ? tenon_iface{this, &k_input} : tenon_iface{};
        expect_status(venue_->attach(venue_.self, input, &err), TENON_OK, "attach", &err);
    });
}

tenon_status VenueScene::command(void* self, tenon_bytes evidence) noexcept {
    return guard(nullptr, [&] {
        static_cast<VenueScene*>(self)->commands_.emplace_back(view(evidence));
    });
}

void VenueScene::run(VenueStep& step) {
    const tenon_bytes evidence{step.evidence.data(), step.evidence.size()};
    switch (step.kind) {
        case VenueStep::Kind::submit:
            judge_.expect_order(step.order);
            venue_->submit(venue_.self, &step.order, evidence, step.now_real_ns, judge_.out());
            break;
        case VenueStep::Kind::cancel:
            judge_.expect_cancel(step.order.order_id);
            venue_->cancel(
                venue_.self,
                step.order.order_id,
                step.order.instrument,
                step.now_real_ns,
                judge_.out()
            );
            break;
        case VenueStep::Kind::apply:
            step.status = venue_->apply(venue_.self, evidence, step.now_real_ns, judge_.out());
            break;
    }
    step.reports = judge_.take();
    step.hash = venue_->hash(venue_.self);
    if (TENON_HAS(venue_.table, tenon_venue_1, durable)) {
        venue_->durable(venue_.self);
    }
}

void VenueScene::record(VenueStep step) {
    step.now_real_ns = now_real_ns_ += k_ms;
    run(step);
    const std::vector<tenon_venue_report> reports = step.reports;
    const std::string evidence = step.evidence;
    steps_.push_back(std::move(step));
    // As the engine does.
    for (const tenon_venue_report& report : reports) {
        if (report.kind == TENON_REPORT_TRIGGERED) {
            if (const auto order = judge_.triggered(report.order_id)) {
                record({VenueStep::Kind::submit, *order, evidence, 0, TENON_OK, {}, 0});
            }
        }
    }
}

void VenueScene::submit(tenon_venue_order order) {
    bench_.on_reactor([&] {
        StringSink evidence;
        if (TENON_HAS(venue_.table, tenon_venue_1, evidence)) {
            const tenon_status status =
                venue_->evidence(venue_.self, &order, now_real_ns_, evidence.sink());
            expect_status(status, TENON_OK, "evidence");
        }
        record({VenueStep::Kind::submit, order, evidence.text(), 0, TENON_OK, {}, 0});
    });
}

void VenueScene::cancel(std::uint64_t order_id, std::uint32_t instrument) {
    bench_.on_reactor([&] {
        tenon_venue_order order{};
        order.size = sizeof order;
        order.order_id = order_id;
        order.instrument = instrument;
        record({VenueStep::Kind::cancel, order, {}, 0, TENON_OK, {}, 0});
    });
}

tenon_status VenueScene::apply(std::string_view evidence) {
    tenon_status status = TENON_OK;
    bench_.on_reactor([&] {
        record({VenueStep::Kind::apply, {}, std::string{evidence}, 0, TENON_OK, {}, 0});
        status = steps_.back().status;
    });
    return status;
}

void VenueScene::settle() {
    constexpr int k_rounds = 50;
    for (int round = 0; round < k_rounds; ++round) {
        bench_.settle(1);
        std::deque<std::string> commands;
        bench_.on_reactor([&] { commands.swap(commands_); });
        for (const std::string& evidence : commands) {
            expect_status(apply(evidence), TENON_OK, "apply of the venue's own evidence");
        }
        if (commands.empty() && round > 1) {
            break;
        }
        now_real_ns_ += 100 * k_ms;
        bench_.advance(100 * k_ms);
    }
    judge_.at_rest();
}

void VenueScene::finish() {
    constexpr std::int64_t k_longest = 61'000 * k_ms;  // that an order may be under way
    now_real_ns_ += k_longest;
    bench_.advance(k_longest);
    settle();
    judge_.at_end();
}

void VenueScene::move_market(Random& random) {
    const auto instrument = static_cast<std::uint32_t>(random.below(instruments_.count()));
    std::int64_t& middle = middle_[instrument];
    middle = std::max<std::int64_t>(1'000, middle + random.between(-20, 20));
    bench_.on_reactor([&] {
        if (random.one_in(3)) {
            const std::int64_t price = middle + random.between(-30, 30);
            market_.trade(instrument, price, random.between(1, 3'000), random.one_in(2));
            return;
        }
        std::vector<tenon_level> bids, asks;
        const auto depth = static_cast<std::int64_t>(random.below(6));
        for (std::int64_t i = 1; i <= depth; ++i) {
            bids.push_back({middle - i * 3, random.between(1, 2'000)});
            asks.push_back({middle + i * 3, random.between(1, 2'000)});
        }
        market_.set_book(instrument, std::move(bids), std::move(asks));
    });
}

void VenueScene::make_conditional(
    tenon_venue_order& order,
    std::uint8_t type,
    std::int64_t stop_price
) {
    order.type = type;
    order.stop_price = stop_price;
    if (working_type(type) == TENON_ORDER_MARKET) {
        order.price = 0;
        order.time_in_force = TENON_TIF_GTC;
    }
}

tenon_venue_order VenueScene::random_order(Random& random) {
    const auto instrument = static_cast<std::uint32_t>(random.below(instruments_.count()));
    const std::uint8_t side = random.one_in(2) ? TENON_SIDE_BUY : TENON_SIDE_SELL;
    const std::int64_t quantity = random.between(1, 3'000);
    const std::uint64_t kind = random.below(20);
    if (kind < 14) {
        const auto life =
            static_cast<std::uint8_t>(random.one_in(4) ? random.between(1, 3) : TENON_TIF_GTC);
        const std::int64_t price = middle_[instrument] + random.between(-10, 10) * 4;
        tenon_venue_order order = limit(instrument, side, price, quantity, life);
        if (kind < 2) {
            order.type = TENON_ORDER_LIMIT_MAKER;
            order.time_in_force = TENON_TIF_GTC;
        } else if (kind == 2) {
            make_conditional(
                order,
                static_cast<std::uint8_t>(random.between(TENON_ORDER_STOP_LOSS, 7)),
                middle_[instrument] + random.between(-10, 10) * 4
            );
        }
        return order;
    }
    const std::int64_t quote = quantity * middle_[instrument] * instruments_.quote_unit(instrument);
    const std::int64_t base = quantity * instruments_.base_unit(instrument);
    const std::int64_t needed = side == TENON_SIDE_BUY ? quote : base;
    const std::int64_t funds = random.one_in(3) ? random.between(1, needed) : needed * 2;
    return random.one_in(2) ? market(instrument, side, quantity, 0, funds)
                            : market(instrument, side, 0, quote + random.between(-999, 999), funds);
}

void VenueScene::play(Random& random, int calls) {
    for (int i = 0; i < calls; ++i) {
        if (random.one_in(2)) {
            move_market(random);
        }
        const std::vector<std::uint64_t> open = judge_.open_orders();
        if (!open.empty() && random.one_in(5)) {
            const std::uint64_t id = open[random.below(open.size())];
            const auto sent = std::find_if(steps_.begin(), steps_.end(), [id](const auto& step) {
                return step.kind == VenueStep::Kind::submit && step.order.order_id == id;
            });
            cancel(id, sent->order.instrument);
        } else {
            submit(random_order(random));
        }
        if (random.one_in(3)) {
            settle();
        }
    }
    settle();
}

void VenueScene::repeat(const std::vector<VenueStep>& steps, std::size_t from) {
    for (std::size_t i = from; i < steps.size(); ++i) {
        VenueStep again = steps[i];
        bench_.on_reactor([&] { run(again); });
        const VenueStep& before = steps[i];
        if (!same_reports(again.reports, before.reports)) {
            std::string found, wanted;
            for (const auto& report : again.reports) {
                found.append(found.empty() ? "" : "; ").append(VenueJudge::describe(report));
            }
            for (const auto& report : before.reports) {
                wanted.append(wanted.empty() ? "" : "; ").append(VenueJudge::describe(report));
            }
            throw Breach{text(
                "call ",
                i,
                " of ",
                steps.size(),
                " again: reports [",
                found,
                "], before [",
                wanted,
                "]"
            )};
        }
        expect(
            again.hash == before.hash && again.status == before.status,
            "call ",
            i,
            " of ",
            steps.size(),
            " again: the same reports, but hash ",
            again.hash,
            " instead of ",
            before.hash
        );
    }
}

void VenueScene::offer(
    std::uint32_t instrument,
    std::uint8_t side,
    std::int64_t price,
    std::int64_t quantity
) {
    bench_.on_reactor([&] {
        std::vector<tenon_level> level{{price, quantity}};
        if (side == TENON_SIDE_BUY) {
            market_.set_book(instrument, std::move(level), {});
        } else {
            market_.set_book(instrument, {}, std::move(level));
        }
    });
    submit(limit(instrument, side, price, quantity));
    settle();
}

std::string VenueScene::snapshot() {
    StringSink bytes;
    bench_.on_reactor([&] {
        ErrorBuffer err;
        expect_status(
            venue_->snapshot_write(venue_.self, bytes.sink(), &err),
            TENON_OK,
            "snapshot_write",
            &err
        );
    });
    return std::move(bytes.text());
}

tenon_status VenueScene::restore(std::string_view snapshot) {
    tenon_status status = TENON_OK;
    bench_.on_reactor([&] {
        ErrorBuffer err;
        status = venue_->snapshot_read(venue_.self, bytes(snapshot), &err);
    });
    return status;
}

std::uint64_t VenueScene::hash() {
    std::uint64_t found = 0;
    bench_.on_reactor([&] { found = venue_->hash(venue_.self); });
    return found;
}

tenon_venue_order VenueScene::limit(
    std::uint32_t instrument,
    std::uint8_t side,
    std::int64_t price,
    std::int64_t quantity,
    std::uint8_t time_in_force
) {
    tenon_venue_order order{};
    order.size = sizeof order;
    order.order_id = next_order_id();
    order.account = TENON_ACCOUNT_FIRST + order.order_id % 3;
    order.instrument = instrument;
    order.side = side;
    order.type = TENON_ORDER_LIMIT;
    order.time_in_force = time_in_force;
    order.price = price;
    order.quantity = quantity;
    order.funds = side == TENON_SIDE_BUY ? price * quantity * instruments_.quote_unit(instrument)
                                         : quantity * instruments_.base_unit(instrument);
    return order;
}

tenon_venue_order VenueScene::market(
    std::uint32_t instrument,
    std::uint8_t side,
    std::int64_t quantity,
    std::int64_t quote_quantity,
    std::int64_t funds
) {
    tenon_venue_order order{};
    order.size = sizeof order;
    order.order_id = next_order_id();
    order.account = TENON_ACCOUNT_FIRST + order.order_id % 3;
    order.instrument = instrument;
    order.side = side;
    order.type = TENON_ORDER_MARKET;
    order.time_in_force = TENON_TIF_GTC;
    order.quantity = quantity;
    order.quote_quantity = quote_quantity;
    order.funds = funds;
    return order;
}

}  // namespace tenon::suites
