// SPDX-License-Identifier: Apache-2.0
// The built plugins replay, market data and paper together, through their contracts alone.
#include "tests/support/fake_host.hpp"
#include "tests/support/fake_instruments.hpp"
#include "tests/unit/venue/paper_fixture.hpp"

#include <tenon/abi/market_data.h>
#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <dlfcn.h>
#include <mutex>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::test;

namespace {

[[nodiscard]] std::string folder(const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : ".";
}

// A plugin from its built library, stopped and destroyed in the end.
class LoadedPlugin {
public:
    LoadedPlugin(FakeHost& host, const std::string& name) {
        const std::string path =
            folder("TENON_BUILD_DIR") + "/plugins/" + name + "/" + name + ".so";
        void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        INFO(path);
        REQUIRE(library != nullptr);
        using Entry = const tenon_entry* (*)();
        const auto entry = reinterpret_cast<Entry>(dlsym(library, TENON_ENTRY_SYMBOL));
        REQUIRE(entry != nullptr);
        ErrorBuffer err;
        REQUIRE(entry()->create(host.raw(), &plugin_, &err) == TENON_OK);
    }

    ~LoadedPlugin() {
        plugin_->vt->stop(plugin_);
        plugin_->vt->destroy(plugin_);
    }

    LoadedPlugin(const LoadedPlugin&) = delete;
    LoadedPlugin& operator=(const LoadedPlugin&) = delete;

    // Empty, or why it did not start.
    std::string start(const std::string& settings) {
        ErrorBuffer err;
        if (plugin_->vt->configure(plugin_, str(settings), 0, &err) != TENON_OK ||
            plugin_->vt->start(plugin_, &err) != TENON_OK) {
            return std::string{err.message()};
        }
        return {};
    }

    [[nodiscard]] tenon_iface query(const char* id) {
        tenon_iface iface{};
        REQUIRE(plugin_->vt->query(plugin_, str(id), &iface) == TENON_OK);
        return iface;
    }

private:
    tenon_plugin* plugin_ = nullptr;
};

[[nodiscard]] std::string replay_settings(const std::string& file, const char* speed) {
    return R"({"files":[{"symbol":"BTCUSDT","file":")" + file + R"("}],"speed":)" + speed +
           R"(,"paused":false,"loop":false})";
}

constexpr const char* k_market_settings =
    R"({"trades_kept":10000,"aggregates_kept":10000,"seconds_kept":7200,"minutes_kept":20160,
        "hours_kept":26280,"history_every_s":0,"history_rows_kept":1000,"stale_after_s":30,"quiet_feeds":[]})";

// Lets the test's thread wait for something that happens on the reactor.
class Signal {
public:
    void raise() {
        const std::scoped_lock lock{mutex_};
        raised_ = true;
        changed_.notify_all();
    }

    [[nodiscard]] bool wait() {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, std::chrono::seconds{60}, [this] { return raised_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool raised_ = false;
};

}  // namespace

TEST_CASE("a recording flows through feed, market data and paper venue", "[venue][T4][T6]") {
    FakeHost host;
    FakeInstruments instruments;
    host.bind("tenon.instruments/1", instruments.iface());
    host.set_environment("deployment_dir", folder("TENON_SOURCE_DIR") + "/etc/deployments");

    LoadedPlugin replay{host, "venue-replay"};
    host.bind("tenon.feed/1", replay.query("tenon.feed/1"), "replay");
    LoadedPlugin service{host, "market-data-service"};
    host.bind("tenon.market_data/1", service.query("tenon.market_data/1"));
    LoadedPlugin paper{host, "venue-paper"};
    REQUIRE(replay
                .start(replay_settings(
                    "../market-data/binance-spot-btcusdt-20240808-stream.gz", "1000"
                ))
                .empty());
    REQUIRE(service.start(k_market_settings).empty());
    REQUIRE(paper.start(R"({"latency_ms":0,"depth_max":1000})").empty());

    const auto market = service_from<tenon_market_data_1>(service.query("tenon.market_data/1"));
    const auto venue = service_from<tenon_venue_1>(paper.query("tenon.venue/1"));

    struct Engine {
        Service<tenon_venue_1> venue;
        Reports reports;
        std::atomic<int> commands{0};

        static tenon_status command(void* self, tenon_bytes evidence) noexcept {
            auto& mine = *static_cast<Engine*>(self);
            ++mine.commands;
            return mine.venue->apply(mine.venue.self, evidence, 0, mine.reports.out());
        }
    } engine{venue, {}, {}};

    static constexpr tenon_venue_input_1 k_input{sizeof(tenon_venue_input_1), 0, &Engine::command};
    Signal traded;
    const auto on_trade = [](void* ctx, const tenon_md_event* event) noexcept {
        if (event->kind == TENON_MD_TRADE) {
            static_cast<Signal*>(ctx)->raise();
        }
    };
    std::uint64_t handle = 0;
    REQUIRE(market->subscribe(market.self, TENON_MD_TRADE, &traded, on_trade, &handle) == TENON_OK);
    REQUIRE(traded.wait());
    market->unsubscribe(market.self, handle);

    call_on_reactor(host.exec(), 0, [&] {
        REQUIRE(venue->attach(venue.self, {&engine, &k_input}, nullptr) == TENON_OK);
        venue->live(venue.self);
        tenon_book book{};
        book.size = sizeof book;
        REQUIRE(market->book(market.self, 0, 20, &book) == TENON_OK);
        REQUIRE(book.trusted == 1);
        REQUIRE(book.bid_count == 20);
        REQUIRE(book.bids[0].price < book.asks[0].price);
        tenon_ticker ticker{};
        ticker.size = sizeof ticker;
        REQUIRE(market->ticker(market.self, 0, &ticker) == TENON_OK);
        REQUIRE(ticker.last > 0);

        StringSink evidence;
        const tenon_venue_order order = market_order(1, TENON_SIDE_BUY, 1'000);
        REQUIRE(venue->evidence(venue.self, &order, 0, evidence.sink()) == TENON_OK);
        const tenon_bytes bytes{evidence.text().data(), evidence.text().size()};
        REQUIRE(venue->reference_price(venue.self, 0, bytes) == ticker.last);
        venue->submit(venue.self, &order, bytes, 0, engine.reports.out());
        const auto lines = engine.reports.take();
        REQUIRE(lines.size() >= 2);
        REQUIRE(lines[0] == "accepted 1");
        REQUIRE(lines[1].rfind("trade 1/0", 0) == 0);
    });
    call_on_reactor(host.exec(), 0, [&] {
        REQUIRE(venue->attach(venue.self, {}, nullptr) == TENON_OK);
    });
    REQUIRE(host.metric("tenon_replay_events_total", R"(kind="trade")") > 0);
    REQUIRE(host.metric("tenon_market_data_events_total", R"(kind="snapshot")") == 1);
    REQUIRE(host.health_of("BTCUSDT") == TENON_HEALTHY);
}

TEST_CASE("a replay without its file does not start and says which", "[venue][T4]") {
    FakeHost host;
    FakeInstruments instruments;
    host.bind("tenon.instruments/1", instruments.iface());
    LoadedPlugin replay{host, "venue-replay"};
    const std::string why = replay.start(replay_settings("/nonexistent/btc.gz", "1"));
    REQUIRE(why.find("/nonexistent/btc.gz") != std::string::npos);
}

TEST_CASE("a replay of an unlisted symbol does not start and says which", "[venue][T4]") {
    FakeHost host;
    FakeInstruments instruments;
    host.bind("tenon.instruments/1", instruments.iface());
    LoadedPlugin replay{host, "venue-replay"};
    const std::string why = replay.start(
        R"({"files":[{"symbol":"DOGEUSDT","file":"x"}],"speed":1,"paused":false,"loop":true})"
    );
    REQUIRE(why.find("DOGEUSDT") != std::string::npos);
}
