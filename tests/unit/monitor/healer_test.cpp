// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/health/healer.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::monitor;
using Catch::Contains;

namespace {

constexpr std::int64_t k_s = 1'000'000'000;
constexpr std::int64_t k_round_ns = 10 * k_s;

// Rounds of checks of one plugin.
struct Course {
    Healer healer{7};
    HealSettings settings{
        Settings{R"({"heal_after":2,"heal_backoff_ms":20000,"heal_backoff_max_ms":80000,)"
                 R"("heal_per_hour":5})"}};
    std::int64_t now_ns = k_s;
    std::vector<std::int64_t> attempts_ns;
    std::vector<std::string> told;

    void round(bool is_ill, Healer::State outcome = Healer::State::restarted) {
        now_ns += k_round_ns;
        std::vector<Fault> faults;
        if (is_ill) {
            faults.push_back({"pump", "it leaks", false});
        }
        if (const auto attempt = healer.judge(faults, settings, now_ns)) {
            attempts_ns.push_back(now_ns);
            healer.settled(attempt->plugin, outcome, "said", now_ns);
        }
        for (const Healer::News& news : healer.take_news()) {
            told.emplace_back(name_of(news.state));
        }
    }

    void rounds(int count, bool is_ill) {
        for (int i = 0; i < count; ++i) {
            round(is_ill);
        }
    }
};

HealSettings settings_of(const std::string& json) {
    return HealSettings{Settings{json}};
}

const std::string k_report = R"({"components":[
 {"plugin":"a","component":"link","state":"degraded","reason":"slow","since":1},
 {"plugin":"b","component":"pump","state":"critical","reason":"it leaks","since":1},
 {"plugin":"health","component":"probe-c","state":"degraded","reason":"no answer","since":1},
 {"plugin":"health","component":"heal-b","state":"degraded","reason":"","since":1},
 {"plugin":"e","component":"old","state":"critical","reason":"","since":1}],
 "plugins":[{"name":"a","state":"started","error":""},{"name":"b","state":"started","error":""},
 {"name":"c","state":"started","error":""},{"name":"d","state":"failed","error":"no file"},
 {"name":"e","state":"down","error":"needs d"},{"name":"f","state":"quarantined","error":""},
 {"name":"health","state":"started","error":""}]})";

std::string names_of(const std::vector<Fault>& faults) {
    std::string out;
    for (const Fault& fault : faults) {
        out += fault.plugin;
    }
    return out;
}

}  // namespace

TEST_CASE("one failed check is not enough for a restart", "[health][healing][M6]") {
    Course course;
    for (int i = 0; i < 50; ++i) {
        course.round(i % 2 == 0);
    }
    CHECK(course.attempts_ns.empty());
    CHECK(course.told.empty());
}

TEST_CASE("waits between restarts grow to their bound", "[health][healing][M6]") {
    Course course;
    course.settings.per_hour = 100;
    course.rounds(100, true);
    REQUIRE(course.attempts_ns.size() >= 6);
    CHECK(course.attempts_ns.size() <= 20);
    for (std::size_t i = 1; i < course.attempts_ns.size(); ++i) {
        const std::int64_t wait_ns = course.attempts_ns[i] - course.attempts_ns[i - 1];
        CHECK(wait_ns >= 20 * k_s);
        CHECK(wait_ns <= 80 * k_s + k_round_ns);
        CHECK((i < 4 || wait_ns >= 50 * k_s));
    }
}

TEST_CASE("an hour has a most of restarts, also of one that recovers", "[health][healing][M6]") {
    const bool recovers = GENERATE(true, false);
    Course course;
    for (int i = 0; i < 6 * 60 - 1; ++i) {
        course.round(!recovers || i % 6 < 3);
    }
    CHECK(course.attempts_ns.size() == 5);
    CHECK(course.told.back() == "given_up");
    CHECK_FALSE(course.healer.shown(course.now_ns).empty());
    course.rounds(60, true);
    CHECK(course.attempts_ns.size() > 5);  // the hour is over
}

TEST_CASE("who recovers waits no longer than at first, and is told", "[health][healing][M6]") {
    Course course;
    course.rounds(30, true);
    const std::size_t before = course.attempts_ns.size();
    REQUIRE(before >= 3);
    course.settings.per_hour = 100;
    course.round(false);
    CHECK(course.told.back() == "healed");
    REQUIRE(course.healer.shown(course.now_ns).size() == 1);
    CHECK(course.healer.shown(course.now_ns)[0].second.empty());
    course.rounds(6, true);
    REQUIRE(course.attempts_ns.size() >= before + 2);
    CHECK(course.attempts_ns[before + 1] - course.attempts_ns[before] <= 30 * k_s);
}

TEST_CASE("a refusal is no attempt, and told once", "[health][healing][M6]") {
    Course course;
    for (int i = 0; i < 50; ++i) {
        course.round(true, Healer::State::refused);
    }
    CHECK(course.told == std::vector<std::string>{"refused"});
    CHECK_THAT(course.healer.shown(course.now_ns).at(0).second, Contains("not restarted: said"));
}

TEST_CASE(
    "a restart that took the monitor along is judged by what is left",
    "[health][healing][M6]"
) {
    const bool is_down = GENERATE(true, false);
    Course course;
    course.settings.after = 1;
    const std::vector<Fault> faults{{"pump", "it leaks", is_down}};
    REQUIRE(course.healer.judge(faults, course.settings, k_s));
    // None other meanwhile.
    CHECK_FALSE(course.healer.judge({{"tap", "it drips", false}}, course.settings, k_s));
    course.healer.interrupted("pump", k_s);
    (void)course.healer.judge(faults, course.settings, 2 * k_s);
    const auto news = course.healer.take_news();
    REQUIRE(news.size() == 1);
    CHECK(news[0].state == (is_down ? Healer::State::failed : Healer::State::restarted));
}

TEST_CASE("what a restart may mend is found in the report", "[health][healing][M6]") {
    CHECK(names_of(faults_of(k_report, "health", settings_of("{}"))) == "bcd");
    CHECK(names_of(faults_of(k_report, "health", settings_of(R"({"heal":"none"})"))).empty());
    CHECK(
        names_of(faults_of(
            k_report,
            "health",
            settings_of(R"({"heal":"none","heal_rules":[{"plugin":"c","action":"restart"},
                {"plugin":"a","component":"link","action":"restart"}]})")
        )) == "ac"
    );
    CHECK(
        names_of(faults_of(
            k_report,
            "health",
            settings_of(R"({"heal_rules":[{"plugin":"b","component":"pump","action":"none"},
                {"plugin":"d","action":"none"}]})")
        )) == "c"
    );
}

TEST_CASE("every plugin that would stop has to allow it", "[health][healing][M6]") {
    const std::string list = R"([
     {"name":"a","state":"started","heals":true,"restarts":["a"]},
     {"name":"b","state":"started","heals":true,"restarts":["b","engine"]},
     {"name":"c","state":"failed","heals":true,"restarts":["c","gone"]},
     {"name":"engine","state":"started","heals":false,"restarts":["engine"]},
     {"name":"gone","state":"down","heals":false,"restarts":["gone"]}])";
    CHECK(objection_to(list, "a").empty());
    CHECK_THAT(objection_to(list, "b"), Contains("would stop engine"));
    CHECK(objection_to(list, "c").empty());
    CHECK_THAT(objection_to(list, "engine"), Contains("manifest"));
    CHECK_THAT(objection_to(list, "nobody"), Contains("no such plugin"));
}

TEST_CASE("settings of healing that cannot work are refused", "[health][healing][M6]") {
    CHECK_THROWS_WITH(settings_of(R"({"heal":"perhaps"})"), Contains("restart or none"));
    CHECK_THROWS_WITH(
        settings_of(R"({"heal_backoff_ms":10,"heal_backoff_max_ms":5})"), Contains("no less")
    );
}
