// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/tuner.hpp"

#include "tests/support/temporary_folder.hpp"
#include "tests/unit/monitor/advisor/simulated_server.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

using namespace tenon;
using namespace tenon::advisor;
using Catch::Contains;
using tenon::test::SimulatedServer;

namespace {

namespace json = boost::json;

constexpr std::int64_t k_mega = SimulatedServer::k_mega;
constexpr std::int64_t k_minute_ms = 60'000;
constexpr std::string_view k_id = "cache_size:cache-memory/bytes_max";
const Knob k_size{"cache-memory", "/bytes_max", "", ""};
const Knob k_level{"throttle", "/level", "", ""};

// More memory misses less, less memory more; a lower level refuses.
SimulatedServer::Behaviour usual(const SimulatedServer& server) {
    SimulatedServer::Behaviour out;
    const std::int64_t size = server.value("cache-memory", "/bytes_max").to_number<std::int64_t>();
    out.miss_ratio = size > 50 * k_mega ? 0.2 : size < 50 * k_mega ? 0.6 : 0.3;
    out.refused_ratio = server.value("throttle", "/level") == "conservative" ? 0.3 : 0;
    return out;
}

// More memory brings nothing.
SimulatedServer::Behaviour indifferent(const SimulatedServer&) {
    return {};
}

TunerOptions options() {
    TunerOptions out;
    out.bounds = {
        {"tenon.cache.memory/bytes_max", k_mega, 1'024 * k_mega, {}},
        {"tenon.throttle.token-bucket/level", {}, {}, {"conservative", "moderate", "aggressive"}}};
    out.kinds = {"cache_size"};
    return out;
}

struct Fixture {
    explicit Fixture(std::uint64_t seed = 1, SimulatedServer::Model model = usual)
        : server{seed, std::move(model)} {
        start();
    }

    // As after a kill: nothing of the old one is left but its file.
    void start(TunerOptions chosen = options()) {
        tuner.reset();
        chronicle = std::make_unique<Chronicle>(folder.path() / "advice.log");
        tuner = std::make_unique<Tuner>(
            server,
            *chronicle,
            [this] { return server.now_ms(); },
            [this] { return server.look(); },
            [](const Entry&) {}
        );
        tuner->set_options(std::move(chosen));
    }

    void turn() {
        server.run();
        tuner->tick();
    }

    template <class Done>
    bool until(Done done, std::int64_t within_ms) {
        const std::int64_t end_ms = server.now_ms() + within_ms;
        while (!done()) {
            if (server.now_ms() >= end_ms) {
                return false;
            }
            turn();
        }
        return true;
    }

    void rest(std::int64_t ms) {
        (void)until([] { return false; }, ms);
    }

    [[nodiscard]] bool trying() const { return tuner->state().is_trying; }

    [[nodiscard]] json::object newest() const {
        const json::array entries = chronicle->json(1);
        return entries.empty() ? json::object{} : entries[0].get_object();
    }

    [[nodiscard]] std::string event() const {
        const json::object entry = newest();
        return entry.empty() ? "" : std::string{std::string_view{entry.at("event").get_string()}};
    }

    [[nodiscard]] std::string reason() const {
        return std::string{std::string_view{newest().at("reason").get_string()}};
    }

    [[nodiscard]] bool lists(std::string_view id) const {
        const json::value told = json::parse(tuner->list());
        for (const json::value& each : told.at("advice").get_array()) {
            if (each.at("id").get_string() == id) {
                return true;
            }
        }
        return false;
    }

    test::TemporaryFolder folder;
    SimulatedServer server;
    std::unique_ptr<Chronicle> chronicle;
    std::unique_ptr<Tuner> tuner;
};

}  // namespace

TEST_CASE(
    "a bad change takes itself back within a minute, twenty times of twenty",
    "[advisor][M4]"
) {
    const auto drilled = [](std::uint64_t seed,
                            const Knob& knob,
                            const json::value& bad,
                            SimulatedServer::Model model) {
        Fixture f{seed, std::move(model)};
        const json::value before = f.server.value(knob.plugin, knob.pointer);
        INFO("seed " << seed << " " << knob.text());
        f.turn();
        (void)f.tuner->drill(knob, bad, "user:anna");
        CHECK(f.until([&] { return !f.trying(); }, 2 * k_minute_ms));
        CHECK(f.server.changes > 0);
        CHECK(f.server.now_ms() - f.server.first_change_ms <= k_minute_ms);
        CHECK(f.server.value(knob.plugin, knob.pointer) == before);
        CHECK_FALSE(f.server.overridden(knob.plugin, knob.pointer));
        CHECK(f.event() == "rolled_back");
        CHECK_FALSE(f.reason().empty());
        return f.reason();
    };
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CHECK_THAT(
            drilled(seed, k_size, 10 * k_mega, usual), Contains("cache_miss_ratio got worse")
        );
        CHECK_THAT(
            drilled(seed, k_level, "conservative", usual), Contains("guard http_refused_ratio")
        );
        CHECK_THAT(drilled(seed, k_size, 90 * k_mega, indifferent), Contains("no proof"));
    }
}

TEST_CASE("what is recommended, tried by hand and proven is kept", "[advisor][M4]") {
    Fixture f;
    REQUIRE(f.until([&] { return f.lists(k_id); }, 3 * k_minute_ms));
    CHECK(f.server.changes == 0);  // not by itself
    const json::value begun = json::parse(f.tuner->apply(k_id, "user:anna"));
    CHECK(begun.at("begun").get_bool());
    REQUIRE(f.until([&] { return !f.trying(); }, 2 * k_minute_ms));
    CHECK(f.event() == "kept");
    CHECK_THAT(f.reason(), Contains("proven"));
    CHECK(f.newest().at("windows").get_array().size() == 18);
    CHECK(f.newest().at("windows").at(0).at("promised").is_double());
    CHECK(f.server.value("cache-memory", "/bytes_max") == 100 * k_mega);
    // And it can still be taken back, once.
    (void)f.tuner->roll_back(k_id, "user:anna", "memory is short");
    CHECK(f.event() == "taken_back");
    CHECK_FALSE(f.server.overridden("cache-memory", "/bytes_max"));
    CHECK_THROWS_WITH(
        f.tuner->roll_back(k_id, "user:anna", ""), Contains("no trial and no kept change")
    );
}

TEST_CASE("a server that was killed amid a trial comes back with the old value", "[advisor][M4]") {
    for (const bool was_overridden : {false, true}) {
        Fixture f;
        if (was_overridden) {
            f.server.set_by_hand("cache-memory", "/bytes_max", 40 * k_mega);
        }
        const json::value before = f.server.value("cache-memory", "/bytes_max");
        f.turn();
        (void)f.tuner->drill(k_size, 10 * k_mega, "user:anna");
        REQUIRE(f.until(
            [&] { return f.server.value("cache-memory", "/bytes_max") == 10 * k_mega; }, k_minute_ms
        ));
        f.start();
        CHECK_FALSE(f.tuner->state().trouble.empty());
        CHECK_THROWS_WITH(
            f.tuner->drill(k_size, 10 * k_mega, "user:anna"), Contains("a trial is under way")
        );
        f.turn();
        CHECK(f.tuner->state().trouble.empty());
        CHECK(f.server.value("cache-memory", "/bytes_max") == before);
        CHECK(f.server.overridden("cache-memory", "/bytes_max") == was_overridden);
        CHECK(f.event() == "recovered");
        CHECK_THAT(f.reason(), Contains("the server ended amid the trial"));
        f.start();  // and that is the end of it
        CHECK(f.tuner->state().trouble.empty());
    }
}

TEST_CASE("what was tried goes also when its plugin does not come back", "[advisor][M4]") {
    Fixture f;
    f.turn();
    (void)f.tuner->drill(k_size, 10 * k_mega, "user:anna");
    REQUIRE(f.until(
        [&] { return f.server.value("cache-memory", "/bytes_max") == 10 * k_mega; }, k_minute_ms
    ));
    f.server.disabled = "cache-memory";
    f.start();
    f.turn();
    CHECK(f.event() == "recovered");
    CHECK_FALSE(f.server.overridden("cache-memory", "/bytes_max"));
    f.start();
    CHECK(f.tuner->state().trouble.empty());
}

TEST_CASE("what is dismissed or kept is remembered, however much came after it", "[advisor][M4]") {
    test::TemporaryFolder folder;
    const auto file = folder.path() / "advice.log";
    const auto tell = [](Chronicle& chronicle, std::int64_t at_ms, const char* event, const char* id
                      ) {
        chronicle.record({0, at_ms, "user:anna", event, id, {}});
    };
    {
        Chronicle chronicle{file};
        tell(chronicle, 1, "dismissed", "a");
        tell(chronicle, 2, "kept", "b");
        for (std::size_t i = 0; i < Chronicle::k_in_memory; ++i) {
            tell(chronicle, 10, "rolled_back", "c");
        }
        CHECK(chronicle.left_alone_until_ms("a", 1000, false) == 1001);
        CHECK(chronicle.in_force("b"));
    }
    Chronicle again{file};
    CHECK(again.left_alone_until_ms("a", 1000, false) == 1001);
    CHECK(again.left_alone_until_ms("c", 1000, false) == 0);
    CHECK(again.left_alone_until_ms("c", 1000, true) == 1010);
    CHECK(again.in_force("b"));
    tell(again, 20, "taken_back", "b");
    CHECK_FALSE(again.in_force("b"));
}

TEST_CASE(
    "a trial that cannot be taken back yet is, as soon as somebody answers",
    "[advisor][M4]"
) {
    Fixture f;
    f.turn();
    (void)f.tuner->drill(k_level, "conservative", "user:anna");
    REQUIRE(
        f.until([&] { return f.server.value("throttle", "/level") == "conservative"; }, k_minute_ms)
    );
    f.server.answers = false;
    f.server.run();
    while (f.trying()) {
        f.server.run();
        f.tuner->tick();
    }
    CHECK(f.server.value("throttle", "/level") == "conservative");
    CHECK_THAT(f.tuner->state().trouble, Contains("not taken back yet"));
    f.server.run();
    CHECK(f.until(
        [&] {
            f.server.answers = true;
            return f.tuner->state().trouble.empty();
        },
        k_minute_ms
    ));
    CHECK(f.server.value("throttle", "/level") == "moderate");
    CHECK(f.event() == "rolled_back");
}

TEST_CASE("a knob that somebody else turns is theirs", "[advisor][M4]") {
    Fixture f;
    f.turn();
    (void)f.tuner->drill(k_size, 90 * k_mega, "user:anna");
    REQUIRE(f.until(
        [&] { return f.server.value("cache-memory", "/bytes_max") == 90 * k_mega; }, k_minute_ms
    ));
    f.server.set_by_hand("cache-memory", "/bytes_max", 70 * k_mega);
    REQUIRE(f.until([&] { return !f.trying(); }, 2 * k_minute_ms));
    CHECK(f.event() == "failed");
    CHECK(f.server.value("cache-memory", "/bytes_max") == 70 * k_mega);
}

TEST_CASE("by itself it tries only what it may, and not again what failed", "[advisor][M4]") {
    Fixture f{1, indifferent};
    TunerOptions chosen = options();
    chosen.automatic = true;
    chosen.kinds = {"throttle_level"};
    f.tuner->set_options(chosen);
    REQUIRE(f.until([&] { return f.lists(k_id); }, 3 * k_minute_ms));
    f.rest(3 * k_minute_ms);
    CHECK(f.server.changes == 0);
    chosen.kinds = {"cache_size"};
    f.tuner->set_options(chosen);
    REQUIRE(f.until([&] { return f.trying(); }, 3 * k_minute_ms));
    REQUIRE(f.until([&] { return !f.trying(); }, 2 * k_minute_ms));
    CHECK(f.event() == "rolled_back");
    CHECK(f.newest().at("by").get_string() == "auto");
    const std::uint64_t changes = f.server.changes;
    f.rest(20 * k_minute_ms);
    CHECK(f.lists(k_id));
    CHECK(f.server.changes == changes);
    f.start(chosen);  // a restart does not forget it
    f.rest(5 * k_minute_ms);
    CHECK(f.server.changes == changes);
}

TEST_CASE("by itself it goes on only after it has cooled down", "[advisor][M4]") {
    Fixture f;
    TunerOptions chosen = options();
    chosen.automatic = true;
    chosen.cool_down_ms = 10 * k_minute_ms;
    f.tuner->set_options(chosen);
    f.turn();
    (void)f.tuner->drill(k_level, "conservative", "user:anna");
    REQUIRE(f.until([&] { return !f.trying(); }, 2 * k_minute_ms));
    const std::int64_t ended_ms = f.server.now_ms();
    REQUIRE(f.until([&] { return f.trying(); }, 20 * k_minute_ms));
    CHECK(f.server.now_ms() - ended_ms >= 10 * k_minute_ms);
}

TEST_CASE("one knob at a time, within its bounds, and really another value", "[advisor][M4]") {
    Fixture f;  // and before its first turn, too
    CHECK_THROWS_WITH(
        f.tuner->drill(k_size, 2'048 * k_mega, "x"), Contains("is outside the bounds")
    );
    CHECK_THROWS_WITH(f.tuner->drill(k_size, "much", "x"), Contains("is no whole number"));
    CHECK_THROWS_WITH(
        f.tuner->drill(k_level, "unlimited", "x"), Contains("is not among the values allowed")
    );
    CHECK_THROWS_WITH(f.tuner->drill(k_level, "moderate", "x"), Contains("already"));
    CHECK_THROWS_WITH(
        f.tuner->drill({"nobody", "/x", "", ""}, 1, "x"), Contains("no live setting nobody/x")
    );
    CHECK_THROWS_WITH(f.tuner->apply("no:such", "x"), Contains("no recommendation no:such"));
    CHECK(f.chronicle->json(10).empty());
    (void)f.tuner->drill(k_level, "conservative", "x");
    CHECK_THROWS_WITH(
        f.tuner->drill(k_size, 10 * k_mega, "x"),
        Contains("a trial is under way: drill:throttle/level")
    );
}

TEST_CASE("a trial is ended by hand at any time", "[advisor][M4]") {
    Fixture f;
    f.turn();
    (void)f.tuner->drill(k_size, 90 * k_mega, "user:anna");
    REQUIRE(f.until(
        [&] { return f.server.value("cache-memory", "/bytes_max") == 90 * k_mega; }, k_minute_ms
    ));
    (void)f.tuner->roll_back("", "user:ben", "not now");
    CHECK_FALSE(f.trying());
    CHECK_FALSE(f.server.overridden("cache-memory", "/bytes_max"));
    CHECK(f.newest().at("by").get_string() == "user:ben");
    CHECK(f.reason() == "by hand: not now");
}

TEST_CASE("what is dismissed is not told again until its time", "[advisor][M4]") {
    Fixture f;
    TunerOptions chosen = options();
    chosen.dismissed_for_ms = 30 * k_minute_ms;
    f.tuner->set_options(chosen);
    REQUIRE(f.until([&] { return f.lists(k_id); }, 3 * k_minute_ms));
    (void)f.tuner->dismiss(k_id, "user:anna", "memory is dear");
    CHECK_FALSE(f.lists(k_id));
    f.rest(20 * k_minute_ms);
    CHECK_FALSE(f.lists(k_id));
    f.rest(15 * k_minute_ms);
    CHECK(f.lists(k_id));
}

TEST_CASE("what was done cannot be changed unseen", "[advisor][M4]") {
    Fixture f;
    f.turn();
    (void)f.tuner->drill(k_level, "conservative", "user:anna");
    REQUIRE(f.until([&] { return !f.trying(); }, 2 * k_minute_ms));
    const audit::Check found = audit::check_file(f.folder.path() / "advice.log");
    CHECK(found.good());
    CHECK(found.lines == 2);
    f.start();
    CHECK(f.event() == "rolled_back");
    CHECK(f.chronicle->json(10).size() == 2);
    CHECK(json::parse(f.tuner->show("drill:throttle/level")).at("history").get_array().size() == 2);
}
