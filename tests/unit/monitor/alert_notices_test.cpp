// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/delivery.hpp"
#include "plugins/monitor/alerts/grouping.hpp"
#include "plugins/monitor/alerts/silences.hpp"
#include "tests/support/temporary_folder.hpp"

#include <tenon/json.hpp>
#include <tenon/settings.hpp>

#include <catch2/catch.hpp>

#include <limits>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::alerts;
using Catch::Contains;

namespace {

constexpr std::int64_t k_s = 1000;

Alert firing(const std::string& rule, Severity severity, const std::string& host = "a") {
    Alert alert{rule, severity, {{"host", host}}};
    alert.state = Alert::State::firing;
    alert.value = 7;
    alert.fired_ms = 1;
    return alert;
}

bool nothing(const Alert&) {
    return false;
}

Silence silence(const std::string& label, const std::string& value, std::int64_t until_ms) {
    Silence made;
    made.matchers.emplace(label, value);
    made.until_ms = until_ms;
    made.by = "anna";
    return made;
}

}  // namespace

TEST_CASE("without grouping each change is told at once", "[monitor][alerts][M3][K8]") {
    Grouping grouping;
    const Alert a = firing("Slow", Severity::warning, "a");
    const Alert b = firing("Slow", Severity::warning, "b");
    const auto told = [&](const std::vector<Alert>& alerts, std::int64_t at_s) {
        return grouping.step(alerts, nothing, at_s * k_s).size();
    };
    const auto take = [&](std::string_view json) {
        grouping.set_options(DeliverySettings{Settings{json}}.grouping);
    };
    take(R"({"grouping":false})");
    CHECK(told({a}, 100) == 1);
    CHECK(told({a, b}, 101) == 1);
    take(R"({"grouping":true})");
    CHECK(told({a}, 102) == 0);
    take(R"({"grouping":false})");
    CHECK(told({a}, 103) == 1);
}

TEST_CASE("alerts of one rule make one notice after a wait", "[monitor][alerts][M3]") {
    Grouping grouping;
    const Alert a = firing("Slow", Severity::warning, "a");
    const Alert b = firing("Slow", Severity::warning, "b");
    CHECK(grouping.step({a}, nothing, 100 * k_s).empty());
    const auto told = grouping.step({a, b}, nothing, 115 * k_s);
    REQUIRE(told.size() == 1);
    CHECK(told[0].firing.size() == 2);
    CHECK(told[0].resolved.empty());
    CHECK_FALSE(told[0].is_repeat);
    CHECK(grouping.step({a, b}, nothing, 130 * k_s).empty());
    // One ends: told, but not before a minute after the last notice.
    CHECK(grouping.step({a}, nothing, 145 * k_s).empty());
    const auto ended = grouping.step({a}, nothing, 175 * k_s);
    REQUIRE(ended.size() == 1);
    REQUIRE(ended[0].resolved.size() == 1);
    CHECK(ended[0].resolved[0].labels.at("host") == "b");
    CHECK(ended[0].firing.size() == 1);
}

TEST_CASE("a new critical alert does not wait for the interval", "[monitor][alerts][M3]") {
    Grouping grouping;
    const Alert warning = firing("Slow", Severity::warning);
    (void)grouping.step({warning}, nothing, 100 * k_s);
    REQUIRE(grouping.step({warning}, nothing, 115 * k_s).size() == 1);
    const Alert critical = firing("Slow", Severity::critical);
    CHECK(grouping.step({warning, critical}, nothing, 116 * k_s).empty());
    const auto told = grouping.step({warning, critical}, nothing, 131 * k_s);
    REQUIRE(told.size() == 1);
    CHECK(told[0].severity == Severity::critical);
}

TEST_CASE("what goes on firing is told again, what went by is not told", "[monitor][alerts][M3]") {
    Grouping grouping;
    const Alert a = firing("Slow", Severity::warning);
    (void)grouping.step({a}, nothing, 100 * k_s);
    REQUIRE(grouping.step({a}, nothing, 115 * k_s).size() == 1);
    CHECK(grouping.step({a}, nothing, 14'514 * k_s).empty());
    const auto again = grouping.step({a}, nothing, 14'515 * k_s);
    REQUIRE(again.size() == 1);
    CHECK(again[0].is_repeat);

    Grouping other;
    CHECK(other.step({a}, nothing, 100 * k_s).empty());
    CHECK(other.step({}, nothing, 110 * k_s).empty());
    CHECK(other.step({}, nothing, 500 * k_s).empty());
}

TEST_CASE("an alert that flaps is told once until it is calm", "[monitor][alerts][M3]") {
    Grouping grouping;
    Alert a = firing("Slow", Severity::warning);
    a.flapping = true;
    (void)grouping.step({a}, nothing, 100 * k_s);
    REQUIRE(grouping.step({a}, nothing, 115 * k_s).size() == 1);
    std::int64_t now_ms = 115 * k_s;
    for (int i = 0; i < 20; ++i) {
        now_ms += 120 * k_s;
        const auto told =
            i % 2 == 0 ? grouping.step({}, nothing, now_ms) : grouping.step({a}, nothing, now_ms);
        CHECK(told.empty());
    }
    CHECK(grouping.step({}, nothing, now_ms + 899 * k_s).empty());
    const auto ended = grouping.step({}, nothing, now_ms + 900 * k_s);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].firing.empty());
    CHECK(ended[0].resolved.size() == 1);
}

TEST_CASE("a silenced alert is neither told nor told to have ended", "[monitor][alerts][M3]") {
    Grouping grouping;
    const Alert a = firing("Slow", Severity::warning);
    bool silenced = true;
    const auto is_silenced = [&](const Alert&) { return silenced; };
    for (int i = 0; i < 10; ++i) {
        CHECK(grouping.step({a}, is_silenced, (100 + 60 * i) * k_s).empty());
    }
    silenced = false;
    CHECK(grouping.step({a}, is_silenced, 1000 * k_s).empty());
    CHECK(grouping.step({a}, is_silenced, 1015 * k_s).size() == 1);
    silenced = true;
    CHECK(grouping.step({a}, is_silenced, 1100 * k_s).empty());
    CHECK(grouping.step({}, is_silenced, 1200 * k_s).empty());
    silenced = false;
    CHECK(grouping.step({}, is_silenced, 1300 * k_s).empty());
}

TEST_CASE("a silence hides what fits all of its matchers until its end", "[monitor][alerts][M3]") {
    const test::TemporaryFolder folder;
    const auto file = folder.path() / "silences.json";
    Silences silences;
    silences.open(file, 0);
    Silence made = silence("alert", "Sl*", 50 * k_s);
    made.matchers.emplace("host", "a");
    const std::uint64_t id = silences.add(made, 10 * k_s);
    CHECK(silences.hides(firing("Slow", Severity::warning, "a"), 49 * k_s));
    CHECK_FALSE(silences.hides(firing("Slow", Severity::warning, "b"), 49 * k_s));
    CHECK_FALSE(silences.hides(firing("Fast", Severity::warning, "a"), 49 * k_s));
    CHECK_FALSE(silences.hides(firing("Slow", Severity::warning, "a"), 50 * k_s));
    const std::uint64_t other = silences.add(silence("severity", "critical", 90 * k_s), 10 * k_s);
    CHECK(silences.hides(firing("X", Severity::critical), 60 * k_s));
    CHECK_FALSE(silences.hides(firing("X", Severity::warning), 60 * k_s));

    // They outlive a restart, and what was taken back does not.
    CHECK(silences.remove(other, 20 * k_s).by == "anna");
    Silences later;
    later.open(file, 20 * k_s);
    REQUIRE(later.list(20 * k_s).size() == 1);
    CHECK(later.list(20 * k_s)[0].id == id);
    CHECK(later.list(20 * k_s)[0].matchers.at("alert") == "Sl*");
    CHECK_THROWS_WITH(later.remove(other, 20 * k_s), Contains("there is no silence"));
    CHECK(later.add(silence("alert", "X", 60 * k_s), 20 * k_s) > id);
}

TEST_CASE("a silence that says too little or too much is refused", "[monitor][alerts][M3]") {
    Silences silences;
    CHECK_THROWS_WITH(silences.add(Silence{}, 0), Contains("1 to 16 matchers"));
    CHECK_THROWS_WITH(silences.add(silence("alert", "X", 5), 5), Contains("30 days"));
    CHECK_THROWS_WITH(
        silences.add(silence("alert", std::string(300, 'x'), 50), 5), Contains("256 bytes")
    );
    for (std::size_t i = 0; i < Silences::k_silences_max; ++i) {
        (void)silences.add(silence("alert", "X", 50), 5);
    }
    CHECK_THROWS_WITH(silences.add(silence("alert", "X", 50), 5), Contains("200 silences"));
    // Those that have ended make room.
    CHECK_NOTHROW(silences.add(silence("alert", "X", 90), 60));
    CHECK(silences.list(60).size() == 1);
    CHECK(duration_ms("90s") == 90'000);
    CHECK(duration_ms("7d") == 7LL * 86'400'000);
    for (const char* wrong : {"", "5", "h", "-1h", "0s", "31d", "1w", "1h30m"}) {
        CHECK_THROWS_WITH(duration_ms(wrong), Contains("such as 90s"));
    }
    CHECK_THROWS_WITH(matcher_of("alert"), Contains("label=value"));
    CHECK_THROWS_WITH(matcher_of("=x"), Contains("label=value"));
}

TEST_CASE("a notice is JSON whatever its texts hold, and bounded", "[monitor][alerts][M3]") {
    Notice notice;
    notice.id = "0123";
    notice.rule = "Slow";
    notice.summary = "quote \" and \n line";
    notice.server = "box";
    for (int i = 0; i < 60; ++i) {
        notice.firing.push_back(firing("Slow", Severity::critical, "h\"" + std::to_string(i)));
    }
    notice.firing[0].value = std::numeric_limits<double>::infinity();
    const Json json = Json::parse(json_of(notice));
    CHECK(json.find("summary")->text() == notice.summary);
    CHECK(json.find("status")->text() == "firing");
    CHECK(json.find("firing")->items().size() == 50);
    CHECK(json.find("left_out")->integer<int>() == 10);
    CHECK(json.find("firing")->items()[0].find("value")->is(Json::Kind::null));
    CHECK(json.find("firing")->items()[1].find("labels")->find("host")->text() == "h\"1");
    CHECK_THAT(text_of(notice), Contains("and 10 more"));
    notice.resolved.swap(notice.firing);
    CHECK(subject_of(notice) == "[resolved] Slow on box");
}
