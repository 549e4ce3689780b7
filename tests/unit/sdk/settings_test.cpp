// SPDX-License-Identifier: Apache-2.0
#include <tenon/settings.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <thread>

namespace {

std::string refusal(std::string_view json) {
    try {
        (void)tenon::Json::parse(json);
    } catch (const tenon::Error& e) {
        CHECK(e.code() == TENON_INVALID);
        return e.what();
    }
    return "accepted";
}

struct Pool {
    explicit Pool(const tenon::Settings& s)
        : ttl{s.get<std::chrono::milliseconds>("ttl_ms")},
          entries{s.get<std::uint32_t>("entries")} {}

    std::chrono::milliseconds ttl;
    std::uint32_t entries;
};

struct Limits {
    explicit Limits(const tenon::Settings& s)
        : rate{s.get<std::int64_t>("rate")}, burst{s.get<std::int64_t>("burst")} {
        if (burst < rate) {
            throw tenon::Error{TENON_INVALID, "burst is below rate"};
        }
    }

    std::int64_t rate, burst;
};

}  // namespace

TEST_CASE("a JSON document is read with its escapes and its numbers untouched", "[sdk][K6]") {
    const auto json = tenon::Json::parse(
        " {\"a\\u00e9\\ud83d\\ude00\\n\":[1,-0.5e3,true,false,null,\"\"],\"b\":{}} "
    );
    REQUIRE(json.keys().size() == 2);
    CHECK(json.keys()[0] == "a\xc3\xa9\xf0\x9f\x98\x80\n");
    const auto& items = json.items()[0].items();
    REQUIRE(items.size() == 6);
    CHECK(items[0].integer<std::uint8_t>() == 1);
    CHECK(items[1].real() == -500.0);
    CHECK(items[1].number() == "-0.5e3");
    CHECK(items[2].boolean());
    CHECK_FALSE(items[3].boolean());
    CHECK(items[4].is(tenon::Json::Kind::null));
    CHECK(items[5].text().empty());
    CHECK(json.find("b")->items().empty());
    CHECK(json.find("c") == nullptr);
    CHECK(tenon::Json::parse("9223372036854775807").integer<std::int64_t>() == INT64_MAX);
}

TEST_CASE("what is not JSON is refused with its place", "[sdk][K6]") {
    for (const auto* bad :
         {"",
          " ",
          "{",
          "[1,]",
          "[1 2]",
          "{\"a\"}",
          "{\"a\":1,}",
          "{a:1}",
          "01",
          "1.",
          ".5",
          "+1",
          "1e",
          "-",
          "tru",
          "nul",
          "\"",
          "\"\\x\"",
          "\"\\u12g4\"",
          "\"\\ud800\"",
          "\"\\udc00\"",
          "\"\\ud800\\u0041\"",
          "\"\x01\"",
          "1 2",
          "{}x",
          "\"\\",
          "\"\\u",
          "NaN",
          "'a'"}) {
        INFO(bad);
        CHECK(refusal(bad).substr(0, 12) == "JSON at byte");
    }
    for (const std::string bad :
         {"\x80", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"}) {
        CHECK(refusal('"' + bad + '"').find("not UTF-8") != std::string::npos);
    }
    CHECK(tenon::Json::parse("\"\xe2\x82\xac\xf0\x9f\x98\x80\"").text().size() == 7);
    CHECK(refusal(R"({"a":1,"a":2})") == "JSON at byte 10: the key \"a\" is there twice");
    CHECK(refusal(std::string(40, '[')) == "JSON at byte 33: nested too deeply");
}

TEST_CASE("a text written as JSON reads back as it was", "[sdk][K6]") {
    std::string text{"q\"b\\n\n\t\x01 \xc3\xa9"};
    std::string out;
    tenon::append_json(out, text);
    CHECK(tenon::Json::parse(out).text() == text);
}

TEST_CASE("settings are read into the types that the plugin wants", "[sdk][K6]") {
    const tenon::Settings settings{
        R"({"on":true,"n":-7,"x":0.25,"name":"a","wait_ms":1500,"list":["x","y"],
            "pools":{"a":{"ttl_ms":5,"entries":10}},"nested":{"deep":[[1,2],[3]]},"none":null})"};
    CHECK(settings.get<bool>("on"));
    CHECK(settings.get<int>("n") == -7);
    CHECK(settings.get<double>("x") == 0.25);
    CHECK(settings.get<std::string>("name") == "a");
    CHECK(settings.get<std::chrono::milliseconds>("wait_ms") == std::chrono::milliseconds{1500});
    CHECK(settings.get<std::vector<std::string>>("list") == std::vector<std::string>{"x", "y"});
    CHECK(settings.get<std::map<std::string, Pool>>("pools").at("a").entries == 10);
    CHECK(
        settings.get<tenon::Settings>("nested").get<std::vector<std::vector<int>>>("deep")[1][0] ==
        3
    );
    CHECK_FALSE(settings.get<std::optional<int>>("none"));
    CHECK_FALSE(settings.get<std::optional<int>>("absent"));
    CHECK(settings.get<std::optional<int>>("n") == -7);
    CHECK(settings.get<int>("absent", 3) == 3);
    CHECK_FALSE(settings.has("absent"));
}

TEST_CASE("a setting of another type is refused with its pointer", "[sdk][K6]") {
    const tenon::Settings settings{R"({"n":300,"t":"x","pools":[{"ttl_ms":5,"entries":-1}]})"};
    CHECK_THROWS_WITH(
        settings.get<std::uint8_t>("n"), "setting /n: found 300, expected an integer in range"
    );
    CHECK_THROWS_WITH(settings.get<bool>("t"), "setting /t: found a text, expected a boolean");
    CHECK_THROWS_WITH(
        settings.get<std::vector<Pool>>("pools"),
        "setting /pools/0/entries: found -1, expected an integer in range"
    );
    CHECK_THROWS_WITH(settings.get<int>("m"), "setting /m: found null, expected a number");
    CHECK_THROWS_WITH(settings.get<tenon::Settings>("n"), "setting /n: expected an object");
    CHECK_THROWS_WITH(tenon::Settings{"[]"}, "setting : expected an object");
}

TEST_CASE("a refused change leaves the old settings in force", "[sdk][K6]") {
    tenon::Live<Limits> limits;
    CHECK(limits.empty());
    limits.configure(R"({"rate":5,"burst":10})", true);
    CHECK(limits.empty());
    limits.configure(R"({"rate":5,"burst":10})", false);
    CHECK(limits->burst == 10);
    CHECK_THROWS_WITH(limits.configure(R"({"rate":5,"burst":1})", false), "burst is below rate");
    CHECK_THROWS_AS(limits.configure(R"({"rate":"5","burst":1})", false), tenon::Error);
    limits.configure(R"({"rate":7,"burst":70})", true);
    CHECK(limits->burst == 10);
    limits.configure(R"({"rate":7,"burst":70})", false);
    CHECK(limits->burst == 70);
}

TEST_CASE("a reading stays as it was while the settings change", "[sdk][K6]") {
    tenon::Live<Limits> limits;
    limits.configure(R"({"rate":5,"burst":10})", false);
    const auto first = limits.read();
    limits.configure(R"({"rate":6,"burst":20})", false);
    const auto second = limits.read();
    limits.configure(R"({"rate":7,"burst":30})", false);
    CHECK(first->burst == 10);
    CHECK(second->burst == 20);
    CHECK(limits->burst == 30);
}

TEST_CASE("readers never see half a change", "[sdk][K6]") {
    struct Pair {
        std::array<std::uint64_t, 16> same;
    };

    tenon::Live<Pair> live;
    live.publish({});
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> torn{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) {
        readers.emplace_back([&] {
            while (!done) {
                const auto now = live.read();
                for (const std::uint64_t value : now->same) {
                    torn += value != now->same[0] ? 1U : 0U;
                }
            }
        });
    }
    for (std::uint64_t version = 1; version < 20'000; ++version) {
        Pair next{};
        next.same.fill(version);
        live.publish(next);
    }
    done = true;
    for (auto& reader : readers) {
        reader.join();
    }
    CHECK(torn == 0);
    CHECK(live->same[0] == 19'999);
}

TEST_CASE("old versions are freed when nobody reads them any more", "[sdk][K6]") {
    tenon::Live<std::shared_ptr<int>> live;
    std::weak_ptr<int> first;
    {
        auto value = std::make_shared<int>(1);
        first = value;
        live.publish(std::move(value));
    }
    {
        const auto held = live.read();
        live.publish(std::make_shared<int>(2));
        live.publish(std::make_shared<int>(3));
        CHECK(**held == 1);
        CHECK_FALSE(first.expired());
    }
    live.publish(std::make_shared<int>(4));
    CHECK(first.expired());
}
