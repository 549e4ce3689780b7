// SPDX-License-Identifier: Apache-2.0
// What the exchange is asked for when older rows are wanted, and what its answers become.
#include "plugins/venue/binance/market_history.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <limits>
#include <string>
#include <vector>

using namespace tenon::binance_venue;
using tenon::HistoryRows;

namespace {

class Exchange final : public RestClient {
public:
    void send(RestRequest request, Done done) override {
        asked.push_back(request.path + "?" + request.query);
        last = request;
        waiting.push_back(std::move(done));
    }

    [[nodiscard]] std::int64_t exchange_now_ms() const override { return 0; }

    [[nodiscard]] bool can_sign() const override { return false; }

    void answer(std::string body, unsigned status = 200) {
        RestReply reply;
        reply.outcome = Outcome::answered;
        reply.status = status;
        reply.body = std::move(body);
        give(reply);
    }

    void give(const RestReply& reply) {
        const Done done = std::move(waiting.front());
        waiting.erase(waiting.begin());
        done(reply);
    }

    std::vector<std::string> asked;
    std::vector<Done> waiting;
    RestRequest last;
};

struct Fixture {
    std::uint64_t fetch(const tenon_history_query& query) {
        return history.fetch(
            query,
            [this](tenon_status ended, const HistoryRows& told, std::string_view why) {
                ++answers;
                status = ended;
                rows = told;
                reason = why;
            }
        );
    }

    [[nodiscard]] static tenon_history_query query(std::uint32_t kind) {
        auto made = tenon::sized<tenon_history_query>();
        made.kind = kind;
        made.instrument = 3;
        made.limit = 2;
        made.deadline_ns = 77;
        return made;
    }

    Exchange exchange;
    MarketHistory history{exchange, {{3, "BTCUSDT", {2, 5, 8}}}};
    int answers = 0;
    tenon_status status = TENON_PENDING;
    HistoryRows rows;
    std::string reason;
};

constexpr const char* k_trades =
    R"([{"id":41,"price":"100.00","qty":"0.5","quoteQty":"50","time":1700000000123,"isBuyerMaker":true,"isBestMatch":true}])";
constexpr const char* k_aggregates =
    R"([{"a":7,"p":"100.00","q":"0.5","f":39,"l":40,"T":1700000000123,"m":true,"M":true},
        {"a":8,"p":"100.01","q":"0.25","f":41,"l":43,"T":1700000000123,"m":false,"M":true}])";

}  // namespace

TEST_CASE("older trades are asked for by id, behind everything else", "[binance][T6]") {
    Fixture f;
    auto query = f.query(TENON_HISTORY_TRADES);
    query.from_id = 41;
    CHECK(f.fetch(query) > 0);
    CHECK(f.exchange.asked.back() == "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=41&limit=2");
    CHECK(f.exchange.last.lane == Lane::backfill);
    CHECK(f.exchange.last.deadline_ns == 77);
    CHECK(f.answers == 0);
    f.exchange.answer(k_trades);
    REQUIRE(f.status == TENON_OK);
    REQUIRE(f.rows.trades.size() == 1);
    CHECK(f.rows.trades[0].trade_id == 41);
    CHECK(f.rows.trades[0].instrument == 3);
    CHECK(f.rows.trades[0].price == 10'000);
    CHECK(f.rows.trades[0].quantity == 50'000);
    CHECK(f.rows.trades[0].quote_amount == 5'000'000'000);
    CHECK(f.rows.trades[0].buyer_is_maker == 1);
    CHECK(f.answers == 1);
}

TEST_CASE("aggregates from an id are found by the time of its trade", "[binance][T6]") {
    Fixture f;
    auto query = f.query(TENON_HISTORY_AGG_TRADES);
    query.from_id = 41;
    (void)f.fetch(query);
    CHECK(f.exchange.asked.back() == "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=41&limit=1");
    f.exchange.answer(k_trades);
    CHECK(
        f.exchange.asked.back() ==
        "/api/v3/aggTrades?symbol=BTCUSDT&startTime=1700000000123&limit=2"
    );
    f.exchange.answer(k_aggregates);
    REQUIRE(f.status == TENON_OK);
    REQUIRE(f.rows.agg_trades.size() == 1);  // the other is of before
    CHECK(f.rows.agg_trades[0].agg_id == 43);
    CHECK(f.rows.agg_trades[0].first_trade_id == 41);
    CHECK(f.rows.agg_trades[0].quantity == 25'000);
    (void)f.fetch(query);
    f.exchange.answer("[]");
    CHECK(f.status == TENON_OK);
    CHECK(f.rows.size() == 0);
}

TEST_CASE("older candles are asked for by time and zone", "[binance][T6]") {
    Fixture f;
    auto query = f.query(TENON_HISTORY_CANDLES);
    query.interval = TENON_INTERVAL_1MO;
    query.start_real_ns = 1'000'001;
    query.end_real_ns = 9'999'999;
    query.offset_ns = -90 * 60'000'000'000;
    (void)f.fetch(query);
    CHECK(
        f.exchange.asked.back() ==
        "/api/v3/klines?symbol=BTCUSDT&interval=1M&startTime=2&endTime=9&timeZone=-1:30&limit=2"
    );
    f.exchange.answer(
        R"([[1700000000000,"1.00","3.00","0.50","2.00","7.5",1700000059999,"123456789012.123456789",9,"1","2","0"]])"
    );
    REQUIRE(f.status == TENON_OK);
    REQUIRE(f.rows.candles.size() == 1);
    const tenon_candle& candle = f.rows.candles[0];
    CHECK(candle.open_real_ns == 1'700'000'000'000'000'000);
    CHECK(candle.close_real_ns == 1'700'000'059'999'999'999);
    CHECK(candle.high == 300);
    CHECK(candle.volume == 750'000);
    CHECK(candle.trade_count == 9);
    CHECK(candle.quote_volume == std::numeric_limits<std::int64_t>::max());
    CHECK(candle.taker_buy_quote_volume == 200'000'000);
}

TEST_CASE("why the exchange gave nothing is told", "[binance][T6]") {
    Fixture f;
    const auto query = f.query(TENON_HISTORY_TRADES);
    (void)f.fetch(query);
    f.exchange.answer("{}", 429);
    CHECK(f.status == TENON_LIMITED);
    (void)f.fetch(query);
    f.exchange.answer("{}", 503);
    CHECK(f.status == TENON_UNAVAILABLE);
    CHECK(f.reason == "the exchange answers with status 503");
    (void)f.fetch(query);
    f.exchange.answer("[{\"id\":1}]");
    CHECK(f.status == TENON_CORRUPT);
    (void)f.fetch(query);
    RestReply unsent;
    unsent.reason = "no connection";
    f.exchange.give(unsent);
    CHECK(f.status == TENON_UNAVAILABLE);
    CHECK(f.reason == "no connection");
    (void)f.fetch(query);
    unsent.retry_after_ns = 5;
    f.exchange.give(unsent);
    CHECK(f.status == TENON_LIMITED);
}

TEST_CASE("candles and aggregates that cannot be are refused whole", "[binance][T6]") {
    const Scales scales{2, 5, 8};
    CHECK_FALSE(read_agg_trades("{}", scales));
    CHECK_FALSE(read_agg_trades(R"([{"a":1,"p":"1","q":"1","f":9,"l":8,"T":1,"m":true}])", scales));
    CHECK_FALSE(read_agg_trades(R"([{"a":1,"p":"1","q":"1","f":8,"l":8,"T":1}])", scales));
    CHECK(read_agg_trades("[]", scales));
    CHECK_FALSE(read_candles("{}", TENON_INTERVAL_1M, scales));
    CHECK_FALSE(read_candles("[[1,2,3]]", TENON_INTERVAL_1M, scales));
    // The highest price is below the close.
    CHECK_FALSE(read_candles(
        R"([[60000,"1","1","1","2","0",119999,"0",0,"0","0","0"]])", TENON_INTERVAL_1M, scales
    ));
    // The second opens within the first.
    CHECK_FALSE(read_candles(
        R"([[60000,"1","1","1","1","0",119999,"0",0,"0","0","0"],[119999,"1","1","1","1","0",179999,"0",0,"0","0","0"]])",
        TENON_INTERVAL_1M,
        scales
    ));
}

TEST_CASE("a read that is taken back is not answered", "[binance][T6]") {
    Fixture f;
    const std::uint64_t handle = f.fetch(f.query(TENON_HISTORY_TRADES));
    f.history.cancel(handle);
    f.exchange.answer(k_trades);
    CHECK(f.answers == 0);
}

TEST_CASE("reads of the exchange's history are bounded and checked", "[binance][T6]") {
    Fixture f;
    auto query = f.query(TENON_HISTORY_TRADES);
    query.instrument = 4;
    CHECK_THROWS_AS(f.fetch(query), tenon::Error);
    query = f.query(TENON_HISTORY_CANDLES);
    query.interval = TENON_INTERVAL_COUNT;
    CHECK_THROWS_AS(f.fetch(query), tenon::Error);
    query = f.query(TENON_HISTORY_TRADES);
    query.limit = TENON_HISTORY_ROWS_MAX + 1;
    CHECK_THROWS_AS(f.fetch(query), tenon::Error);
    query.limit = 1;
    for (std::size_t i = 0; i < MarketHistory::k_under_way_max; ++i) {
        (void)f.fetch(query);
    }
    CHECK_THROWS_AS(f.fetch(query), tenon::Error);
}
