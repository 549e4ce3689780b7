// SPDX-License-Identifier: Apache-2.0
// Self-trade prevention, icebergs, trailing stops and amendments in the core, on the internal book.
// The scenarios with letters are those of Binance's documentation ("Self Trade Prevention FAQ",
// "Spot Trailing Stop order FAQ").
#include "tests/simulation/core_world.hpp"

#include <tenon/decimal.hpp>
#include <tenon/order_state.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::test;

namespace {

constexpr std::uint8_t k_buy = TENON_SIDE_BUY;
constexpr std::uint8_t k_sell = TENON_SIDE_SELL;

using Lines = std::vector<std::string>;

[[nodiscard]] std::string status_word(const tenon_order& order) {
    constexpr const char* k_words[] = {
        "?", "pending", "new", "partial", "filled", "canceled", "expired", "rejected"};
    return is_expired_in_match(order) ? "in-match" : k_words[order.status];
}

// Ann has money and coins, and so has mel, who makes the market; prices are as free as they can be.
struct Market : CoreWorld {
    Market() {
        ann = open("ann");
        mel = open("mel");
        for (const std::uint64_t account : {ann, mel}) {
            deposit(account, "USDT", "10000000");
            deposit(account, "BTC", "20");
        }
    }

    std::uint32_t place(const tenon_order_request& order) { return apply(submit(order)).reject; }

    // A limit order of ann's with a mode.
    std::uint32_t own(
        std::uint8_t side,
        std::string_view price,
        std::string_view quantity,
        std::uint32_t mode = TENON_STP_NONE
    ) {
        tenon_order_request order = limit(ann, side, price, quantity);
        order.stp_mode = mode;
        return place(order);
    }

    void trade_at(std::string_view price) {
        REQUIRE(place(limit(mel, k_sell, price, "0.01")) == TENON_REJECT_NONE);
        REQUIRE(place(limit(mel, k_buy, price, "0.01")) == TENON_REJECT_NONE);
    }

    // What is said of an order: "status filled prevented".
    static std::string line_of(const tenon_order& order) {
        return std::to_string(order.order_id) + " " + status_word(order) + " " +
               decimal_text(order.filled_quantity, 5) + " " +
               decimal_text(order.prevented_quantity, 5);
    }

    [[nodiscard]] Lines events() const {
        Lines lines;
        const trading::Result& result = output.results().back();
        for (std::uint32_t i = 0; i < result.events.count; ++i) {
            const tenon_execution_event event = output.event(result, i);
            if (event.order != nullptr) {
                lines.push_back(line_of(*event.order));
            }
        }
        return lines;
    }

    // "match taker maker price, taken of each" of the last command.
    [[nodiscard]] Lines prevented() const {
        Lines lines;
        const tenon_trading_reply answer = reply();
        for (std::uint32_t i = 0; i < answer.prevented_count; ++i) {
            const tenon_prevented_match& match = tenon::at(answer.prevented, i);
            lines.push_back(
                std::to_string(match.match_id) + ": " + std::to_string(match.taker_order_id) +
                " meets " + std::to_string(match.maker_order_id) + " at " +
                decimal_text(match.price, 2) + ", " + decimal_text(match.taker_quantity, 5) +
                " and " + decimal_text(match.maker_quantity, 5)
            );
        }
        return lines;
    }

    [[nodiscard]] bool waits(std::uint64_t order_id) const {
        const tenon_order* order = core.open_order(ann, TENON_ANY_INSTRUMENT, order_id, {});
        return order != nullptr && order->working_real_ns == 0;
    }

    [[nodiscard]] bool is_open(std::uint64_t order_id) const {
        return core.open_order(ann, TENON_ANY_INSTRUMENT, order_id, {}) != nullptr;
    }

    // The rest of this core's life happens in another one.
    void restart() {
        std::string snapshot;
        core.snapshot_write(snapshot);
        const std::uint64_t hash = core.state_hash();
        core.snapshot_read(snapshot);
        REQUIRE(core.state_hash() == hash);
    }

    std::uint32_t amend(std::uint64_t order_id, std::string_view quantity, std::string_view id) {
        trading::AmendCommand command;
        command.request.instrument = TENON_ANY_INSTRUMENT;
        command.request.account = ann;
        command.request.order_id = order_id;
        command.request.quantity = parse_decimal(quantity, 5).value;
        command.request.new_client_id = client_id(id);
        return apply(command).reject;
    }

    std::uint64_t ann = 0, mel = 0;
};

}  // namespace

TEST_CASE("orders of one account trade unless the taker forbids it", "[core][T2]") {
    Market m;
    REQUIRE(m.own(k_buy, "100", "1", TENON_STP_EXPIRE_BOTH) == TENON_REJECT_NONE);
    REQUIRE(m.own(k_sell, "100", "1") == TENON_REJECT_NONE);
    CHECK(m.events() == Lines{"2 new 0 0", "2 filled 1 0", "1 filled 1 0"});
    CHECK(m.prevented().empty());
}

TEST_CASE("scenario B: the makers expire and the taker rests", "[core][T2]") {
    Market m;
    REQUIRE(m.own(k_buy, "120", "1.2") == TENON_REJECT_NONE);
    REQUIRE(m.own(k_buy, "110", "1.3") == TENON_REJECT_NONE);
    REQUIRE(m.own(k_buy, "100", "8.1") == TENON_REJECT_NONE);
    REQUIRE(m.own(k_sell, "100", "3", TENON_STP_EXPIRE_MAKER) == TENON_REJECT_NONE);
    CHECK(
        m.events() == Lines{"4 new 0 0", "1 in-match 0 1.2", "2 in-match 0 1.3", "3 in-match 0 8.1"}
    );
    CHECK(
        m.prevented() ==
        Lines{
            "1: 4 meets 1 at 120, 0 and 1.2",
            "2: 4 meets 2 at 110, 0 and 1.3",
            "3: 4 meets 3 at 100, 0 and 8.1"}
    );
    CHECK(m.is_open(4));
    CHECK(m.balance(m.ann, "USDT") == "10000000");
    CHECK(m.balance(m.ann, "BTC") == "17 locked 3");
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("scenario C: the taker expires and the makers stay", "[core][T2]") {
    Market m;
    REQUIRE(m.own(k_buy, "120", "1.2") == TENON_REJECT_NONE);
    REQUIRE(m.own(k_buy, "110", "1.3") == TENON_REJECT_NONE);
    REQUIRE(m.own(k_sell, "100", "3", TENON_STP_EXPIRE_TAKER) == TENON_REJECT_NONE);
    CHECK(m.events() == Lines{"3 new 0 0", "3 in-match 0 3"});
    CHECK(m.prevented() == Lines{"1: 3 meets 1 at 120, 3 and 0"});
    CHECK(m.is_open(1));
    CHECK(m.balance(m.ann, "BTC") == "20");
}

TEST_CASE("what was traded before stays when the rest expires", "[core][T2]") {
    Market m;
    REQUIRE(m.place(m.limit(m.mel, k_buy, "130", "1")) == TENON_REJECT_NONE);
    REQUIRE(m.own(k_buy, "120", "1.2") == TENON_REJECT_NONE);
    REQUIRE(m.own(k_sell, "100", "3", TENON_STP_EXPIRE_BOTH) == TENON_REJECT_NONE);
    CHECK(
        m.events() ==
        Lines{"3 new 0 0", "3 partial 1 0", "1 filled 1 0", "3 in-match 1 2", "2 in-match 0 1.2"}
    );
    CHECK(m.core.open_order_count() == 0);
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("scenario F: a market order that meets nobody else expires", "[core][T2]") {
    Market m;
    REQUIRE(m.own(k_buy, "100", "1") == TENON_REJECT_NONE);
    tenon_order_request order = m.limit(m.ann, k_sell, "100", "1");
    order.type = TENON_ORDER_MARKET;
    order.price = 0;
    order.time_in_force = 0;
    order.stp_mode = TENON_STP_EXPIRE_MAKER;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(m.events() == Lines{"2 new 0 0", "1 in-match 0 1", "2 expired 0 0"});
}

TEST_CASE("scenario G: both lose what they would have traded", "[core][T2]") {
    for (const auto mode :
         {std::uint32_t{TENON_STP_DECREMENT}, std::uint32_t{TENON_STP_TRANSFER}}) {
        Market m;
        REQUIRE(m.own(k_buy, "200", "6") == TENON_REJECT_NONE);
        REQUIRE(m.own(k_sell, "200", "2", mode) == TENON_REJECT_NONE);
        CHECK(m.events() == Lines{"2 new 0 0", "2 in-match 0 2", "1 new 0 2"});
        CHECK(m.prevented() == Lines{"1: 2 meets 1 at 200, 2 and 2"});
        CHECK(m.balance(m.ann, "USDT") == "9999200 locked 800");
        // The rest of it can be traded, and that fills it.
        REQUIRE(m.place(m.limit(m.mel, k_sell, "200", "5")) == TENON_REJECT_NONE);
        CHECK(m.events() == Lines{"3 new 0 0", "3 partial 4 0", "1 filled 4 2"});
        CHECK(m.core.check_invariants().empty());
    }
}

TEST_CASE("fill or kill does not count own orders", "[core][T2]") {
    Market m;
    REQUIRE(m.own(k_buy, "120", "1") == TENON_REJECT_NONE);
    REQUIRE(m.place(m.limit(m.mel, k_buy, "110", "1")) == TENON_REJECT_NONE);
    tenon_order_request order = m.limit(m.ann, k_sell, "100", "1");
    order.time_in_force = TENON_TIF_FOK;
    order.stp_mode = TENON_STP_DECREMENT;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(m.events() == Lines{"3 new 0 0", "3 expired 0 0"});
    CHECK(m.prevented().empty());
    order.stp_mode = TENON_STP_EXPIRE_MAKER;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(m.events() == Lines{"4 new 0 0", "1 in-match 0 1", "4 filled 1 0", "2 filled 1 0"});
}

TEST_CASE("a market order by quote loses the amount it would have spent", "[core][T2]") {
    Market m;
    REQUIRE(m.own(k_sell, "100", "1") == TENON_REJECT_NONE);
    REQUIRE(m.place(m.limit(m.mel, k_sell, "110", "5")) == TENON_REJECT_NONE);
    tenon_order_request order = m.limit(m.ann, k_buy, "100", "1");
    order.type = TENON_ORDER_MARKET;
    order.price = 0;
    order.quantity = 0;
    order.time_in_force = 0;
    order.quote_quantity = 210'00000000;  // 100 against the own order, 110 against mel's
    order.stp_mode = TENON_STP_DECREMENT;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(
        m.events() ==
        Lines{
            "3 new 0 0",
            "3 new 0 1",
            "1 in-match 0 1",
            "3 partial 1 1",
            "2 partial 1 0",
            "3 expired 1 1"}
    );
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("a prevented match is numbered on after a restart", "[core][T2][T5]") {
    Market m;
    REQUIRE(m.own(k_buy, "100", "1") == TENON_REJECT_NONE);
    REQUIRE(m.own(k_sell, "100", "0.5", TENON_STP_DECREMENT) == TENON_REJECT_NONE);
    m.restart();
    REQUIRE(m.own(k_sell, "100", "0.2", TENON_STP_DECREMENT) == TENON_REJECT_NONE);
    CHECK(m.prevented() == Lines{"2: 3 meets 1 at 100, 0.2 and 0.2"});
    CHECK(m.core.open_order(m.ann, TENON_ANY_INSTRUMENT, 1, {})->prevented_match_id == 2);
}

TEST_CASE("of an iceberg the book shows a part, and each next one comes last", "[core][T2]") {
    Market m;
    tenon_order_request iceberg = m.limit(m.ann, k_sell, "100", "3");
    iceberg.display_quantity = 100'000;  // 1
    REQUIRE(m.place(iceberg) == TENON_REJECT_NONE);
    REQUIRE(m.place(m.limit(m.mel, k_sell, "100", "1")) == TENON_REJECT_NONE);
    const auto shown = [&] {
        return m.venue.book(m.instrument("BTCUSDT"))->quantity_at(k_sell, iceberg.price);
    };
    CHECK(shown() == 200'000);
    REQUIRE(m.place(m.limit(m.mel, k_buy, "100", "1.5")) == TENON_REJECT_NONE);
    CHECK(
        m.events() ==
        Lines{"3 new 0 0", "3 partial 1 0", "1 partial 1 0", "3 filled 1.5 0", "2 partial 0.5 0"}
    );
    CHECK(shown() == 150'000);
    m.restart();
    CHECK(shown() == 150'000);
    // Half of mel's, then two parts of the iceberg.
    REQUIRE(m.place(m.limit(m.mel, k_buy, "100", "2.5")) == TENON_REJECT_NONE);
    CHECK(m.events().back() == "1 filled 3 0");
    CHECK(shown() == 0);
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("what an iceberg hides counts for fill or kill", "[core][T2]") {
    Market m;
    tenon_order_request iceberg = m.limit(m.ann, k_sell, "100", "3");
    iceberg.display_quantity = 50'000;
    REQUIRE(m.place(iceberg) == TENON_REJECT_NONE);
    tenon_order_request order = m.limit(m.mel, k_buy, "100", "3");
    order.time_in_force = TENON_TIF_FOK;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(m.events().back() == "1 filled 3 0");
}

TEST_CASE("what an iceberg hides trades behind an own order in the way", "[core][T2]") {
    Market m;
    tenon_order_request iceberg = m.limit(m.mel, k_sell, "100", "10");
    iceberg.display_quantity = 100'000;
    REQUIRE(m.place(iceberg) == TENON_REJECT_NONE);
    REQUIRE(m.own(k_sell, "100", "5") == TENON_REJECT_NONE);
    tenon_order_request order = m.limit(m.ann, k_buy, "100", "5");
    order.time_in_force = TENON_TIF_FOK;
    for (const int mode : {TENON_STP_EXPIRE_TAKER, TENON_STP_EXPIRE_BOTH, TENON_STP_DECREMENT}) {
        order.stp_mode = static_cast<std::uint32_t>(mode);
        REQUIRE(m.place(order) == TENON_REJECT_NONE);
        CHECK(m.events().back().find(" expired 0 0") != std::string::npos);
        CHECK(m.prevented().empty());
    }
    order.quantity = 100'000;  // what is shown ahead of the own order
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(m.core.last_price(0) != 0);
    CHECK(m.prevented().empty());
}

TEST_CASE("icebergs have bounds", "[core][T2]") {
    Market m;
    const auto with = [&](std::int64_t display, std::uint8_t time_in_force = TENON_TIF_GTC) {
        tenon_order_request order = m.limit(m.ann, k_sell, "100", "1");
        order.display_quantity = display;
        order.time_in_force = time_in_force;
        return m.place(order);
    };
    CHECK(with(-1) == TENON_REJECT_INVALID);
    CHECK(with(50'000, TENON_TIF_IOC) == TENON_REJECT_INVALID);
    CHECK(with(100'001) == TENON_REJECT_ICEBERG_PARTS);
    CHECK(with(999) == TENON_REJECT_ICEBERG_PARTS);
    CHECK(with(1'000) == TENON_REJECT_NONE);
    CHECK(with(100'000) == TENON_REJECT_NONE);
}

namespace {

struct Trail {
    const char* name;
    std::uint8_t type, side;
    const char *stop_price, *price;
    std::uint32_t delta;
    std::vector<const char*> quiet;  // prices that do not trigger it
    const char* triggers;
};

}  // namespace

TEST_CASE("trailing stops follow the price as documented", "[core][T2]") {
    const Trail trails[] = {
        {"A",
         TENON_ORDER_STOP_LOSS_LIMIT,
         k_buy,
         "44000",
         "45000",
         500,
         {"37000", "44000", "45000", "46000", "42000", "44099.99"},
         "44100"},
        {"B",
         TENON_ORDER_STOP_LOSS_LIMIT,
         k_sell,
         "39000",
         "38000",
         1000,
         {"41500", "39000", "37000", "41000", "36900.01"},
         "36900"},
        {"C",
         TENON_ORDER_TAKE_PROFIT_LIMIT,
         k_buy,
         "38000",
         "38500",
         850,
         {"42000", "38000", "37000", "39000", "38000", "40144.99"},
         "40145"},
        {"D",
         TENON_ORDER_TAKE_PROFIT_LIMIT,
         k_sell,
         "42000",
         "41000",
         750,
         {"41500", "39000", "42000", "45000", "44000", "46500", "43012.51"},
         "43012.5"},
        {"E",
         TENON_ORDER_STOP_LOSS_LIMIT,
         k_sell,
         "",
         "39000",
         700,
         {"42000", "39500", "45500", "42315.01"},
         "42315"},
    };
    for (const Trail& trail : trails) {
        for (const bool restarts : {false, true}) {
            Market m;
            m.trade_at("40000");
            tenon_order_request order = m.limit(m.ann, trail.side, trail.price, "0.5");
            order.type = trail.type;
            order.trailing_delta = trail.delta;
            order.stop_price =
                *trail.stop_price == '\0' ? 0 : parse_decimal(trail.stop_price, 2).value;
            REQUIRE(m.place(order) == TENON_REJECT_NONE);
            const std::uint64_t id = m.reply().orders->order_id;
            for (const char* price : trail.quiet) {
                m.trade_at(price);
                INFO("scenario " << trail.name << " at " << price);
                CHECK(m.waits(id));
                if (restarts) {
                    m.restart();
                }
            }
            m.trade_at(trail.triggers);
            INFO("scenario " << trail.name);
            CHECK_FALSE(m.waits(id));
            CHECK(m.core.check_invariants().empty());
        }
    }
}

TEST_CASE("a sweep shows a trailing stop each of its prices", "[core][T2]") {
    Market m;
    m.trade_at("40000");
    tenon_order_request order = m.limit(m.ann, k_sell, "20000", "0.5");
    order.type = TENON_ORDER_STOP_LOSS_LIMIT;
    order.trailing_delta = 1000;
    order.stop_price = 39'000'00;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    // One order takes down to 34,000: it begins at 38,000, and 34,200 is 10 % below that.
    for (const char* price : {"38000", "36000", "34200", "34000"}) {
        REQUIRE(m.place(m.limit(m.mel, k_buy, price, "0.01")) == TENON_REJECT_NONE);
    }
    REQUIRE(m.place(m.limit(m.mel, k_sell, "30000", "0.04")) == TENON_REJECT_NONE);
    CHECK_FALSE(m.waits(3));
}

TEST_CASE("a trailing buy at the market needs a price to be reckoned with", "[core][T2]") {
    Market m;
    tenon_order_request order = m.limit(m.ann, k_buy, "1", "1");
    order.type = TENON_ORDER_STOP_LOSS;
    order.price = 0;
    order.time_in_force = 0;
    order.trailing_delta = 100;
    CHECK(m.place(order) == TENON_REJECT_NO_LIQUIDITY);
    order.trailing_delta = 9;
    CHECK(m.place(order) == TENON_REJECT_TRAILING_DELTA);
    order.trailing_delta = 2001;
    CHECK(m.place(order) == TENON_REJECT_TRAILING_DELTA);
    m.trade_at("40000");
    order.trailing_delta = 100;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(m.balance(m.ann, "USDT") == "9960000 locked 40000");
    REQUIRE(m.place(m.limit(m.mel, k_sell, "40500", "2")) == TENON_REJECT_NONE);
    m.trade_at("40400");
    CHECK_FALSE(m.is_open(3));
    CHECK(m.balance(m.ann, "USDT") == "9959500");
    tenon_order_request plain = m.limit(m.ann, k_buy, "100", "1");
    plain.trailing_delta = 100;
    CHECK(m.place(plain) == TENON_REJECT_INVALID);
}

TEST_CASE("an amended order has less and keeps its place", "[core][T2]") {
    Market m;
    tenon_order_request order = m.limit(m.ann, k_buy, "100", "5.5");
    order.client_id = client_id("mine");
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    REQUIRE(m.place(m.limit(m.mel, k_buy, "100", "4")) == TENON_REJECT_NONE);
    REQUIRE(m.amend(1, "5", "") == TENON_REJECT_NONE);
    const tenon_trading_reply reply = m.reply();
    REQUIRE(reply.amendment != nullptr);
    CHECK(reply.amendment->old_quantity == 550'000);
    CHECK(reply.amendment->quantity == 500'000);
    CHECK(std::string{reply.amendment->old_client_id.text} == "mine");
    CHECK(reply.orders->quantity == 500'000);
    CHECK(m.balance(m.ann, "USDT") == "9999500 locked 500");
    // Its old client id is taken, and its new one names it.
    CHECK(m.place(order) == TENON_REJECT_DUPLICATE_ID);
    REQUIRE(m.amend(1, "4.5", "newer") == TENON_REJECT_NONE);
    CHECK(m.core.open_order(m.ann, TENON_ANY_INSTRUMENT, 0, client_id("newer")) != nullptr);
    m.restart();
    REQUIRE(m.place(m.limit(m.mel, k_sell, "100", "4.5")) == TENON_REJECT_NONE);
    CHECK(m.events() == Lines{"3 new 0 0", "3 filled 4.5 0", "1 filled 4.5 0"});
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("an amendment is refused when it is none", "[core][T2]") {
    Market m;
    REQUIRE(m.own(k_buy, "100", "2") == TENON_REJECT_NONE);
    REQUIRE(m.place(m.limit(m.mel, k_sell, "100", "1")) == TENON_REJECT_NONE);
    const std::uint64_t hash = m.core.state_hash();
    CHECK(m.amend(1, "2", "") == TENON_REJECT_AMEND_QUANTITY);
    CHECK(m.amend(1, "3", "") == TENON_REJECT_AMEND_QUANTITY);
    CHECK(m.amend(1, "1", "") == TENON_REJECT_AMEND_QUANTITY);
    CHECK(m.amend(1, "0", "") == TENON_REJECT_INVALID);
    CHECK(m.amend(2, "0.5", "") == TENON_REJECT_UNKNOWN_ORDER);  // mel's, and gone
    CHECK(m.amend(0, "1.5", "") == TENON_REJECT_INVALID);
    CHECK(m.amend(1, "1.5", "a b") == TENON_REJECT_INVALID);
    CHECK(m.core.state_hash() == hash);
    // The filters hold for what is left of it: 5 USDT at least.
    REQUIRE(m.own(k_buy, "50", "1") == TENON_REJECT_NONE);
    CHECK(m.amend(3, "0.09", "") == TENON_REJECT_NOTIONAL);
    CHECK(m.amend(3, "0.1", "") == TENON_REJECT_NONE);
}

TEST_CASE("an iceberg that is amended shows no more than is left", "[core][T2]") {
    Market m;
    tenon_order_request iceberg = m.limit(m.ann, k_sell, "100", "3");
    iceberg.display_quantity = 100'000;
    REQUIRE(m.place(iceberg) == TENON_REJECT_NONE);
    const internal::Book& book = *m.venue.book(m.instrument("BTCUSDT"));
    REQUIRE(m.amend(1, "2", "") == TENON_REJECT_NONE);
    CHECK(book.quantity_at(k_sell, iceberg.price) == 100'000);
    REQUIRE(m.amend(1, "0.5", "") == TENON_REJECT_NONE);
    CHECK(book.quantity_at(k_sell, iceberg.price) == 50'000);
    CHECK(m.reply().orders->display_quantity == 50'000);
    REQUIRE(m.place(m.limit(m.mel, k_buy, "100", "1")) == TENON_REJECT_NONE);
    CHECK(m.events() == Lines{"2 new 0 0", "2 partial 0.5 0", "1 filled 0.5 0"});
}

TEST_CASE("an order that is good till a date ends there, over a restart", "[core][T2][T5]") {
    constexpr std::int64_t k_second_ns = 1'000'000'000;
    Market m;
    const auto now = [&] { return m.core.time_real_ns(); };
    tenon_order_request order = m.limit(m.ann, k_buy, "100", "2");
    order.expires_real_ns = now();
    CHECK(m.place(order) == TENON_REJECT_TIME_OVER);
    order.expires_real_ns = -1;
    CHECK(m.place(order) == TENON_REJECT_INVALID);
    order.expires_real_ns = now() + 4 * k_second_ns;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);  // a second later
    REQUIRE(m.place(m.limit(m.mel, k_sell, "100", "0.5")) == TENON_REJECT_NONE);
    CHECK(m.core.next_expiry_real_ns() == order.expires_real_ns);
    CHECK(m.apply(trading::ExpireCommand{}).reject == TENON_REJECT_UNKNOWN_ORDER);
    m.restart();
    CHECK(m.core.next_expiry_real_ns() == order.expires_real_ns);
    CHECK(m.apply(trading::ExpireCommand{}).reject == TENON_REJECT_NONE);
    CHECK(m.events() == Lines{"1 expired 0.5 0"});
    CHECK(m.core.next_expiry_real_ns() == INT64_MAX);
    CHECK(m.balance(m.ann, "USDT") == "9999950");
    // One that ends before is not asked for any more; one that is cancelled is cancelled.
    order.expires_real_ns = now() + 2 * k_second_ns;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(m.apply(cancel(m.ann, order.instrument, m.reply().orders->order_id)).reject == 0);
    CHECK(m.events().back() == "3 canceled 0 0");
    CHECK(m.core.next_expiry_real_ns() == INT64_MAX);
    order.time_in_force = TENON_TIF_IOC;
    order.expires_real_ns = now() + 9 * k_second_ns;
    CHECK(m.place(order) == TENON_REJECT_INVALID);
}
