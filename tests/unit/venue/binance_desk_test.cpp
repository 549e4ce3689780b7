// SPDX-License-Identifier: Apache-2.0
// The live half of the order side beside an exchange that answers what the test says.
#include "plugins/venue/binance/orders/desk.hpp"
#include "tests/unit/venue/binance_orders_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

using namespace tenon::binance_venue;
using namespace tenon::binance_venue::test;
using tenon::Venue;

namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_s = 1'000 * k_ms;
constexpr std::string_view k_order = "/api/v3/order", k_open = "/api/v3/openOrders";

class Scene final : public RestClient {
public:
    Scene() {
        Desk::Hooks hooks;
        hooks.now_ns = [this] { return now_ns; };
        hooks.command = [this](std::string_view bytes) -> tenon_status {
            if (engine != TENON_OK) {
                return engine;
            }
            desk->applied(table.apply(bytes, reports_));
            return TENON_OK;
        };
        hooks.warn = [](std::string_view, std::string_view) {};
        desk = std::make_unique<Desk>(table, listing, ids, *this, DeskSettings{}, std::move(hooks));
        desk->start();
        desk->user_stream_connected();
        (void)desk->tick();
        answer(k_open, "GET", 200, "[]");
    }

    void send(RestRequest request, Done done) override {
        sent.push_back(request.method + " " + request.path);
        waiting_.push_back({std::move(request), std::move(done)});
    }

    [[nodiscard]] std::int64_t exchange_now_ms() const override { return exchange_ms; }

    [[nodiscard]] bool can_sign() const override { return true; }

    void submit(std::uint64_t id) {
        table.submit(limit_buy(id, 10), encode(Reference{100}), exchange_ms * k_ms, reports_);
        desk->submitted(id);
        desk->durable();
    }

    // Both clocks go on, and the desk does what is due.
    void pass(std::int64_t duration_ns) {
        now_ns += duration_ns;
        exchange_ms += duration_ns / k_ms;
        (void)desk->tick();
    }

    // Answers the oldest request of that kind; false: there is none.
    bool reply(std::string_view path, std::string_view method, const RestReply& with) {
        const auto at = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& one) {
            return one.request.path == path && one.request.method == method;
        });
        if (at == waiting_.end()) {
            return false;
        }
        const Done done = std::move(at->done);
        waiting_.erase(at);
        done(with);
        (void)desk->tick();
        return true;
    }

    bool answer(std::string_view path, std::string_view method, unsigned status, std::string body) {
        RestReply out;
        out.outcome = Outcome::answered;
        out.status = status;
        out.body = std::move(body);
        return reply(path, method, out);
    }

    // The exchange says that it does not know the order.
    bool missing() {
        return answer(k_order, "GET", 400, R"({"code":-2013,"msg":"Order does not exist."})");
    }

    [[nodiscard]] std::int64_t count(const std::string& request) const {
        return std::count(sent.begin(), sent.end(), request);
    }

    std::int64_t now_ns = 1'000 * k_s;
    std::int64_t exchange_ms = 1'700'000'000'000;
    tenon_status engine = TENON_OK;
    std::vector<std::string> sent;
    OneSymbol listing;
    Lines lines;
    OrderTable table{listing};
    OrderIds ids{"1"};
    std::unique_ptr<Desk> desk;

private:
    struct Waiting {
        RestRequest request;
        Done done;
    };

    Venue::Reports reports_ = lines.reports();
    std::deque<Waiting> waiting_;
};

using Seen = std::vector<std::string>;

const std::string k_not_sent = "rejected 1 " + std::to_string(TENON_REJECT_NOT_SENT);

}  // namespace

TEST_CASE("a step of the clock does not make an order absent", "[binance][orders][T9]") {
    Scene scene;
    const std::int64_t step_ms = GENERATE(std::int64_t{3'600'000}, std::int64_t{-3'600'000});
    CAPTURE(step_ms);
    scene.submit(1);
    RestReply lost;
    lost.outcome = Outcome::unknown;
    lost.signed_ms = scene.exchange_ms;
    lost.window_ms = 5'000;
    lost.sent_ns = scene.now_ns;
    REQUIRE(scene.reply(k_order, "POST", lost));
    // For a second the exchange's clock is taken for another: what is asked then says nothing yet.
    scene.exchange_ms += step_ms;
    for (int i = 0; i < 20; ++i) {
        (void)scene.missing();
        scene.pass(50 * k_ms);
    }
    scene.exchange_ms -= step_ms;
    (void)scene.missing();
    CHECK(scene.table.find(1) != nullptr);
    CHECK(scene.lines.take().empty());
    // Ten seconds after it was signed it cannot come any more.
    for (int i = 0; i < 8; ++i) {
        scene.pass(k_s);
        (void)scene.missing();
    }
    CHECK(scene.table.find(1) != nullptr);
    for (int i = 0; i < 60; ++i) {
        scene.pass(k_s);
        (void)scene.missing();
    }
    CHECK(scene.lines.take() == Seen{k_not_sent});
    CHECK(scene.table.orders().empty());
    CHECK(scene.desk->counts().sent == 1);
}

TEST_CASE("what others trade on the account costs no budget", "[binance][orders][H2]") {
    Scene scene;
    const std::string open = "GET " + std::string{k_open};
    const std::int64_t before = scene.count(open);
    for (int i = 0; i < 100; ++i) {
        scene.desk->user_stream_event(
            R"({"e":"executionReport","s":"ETHBTC","c":"web_1","C":"","i":5,"X":"NEW","z":"0"})"
        );
        scene.pass(10 * k_ms);
        (void)scene.answer(k_open, "GET", 200, "[]");
    }
    CHECK(scene.count(open) == before);
    CHECK(scene.desk->counts().unread == 0);
}

TEST_CASE("events that cannot be read make orders be compared, not all the time", "[binance][H2]") {
    Scene scene;
    const std::string open = "GET " + std::string{k_open};
    const std::int64_t before = scene.count(open);
    for (int i = 0; i < 1'000; ++i) {  // ten seconds
        scene.desk->user_stream_event(R"({"e":"executionReport","s":"BTCUSDT","c":"tnn1-1-1"})");
        scene.pass(10 * k_ms);
        (void)scene.answer(k_open, "GET", 200, "[]");
    }
    CHECK(scene.desk->counts().unread == 1'000);
    CHECK(scene.count(open) - before >= 1);
    CHECK(scene.count(open) - before <= 3);
}

TEST_CASE("evidence that the engine refuses is asked for again", "[binance][orders][T9]") {
    Scene scene;
    scene.submit(1);
    scene.engine = TENON_INTERNAL;
    REQUIRE(scene.answer(k_order, "POST", 400, R"({"code":-2010,"msg":"Market is closed."})"));
    CHECK(scene.desk->counts().put_off == 1);
    scene.engine = TENON_OK;
    for (int i = 0; i < 60; ++i) {
        scene.pass(k_s);
        (void)scene.missing();
    }
    CHECK(scene.lines.take() == Seen{k_not_sent});
    CHECK(scene.table.orders().empty());
}
