// SPDX-License-Identifier: Apache-2.0
// tenon.venue/1: what a venue may say about orders, and that it says the same again.
#include "sdk/conformance/suites/suites.hpp"
#include "sdk/conformance/suites/venue_scene.hpp"

#include <tenon/conditional_order.hpp>

#include <algorithm>

namespace tenon::suites {
namespace {

constexpr int k_calls = 400;

// A random session, judged by one rule.
void judged(Bench& bench, Rule rule) {
    Random random{bench.seed()};
    VenueScene scene{bench, VenueScene::Mode::live};
    scene.play(random, k_calls);
    scene.finish();
    const std::string& breach = scene.judge().breach(rule);
    expect(breach.empty(), breach);
    expect(
        rule == Rule::answered || scene.judge().trades() > 0,
        "no order of a random session was filled: nothing to judge"
    );
}

template <Rule rule>
void judge_by(Bench& bench) {
    judged(bench, rule);
}

[[nodiscard]] std::size_t reports_of(const VenueStep& step, std::uint32_t kind) {
    return static_cast<std::size_t>(std::count_if(
        step.reports.begin(),
        step.reports.end(),
        [kind](const auto& report) { return report.kind == kind; }
    ));
}

void order_kinds(Bench& bench) {
    for (std::uint8_t type = 0; type < 10; ++type) {
        for (std::uint8_t life = TENON_TIF_GTC; life <= TENON_TIF_FOK; ++life) {
            for (std::uint8_t side = TENON_SIDE_BUY; side <= TENON_SIDE_SELL; ++side) {
                VenueScene scene{bench, VenueScene::Mode::live};
                const auto other = static_cast<std::uint8_t>(TENON_SIDE_SELL - side);
                scene.offer(0, other, 10'000, 50);
                tenon_venue_order order = scene.limit(0, side, 10'000, 20, life);
                order.type = type;
                if (type == TENON_ORDER_MARKET) {
                    order.price = 0;
                }
                if (is_conditional(type)) {
                    VenueScene::make_conditional(
                        order, type, waits_for_rise(side, type) ? 11'000 : 9'000
                    );
                }
                scene.submit(order);
                scene.finish();
                for (const Rule rule : {Rule::answered, Rule::first, Rule::ending}) {
                    const std::string& breach = scene.judge().breach(rule);
                    expect(breach.empty(), breach);
                }
            }
        }
    }
}

void unknown_instrument(Bench& bench) {
    for (const std::uint32_t instrument : {2U, 4'000'000'000U}) {
        VenueScene scene{bench, VenueScene::Mode::live};
        tenon_venue_order order = scene.limit(0, TENON_SIDE_BUY, 10'000, 20);
        order.instrument = instrument;
        scene.submit(order);
        scene.finish();
        const VenueStep& step = scene.steps().front();
        expect(
            step.reports.size() == 1 && step.reports.front().kind == TENON_REPORT_REJECTED,
            "an order for instrument ",
            instrument,
            ", which is not listed, is not REJECTED"
        );
    }
}

// An order that rests: far from the market, at a side where nobody is.
[[nodiscard]] tenon_venue_order rest(VenueScene& scene) {
    const tenon_venue_order order = scene.limit(0, TENON_SIDE_BUY, 5'000, 100);
    scene.submit(order);
    scene.settle();
    const auto open = scene.judge().open_orders();
    if (std::find(open.begin(), open.end(), order.order_id) == open.end()) {
        throw NotApplicable{"the venue lets no limit order rest"};
    }
    return order;
}

void cancel(Bench& bench) {
    VenueScene scene{bench, VenueScene::Mode::live};
    const tenon_venue_order order = rest(scene);
    const auto canceled = [&](std::size_t from) {
        std::size_t count = 0;
        for (std::size_t i = from; i < scene.steps().size(); ++i) {
            count += reports_of(scene.steps()[i], TENON_REPORT_CANCELED);
        }
        return count;
    };
    const std::size_t first = scene.steps().size();
    scene.cancel(order.order_id, order.instrument);
    scene.settle();
    expect(canceled(first) == 1, "a cancel of a resting order gave ", canceled(first), " CANCELED");
    const std::size_t second = scene.steps().size();
    scene.cancel(order.order_id, order.instrument);
    scene.settle();
    expect(canceled(second) == 0, "a second cancel of the same order gave another CANCELED");
}

// Two orders of a list share what is locked for one: the second has to be gone before anything else
// comes.
void cancel_in_call(Bench& bench) {
    VenueScene scene{bench, VenueScene::Mode::live};
    if ((scene.flags() & TENON_VENUE_LISTS) == 0) {
        throw NotApplicable{"the venue takes no order lists"};
    }
    const tenon_venue_order order = rest(scene);
    scene.cancel(order.order_id, order.instrument);
    expect(
        reports_of(scene.steps().back(), TENON_REPORT_CANCELED) == 1,
        "the venue has TENON_VENUE_LISTS, but a cancel's CANCELED does not come during the call"
    );
}

void cancel_unknown(Bench& bench) {
    VenueScene scene{bench, VenueScene::Mode::live};
    (void)rest(scene);
    const std::uint64_t before = scene.hash();
    for (const std::uint64_t id : {std::uint64_t{0}, std::uint64_t{987'654'321}, UINT64_MAX}) {
        for (const std::uint32_t instrument : {0U, 1U, 4'000'000'000U}) {
            scene.cancel(id, instrument);
            const VenueStep& step = scene.steps().back();
            expect(
                step.reports.empty(),
                "a cancel of order ",
                id,
                ", which nobody sent, gave ",
                step.reports.empty() ? "" : VenueJudge::describe(step.reports.front())
            );
        }
    }
    expect(scene.hash() == before, "cancels of unknown orders changed the state");
}

void deterministic(Bench& bench) {
    std::vector<VenueStep> steps;
    {
        Random random{bench.seed()};
        VenueScene scene{bench, VenueScene::Mode::live};
        scene.play(random, k_calls);
        steps = scene.steps();
    }
    for (int i = 0; i < 2; ++i) {
        VenueScene scene{bench, VenueScene::Mode::live};
        scene.repeat(steps);
    }
}

void replay(Bench& bench) {
    std::vector<VenueStep> steps;
    {
        Random random{bench.seed()};
        VenueScene scene{bench, VenueScene::Mode::live};
        scene.play(random, k_calls);
        steps = scene.steps();
    }
    bench.advance(3'600'000'000'000);
    VenueScene scene{bench, VenueScene::Mode::replay};
    scene.repeat(steps);
}

void snapshot_continues(Bench& bench) {
    struct Point {
        std::size_t step;
        std::string bytes;
    };

    std::vector<VenueStep> steps;
    std::vector<Point> points;
    {
        Random random{bench.seed()};
        VenueScene scene{bench, VenueScene::Mode::live};
        points.push_back({0, scene.snapshot()});
        for (int i = 0; i < 6; ++i) {
            scene.play(random, k_calls / 6);
            points.push_back({scene.steps().size(), scene.snapshot()});
        }
        steps = scene.steps();
    }
    for (const Point& point : points) {
        VenueScene scene{bench, VenueScene::Mode::replay};
        expect_status(scene.restore(point.bytes), TENON_OK, "snapshot_read of its own snapshot");
        const std::string again = scene.snapshot();
        expect(
            again == point.bytes,
            "a snapshot that was read is written differently: ",
            again.size(),
            " bytes instead of ",
            point.bytes.size()
        );
        if (point.step > 0) {
            expect(
                scene.hash() == steps[point.step - 1].hash,
                "the hash after snapshot_read is not the one at the time of the snapshot, call ",
                point.step
            );
        }
        // The judge knows the orders of the past only by their calls.
        for (std::size_t i = 0; i < point.step; ++i) {
            if (steps[i].kind == VenueStep::Kind::submit) {
                scene.judge().expect_order(steps[i].order);
            }
        }
        scene.repeat(steps, point.step);
    }
}

void snapshot_sink(Bench& bench) {
    VenueScene scene{bench, VenueScene::Mode::live};
    (void)rest(scene);
    const tenon_sink full{
        nullptr, [](void*, tenon_bytes) -> tenon_status { return TENON_UNAVAILABLE; }};
    tenon_status status = TENON_OK;
    bench.on_reactor([&] {
        ErrorBuffer err;
        status = scene.venue()->snapshot_write(scene.venue().self, full, &err);
    });
    expect_status(status, TENON_UNAVAILABLE, "snapshot_write into a sink that refuses");
}

void snapshot_garbage(Bench& bench) {
    Random random{bench.seed()};
    VenueScene scene{bench, VenueScene::Mode::live};
    scene.play(random, 60);
    (void)rest(scene);  // After the play, which may end every order: a loss of none is not seen.
    const std::string good = scene.snapshot();
    const std::uint64_t before = scene.hash();
    const auto refused = [&](const std::string& bytes, const std::string& what) {
        const tenon_status status = scene.restore(bytes);
        expect(status < 0, "snapshot_read took ", what, ": ", status_name(status));
        expect(scene.hash() == before, "snapshot_read refused ", what, " and changed the state");
    };
    for (int i = 0; i < 40; ++i) {
        const std::size_t length = random.below(good.size());
        refused(good.substr(0, length), text(length, " of ", good.size(), " bytes"));
    }
    for (int i = 0; i < 40; ++i) {
        const std::size_t length = 1 + random.below(200);
        refused(random.bytes(length), text(length, " random bytes"));
    }
    refused(good + std::string(1, '\0'), "a byte too many");
    refused(std::string(good.size(), '\0'), "zeros");
    // A flipped bit may give another valid state, which the engine's own checksum catches; it must
    // be taken whole or not at all.
    for (int i = 0; i < 200; ++i) {
        std::string flipped = good;
        char& at = flipped[random.below(flipped.size())];
        at = static_cast<char>(at ^ static_cast<char>(1U << random.below(8)));
        if (scene.restore(flipped) < 0) {
            expect(
                scene.hash() == before, "snapshot_read refused a flipped bit, changed the state"
            );
        } else {
            expect_status(scene.restore(good), TENON_OK, "snapshot_read after a flipped one");
            expect(scene.hash() == before, "snapshot_read does not replace what was there");
        }
    }
}

void evidence_garbage(Bench& bench) {
    Random random{bench.seed()};
    VenueScene scene{bench, VenueScene::Mode::live};
    if (!TENON_HAS(scene.venue().table, tenon_venue_1, apply)) {
        throw NotApplicable{"the venue has no apply: it never sends commands"};
    }
    (void)rest(scene);
    const std::uint64_t before = scene.hash();
    for (int i = 0; i < 300; ++i) {
        const std::string garbage = random.bytes(random.below(120));
        expect_status(scene.apply(garbage), TENON_INVALID, text("apply of ", printable(garbage)));
        expect(scene.steps().back().reports.empty(), "apply answered INVALID and sent reports");
        expect(scene.hash() == before, "apply answered INVALID and changed the state");
    }
}

// Products beyond 2^53, where a double is off by one.
void exact(Bench& bench) {
    constexpr std::int64_t k_price = 9'007'199;
    constexpr std::int64_t k_quantity = 1'000'000'007;
    for (const std::int64_t missing : {0, 1}) {
        VenueScene scene{bench, VenueScene::Mode::live};
        const std::int64_t needed = k_price * k_quantity * scene.instruments().quote_unit(0);
        scene.offer(0, TENON_SIDE_SELL, k_price, k_quantity);
        const tenon_venue_order order =
            scene.market(0, TENON_SIDE_BUY, k_quantity, 0, needed - missing);
        scene.submit(order);
        const std::vector<tenon_venue_report>& answer = scene.steps().back().reports;
        if (!answer.empty() && answer.front().kind == TENON_REPORT_REJECTED) {
            throw NotApplicable{"the venue takes no market orders"};
        }
        scene.settle();
        const std::int64_t filled = scene.judge().filled(order.order_id);
        if (missing == 0) {
            expect(
                filled == k_quantity,
                "a market order with exactly the funds for ",
                k_quantity,
                " units bought ",
                filled
            );
        } else {
            expect(
                filled < k_quantity,
                "a market order that lacks one unit of ",
                needed,
                " bought all the same"
            );
        }
        for (const Rule rule : {Rule::funds, Rule::quantity, Rule::price}) {
            expect(scene.judge().breach(rule).empty(), scene.judge().breach(rule));
        }
    }
}

constexpr std::string_view k_venue = "tenon.venue/1";

constexpr Check k_checks[] = {
    {"venue.answers", "every order is answered", k_venue, &checked<&judge_by<Rule::answered>>},
    {"venue.accepted-first",
     "ACCEPTED comes first, REJECTED alone",
     k_venue,
     &checked<&judge_by<Rule::first>>},
    {"venue.quantity",
     "fills are never more than the order",
     k_venue,
     &checked<&judge_by<Rule::quantity>>},
    {"venue.funds",
     "fills never take more than the order's funds",
     k_venue,
     &checked<&judge_by<Rule::funds>>},
    {"venue.limit",
     "fills are never worse than the limit",
     k_venue,
     &checked<&judge_by<Rule::price>>},
    {"venue.endings",
     "what may not rest ends, what rests stays",
     k_venue,
     &checked<&judge_by<Rule::ending>>},
    {"venue.closed",
     "nothing is reported after the end",
     k_venue,
     &checked<&judge_by<Rule::closed>>},
    {"venue.counterparty",
     "both sides of a trade fit",
     k_venue,
     &checked<&judge_by<Rule::counterparty>>},
    {"venue.order-kinds",
     "every kind of order is answered and ends rightly",
     k_venue,
     &checked<&order_kinds>},
    {"venue.unknown-instrument",
     "an unlisted instrument is refused",
     k_venue,
     &checked<&unknown_instrument>},
    {"venue.cancel", "a cancel gives CANCELED once", k_venue, &checked<&cancel>},
    {"venue.cancel-in-call",
     "who takes order lists cancels during the call",
     k_venue,
     &checked<&cancel_in_call>},
    {"venue.cancel-unknown",
     "a cancel of an unknown order does nothing",
     k_venue,
     &checked<&cancel_unknown>},
    {"venue.deterministic",
     "the same calls give the same reports and hash",
     k_venue,
     &checked<&deterministic>},
    {"venue.replay",
     "calls with their evidence replay at another time",
     k_venue,
     &checked<&replay>},
    {"venue.snapshot",
     "a snapshot continues as the original does",
     k_venue,
     &checked<&snapshot_continues>},
    {"venue.snapshot-sink",
     "a sink that refuses stops the snapshot",
     k_venue,
     &checked<&snapshot_sink>},
    {"venue.snapshot-garbage",
     "a damaged snapshot is refused whole",
     k_venue,
     &checked<&snapshot_garbage>},
    {"venue.evidence-garbage",
     "strange evidence is refused whole",
     k_venue,
     &checked<&evidence_garbage>},
    {"venue.exact", "money is exact beyond 2^53", k_venue, &checked<&exact>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> venue_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
