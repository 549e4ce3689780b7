// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/feed.hpp"

#include "tests/support/wire_server.hpp"
#include "tests/unit/net/rig.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <deque>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace tenon::binance_venue;
using tenon::test::local_url;
using tenon::test::NetRig;
using tenon::test::WireConnection;
using tenon::test::WireServer;

namespace {

std::string rows(std::uint64_t from, std::uint64_t to) {
    std::string out = "[";
    for (std::uint64_t id = from; id <= to; ++id) {
        out += (id == from ? "" : ",") + std::string{R"({"id":)"} + std::to_string(id) +
               R"(,"price":"1.00","qty":"1.00","time":1700000000000,"isBuyerMaker":false})";
    }
    return out + "]";
}

RestReply answer(unsigned status, std::string body) {
    RestReply reply;
    reply.outcome = Outcome::answered;
    reply.status = status;
    reply.body = std::move(body);
    return reply;
}

RestReply cut() {
    RestReply reply;
    reply.outcome = Outcome::unknown;
    return reply;
}

// Polls see trades 1 to 3, then 6 and 7; what is missing is answered as the test says.
class Exchange final : public RestClient {
public:
    explicit Exchange(std::deque<RestReply> fills) : fills_{std::move(fills)} {}

    void send(RestRequest request, Done done) override {
        RestReply reply = answer(503, "");
        if (request.path == "/api/v3/trades") {
            reply = answer(200, ++polls_ == 1 ? rows(1, 3) : rows(6, 7));
        } else if (request.path == "/api/v3/historicalTrades") {
            asked.push_back(request.query);
            reply = fills_.front();
            if (fills_.size() > 1) {
                fills_.pop_front();
            }
        }
        answers_.emplace_back(std::move(done), std::move(reply));
    }

    void deliver() {
        for (auto& [done, reply] : std::exchange(answers_, {})) {
            done(std::move(reply));
        }
    }

    [[nodiscard]] std::int64_t exchange_now_ms() const override { return 1'700'000'000'000; }

    [[nodiscard]] bool can_sign() const override { return false; }

    std::vector<std::string> asked;

private:
    std::deque<RestReply> fills_;
    std::deque<std::pair<Done, RestReply>> answers_;
    int polls_ = 0;
};

// No stream ever comes: trades are polled.
struct Following {
    NetRig rig;
    WireServer streams{[](WireConnection&) {}};
    Exchange exchange;
    std::vector<std::uint64_t> ids;
    MarketFeed feed;

    explicit Following(std::deque<RestReply> fills)
        : exchange{std::move(fills)},
          feed{
              rig.network,
              exchange,
              options(streams.port()),
              {{7, "BTCUSDT", {2, 2}}},
              [this](const tenon_feed_event& event) {
                  if (event.kind == TENON_FEED_TRADE) {
                      ids.push_back(event.trade_id);
                  }
              }} {
        feed.open();
    }

    static FeedOptions options(int port) {
        FeedOptions out;
        out.url = local_url(port);
        return out;
    }

    // True when trade `id` has come; time goes on by steps of a poll.
    [[nodiscard]] bool sees(std::uint64_t id) {
        return rig.until([&] {
            exchange.deliver();
            rig.host.reactor().advance(std::chrono::nanoseconds{500ms}.count());
            return !ids.empty() && ids.back() == id;
        });
    }
};

using Ids = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("missing trades are asked for again when a request fails", "[binance][T4]") {
    Following it{
        {cut(), answer(429, ""), answer(503, ""), answer(200, "garbled"), answer(200, rows(4, 5))}};
    REQUIRE(it.sees(7));
    CHECK(it.ids == Ids{1, 2, 3, 4, 5, 6, 7});
    CHECK(it.exchange.asked.size() == 5);
    for (const std::string& query : it.exchange.asked) {
        CHECK(query == "symbol=BTCUSDT&fromId=4&limit=1000");
    }
}

TEST_CASE("missing trades that never come do not hold up later ones for ever", "[binance][T4]") {
    Following it{{cut()}};
    const std::int64_t before = it.rig.host.reactor().now_ns();
    REQUIRE(it.sees(7));
    CHECK(it.ids == Ids{1, 2, 3, 6, 7});
    CHECK(it.exchange.asked.size() > 5);
    CHECK(it.rig.host.reactor().now_ns() - before < std::chrono::nanoseconds{40s}.count());
}

TEST_CASE("a refusal of missing trades is not asked about again", "[binance][T4]") {
    Following it{{answer(400, R"({"code":-1121,"msg":"Invalid symbol."})")}};
    REQUIRE(it.sees(7));
    CHECK(it.ids == Ids{1, 2, 3, 6, 7});
    CHECK(it.exchange.asked.size() == 1);
}
