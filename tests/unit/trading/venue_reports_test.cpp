// SPDX-License-Identifier: Apache-2.0
// The core with a venue that answers later, trades with the market, or breaks its contract.
#include "plugins/trading/engine/core/core.hpp"
#include "plugins/trading/instruments/catalogue.hpp"
#include "tests/simulation/core_world.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace tenon;
using namespace tenon::test;

namespace {

// Says what it is told to say: in submit, or when a command with evidence comes.
struct ScriptedVenue {
    std::vector<tenon_venue_report> in_submit, in_apply;
    tenon_venue_order seen = sized<tenon_venue_order>();
    std::int64_t reference = 0;
    int cancels = 0;

    static ScriptedVenue& of(void* self) { return *static_cast<ScriptedVenue*>(self); }

    static void say(std::vector<tenon_venue_report>& reports, tenon_venue_reports out) {
        for (const tenon_venue_report& report : reports) {
            out.put(out.ctx, &report);
        }
        reports.clear();
    }

    static const tenon_venue_1 k_table;
};

const tenon_venue_1 ScriptedVenue::k_table{
    sizeof(tenon_venue_1),
    0,
    nullptr,
    nullptr,
    nullptr,
    [](void* self,
       const tenon_venue_order* order,
       tenon_bytes,
       std::int64_t,
       tenon_venue_reports out) {
        of(self).seen = *order;
        say(of(self).in_submit, out);
    },
    [](void* self, std::uint64_t, std::uint32_t, std::int64_t, tenon_venue_reports) {
        ++of(self).cancels;
    },
    [](void* self, tenon_bytes evidence, std::int64_t, tenon_venue_reports out) -> tenon_status {
        if (view(evidence) != "go") {
            return TENON_INVALID;
        }
        say(of(self).in_apply, out);
        return TENON_OK;
    },
    nullptr,
    [](void*, tenon_sink, tenon_err*) -> tenon_status { return TENON_OK; },
    [](void*, tenon_bytes, tenon_err*) -> tenon_status { return TENON_OK; },
    [](void*) -> std::uint64_t { return 1; },
    [](void* self, std::uint32_t, tenon_bytes) { return of(self).reference; },
    nullptr,
    nullptr};

struct World {
    World()
        : catalogue{instruments::Catalogue::parse(world_instruments(), "test")},
          core{
              {&catalogue, &instruments::Catalogue::k_table},
              {{"internal", {&venue, &ScriptedVenue::k_table}}}} {
        (void)apply(trading::AccountOpenCommand{str("ann")});
        auto entry = tenon::sized<tenon_ledger_entry>();
        entry.from = TENON_ACCOUNT_EXTERNAL;
        entry.to = TENON_ACCOUNT_FIRST;
        entry.amount = 100'000 * k_unit;
        (void)apply(trading::TransferCommand{entry});
    }

    const trading::Result& apply(trading::CommandBody body) {
        output.clear();
        trading::Command command;
        command.sequence = core.sequence() + 1;
        command.body = body;
        return core.apply(command, output);
    }

    std::uint32_t buy(std::int64_t price, std::int64_t quantity) {
        tenon_order_request order{};
        order.account = TENON_ACCOUNT_FIRST;
        order.type = price == 0 ? TENON_ORDER_MARKET : TENON_ORDER_LIMIT;
        order.time_in_force = TENON_TIF_GTC;
        order.price = price;
        order.quantity = quantity;
        return apply(submit(order)).reject;
    }

    std::uint32_t go() {
        return apply(trading::VenueApplyCommand{str("internal"), bytes("go")}).reject;
    }

    static tenon_venue_report report(std::uint32_t kind) {
        return {sizeof(tenon_venue_report), kind, 0, 0, 1, 0, 0, 0};
    }

    static tenon_venue_report market_sells(std::int64_t price, std::int64_t quantity) {
        return {sizeof(tenon_venue_report), TENON_REPORT_TRADE, 0, 0, 1, 0, price, quantity};
    }

    [[nodiscard]] tenon_balance usdt() const { return core.balance(TENON_ACCOUNT_FIRST, 0); }

    [[nodiscard]] const tenon_order* open() const {
        return core.open_order(TENON_ACCOUNT_FIRST, 0, 1, {});
    }

    static constexpr std::int64_t k_unit = 100'000'000;

    ScriptedVenue venue;
    instruments::Catalogue catalogue;
    trading::Core core;
    trading::Output output;
};

}  // namespace

TEST_CASE("an order that the venue answers later waits, and lives on by reports", "[core][T4]") {
    World w;
    REQUIRE(w.buy(4'000'000, 100'000) == TENON_REJECT_NONE);
    REQUIRE(w.open() != nullptr);
    CHECK(w.open()->status == TENON_STATUS_PENDING_NEW);
    CHECK(w.venue.seen.funds == 40'000 * World::k_unit);
    CHECK(w.output.event_count() == 2);  // the order, the balance

    w.venue.in_apply = {
        World::report(TENON_REPORT_ACCEPTED), World::market_sells(3'900'000, 40'000)};
    CHECK(w.go() == TENON_REJECT_NONE);
    CHECK(w.open()->status == TENON_STATUS_PARTIALLY_FILLED);
    CHECK(w.usdt().locked == 24'000 * World::k_unit);
    CHECK(w.core.balance(TENON_ACCOUNT_VENUES, 0).free == 15'600 * World::k_unit);
    CHECK(w.core.check_invariants().empty());

    CHECK(w.apply(cancel(TENON_ACCOUNT_FIRST, 0, 1)).reject == TENON_REJECT_NONE);
    CHECK(w.venue.cancels == 1);
    CHECK(w.output.reply(w.output.results().back()).order_count == 1);
    CHECK(w.output.event_count() == 0);  // nothing has happened yet
    w.venue.in_apply = {World::report(TENON_REPORT_CANCELED)};
    CHECK(w.go() == TENON_REJECT_NONE);
    CHECK(w.open() == nullptr);
    CHECK(w.usdt().locked == 0);
    CHECK(w.core.check_invariants().empty());
}

TEST_CASE("a refusal that comes later closes the order and frees its funds", "[core][T4]") {
    World w;
    REQUIRE(w.buy(4'000'000, 100'000) == TENON_REJECT_NONE);
    w.venue.in_apply = {World::report(TENON_REPORT_REJECTED)};
    CHECK(w.go() == TENON_REJECT_NONE);
    const auto event = w.output.event(w.output.results().back(), 0);
    REQUIRE(event.order != nullptr);
    CHECK(event.order->status == TENON_STATUS_REJECTED);
    CHECK(event.order->reject == TENON_REJECT_VENUE);
    CHECK(w.usdt().free == 100'000 * World::k_unit);
}

TEST_CASE("a trade that breaks the contract is dropped and ends its order", "[core][T4]") {
    World w;
    const tenon_venue_report bad = GENERATE(
        World::market_sells(4'000'000, 100'001),  // more than is left
        World::market_sells(4'000'001, 100),      // worse than the limit
        World::market_sells(0, 100),
        World::market_sells(4'000'000, -1)
    );
    REQUIRE(w.buy(4'000'000, 100'000) == TENON_REJECT_NONE);
    w.venue.in_apply = {World::report(TENON_REPORT_ACCEPTED), bad};
    CHECK(w.go() == TENON_REJECT_NONE);
    CHECK(w.core.anomalies() == 1);
    CHECK(w.open() == nullptr);
    CHECK(w.usdt().free == 100'000 * World::k_unit);
    CHECK(w.core.last_price(0) == 0);
    CHECK(w.core.check_invariants().empty());
}

TEST_CASE("the venue's reference price judges market orders and bands", "[core][T3]") {
    World w;
    w.venue.reference = 5'000'000;
    CHECK(w.buy(25'000'001, 10) == TENON_REJECT_PERCENT_PRICE);
    CHECK(w.buy(0, 200'001) == TENON_REJECT_BALANCE);  // 2.00001 * 50000 and only 100000 there
    CHECK(w.buy(0, 9) == TENON_REJECT_NOTIONAL);       // 4.5 USDT
    w.venue.in_submit = {
        World::report(TENON_REPORT_ACCEPTED),
        World::market_sells(5'100'000, 100'000),
        World::report(TENON_REPORT_EXPIRED)};
    CHECK(w.buy(0, 190'000) == TENON_REJECT_NONE);
    CHECK(w.venue.seen.funds == 100'000 * World::k_unit);  // all that was free
    CHECK(w.usdt().free == 49'000 * World::k_unit);
    CHECK(w.core.check_invariants().empty());
}

TEST_CASE("evidence that is not the venue's refuses the command", "[core][T4]") {
    World w;
    const std::uint64_t before = w.core.state_hash();
    CHECK(
        w.apply(trading::VenueApplyCommand{str("internal"), bytes("no")}).reject ==
        TENON_REJECT_INVALID
    );
    CHECK(
        w.apply(trading::VenueApplyCommand{str("nobody"), bytes("go")}).reject ==
        TENON_REJECT_INVALID
    );
    CHECK(w.core.state_hash() == before);
}

TEST_CASE("what the venue charges is paid to it, as far as it is there", "[core][T4]") {
    constexpr std::uint32_t k_usdt = 0;
    const std::uint32_t base = 1;
    World w;
    REQUIRE(w.buy(4'000'000, 100'000) == TENON_REJECT_NONE);
    tenon_venue_report charged = World::report(TENON_REPORT_COMMISSION);
    charged.reject = k_usdt;
    charged.quantity = 12 * World::k_unit;
    tenon_venue_report poor = charged;
    poor.quantity = 70'000 * World::k_unit;
    w.venue.in_apply = {
        World::report(TENON_REPORT_ACCEPTED),
        charged,
        World::market_sells(4'000'000, 50'000),
        poor,
        World::market_sells(4'000'000, 50'000)};
    CHECK(w.go() == TENON_REJECT_NONE);
    CHECK(w.usdt().free == 0);  // 60,000 were free; the second charge takes what is left of them
    CHECK(w.usdt().locked == 0);
    CHECK(w.core.balance(TENON_ACCOUNT_VENUES, k_usdt).free == 100'000 * World::k_unit);
    CHECK(w.core.balance(TENON_ACCOUNT_FIRST, base).free == World::k_unit);  // no fee of ours
    CHECK(w.core.balance(TENON_ACCOUNT_FEES, base).free == 0);
    CHECK(w.core.check_invariants().empty());
    const auto event = w.output.event(w.output.results().back(), 1);
    REQUIRE(event.trade != nullptr);
    CHECK(event.trade->fee == 12 * World::k_unit);
    CHECK(event.trade->fee_asset == k_usdt);
}

TEST_CASE("a commission counts for the next trade of its order alone", "[core][T4]") {
    World w;
    REQUIRE(w.buy(4'000'000, 100'000) == TENON_REJECT_NONE);
    tenon_venue_report unlisted = World::report(TENON_REPORT_COMMISSION);
    unlisted.reject = 999;
    tenon_venue_report negative = World::report(TENON_REPORT_COMMISSION);
    negative.quantity = -1;
    w.venue.in_apply = {World::report(TENON_REPORT_ACCEPTED), unlisted, negative};
    CHECK(w.go() == TENON_REJECT_NONE);
    CHECK(w.core.anomalies() == 2);
    tenon_venue_report none = World::report(TENON_REPORT_COMMISSION);
    w.venue.in_apply = {none, World::market_sells(4'000'000, 50'000)};
    CHECK(w.go() == TENON_REJECT_NONE);
    const std::int64_t fees = w.core.balance(TENON_ACCOUNT_FEES, 1).free;
    CHECK(fees == 0);
    w.venue.in_apply = {none};
    CHECK(w.go() == TENON_REJECT_NONE);
    w.venue.in_apply = {World::market_sells(4'000'000, 50'000)};
    CHECK(w.go() == TENON_REJECT_NONE);
    CHECK(w.core.balance(TENON_ACCOUNT_FEES, 1).free > 0);  // the instrument's fee again
    CHECK(w.core.check_invariants().empty());
}

TEST_CASE("a cancel of all tells the orders that their venue ends later", "[core][T9]") {
    World w;
    REQUIRE(w.buy(4'000'000, 10'000) == TENON_REJECT_NONE);
    REQUIRE(w.buy(4'000'000, 20'000) == TENON_REJECT_NONE);
    const trading::CancelAllCommand all{TENON_ACCOUNT_FIRST, TENON_ANY_INSTRUMENT};
    CHECK(w.apply(all).reject == TENON_REJECT_NONE);
    CHECK(w.venue.cancels == 2);
    const auto reply = w.output.reply(w.output.results().back());
    REQUIRE(reply.order_count == 2);
    CHECK(tenon::at(reply.orders, 0).order_id == 1);
    CHECK(tenon::at(reply.orders, 1).status == TENON_STATUS_PENDING_NEW);
    CHECK(w.output.event_count() == 0);  // nothing has happened yet
}
