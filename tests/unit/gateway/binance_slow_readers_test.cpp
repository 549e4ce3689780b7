// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/slow_readers.hpp"
#include "tests/unit/gateway/binance_streams_fixture.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <vector>

using namespace tenon::binance;
using Fixture = tenon::test::StreamsFixture;

namespace {

constexpr std::int64_t k_second = 1'000'000'000;
constexpr std::uint64_t k_full = 100'000;  // more than conflate_above_bytes

// A failure prints it; TENON_SEED repeats the run.
[[nodiscard]] unsigned make_seed() {
    const char* const given = std::getenv("TENON_SEED");
    return given == nullptr ? std::random_device{}()
                            : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
}

void best_changes(Fixture& f, std::uint64_t id, std::int64_t price, std::uint32_t instrument = 0) {
    f.bids = {{price, 1}};
    tenon_feed_event feed{};
    feed.kind = TENON_FEED_BOOK_TICKER;
    feed.last_update_id = id;
    f.event(TENON_MD_BEST, &feed, instrument);
}

[[nodiscard]] bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// A client's copy of a book, kept from differences as Binance's documentation tells it to.
struct ClientBook {
    std::uint64_t last_id = 0;
    bool lost = false;
    std::map<std::string, std::string> bids;

    void take(const std::string& text) {
        const boost::json::value event = boost::json::parse(text);
        const auto first = event.at("U").to_number<std::uint64_t>();
        lost = lost || (last_id != 0 && first != last_id + 1);
        last_id = event.at("u").to_number<std::uint64_t>();
        for (const auto& level : event.at("b").as_array()) {
            const std::string price{level.at(0).as_string()};
            const std::string quantity{level.at(1).as_string()};
            if (quantity.find_first_not_of("0.") == std::string::npos) {
                bids.erase(price);
            } else {
                bids[price] = quantity;
            }
        }
    }
};

}  // namespace

TEST_CASE("what a slow reader of many books waits for is bounded", "[binance][C2]") {
    const auto changes = [](std::size_t prices) {
        std::vector<tenon_level> levels;
        for (std::size_t i = 0; i < prices; ++i) {
            levels.push_back({static_cast<std::int64_t>(i + 1), 1});
        }
        tenon_feed_event feed{};
        feed.kind = TENON_FEED_DIFF;
        feed.first_update_id = 1;
        feed.last_update_id = 2;
        feed.bids = levels.data();
        feed.bid_count = static_cast<std::uint32_t>(levels.size());
        DepthDiff diff;
        diff.add(feed);
        return diff;
    };
    std::vector<std::unique_ptr<Topic>> topics;
    Backlog backlog;
    std::size_t given_up = 0;
    DepthDiff many = changes(5'000);
    for (int book = 0; book < 300; ++book) {
        topics.push_back(std::make_unique<Topic>());
        given_up += backlog.gather(*topics.back(), 0, many) ? 0U : 1U;
        REQUIRE(backlog.levels() <= Backlog::k_all_levels_max);
    }
    CHECK(given_up == 280);
    for (int i = 0; i < 20; ++i) {
        REQUIRE_FALSE(backlog.empty());
        backlog.pop_front();
    }
    CHECK(backlog.empty());
    CHECK(backlog.levels() == 0);

    // However often few prices change, nothing is given up.
    DepthDiff few = changes(10);
    for (int i = 0; i < 20'000; ++i) {
        REQUIRE(backlog.gather(*topics.front(), 0, few));
    }
    CHECK(backlog.levels() <= 2 * Backlog::k_levels_max);
    CHECK(backlog.front().diff.level_count() == 10);
    backlog.forget(*topics.front());
    CHECK(backlog.empty());
    CHECK(backlog.levels() == 0);

    // One book alone keeps to its own bound.
    DepthDiff deep = changes(Backlog::k_levels_max + 1);
    CHECK_FALSE(backlog.gather(*topics.front(), 0, deep));
    CHECK(backlog.levels() == 0);
}

TEST_CASE("a slow reader of best prices gets the newest one when it reads again", "[binance][C2]") {
    Fixture f;
    const auto fast = f.connect("btcusdt@bookTicker");
    const auto slow = f.connect("btcusdt@bookTicker");
    best_changes(f, 1, 100);
    f.queued[slow] = k_full;
    for (std::uint64_t id = 2; id <= 1'000; ++id) {
        best_changes(f, id, static_cast<std::int64_t>(100 + id));
    }
    CHECK(f.sent[fast].size() == 1'000);
    CHECK(f.sent[slow].size() == 1);
    CHECK(f.frames_alive == 1);  // however many wait, and however long
    CHECK(f.streams.topics().slow_count() == 1);
    CHECK(f.streams.topics().counts().conflated == 999);
    CHECK_FALSE(f.streams.can_catch_up());
    f.queued[slow] = 0;
    CHECK(f.streams.can_catch_up());
    f.streams.catch_up(f.now_ns);
    REQUIRE(f.sent[slow].size() == 2);
    CHECK(f.sent[slow][1] == f.sent[fast].back());
    CHECK(f.streams.topics().slow_count() == 0);
    CHECK(f.frames_alive == 0);
    best_changes(f, 1'001, 7);
    CHECK(f.sent[slow].back() == f.sent[fast].back());
}

TEST_CASE("of all best prices a slow reader gets the newest of each symbol", "[binance][C2]") {
    Fixture f;
    const auto slow = f.connect("!bookTicker", {}, true);
    f.queued[slow] = k_full;
    for (std::uint64_t id = 1; id <= 100; ++id) {
        best_changes(f, id, static_cast<std::int64_t>(id), static_cast<std::uint32_t>(id % 2));
    }
    CHECK(f.sent[slow].empty());
    f.queued[slow] = 0;
    f.streams.tick(f.now_ns);
    REQUIRE(f.sent[slow].size() == 2);
    CHECK(has(f.sent[slow][0], R"("u":99,"s":"ETHUSDT")"));
    CHECK(has(f.sent[slow][1], R"("u":100,"s":"BTCUSDT")"));
    CHECK(f.sent[slow][0].starts_with(R"({"stream":"!bookTicker")"));
}

TEST_CASE("all tickers catch up with every symbol that has changed", "[binance][C2]") {
    Fixture f;
    const auto slow = f.connect("!miniTicker@arr");
    std::int64_t now = f.now_ns / k_second * k_second;
    f.queued[slow] = k_full;
    f.streams.tick(now);
    f.ticker.last += 5;
    f.version = 2;
    f.streams.tick(now += k_second);
    CHECK(f.sent[slow].empty());
    f.queued[slow] = 0;
    f.streams.catch_up(now);
    REQUIRE(f.sent[slow].size() == 1);
    const boost::json::value all = boost::json::parse(f.sent[slow][0]);
    CHECK(all.as_array().size() == 2);
}

TEST_CASE("trades are never left out for a slow reader", "[binance][C2]") {
    Fixture f;
    const auto slow = f.connect("btcusdt@trade/btcusdt@bookTicker");
    f.queued[slow] = k_full;
    best_changes(f, 1, 100);
    for (std::uint64_t id = 1; id <= 50; ++id) {
        f.trade(id);
    }
    CHECK(f.sent[slow].size() == 50);
    CHECK(f.streams.topics().counts().conflated == 1);
}

TEST_CASE("that a candle has closed is told to a slow reader in any case", "[binance][C2]") {
    Fixture f;
    f.candles[0].open_real_ns += 60 * k_second;
    f.candles[0].close_real_ns += 60 * k_second;
    const auto slow = f.connect("btcusdt@kline_1m");
    std::int64_t now = f.now_ns / k_second * k_second;
    f.queued[slow] = k_full;
    f.streams.tick(now);
    CHECK(f.sent[slow].empty());
    tenon_candle next = f.candles[0];
    next.open_real_ns += 60 * k_second;
    next.close_real_ns += 60 * k_second;
    f.candles.push_back(next);
    f.version = 2;
    f.streams.tick(now += 60 * k_second);
    REQUIRE(f.sent[slow].size() == 1);
    CHECK(has(f.sent[slow][0], R"("x":true)"));
    f.queued[slow] = 0;
    f.streams.catch_up(now);
    REQUIRE(f.sent[slow].size() == 2);  // the new one, and not the old one's beginning again
    CHECK(has(f.sent[slow][1], R"("t":1732233660000)"));
}

TEST_CASE("a slow reader's differences of a book stay without a gap", "[binance][C2]") {
    const unsigned seed = make_seed();
    CAPTURE(seed);
    std::mt19937 random{seed};
    Fixture f;
    const auto fast = f.connect("btcusdt@depth@100ms");
    const auto slow = f.connect("btcusdt@depth@100ms");
    ClientBook of_fast;
    ClientBook of_slow;
    std::uint64_t id = 0;
    std::int64_t now = f.now_ns;
    const auto read = [&](std::uint64_t connection, ClientBook& book) {
        for (const std::string& text : std::exchange(f.sent[connection], {})) {
            book.take(text);
        }
    };
    for (int round = 0; round < 2'000; ++round) {
        for (unsigned i = 0; i < random() % 4; ++i) {
            const std::uint64_t first = id + 1;
            id += 1 + random() % 3;
            f.diff(
                first,
                id,
                {{static_cast<std::int64_t>(100 + random() % 30),
                  static_cast<std::int64_t>(random() % 3)}}
            );
        }
        if (random() % 10 == 0) {
            f.queued[slow] = random() % 2 == 0 ? k_full : 0;
        }
        f.streams.tick(now += k_second / 10);
        read(fast, of_fast);
        read(slow, of_slow);
    }
    f.queued[slow] = 0;
    f.streams.catch_up(now);
    read(slow, of_slow);
    CHECK_FALSE(of_slow.lost);
    CHECK(of_slow.last_id == of_fast.last_id);
    CHECK(of_slow.bids == of_fast.bids);
    CHECK(f.streams.topics().counts().conflated > 0);
    CHECK(f.streams.topics().counts().depth_gaps == 0);
}

TEST_CASE("differences that grow too many are given up, which the ids show", "[binance][C2]") {
    Fixture f;
    const auto slow = f.connect("btcusdt@depth@100ms");
    std::int64_t now = f.now_ns;
    f.diff(1, 1, {{100, 1}});
    f.streams.tick(now += k_second / 10);
    f.queued[slow] = k_full;
    std::vector<tenon_level> many;
    for (std::size_t at = 0; at <= Backlog::k_levels_max; ++at) {
        many.push_back({static_cast<std::int64_t>(1 + at), 1});
    }
    f.diff(2, 2, many);
    f.streams.tick(now += k_second / 10);
    CHECK(f.streams.topics().counts().depth_gaps == 1);
    f.diff(3, 3, {{100, 2}});
    f.streams.tick(now += k_second / 10);
    f.queued[slow] = 0;
    f.streams.catch_up(now);
    ClientBook book;
    for (const std::string& text : f.sent[slow]) {
        book.take(text);
    }
    CHECK(book.lost);
    CHECK(book.last_id == 3);
}

TEST_CASE("a slow reader that goes or turns away leaves nothing behind", "[binance][C2]") {
    Fixture f;
    const auto fast = f.connect("btcusdt@bookTicker");
    const auto gone = f.connect("btcusdt@bookTicker");
    const auto away = f.connect("btcusdt@bookTicker/btcusdt@depth@100ms");
    f.queued[gone] = f.queued[away] = k_full;
    best_changes(f, 1, 100);
    f.diff(1, 1, {{100, 1}});
    f.streams.tick(f.now_ns);
    CHECK(f.streams.topics().slow_count() == 2);
    f.streams.close(*f.connections[gone]);
    CHECK(f.streams.topics().slow_count() == 1);
    (void)f.ask(
        away,
        R"({"method":"UNSUBSCRIBE","params":["btcusdt@bookTicker","btcusdt@depth@100ms"],"id":1})"
    );
    f.sent[away].clear();
    f.queued[away] = 0;
    f.streams.catch_up(f.now_ns);
    CHECK(f.sent[away].empty());
    CHECK(f.streams.topics().slow_count() == 0);
    CHECK(f.sent[fast].size() == 1);
    CHECK(f.frames_alive == 0);
}

TEST_CASE("a slow reader that asks for another form gets the newest in it", "[binance][C2]") {
    Fixture f;
    const auto slow = f.connect("btcusdt@bookTicker");
    f.queued[slow] = k_full;
    best_changes(f, 1, 100);
    (void)f.ask(slow, R"({"method":"SET_PROPERTY","params":["combined",true],"id":1})");
    best_changes(f, 2, 200);
    f.sent[slow].clear();
    f.queued[slow] = 0;
    f.streams.catch_up(f.now_ns);
    REQUIRE(f.sent[slow].size() == 1);
    CHECK(f.sent[slow][0].starts_with(R"({"stream":"btcusdt@bookTicker")"));
    CHECK(has(f.sent[slow][0], R"("u":2,)"));
}
