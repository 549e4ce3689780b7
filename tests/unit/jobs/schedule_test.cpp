// SPDX-License-Identifier: Apache-2.0
#include "plugins/jobs/schedule.hpp"

#include "plugins/jobs/command.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <chrono>

using tenon::jobs::Rule;

namespace {

constexpr std::int64_t k_s = 1'000'000'000, k_day = 86'400 * k_s;

}  // namespace

TEST_CASE("an interval keeps its beat and leaves missed runs out", "[jobs][T8]") {
    const Rule rule{"every 300s"};
    CHECK(rule.first(1'000 * k_s) == 1'300 * k_s);
    CHECK(rule.next(1'300 * k_s, 1'300 * k_s) == 1'600 * k_s);
    CHECK(rule.next(1'300 * k_s, 2'599 * k_s) == 2'800 * k_s);
    CHECK(rule.next(1'300 * k_s, 100 * k_s) == 1'600 * k_s);
}

TEST_CASE("a daily time is the next such time in UTC", "[jobs][T8]") {
    const Rule rule{"daily 04:30"};
    const std::int64_t at = (4 * 3'600 + 30 * 60) * k_s;
    CHECK(rule.first(10 * k_day) == 10 * k_day + at);
    CHECK(rule.next(0, 10 * k_day + at) == 11 * k_day + at);
    CHECK(rule.next(0, 10 * k_day + at - 1) == 10 * k_day + at);
}

namespace {

constexpr std::int64_t at(int year, unsigned month, unsigned day, int hour, int minute) {
    using namespace std::chrono;
    const sys_days date{
        year_month_day{std::chrono::year{year}, std::chrono::month{month}, std::chrono::day{day}}};
    return (date.time_since_epoch().count() * 86'400LL + hour * 3'600 + minute * 60) * k_s;
}

}  // namespace

TEST_CASE("five fields say when, as crontab's", "[jobs][T8]") {
    struct Case {
        const char* rule;
        std::int64_t after, next;
    };

    // 2026-11-23 is a Monday.
    for (const Case& one : {
             Case{"cron * * * * *", at(2026, 11, 23, 4, 30), at(2026, 11, 23, 4, 31)},
             Case{"cron 30 4 * * *", at(2026, 11, 23, 4, 30) - 1, at(2026, 11, 23, 4, 30)},
             Case{"cron 30 4 * * *", at(2026, 11, 23, 4, 30), at(2026, 11, 24, 4, 30)},
             Case{"cron */15 8-18/2 * * *", at(2026, 11, 23, 8, 45), at(2026, 11, 23, 10, 0)},
             Case{"cron 0 0 * * 0", at(2026, 11, 23, 0, 0), at(2026, 11, 29, 0, 0)},
             Case{"cron 0 0 * * 7", at(2026, 11, 23, 0, 0), at(2026, 11, 29, 0, 0)},
             Case{"cron 0 9 * * 1-5", at(2026, 11, 27, 9, 0), at(2026, 11, 30, 9, 0)},
             Case{"cron 5,10 0 1 * *", at(2026, 11, 23, 0, 0), at(2026, 12, 1, 0, 5)},
             Case{"cron  0 0  31 12 * ", at(2026, 12, 31, 0, 0), at(2027, 12, 31, 0, 0)},
             // Either day is enough when both are given.
             Case{"cron 0 0 13 * 5", at(2026, 11, 23, 0, 0), at(2026, 11, 27, 0, 0)},
             Case{"cron 0 0 13 * 5", at(2026, 12, 11, 0, 0), at(2026, 12, 13, 0, 0)},
             // The next leap year but 2100, which is none.
             Case{"cron 0 0 29 2 *", at(2028, 2, 29, 0, 0), at(2032, 2, 29, 0, 0)},
             Case{"cron 0 0 29 2 *", at(2096, 2, 29, 0, 0), at(2104, 2, 29, 0, 0)},
         }) {
        INFO(one.rule << " after " << one.after);
        CHECK(Rule{one.rule}.next(0, one.after) == one.next);
    }
}

TEST_CASE("what is wrong with a field is told", "[jobs][T8]") {
    using Catch::Contains;
    const auto refused = [](const char* text, const char* why) {
        INFO(text);
        CHECK_THROWS_WITH(Rule{text}, Contains(why));
    };
    refused("cron * * * *", "five fields");
    refused("cron * * * * * *", "five fields");
    refused("cron 60 * * * *", "minute \"60\": expected");
    refused("cron * 24 * * *", "hour \"24\"");
    refused("cron * * 0 * *", "day of the month \"0\": expected *, or numbers from 1 to 31");
    refused("cron * * * 13 *", "month \"13\"");
    refused("cron * * * * 8", "day of the week \"8\"");
    refused("cron 5-1 * * * *", "minute \"5-1\"");
    refused("cron 1, * * * *", "minute \"1,\"");
    refused("cron ,1 * * * *", "minute \",1\"");
    refused("cron */0 * * * *", "minute \"*/0\"");
    refused("cron 1-5/9223372036854775807 * * * *", "minute \"1-5/9223372036854775807\"");
    refused("cron 5/2 * * * *", "minute \"5/2\"");
    refused("cron */x * * * *", "minute \"*/x\"");
    refused("cron -1 * * * *", "minute \"-1\"");
    refused("cron MON * * * *", "minute \"MON\"");
    refused("cron 0 0 30 2 *", "never comes");
}

TEST_CASE(
    "a schedule gives the commands that look after what there is, and no others",
    "[jobs][T8]"
) {
    using Catch::Contains;
    using tenon::jobs::command_of;
    using tenon::jobs::parse_command;
    const auto command = parse_command("backup  create --label nightly --encrypt");
    CHECK(command.name == "backup.create");
    CHECK(
        tenon::jobs::payload_of(command) ==
        R"({"command":"backup.create","args":{"label":"nightly","encrypt":true}})"
    );
    CHECK(command_of(tenon::jobs::payload_of(command)).args == command.args);
    CHECK_THROWS_WITH(
        parse_command("keys create --account a"), Contains("\"keys.create\" is none that")
    );
    CHECK_THROWS_WITH(parse_command(""), Contains("is none that"));
    CHECK_THROWS_WITH(parse_command("backup drill --id 5 7"), Contains("found \"7\""));
    CHECK_THROWS_WITH(parse_command("backup drill --id 5 extra"), Contains("found \"extra\""));
    CHECK_THROWS_WITH(parse_command("backup drill --"), Contains("found \"--\""));
    CHECK(parse_command("backup prune --dry-run").args.at("dry_run") == true);
    CHECK_THROWS_WITH(parse_command("backup drill --id 1 --id 2"), Contains("--id is there twice"));
    // Whoever may write to the database is no administrator by it.
    CHECK_THROWS_WITH(
        command_of(R"({"command":"keys.create","args":{}})"),
        Contains("is none that a schedule may give")
    );
    for (const char* text :
         {"", "[]", "{}", R"({"command":"backup.drill"})", R"({"command":7,"args":{}})"}) {
        CHECK_THROWS_AS(command_of(text), tenon::Error);
    }
}

TEST_CASE("a rule that is none is refused", "[jobs][T8]") {
    for (const char* text :
         {"",
          "every s",
          "every 0s",
          "every 5m",
          "every -1s",
          "every 31622401s",
          "daily 24:00",
          "daily 04:60",
          "daily 4:30",
          "hourly"}) {
        INFO(text);
        CHECK_THROWS_AS(Rule{text}, tenon::Error);
    }
}
