// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/alert_book.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::alerts;
using Catch::Contains;

namespace {

constexpr std::int64_t k_minute_ms = 60'000;

// 8 deviations above the past, between 0.1 and 2; left at three quarters of it.
const std::string k_rule = R"({"rules":[{"name":"X","summary":"s","runbook":"r",
  "value":{"metric":"tenon_x"},"by":["a"],"baseline":{"deviations":8,"over_s":86400},
  "warning":{"above":2,"clear":1.5,"adjusts_to":0.1,"for_s":60}}]})";

std::vector<Rule> rules_of(const std::string& json) {
    return RuleFile{Settings{json}}.rules;
}

// A page each minute.
struct Server {
    explicit Server(const std::string& json = k_rule) : rules{rules_of(json)} {
        for (const Rule& rule : rules) {
            rule.want(samples);
        }
    }

    std::vector<AlertEvent> step(double value, const std::string& label = "1") {
        at_ms += k_minute_ms;
        samples.add("tenon_x{a=\"" + label + "\"} " + std::to_string(value) + "\n", at_ms);
        return book.step(rules, samples);
    }

    void usual(int minutes) {
        for (int i = 0; i < minutes; ++i) {
            CHECK(step(0.1 + 0.01 * (i % 5)).empty());
        }
    }

    std::vector<Rule> rules;
    Samples samples;
    AlertBook book;
    std::int64_t at_ms = 0;
};

}  // namespace

TEST_CASE(
    "what is usual is the median and its deviation, whatever outliers do",
    "[monitor][alerts][M3]"
) {
    const char* const text = std::getenv("TENON_TEST_SEED");
    const std::uint64_t seed =
        text == nullptr ? std::random_device{}() : std::strtoull(text, nullptr, 10);
    INFO("TENON_TEST_SEED=" << seed);
    std::mt19937_64 random{seed};
    Baseline baseline;
    std::vector<double> all;
    for (std::int64_t i = 1; i <= 2'000; ++i) {
        const double value = std::normal_distribution<double>{50, 2}(random);
        const double told = i % 10 == 0 ? value * 1'000 : value;
        baseline.add(i * k_minute_ms, told);
        baseline.add(i * k_minute_ms + 1, 1e9);  // too soon
        baseline.add(i * k_minute_ms + k_minute_ms / 2, std::nan(""));
        all.push_back(told);
        CHECK(baseline.usual().has_value() == (all.size() >= Baseline::k_values_least));
    }
    all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(Baseline::k_values_max));
    std::sort(all.begin(), all.end());
    const double median = all[all.size() / 2];
    CHECK(baseline.usual()->median == median);
    std::vector<double> far;
    for (const double value : all) {
        far.push_back(std::abs(value - median));
    }
    std::sort(far.begin(), far.end());
    CHECK(baseline.usual()->deviation == Approx(1.4826 * far[far.size() / 2]));
    CHECK(baseline.usual()->deviation < 4);
}

TEST_CASE("a threshold adjusts itself to the past, within its bounds", "[monitor][alerts][M3]") {
    Server server;
    server.usual(30);
    CHECK(server.step(1.9).empty());
    CHECK(server.step(1.9).empty());  // too little is known: the rule's own
    CHECK(server.book.alerts().empty());
    server.usual(120);
    CHECK(server.step(0.5).empty());
    REQUIRE(server.step(0.5).size() == 1);
    const Alert fired = server.book.alerts().front();
    CHECK(fired.threshold > 0.12);
    CHECK(fired.threshold < 0.4);
    CHECK(server.step(fired.threshold * 0.8).empty());  // above three quarters of it
    CHECK(server.step(fired.threshold * 0.7).size() == 1);
    // Other labels have a past of their own, which is none.
    CHECK(server.step(0.5, "2").empty());
    CHECK(server.book.alerts().empty());
}

TEST_CASE("what fires does not become usual by lasting", "[monitor][alerts][M3]") {
    Server server;
    server.usual(120);
    std::size_t told = 0;
    for (int i = 0; i < 3'000; ++i) {
        told += server.step(0.9).size();
    }
    CHECK(told == 1);
    CHECK(server.book.alerts().size() == 1);
    CHECK(server.step(0.11).size() == 1);
}

TEST_CASE(
    "thresholds stay between the rule's own and what they may adjust to",
    "[monitor][alerts][M3]"
) {
    const Level above{Settings{R"({"above":2,"clear":1,"adjusts_to":0.5})"}};
    using Usual = Baseline::Usual;
    CHECK(above.thresholds(Usual{0.1, 0.01}, 8).enter == 0.5);
    CHECK(above.thresholds(Usual{0.1, 0.1}, 8).enter == Approx(0.9));
    CHECK(above.thresholds(Usual{0.1, 0.1}, 8).clear == Approx(0.45));
    CHECK(above.thresholds(Usual{5, 1}, 8).enter == 2.0);
    CHECK(above.thresholds({}, 8).enter == 2.0);
    const Level below{Settings{R"({"below":0.3,"clear":0.4,"adjusts_to":0.8})"}};
    CHECK(below.thresholds(Usual{0.9, 0.1}, 3).enter == Approx(0.6));
    CHECK(below.thresholds(Usual{0.9, 0.1}, 3).clear == Approx(0.8));
    CHECK(below.thresholds(Usual{0.9, 0.001}, 3).enter == 0.8);
    CHECK(below.thresholds(Usual{0.2, 0.1}, 3).enter == 0.3);
}

TEST_CASE(
    "a wrong baseline is refused, and Prometheus is not told a right one",
    "[monitor][alerts][M3]"
) {
    const auto refused = [](const std::string& baseline, const std::string& warning) {
        return rules_of(
            R"({"rules":[{"name":"X","summary":"s","runbook":"r","value":{"metric":"tenon_x"})" +
            baseline + R"(,"warning":)" + warning + "}]}"
        );
    };
    const std::string good = R"(,"baseline":{"deviations":8,"over_s":86400})";
    CHECK_THROWS_WITH(refused(good, R"({"above":1})"), Contains("both or none"));
    CHECK_THROWS_WITH(refused("", R"({"above":1,"adjusts_to":0.5})"), Contains("both or none"));
    CHECK_THROWS_WITH(refused(good, R"({"above":1,"adjusts_to":2})"), Contains("good side"));
    CHECK_THROWS_WITH(
        refused(R"(,"baseline":{"deviations":0,"over_s":86400})", R"({"above":1,"adjusts_to":0})"),
        Contains("deviations")
    );
    CHECK_THROWS_WITH(
        refused(R"(,"baseline":{"deviations":1,"over_s":60})", R"({"above":1,"adjusts_to":0})"),
        Contains("over_s")
    );
    const std::string told = RuleFile{Settings{k_rule}}.prometheus();
    CHECK_THAT(told, Contains("# X adjusts itself") && !Contains("alert: TenonX"));
}

TEST_CASE(
    "what was learned outlives a reload of the same rule, not a change of its value",
    "[monitor][alerts][M3]"
) {
    Server server;
    server.usual(120);
    server.book.keep_only(server.rules);
    CHECK(server.step(0.5).empty());
    CHECK(server.book.alerts().size() == 1);
    CHECK(server.step(0.1).empty());
    std::string other = k_rule;
    other.replace(
        other.find("{\"metric\":\"tenon_x\"}"),
        20,
        "{\"max\":{\"metric\":\"tenon_x\"},\"by\":[\"a\"]}"
    );
    server.rules = rules_of(other);
    server.book.keep_only(server.rules);
    CHECK(server.step(0.5).empty());
    CHECK(server.book.alerts().empty());
}
