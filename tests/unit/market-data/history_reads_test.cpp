// SPDX-License-Identifier: Apache-2.0
// Who is asked for older rows, in which order, and what those who wait are told.
#include "plugins/market-data/service/history_reads.hpp"

#include "tests/unit/migrations/shipped_schema.hpp"

#include <tenon/structs.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace tenon::market_data;
using tenon::HistoryCalls;
using tenon::HistoryRows;
using tenon::sized;
using tenon::test::FakeHost;
using tenon::test::FakeReactor;
using tenon::test::SchemaBackend;

namespace {

constexpr std::int64_t k_second = 1'000'000'000;
constexpr std::uint64_t k_first_in_memory = 1'000;
constexpr std::uint64_t k_last_in_memory = 1'003;

// The exchange: keeps who asks until the test answers.
struct Exchange {
    tenon_status refusal = TENON_OK;
    std::map<std::uint64_t, std::pair<tenon_history_query, tenon_history_done>> asked;
    int asks = 0, cancels = 0;
    std::uint64_t last = 0;

    static tenon_status ask(
        void* self,
        const tenon_history_query* query,
        tenon_history_done done,
        std::uint64_t* handle,
        tenon_err* err
    ) {
        auto& me = *static_cast<Exchange*>(self);
        if (me.refusal != TENON_OK) {
            return tenon::fail(err, me.refusal, "the exchange is away");
        }
        ++me.asks;
        *handle = ++me.last;
        me.asked.emplace(me.last, std::pair{*query, done});
        return TENON_PENDING;
    }

    static void cancel(void* self, std::uint64_t handle) {
        auto& me = *static_cast<Exchange*>(self);
        me.cancels += static_cast<int>(me.asked.erase(handle));
    }

    // The trades that the oldest question asks for.
    void answer() {
        const auto [query, done] = asked.begin()->second;
        asked.erase(asked.begin());
        HistoryRows rows;
        for (std::uint64_t i = 0; i < query.limit; ++i) {
            auto trade = sized<tenon_public_trade>();
            trade.instrument = query.instrument;
            trade.trade_id = query.from_id + i;
            trade.time_real_ns = k_second;
            trade.price = 100;
            trade.quantity = 1;
            trade.quote_amount = 100;
            rows.trades.push_back(trade);
        }
        const tenon_history_rows raw = tenon::raw_rows(rows, query.kind);
        done.fn(done.ctx, TENON_OK, &raw, nullptr);
    }

    void fail() {
        const tenon_history_done done = asked.begin()->second.second;
        asked.erase(asked.begin());
        tenon::ErrorBuffer err;
        (void)tenon::fail(&err, TENON_UNAVAILABLE, "the exchange went away");
        done.fn(done.ctx, TENON_UNAVAILABLE, nullptr, &err);
    }
};

struct Told {
    bool is_told = false;
    tenon_status status = TENON_OK;
    std::string reason;
    std::uint32_t source = 0;
    std::vector<std::uint64_t> ids;

    [[nodiscard]] tenon_history_done done() {
        const auto tell =
            [](void* ctx, tenon_status ended, const tenon_history_rows* rows, const tenon_err* err
            ) {
                auto& me = *static_cast<Told*>(ctx);
                REQUIRE_FALSE(me.is_told);
                me.is_told = true;
                me.status = ended;
                me.reason = err == nullptr ? "" : std::string{err->msg, err->len};
                if (rows != nullptr) {
                    me.source = rows->origin->source;
                    for (std::uint32_t i = 0; i < rows->count; ++i) {
                        me.ids.push_back(rows->trades[i].trade_id);
                    }
                }
            };
        return {this, tell};
    }
};

struct Fixture {
    Fixture() {
        tenon::test::shipped_schema(backend)->up();
        market.add_instrument(7, {2, 5, 8});
        for (std::uint64_t id = k_first_in_memory; id <= k_last_in_memory; ++id) {
            tenon_feed_event event{};
            event.kind = TENON_FEED_TRADE;
            event.instrument = 7;
            event.event_real_ns = 5 * k_second;
            event.trade_id = id;
            event.price = 100;
            event.quantity = 1;
            market.on_event(event);
        }
    }

    ~Fixture() {
        on_reactor([] {}, [this] { reads.stop(); });
    }

    // Calls of another thread into the reactor are served meanwhile.
    template <class Until>
    void turn_until(Until until) {
        while (!until()) {
            host.reactor().turn(1);
        }
    }

    // stop() waits for the reactor, which is the test's own thread.
    template <class Before, class Body>
    void on_reactor(Before before, Body body) {
        before();
        std::atomic<bool> over{false};
        std::thread other{[&] {
            body();
            over = true;
        }};
        turn_until([&] { return over.load(); });
        other.join();
    }

    [[nodiscard]] tenon_history_query trades(std::uint64_t from, std::uint32_t limit) {
        auto query = sized<tenon_history_query>();
        query.kind = TENON_HISTORY_TRADES;
        query.instrument = 7;
        query.from_id = from;
        query.limit = limit;
        query.deadline_ns = host.reactor().now_ns() + 30 * k_second;
        return query;
    }

    std::uint64_t ask(const tenon_history_query& query, Told& told) {
        return reads.ask(query, btc, &feed, told.done());
    }

    // Of an answered question; what it asked the exchange for is answered at once.
    Told answered(const tenon_history_query& query) {
        Told told;
        REQUIRE(ask(query, told) != 0);
        turn_until([&] {
            if (!exchange.asked.empty()) {
                exchange.answer();
            }
            return told.is_told;
        });
        return told;
    }

    [[nodiscard]] std::int64_t kept() const {
        return host.metric("tenon_market_data_history_rows_kept_total");
    }

    void break_database() {
        backend.storage().write(backend.deadline(), [](tenon::Session& session) {
            session.execute("ALTER TABLE known_history RENAME TO elsewhere");
        });
    }

    SchemaBackend backend;
    FakeHost host{FakeReactor::Mode::manual};
    Exchange exchange;
    HistoryCalls feed{&exchange, &Exchange::ask, &Exchange::cancel};
    Market market{{}, [](const tenon_md_event&) {}};
    StoredInstrument btc{7, "BTCUSDT", 2, 5};
    HistoryReads reads{tenon::Host{host.raw()}, backend.storage(), market, 10'000};
};

}  // namespace

TEST_CASE(
    "the exchange is asked once, and the database answers the next time",
    "[market_data][C2]"
) {
    Fixture f;
    const Told first = f.answered(f.trades(10, 5));
    CHECK(first.status == TENON_OK);
    CHECK(first.source == TENON_MD_SOURCE_API);
    CHECK(first.ids == std::vector<std::uint64_t>{10, 11, 12, 13, 14});
    f.turn_until([&] { return f.kept() == 5; });
    const Told second = f.answered(f.trades(11, 3));
    CHECK(second.source == TENON_MD_SOURCE_STORAGE);
    CHECK(second.ids == std::vector<std::uint64_t>{11, 12, 13});
    CHECK(f.exchange.asks == 1);
    f.reads.set(false, true);
    CHECK(f.answered(f.trades(11, 3)).source == TENON_MD_SOURCE_API);
}

TEST_CASE("rows that memory has go on behind those that were read", "[market_data][C2]") {
    Fixture f;
    const Told told = f.answered(f.trades(k_first_in_memory - 2, 5));
    CHECK(told.source == TENON_MD_SOURCE_API);
    CHECK(told.ids == std::vector<std::uint64_t>{998, 999, 1000, 1001, 1002});
    Told none;
    CHECK(f.ask(f.trades(k_first_in_memory, 2), none) == 0);  // memory has them all
}

TEST_CASE("equal reads are one, and those who join it are told together", "[market_data][C2]") {
    Fixture f;
    const auto query = f.trades(10, 5);
    Told a, b, c;
    REQUIRE(f.ask(query, a) != 0);
    REQUIRE(f.ask(query, b) != 0);
    const std::uint64_t third = f.ask(query, c);
    f.turn_until([&] { return !f.exchange.asked.empty(); });
    f.reads.cancel(third);
    f.exchange.answer();
    CHECK(a.is_told);
    CHECK(b.is_told);
    CHECK(a.ids == b.ids);
    CHECK_FALSE(c.is_told);
    CHECK(f.exchange.asks == 1);
    f.reads.set(false, false);
    Told d, e;
    REQUIRE(f.ask(query, d) != 0);
    REQUIRE(f.ask(query, e) != 0);
    CHECK(f.exchange.asks == 3);
}

TEST_CASE("when the last who waits goes, the exchange is asked no more", "[market_data][C2]") {
    Fixture f;
    Told told;
    const std::uint64_t handle = f.ask(f.trades(10, 5), told);
    f.turn_until([&] { return !f.exchange.asked.empty(); });
    f.reads.cancel(handle);
    CHECK(f.exchange.cancels == 1);
    CHECK_FALSE(told.is_told);
    CHECK(f.answered(f.trades(10, 5)).status == TENON_OK);
}

TEST_CASE("a read ends at its deadline", "[market_data][C2]") {
    Fixture f;
    Told told;
    REQUIRE(f.ask(f.trades(10, 5), told) != 0);
    f.turn_until([&] { return !f.exchange.asked.empty(); });
    f.host.reactor().advance(31 * k_second);
    f.turn_until([&] { return told.is_told; });
    CHECK(told.status == TENON_TIMEOUT);
    CHECK_THAT(told.reason, Catch::Contains("in time"));
    CHECK(f.exchange.cancels == 1);
    auto late = f.trades(10, 5);
    late.deadline_ns = f.host.reactor().now_ns() - k_second;
    CHECK_THROWS_WITH(f.ask(late, told), Catch::Contains("deadline"));
}

TEST_CASE(
    "without the exchange the newest come from memory, others with a reason",
    "[market_data][C2]"
) {
    Fixture f;
    Told newest, old, refused;
    REQUIRE(f.ask(f.trades(0, 100), newest) != 0);
    f.turn_until([&] { return !f.exchange.asked.empty(); });
    f.exchange.fail();
    CHECK(newest.status == TENON_OK);
    CHECK(newest.source == TENON_MD_SOURCE_FEED);
    CHECK(newest.ids == std::vector<std::uint64_t>{1000, 1001, 1002, 1003});
    REQUIRE(f.ask(f.trades(10, 5), old) != 0);
    f.turn_until([&] { return !f.exchange.asked.empty(); });
    f.exchange.fail();
    CHECK(old.status == TENON_UNAVAILABLE);
    CHECK_THAT(old.reason, Catch::Contains("the exchange went away"));
    f.exchange.refusal = TENON_LIMITED;
    REQUIRE(f.ask(f.trades(10, 5), refused) != 0);
    CHECK_FALSE(refused.is_told);  // never inside ask()
    f.turn_until([&] { return refused.is_told; });
    CHECK(refused.status == TENON_LIMITED);
}

TEST_CASE("a database that fails is left alone for some seconds", "[market_data][C2]") {
    Fixture f;
    f.break_database();
    f.exchange.refusal = TENON_UNAVAILABLE;
    const auto reason = [&] {
        Told told;
        REQUIRE(f.ask(f.trades(10, 5), told) != 0);
        f.turn_until([&] { return told.is_told; });
        return told.reason;
    };
    CHECK_THAT(reason(), Catch::Contains("the database is away: "));
    CHECK_THAT(reason(), Catch::StartsWith("the database is away, and the exchange"));
    f.host.reactor().advance(4 * k_second);
    f.host.reactor().turn();
    CHECK_THAT(reason(), Catch::Contains("the database is away: "));
}

TEST_CASE("reads under way are bounded", "[market_data][C2]") {
    Fixture f;
    f.reads.set(false, true);
    std::vector<Told> told(HistoryReads::k_reads_max + 2);
    for (std::uint64_t i = 0; i < HistoryReads::k_reads_max; ++i) {
        REQUIRE(f.ask(f.trades(1 + i, 5), told[i]) != 0);
    }
    Told& more = told[HistoryReads::k_reads_max];
    CHECK_THROWS_WITH(f.ask(f.trades(500, 5), more), Catch::Contains("too many reads"));
    CHECK(f.ask(f.trades(1, 5), told.back()) != 0);  // it joins one
}
