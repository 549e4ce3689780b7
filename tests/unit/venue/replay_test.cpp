// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/replay/replay.hpp"

#include "tests/support/recorded_market.hpp"

#include <tenon/decimal.hpp>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::replay;
using tenon::test::prefetch_now;
using tenon::test::recorded_file;
using tenon::test::TemporaryFile;

namespace {

constexpr std::int64_t k_start_real_ns = 1'790'000'000'000'000'000;
constexpr std::int64_t k_start_ns = 5'000'000'000;

using Side = std::map<std::int64_t, std::int64_t>;

struct Book {
    Side bids, asks;

    bool operator==(const Book&) const = default;

    void set(const tenon_feed_event& event) {
        for (std::uint32_t i = 0; i < event.bid_count; ++i) {
            set(bids, event.bids[i]);
        }
        for (std::uint32_t i = 0; i < event.ask_count; ++i) {
            set(asks, event.asks[i]);
        }
    }

    static void set(Side& side, const tenon_level& level) {
        if (level.quantity == 0) {
            side.erase(level.price);
        } else {
            side[level.price] = level.quantity;
        }
    }
};

// What a careful client does, with a check of everything that the contract promises.
struct Follower {
    std::map<std::uint32_t, Book> books;
    std::map<std::uint32_t, std::uint64_t> update_ids, trade_ids, ticker_ids;
    std::map<std::uint32_t, std::int64_t> trade_times;
    std::map<std::uint32_t, std::uint64_t> kinds;
    std::vector<std::uint64_t> trade_id_list;
    std::uint64_t breaks = 0;  // of any promise
    bool gap = false;

    void operator()(const tenon_feed_event& event) {
        ++kinds[event.kind];
        const std::uint32_t id = event.instrument;
        switch (event.kind) {
            case TENON_FEED_SNAPSHOT:
                breaks += event.last_update_id <= update_ids[id] ? 1U : 0U;
                books[id] = {};
                books[id].set(event);
                update_ids[id] = event.last_update_id;
                gap = false;
                break;
            case TENON_FEED_DIFF:
                breaks += gap || event.first_update_id != update_ids[id] + 1 ||
                                  event.last_update_id < event.first_update_id
                              ? 1U
                              : 0U;
                books[id].set(event);
                update_ids[id] = event.last_update_id;
                break;
            case TENON_FEED_TRADE:
                breaks += event.trade_id <= trade_ids[id] || event.event_real_ns < trade_times[id]
                              ? 1U
                              : 0U;
                trade_ids[id] = event.trade_id;
                trade_times[id] = event.event_real_ns;
                trade_id_list.push_back(event.trade_id);
                break;
            case TENON_FEED_BOOK_TICKER:
                breaks += event.last_update_id < ticker_ids[id] ? 1U : 0U;
                ticker_ids[id] = event.last_update_id;
                break;
            default:
                gap = true;
        }
    }
};

Replay::Trouble no_trouble() {
    return [](const std::string&, const std::string&) {};
}

// The recorded book after the whole file, by the published rule and nothing of the code under test.
Book rebuild(const std::string& file) {
    const std::unique_ptr<gzFile_s, int (*)(gzFile)> in{gzopen(file.c_str(), "rb"), &gzclose};
    REQUIRE(in != nullptr);
    std::vector<char> line(1U << 20U);
    std::vector<boost::json::object> diffs;
    boost::json::object snapshot;
    while (gzgets(in.get(), line.data(), static_cast<int>(line.size())) != nullptr) {
        const std::string text{line.data()};
        boost::json::object object =
            boost::json::parse(text.substr(text.find(' ') + 1)).as_object();
        if (object.contains("lastUpdateId")) {
            snapshot = std::move(object);
        } else if (object.at("data").as_object().contains("U")) {
            diffs.push_back(object.at("data").as_object());
        }
    }
    Book book;
    const auto put = [](Side& side, const boost::json::value& rows) {
        for (const auto& row : rows.as_array()) {
            Book::set(
                side,
                {parse_decimal(row.at(0).as_string().c_str(), 2).value,
                 parse_decimal(row.at(1).as_string().c_str(), 8).value / 1000}
            );
        }
    };
    put(book.bids, snapshot.at("bids"));
    put(book.asks, snapshot.at("asks"));
    for (const auto& diff : diffs) {
        if (diff.at("u").as_int64() > snapshot.at("lastUpdateId").as_int64()) {
            put(book.bids, diff.at("b"));
            put(book.asks, diff.at("a"));
        }
    }
    return book;
}

std::string level(const std::string& price, const std::string& quantity) {
    return "[\"" + price + "\",\"" + quantity + "\"]";
}

std::string
diff_line(std::int64_t ms, std::uint64_t first, std::uint64_t last, const std::string& bid) {
    return std::to_string(ms) +
           "000000 {\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":"
           "\"depthUpdate\",\"E\":" +
           std::to_string(ms + 1000) + ",\"s\":\"BTCUSDT\",\"U\":" + std::to_string(first) +
           ",\"u\":" + std::to_string(last) + ",\"b\":[" + bid + "],\"a\":[]}}\n";
}

std::string snapshot_line(std::int64_t ms, std::uint64_t id, const std::string& bid) {
    return std::to_string(ms) + "000000 {\"lastUpdateId\":" + std::to_string(id) + ",\"bids\":[" +
           bid + "],\"asks\":[" + level("110.00", "1.0") + "]}\n";
}

std::string trade_line(std::int64_t ms, std::uint64_t id, std::int64_t traded_ms) {
    return std::to_string(ms) +
           "000000 {\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\","
           "\"E\":" +
           std::to_string(traded_ms) + ",\"s\":\"BTCUSDT\",\"t\":" + std::to_string(id) +
           ",\"p\":\"105.00\",\"q\":\"0.5\",\"T\":" + std::to_string(traded_ms) +
           ",\"m\":true,\"M\":true}}\n";
}

const RecordedSymbol k_btc{"BTCUSDT", 2, 5};

// Plays whole loops at once.
void play(Replay& replay, std::uint64_t loops) {
    while (replay.statistics().loops <= loops) {
        if (replay.step(k_start_ns, k_start_real_ns) == Replay::k_never) {
            return;
        }
    }
}

}  // namespace

TEST_CASE("the recorded book at the end of a pass equals a naive rebuild", "[replay][T4]") {
    Follower follower;
    Replay replay{{0, false, false}, std::ref(follower), no_trouble()};
    replay.add(0, "BTCUSDT", prefetch_now(recorded_file("btcusdt"), k_btc));
    play(replay, 1);
    REQUIRE(replay.statistics().damaged_lines == 0);
    REQUIRE(replay.statistics().gaps == 0);
    REQUIRE(follower.breaks == 0);
    REQUIRE(follower.kinds[TENON_FEED_TRADE] == 9757);
    REQUIRE(follower.books[0] == rebuild(recorded_file("btcusdt")));
}

TEST_CASE("ids and times run on over loops of two symbols without a break", "[replay][T4][T6]") {
    Follower follower;
    Replay replay{{0, false, true}, std::ref(follower), no_trouble()};
    replay.add(0, "BTCUSDT", prefetch_now(recorded_file("btcusdt"), k_btc));
    replay.add(1, "ETHUSDT", prefetch_now(recorded_file("ethusdt"), {"ETHUSDT", 2, 4}));
    play(replay, 3);
    REQUIRE(follower.breaks == 0);
    REQUIRE_FALSE(follower.gap);
    // One snapshot a symbol for the whole run: the seams are diffs.
    REQUIRE(follower.kinds[TENON_FEED_SNAPSHOT] == 2);
    REQUIRE(follower.kinds[TENON_FEED_TRADE] >= std::uint64_t{3} * (9757 + 6106));
    // Trades of one symbol have consecutive ids, over the seams too.
    REQUIRE(follower.trade_ids[0] - follower.trade_id_list.front() + 1 >= std::uint64_t{3} * 9757);
}

TEST_CASE("a bridging diff turns the last book into the first one", "[replay][T4]") {
    const TemporaryFile file{
        snapshot_line(1000, 10, level("100.00", "1.0") + "," + level("99.00", "2.0")) +
        diff_line(1100, 11, 12, level("100.00", "0") + "," + level("98.00", "3.0"))};
    Follower follower;
    std::vector<Book> books;
    Replay replay{
        {0, false, true},
        [&](const tenon_feed_event& event) {
            follower(event);
            books.push_back(follower.books[0]);
        },
        no_trouble()};
    replay.add(0, "BTCUSDT", prefetch_now(file.path(), k_btc));
    play(replay, 2);
    REQUIRE(follower.breaks == 0);
    REQUIRE(books.size() >= 3);
    REQUIRE(books[1].bids == Side{{9900, 200000}, {9800, 300000}});
    REQUIRE(books[2] == books[0]);
}

TEST_CASE("what the opening snapshot holds already is dropped or clipped", "[replay][T4]") {
    const TemporaryFile file{
        diff_line(1000, 5, 8, level("90.00", "9.0")) +
        diff_line(1100, 9, 12, level("100.00", "4.0")) +
        snapshot_line(1150, 10, level("100.00", "1.0")) +
        diff_line(1200, 13, 13, level("95.00", "5.0"))};
    std::vector<tenon_feed_event> events;
    Replay replay{
        {0, false, false},
        [&](const tenon_feed_event& event) { events.push_back(event); },
        no_trouble()};
    replay.add(0, "BTCUSDT", prefetch_now(file.path(), k_btc));
    play(replay, 1);
    REQUIRE(events.size() == 3);
    REQUIRE(events[0].kind == TENON_FEED_SNAPSHOT);
    REQUIRE(events[1].first_update_id == events[0].last_update_id + 1);
    REQUIRE(events[1].last_update_id == events[0].last_update_id + 2);
    REQUIRE(events[2].first_update_id == events[1].last_update_id + 1);
}

TEST_CASE("missing update ids send a gap, and the next snapshot resyncs", "[replay][T4]") {
    const TemporaryFile file{
        snapshot_line(1000, 10, level("100.00", "1.0")) +
        diff_line(1100, 11, 12, level("99.00", "1.0")) +
        diff_line(1200, 15, 16, level("98.00", "1.0")) +
        diff_line(1300, 17, 18, level("97.00", "1.0")) +
        snapshot_line(1310, 16, level("101.00", "7.0")) +
        diff_line(1400, 19, 19, level("96.00", "1.0"))};
    Follower follower;
    std::vector<std::string> reasons;
    Replay replay{
        {0, false, false}, std::ref(follower), [&](const std::string&, const std::string& reason) {
            reasons.push_back(reason);
        }};
    replay.add(0, "BTCUSDT", prefetch_now(file.path(), k_btc));
    // The second snapshot would be taken for the opening one were it alone; the first one wins.
    play(replay, 1);
    REQUIRE(replay.statistics().gaps == 1);
    REQUIRE(follower.breaks == 0);
    REQUIRE(follower.kinds[TENON_FEED_GAP] == 1);
    REQUIRE(follower.kinds[TENON_FEED_SNAPSHOT] == 2);
    // The diff 17..18 came before the snapshot of 16 and belongs on top of it.
    REQUIRE(follower.books[0].bids == Side{{10100, 700000}, {9700, 100000}, {9600, 100000}});
    REQUIRE(reasons.size() == 3);
    REQUIRE(reasons[1].find("13 to 14") != std::string::npos);
    REQUIRE(reasons[2].empty());
}

TEST_CASE("damaged lines are counted and skipped", "[replay][T4]") {
    const TemporaryFile file{
        snapshot_line(1000, 10, level("100.00", "1.0")) +
        "\nnot a line\n1100000000 {\"stream\":\n" +
        diff_line(1200, 11, 11, level("99.001", "1.0")) +  // a price finer than the scale
        diff_line(1300, 11, 12, level("99.00", "1.0"))};
    Follower follower;
    Replay replay{{0, false, false}, std::ref(follower), no_trouble()};
    replay.add(0, "BTCUSDT", prefetch_now(file.path(), k_btc));
    play(replay, 1);
    REQUIRE(replay.statistics().damaged_lines == 4);
    REQUIRE(follower.breaks == 0);
    REQUIRE(follower.books[0].bids.size() == 2);
}

TEST_CASE("a missing file fails with its name", "[replay][T4]") {
    try {
        const Recording recording{"/nonexistent/x.gz", k_btc};
        FAIL("opened");
    } catch (const Error& error) {
        REQUIRE(std::string{error.what()}.find("/nonexistent/x.gz") != std::string::npos);
    }
}

TEST_CASE("events come at the recorded pace and are dated when they happened", "[replay][T4]") {
    const TemporaryFile file{
        snapshot_line(1000, 10, level("100.00", "1.0")) +
        diff_line(1000, 11, 11, level("99.00", "1.0")) + trade_line(1100, 7, 2090) +
        trade_line(1300, 8, 2290)};
    std::vector<tenon_feed_event> events;
    Replay replay{
        {2.0, false, true},
        [&](const tenon_feed_event& event) { events.push_back(event); },
        no_trouble()};
    replay.add(0, "BTCUSDT", prefetch_now(file.path(), k_btc));
    const auto at = [](std::int64_t ms) { return k_start_ns + ms * 1'000'000; };
    const auto real = [](std::int64_t ms) { return k_start_real_ns + ms * 1'000'000; };

    REQUIRE(replay.step(at(0), real(0)) == at(50));
    REQUIRE(events.size() == 2);
    REQUIRE(replay.step(at(49), real(49)) == at(50));
    REQUIRE(replay.step(at(50), real(50)) == at(150));
    REQUIRE(events.size() == 3);
    // The exchange's clock is 1000 ms ahead and the margin 10 ms: recorded 2090 is 1080 here.
    REQUIRE(events[2].event_real_ns == real(40));
    REQUIRE(replay.step(at(150), real(150)) == at(200));
    REQUIRE(events[3].trade_id == events[2].trade_id + 1);
    // The next loop begins 100 recorded milliseconds after the end.
    REQUIRE(replay.step(at(200), real(200)) > at(200));
    REQUIRE(events[4].kind == TENON_FEED_DIFF);
    REQUIRE(events[4].event_real_ns == real(200));
}

TEST_CASE("a paused replay shows its opening books and stands still", "[replay][T4]") {
    Follower follower;
    Replay replay{{1, true, true}, std::ref(follower), no_trouble()};
    replay.add(0, "BTCUSDT", prefetch_now(recorded_file("btcusdt"), k_btc));
    replay.add(1, "ETHUSDT", prefetch_now(recorded_file("ethusdt"), {"ETHUSDT", 2, 4}));
    while (replay.step(k_start_ns, k_start_real_ns) != Replay::k_never) {}
    REQUIRE(follower.kinds.size() == 1);
    REQUIRE(follower.kinds[TENON_FEED_SNAPSHOT] == 2);

    std::set<std::uint32_t> late;
    replay.snapshots([&](const tenon_feed_event& event) { late.insert(event.instrument); });
    REQUIRE(late == std::set<std::uint32_t>{0, 1});
}

TEST_CASE("a later start continues above the ids of an earlier one", "[replay][T6]") {
    const auto first_id = [](std::int64_t real_ns) {
        std::uint64_t id = 0;
        Replay replay{
            {0, true, true},
            [&](const tenon_feed_event& event) { id = event.last_update_id; },
            no_trouble()};
        replay.add(0, "BTCUSDT", prefetch_now(recorded_file("btcusdt"), k_btc));
        while (replay.step(k_start_ns, real_ns) != Replay::k_never) {}
        return id;
    };
    // A recorded loop of 346 s has 182,393 update ids.
    REQUIRE(first_id(k_start_real_ns + 346'000'000'000) > first_id(k_start_real_ns) + 182'393);
}

TEST_CASE("recorded quantities finer than the instrument's scale are cut", "[replay][T4]") {
    Batch batch;
    REQUIRE(parse_line(
        "1 {\"lastUpdateId\":1,\"bids\":[],\"asks\":[[\"80000.00000000\",\"244.56630999\"]]}",
        k_btc,
        batch
    ));
    REQUIRE(batch.levels.at(0).quantity == 24'456'630);
}
