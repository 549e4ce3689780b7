// SPDX-License-Identifier: Apache-2.0
// The live half of the paper venue: on a small market, and on the real recording.
#include "plugins/venue/paper/paper_live.hpp"

#include "plugins/market-data/service/market.hpp"
#include "tests/support/recorded_market.hpp"
#include "tests/unit/venue/paper_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::paper;
using namespace tenon::test;

using Lines = std::vector<std::string>;

namespace {

constexpr std::uint8_t k_buy = TENON_SIDE_BUY;
constexpr std::uint8_t k_sell = TENON_SIDE_SELL;
constexpr std::int64_t k_now = 1'790'000'000'000'000'000;

// A market-data service, the venue on it, and an engine that applies commands at once.
struct Exchange {
    Reports reports;
    std::vector<std::string> journal;
    tenon_status engine = TENON_OK;
    std::function<void()> applied = [] {};  // what else the engine does in that command
    PaperVenue venue{&paper_rules};
    market_data::Market market{{}, [this](const tenon_md_event& event) { live->on_market(event); }};
    std::unique_ptr<PaperLive> live;

    explicit Exchange(LiveSettings settings = {}) {
        market.add_instrument(0, {2, 5, 8});
        live = std::make_unique<PaperLive>(
            venue,
            Service<tenon_market_data_1>{&market, &k_table},
            &paper_rules,
            settings,
            [this](std::string_view bytes) {
                if (engine == TENON_OK) {
                    journal.emplace_back(bytes);
                    REQUIRE(venue.apply(bytes, reports.out()));
                    applied();
                }
                return engine;
            }
        );
    }

    Lines submit(const tenon_venue_order& order) {
        venue.submit(order, live->evidence(order, k_now), reports.out());
        return reports.take();
    }

    void book(
        std::uint32_t kind,
        std::uint64_t id,
        std::vector<tenon_level> bids,
        std::vector<tenon_level> asks
    ) {
        tenon_feed_event event{};
        event.size = sizeof event;
        event.kind = kind;
        event.event_real_ns = k_now;
        event.first_update_id = event.last_update_id = id;
        event.bids = bids.data();
        event.asks = asks.data();
        event.bid_count = static_cast<std::uint32_t>(bids.size());
        event.ask_count = static_cast<std::uint32_t>(asks.size());
        market.on_event(event);
    }

    void trade(std::uint64_t id, std::int64_t price, std::int64_t quantity, bool buyer_is_maker) {
        tenon_feed_event event{};
        event.size = sizeof event;
        event.kind = TENON_FEED_TRADE;
        event.event_real_ns = k_now;
        event.trade_id = id;
        event.price = price;
        event.quantity = quantity;
        event.buyer_is_maker = buyer_is_maker ? 1 : 0;
        market.on_event(event);
    }

    static const market_data::Market& of(void* self) {
        return *static_cast<const market_data::Market*>(self);
    }

    static tenon_status
    md_book(void* self, std::uint32_t id, std::uint32_t depth, tenon_book* out) {
        return of(self).book(id, depth, *out);
    }

    static tenon_status md_best(void* self, std::uint32_t id, tenon_level* bid, tenon_level* ask) {
        return of(self).best(id, *bid, *ask);
    }

    static tenon_status md_trades(
        void* self,
        std::uint32_t id,
        std::uint64_t from,
        std::uint32_t limit,
        void* ctx,
        tenon_status (*row)(void*, const tenon_public_trade*)
    ) {
        return market_data::each_trade(
            of(self).tape(id)->trades(),
            from,
            limit,
            [&](const tenon_public_trade& trade) { return row(ctx, &trade); }
        );
    }

    static constexpr tenon_market_data_1 k_table{
        sizeof(tenon_market_data_1),
        0,
        &md_book,
        &md_best,
        &md_trades,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr};
};

Look look_of(const Exchange& exchange, const tenon_venue_order& order) {
    return std::get<Look>(*decode(exchange.live->evidence(order, k_now)));
}

}  // namespace

TEST_CASE("an order's evidence is as much of the book as it can meet", "[paper][T4]") {
    Exchange e;
    REQUIRE_FALSE(look_of(e, market_order(1, k_buy, 1)).trusted);
    e.book(TENON_FEED_SNAPSHOT, 10, {{100, 4}, {99, 8}}, {{101, 5}, {102, 10}, {103, 20}});
    e.trade(1, 101, 1, false);

    const Look look = look_of(e, limit_order(1, k_buy, 102, 9));
    REQUIRE(look.trusted);
    REQUIRE(look.book_id == 10);
    REQUIRE(look.reference == 101);
    REQUIRE(look.ask.price == 101);
    REQUIRE(look.levels.size() == 2);
    REQUIRE(look_of(e, limit_order(1, k_buy, 102, 900)).levels.size() == 2);
    REQUIRE(look_of(e, market_order(1, k_buy, 16)).levels.size() == 3);
    REQUIRE(look_of(e, market_order(1, k_buy, 0, 5'050)).levels.size() == 1);
    REQUIRE(look_of(e, limit_order(1, k_buy, 99, 1)).levels.empty());
    REQUIRE(look_of(e, limit_order(1, k_buy, 99, 1)).displayed == 8);
    REQUIRE(look_of(e, limit_order(1, k_buy, 98, 1)).displayed == 0);

    // The book ticker is ahead of the book: 101 is gone, 102 is thinner.
    e.book(TENON_FEED_BOOK_TICKER, 12, {{100, 3}}, {{102, 7}});
    const Look newer = look_of(e, market_order(1, k_buy, 8));
    REQUIRE(newer.levels.size() == 2);
    REQUIRE(newer.levels[0].price == 102);
    REQUIRE(newer.levels[0].quantity == 7);
    REQUIRE(look_of(e, limit_order(1, k_buy, 100, 1)).displayed == 3);
}

TEST_CASE("only what concerns a resting order becomes a command", "[paper][T4]") {
    Exchange e;
    e.book(TENON_FEED_SNAPSHOT, 10, {{100, 4}, {99, 8}}, {{101, 5}});
    REQUIRE(e.submit(limit_order(1, k_buy, 99, 5)) == Lines{"accepted 1"});
    e.trade(1, 100, 4, true);
    e.trade(2, 99, 4, false);
    e.book(TENON_FEED_DIFF, 11, {{100, 0}, {98, 1}}, {{101, 6}});
    e.book(TENON_FEED_DIFF, 12, {{99, 9}}, {});
    REQUIRE(e.journal.empty());

    e.book(TENON_FEED_DIFF, 13, {{99, 3}}, {});
    REQUIRE(e.journal.size() == 1);
    e.trade(3, 99, 5, true);
    REQUIRE(e.journal.size() == 2);
    REQUIRE(e.reports.take() == Lines{"trade 0/1 2@99"});
    // A seller offers below our price.
    e.book(TENON_FEED_BOOK_TICKER, 14, {{97, 1}}, {{98, 2}});
    REQUIRE(e.reports.take() == Lines{"trade 0/1 2@99"});
    // The same offer is no news; one more on top of it is.
    e.book(TENON_FEED_BOOK_TICKER, 15, {{96, 1}}, {{98, 2}});
    REQUIRE(e.reports.take().empty());
    e.book(TENON_FEED_BOOK_TICKER, 16, {{96, 1}}, {{98, 3}});
    REQUIRE(e.reports.take() == Lines{"trade 0/1 1@99"});
    REQUIRE(e.venue.resting_count() == 0);
}

TEST_CASE("a trade at the stop price triggers, with the market of that moment", "[paper][T2]") {
    Exchange e;
    e.book(TENON_FEED_SNAPSHOT, 10, {{100, 4}, {99, 8}}, {{101, 5}});
    e.trade(1, 100, 1, true);
    REQUIRE(e.submit(stop_loss(1, k_sell, 6)) == Lines{"accepted 1"});
    REQUIRE(e.submit(stop_loss(2, k_buy, 6)) == Lines{"accepted 2"});
    e.book(TENON_FEED_DIFF, 11, {{100, 0}, {97, 3}}, {});
    e.trade(2, 99, 1, true);
    REQUIRE(e.journal.empty());
    e.trade(3, 98, 1, true);
    REQUIRE(e.reports.take() == Lines{"triggered 1"});
    REQUIRE(e.journal.size() == 1);
    const auto found = std::get<Triggered>(*decode(e.journal[0]));
    REQUIRE(found.order_id == 1);
    REQUIRE(found.look.levels.size() == 1);  // 8 at 99 are enough for it
    REQUIRE(found.look.levels[0].price == 99);

    // Without a book it waits for the next trade; a command that waits is not sent again.
    e.book(TENON_FEED_DIFF, 15, {}, {});  // ids are missing
    e.trade(4, 103, 1, false);
    REQUIRE(e.journal.size() == 1);
    e.book(TENON_FEED_SNAPSHOT, 20, {{99, 1}}, {{104, 9}});
    e.engine = TENON_UNAVAILABLE;
    e.trade(5, 104, 1, false);
    e.trade(6, 105, 1, false);
    e.engine = TENON_OK;
    REQUIRE(e.live->flush());
    REQUIRE(e.journal.size() == 2);
    REQUIRE(e.reports.take() == Lines{"triggered 2"});
}

TEST_CASE(
    "a trailing stop follows the market, and only what moves it is journalled",
    "[paper][T2]"
) {
    Exchange e;
    e.book(TENON_FEED_SNAPSHOT, 10, {{100, 4}, {90, 8}}, {{101, 5}});
    e.trade(1, 100, 1, true);
    tenon_venue_order order = stop_loss(1, k_sell, 6);
    order.stop_price = 0;
    order.trailing_delta = 1'000;  // 10 %
    REQUIRE(e.submit(order) == Lines{"accepted 1"});
    e.trade(2, 95, 1, true);
    REQUIRE(e.journal.empty());
    e.trade(3, 110, 1, true);
    REQUIRE(e.journal.size() == 1);
    e.trade(4, 110, 1, true);
    e.trade(5, 100, 1, true);
    REQUIRE(e.journal.size() == 1);
    REQUIRE(e.venue.trailing(0)->orders()[0].best == 110);
    // 99 is 10 % below the highest: due, and the market of that moment is met.
    e.trade(6, 99, 1, true);
    REQUIRE(e.journal.size() == 3);
    REQUIRE(std::get<Price>(*decode(e.journal[1])).price == 99);
    REQUIRE(std::get<Triggered>(*decode(e.journal[2])).look.levels.size() == 2);
    REQUIRE(e.reports.take() == Lines{"triggered 1"});
    REQUIRE(e.venue.conditional_count() == 0);
    REQUIRE(e.venue.due().empty());
}

TEST_CASE("an order that ends when another is triggered is not sent any more", "[paper][T2]") {
    Exchange e;
    e.book(TENON_FEED_SNAPSHOT, 10, {{100, 4}, {97, 8}}, {{101, 5}});
    e.trade(1, 100, 1, true);
    REQUIRE(e.submit(stop_loss(1, k_sell, 2)) == Lines{"accepted 1"});
    REQUIRE(e.submit(stop_loss(2, k_sell, 2)) == Lines{"accepted 2"});
    e.applied = [&] { e.venue.cancel(2, e.reports.out()); };
    e.trade(2, 90, 1, true);
    REQUIRE(e.reports.take() == Lines{"triggered 1", "canceled 2"});
    REQUIRE(e.journal.size() == 1);
}

TEST_CASE("a trailing stop sees every price, also while the engine takes none", "[paper][T2]") {
    Exchange e;
    e.book(TENON_FEED_SNAPSHOT, 10, {{99, 4}}, {{101, 5}});
    e.trade(1, 100, 1, true);
    tenon_venue_order order = stop_loss(1, k_sell, 2);
    order.stop_price = 0;
    order.trailing_delta = 1'000;
    order.reference_price = 100;
    REQUIRE(e.submit(order) == Lines{"accepted 1"});
    e.engine = TENON_UNAVAILABLE;
    e.trade(2, 120, 1, false);
    e.trade(3, 100, 1, true);  // a tenth below 120, and quiet for who does not know of it
    e.engine = TENON_OK;
    REQUIRE(e.live->flush());
    e.trade(4, 110, 1, false);
    REQUIRE(e.reports.take() == Lines{"triggered 1"});
}

TEST_CASE("a trailing stop that is due waits for a book, over a restart", "[paper][T2][T5]") {
    Exchange e;
    e.book(TENON_FEED_SNAPSHOT, 10, {{100, 4}}, {{101, 5}});
    e.trade(1, 100, 1, true);
    tenon_venue_order order = stop_loss(1, k_buy, 2);
    order.trailing_delta = 500;
    order.stop_price = 103;
    REQUIRE(e.submit(order) == Lines{"accepted 1"});
    e.trade(2, 104, 1, false);  // follows from here on
    e.trade(3, 102, 1, false);
    const std::string bytes = e.venue.snapshot();
    REQUIRE(e.venue.restore(bytes));
    REQUIRE(e.venue.snapshot() == bytes);
    REQUIRE(e.venue.trailing(0)->orders()[0].best == 102);
    e.book(TENON_FEED_DIFF, 15, {}, {});  // ids are missing
    e.trade(4, 108, 1, false);
    REQUIRE(e.reports.take().empty());
    REQUIRE(e.venue.due().count(1) == 1);
    const std::string due = e.venue.snapshot();
    REQUIRE(e.venue.restore(due));
    REQUIRE(e.venue.snapshot() == due);
    e.book(TENON_FEED_SNAPSHOT, 20, {{99, 1}}, {{104, 9}});
    REQUIRE(e.reports.take() == Lines{"triggered 1"});
    for (std::size_t size = 0; size < due.size(); ++size) {
        REQUIRE_FALSE(e.venue.restore(std::string_view{due}.substr(0, size)));
    }
    // One that is cancelled is gone from everywhere.
    REQUIRE(e.venue.restore(due));
    e.venue.cancel(1, e.reports.out());
    REQUIRE(e.reports.take() == Lines{"canceled 1"});
    REQUIRE(e.venue.due().empty());
    REQUIRE(e.venue.conditional_count() == 0);
}

TEST_CASE("a snapshot after a gap corrects the queues", "[paper][T4]") {
    Exchange e;
    e.book(TENON_FEED_SNAPSHOT, 10, {{100, 4}, {99, 8}}, {{101, 5}});
    (void)e.submit(limit_order(1, k_buy, 99, 5));
    (void)e.submit(limit_order(2, k_sell, 101, 5));
    e.book(TENON_FEED_DIFF, 15, {}, {});  // ids are missing
    REQUIRE(
        e.submit(market_order(3, k_buy, 1)) ==
        Lines{"rejected 3 " + std::to_string(TENON_REJECT_NO_LIQUIDITY)}
    );
    e.book(TENON_FEED_SNAPSHOT, 20, {{100, 1}, {98, 1}}, {{101, 2}});
    REQUIRE(e.journal.size() == 1);
    REQUIRE(e.venue.resting(0, k_buy)->begin()->second[0].ahead == 0);
    REQUIRE(e.venue.resting(0, k_sell)->begin()->second[0].ahead == 2);
}

TEST_CASE("with latency an order meets the market of its arrival", "[paper][T4]") {
    Exchange e{{50'000'000, 1'000}};
    e.book(TENON_FEED_SNAPSHOT, 10, {{100, 4}}, {{101, 5}});
    REQUIRE(e.submit(market_order(1, k_buy, 2)).empty());
    REQUIRE(e.live->deliver(k_now + 49'000'000) == k_now + 50'000'000);
    e.book(TENON_FEED_DIFF, 11, {}, {{101, 0}, {105, 5}});
    REQUIRE(e.live->deliver(k_now + 50'000'000) == PaperLive::k_never);
    REQUIRE(e.reports.take() == Lines{"accepted 1", "trade 1/0 2@105"});
}

TEST_CASE("commands wait while the engine takes none, in order and bounded", "[paper][T5]") {
    Exchange e;
    e.book(TENON_FEED_SNAPSHOT, 10, {{100, 4}}, {{101, 5}});
    (void)e.submit(limit_order(1, k_buy, 100, 9'000));
    e.engine = TENON_UNAVAILABLE;
    for (std::uint64_t id = 1; id <= PaperLive::k_outbox_max + 10; ++id) {
        e.trade(id, 100, 1, true);
    }
    REQUIRE(e.live->dropped() == 10);
    REQUIRE_FALSE(e.live->flush());
    e.engine = TENON_OK;
    REQUIRE(e.live->flush());
    REQUIRE(e.journal.size() == PaperLive::k_outbox_max);
    REQUIRE(e.reports.take().size() == PaperLive::k_outbox_max - 4);
}

TEST_CASE("an order whose arrival or trigger was lost is not forgotten", "[paper][T4][T2]") {
    Exchange e{{50'000'000, 1'000}};
    e.book(TENON_FEED_SNAPSHOT, 10, {{100, 4}}, {{101, 5}});
    REQUIRE(e.submit(limit_order(1, k_buy, 100, 9'000)).empty());
    REQUIRE(e.live->deliver(k_now + 50'000'000) == PaperLive::k_never);
    REQUIRE(e.reports.take() == Lines{"accepted 1"});
    REQUIRE(e.submit(market_order(2, k_buy, 2)).empty());
    e.engine = TENON_UNAVAILABLE;
    for (std::uint64_t id = 1; id <= PaperLive::k_outbox_max; ++id) {
        e.trade(id, 100, 1, true);
    }
    (void)e.live->deliver(k_now + 100'000'000);
    REQUIRE(e.live->dropped() == 1);
    e.engine = TENON_OK;
    REQUIRE(e.live->flush());
    (void)e.reports.take();
    (void)e.live->deliver(k_now + 100'000'000);
    REQUIRE(e.reports.take() == Lines{"accepted 2", "trade 2/0 2@101"});

    REQUIRE(e.submit(stop_loss(3, k_sell, 6)).empty());
    (void)e.live->deliver(k_now + 150'000'000);
    REQUIRE(e.reports.take() == Lines{"accepted 3"});
    e.engine = TENON_INVALID;  // refused for good
    e.trade(9'001, 98, 1, true);
    e.engine = TENON_OK;
    e.trade(9'002, 98, 1, true);
    const Lines all = e.reports.take();
    REQUIRE(std::find(all.begin(), all.end(), "triggered 3") != all.end());
}

TEST_CASE("on the recording orders fill, and the journal alone repeats it", "[paper][T4][T5]") {
    Exchange e;
    std::uint64_t next_id = 1;
    std::vector<std::pair<tenon_venue_order, std::string>> submitted;
    std::vector<std::pair<bool, std::size_t>> order_of_things;  // submit or command, index
    Lines live_lines;
    const auto collect = [&] {
        for (std::string& line : e.reports.take()) {
            live_lines.push_back(std::move(line));
        }
    };
    std::uint64_t events = 0;
    replay::Replay replay{
        {0, false, true},
        [&](const tenon_feed_event& event) {
            const std::size_t before = e.journal.size();
            e.market.on_event(event);
            for (std::size_t i = before; i < e.journal.size(); ++i) {
                order_of_things.emplace_back(false, i);
            }
            collect();
            tenon_level bid{};
            tenon_level ask{};
            if (++events % 500 != 0 || e.market.best(0, bid, ask) != TENON_OK) {
                return;
            }
            // In turn: a bid at the best price, an offer at the best price, a market order.
            tenon_venue_order order = market_order(next_id, k_buy, 100'000);
            if (next_id % 3 != 0) {
                const std::uint8_t side = next_id % 3 == 1 ? k_buy : k_sell;
                order = limit_order(next_id, side, side == k_buy ? bid.price : ask.price, 1'000);
            }
            ++next_id;
            const std::string evidence = e.live->evidence(order, k_now);
            e.venue.submit(order, evidence, e.reports.out());
            order_of_things.emplace_back(true, submitted.size());
            submitted.emplace_back(order, evidence);
            collect();
        },
        [](const std::string&, const std::string&) {}};
    replay.add(0, "BTCUSDT", prefetch_now(recorded_file("btcusdt"), {"BTCUSDT", 2, 5}));
    while (replay.statistics().loops <= 2) {
        (void)replay.step(0, k_now);
    }
    const auto fills = std::count_if(live_lines.begin(), live_lines.end(), [](const auto& line) {
        return line.rfind("trade 0/", 0) == 0;
    });
    REQUIRE(fills > 50);
    REQUIRE(e.venue.resting_count() < submitted.size() / 2);
    // Far fewer commands than market events: only what concerns resting orders.
    REQUIRE(e.journal.size() < events / 3);

    PaperVenue again{&paper_rules};
    Reports reports;
    Lines lines;
    for (const auto& [is_submit, i] : order_of_things) {
        if (is_submit) {
            again.submit(submitted[i].first, submitted[i].second, reports.out());
        } else {
            REQUIRE(again.apply(e.journal[i], reports.out()));
        }
        for (std::string& line : reports.take()) {
            lines.push_back(std::move(line));
        }
    }
    REQUIRE(lines == live_lines);
    REQUIRE(again.hash() == e.venue.hash());
}
