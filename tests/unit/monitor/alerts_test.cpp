// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/alert_book.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::alerts;
using Catch::Contains;

namespace {

constexpr std::int64_t k_step_ms = 15'000;

Expression expression(const std::string& json) {
    return Expression{Settings{json}};
}

// Pages, one every 15 seconds.
class Time {
public:
    explicit Time(const Expression& watched) { watched.want(samples_); }

    explicit Time(const std::vector<Rule>& rules) {
        for (const Rule& rule : rules) {
            rule.want(samples_);
        }
    }

    Time& page(const std::string& text) {
        at_ms_ += k_step_ms;
        samples_.add(text, at_ms_);
        return *this;
    }

    [[nodiscard]] const Samples& samples() const { return samples_; }

private:
    Samples samples_;
    std::int64_t at_ms_ = 0;
};

double only_value(const Expression& expression, const Time& time) {
    const auto values = expression.evaluate(time.samples());
    REQUIRE(values.size() == 1);
    return values[0].value;
}

std::vector<Rule> rules_of(const std::string& json) {
    return RuleFile{Settings{json}}.rules;
}

// A rule on tenon_x that is above 10, left at 5, after 30 s, kept for 15 s.
const std::string k_rule = R"({"rules":[{"name":"X","summary":"too much","runbook":"x",
  "value":{"metric":"tenon_x"},
  "warning":{"above":10,"clear":5,"for_s":30,"keep_s":15}}]})";

std::vector<std::string> told(const std::vector<AlertEvent>& events) {
    std::vector<std::string> out;
    for (const AlertEvent& event : events) {
        out.push_back(
            (event.kind == AlertEvent::Kind::fired ? "fired " : "resolved ") + event.alert.rule
        );
    }
    return out;
}

}  // namespace

TEST_CASE("labels with any character in them are read", "[monitor][alerts][M3]") {
    const auto value = expression(R"({"metric":"tenon_x"})");
    Time time{value};
    time.page("# HELP tenon_x y\ntenon_x{a=\"}\\\"\\\\,b=\",c=\"\\n\"} 7\nbroken{\ntenon_x\n\n");
    const auto values = value.evaluate(time.samples());
    REQUIRE(values.size() == 1);
    CHECK(values[0].labels == Labels{{"a", "}\"\\,b="}, {"c", "\n"}});
    CHECK(values[0].value == 7);
}

TEST_CASE("a counter's rate survives its reset", "[monitor][alerts][M3]") {
    const auto value = expression(R"({"rate":"tenon_x_total","over_s":60})");
    Time time{value};
    time.page("tenon_x_total 1000\n").page("tenon_x_total 1150\n").page("tenon_x_total 150\n");
    time.page("tenon_x_total 300\n").page("tenon_x_total 450\n");
    CHECK(only_value(value, time) == Approx(10.0));
}

TEST_CASE("a rate needs two values", "[monitor][alerts][M3]") {
    const auto value = expression(R"({"rate":"tenon_x_total","over_s":60})");
    Time time{value};
    time.page("tenon_x_total 1000\n");
    CHECK(value.evaluate(time.samples()).empty());
}

TEST_CASE("a quantile is interpolated within its bucket", "[monitor][alerts][M3]") {
    const auto value = expression(R"({"quantile":0.5,"of":"tenon_x_seconds","over_s":60})");
    Time time{value};
    const auto page = [](int one, int two, int all) {
        return "tenon_x_seconds_bucket{le=\"1\"} " + std::to_string(one) +
               "\ntenon_x_seconds_bucket{le=\"3\"} " + std::to_string(two) +
               "\ntenon_x_seconds_bucket{le=\"+Inf\"} " + std::to_string(all) + "\n";
    };
    time.page(page(0, 0, 0)).page(page(4, 8, 10));
    CHECK(only_value(value, time) == Approx(1.5));
    Time beyond{value};
    beyond.page(page(0, 0, 0)).page(page(0, 0, 10));
    CHECK(only_value(value, beyond) == 3.0);
    Time nothing{value};
    nothing.page(page(1, 1, 1)).page(page(1, 1, 1));
    CHECK(std::isnan(only_value(value, nothing)));
}

TEST_CASE("a series that a page lacks has no value", "[monitor][alerts][M3]") {
    const auto value = expression(R"({"metric":"tenon_x"})");
    Time time{value};
    time.page("tenon_x{a=\"1\"} 1\ntenon_x{a=\"2\"} 1\n").page("tenon_x{a=\"2\"} 1\n");
    CHECK(value.evaluate(time.samples()).size() == 1);
}

TEST_CASE("series are bounded and the rest is counted", "[monitor][alerts][K10]") {
    const auto value = expression(R"({"metric":"tenon_x"})");
    Time time{value};
    std::string page;
    for (std::size_t i = 0; i < Samples::k_series_max + 3; ++i) {
        page += "tenon_x{a=\"" + std::to_string(i) + "\"} 1\n";
    }
    time.page(page);
    CHECK(value.evaluate(time.samples()).size() == Samples::k_series_max);
    CHECK(time.samples().left_out() == 3);
}

TEST_CASE(
    "an alert fires after its time and is left below its lower level",
    "[monitor][alerts][M3]"
) {
    const auto rules = rules_of(k_rule);
    Time time{rules};
    AlertBook book;
    const auto step = [&](int value) {
        return told(book.step(rules, time.page("tenon_x " + std::to_string(value) + "\n").samples())
        );
    };
    using Told = std::vector<std::string>;
    CHECK(step(11).empty());
    CHECK(step(9).empty());  // pending no more
    CHECK(step(11).empty());
    CHECK(step(12).empty());
    CHECK(step(13) == Told{"fired X"});
    CHECK(book.alerts().at(0).value == 13);
    CHECK(step(6).empty());  // below what entered it, above what leaves it
    CHECK(step(5).empty());  // kept
    CHECK(step(4) == Told{"resolved X"});
    CHECK(book.alerts().empty());
}

TEST_CASE("an alert that comes and goes is said to flap", "[monitor][alerts][M3]") {
    const auto rules = rules_of(R"({"rules":[{"name":"X","summary":"s","runbook":"x",
      "value":{"metric":"tenon_x"},"critical":{"below":1}}]})");
    Time time{rules};
    AlertBook book;
    bool flapping = false;
    for (std::size_t i = 0; i < AlertBook::k_flaps; ++i) {
        CHECK_FALSE(flapping);
        const auto fired = book.step(rules, time.page("tenon_x 0\n").samples());
        REQUIRE(fired.size() == 1);
        flapping = fired[0].alert.flapping;
        REQUIRE(book.step(rules, time.page("tenon_x 1\n").samples()).size() == 1);
    }
    CHECK(flapping);
}

TEST_CASE("too little to judge by is no alert", "[monitor][alerts][M3]") {
    const auto rules = rules_of(R"({"rules":[{"name":"X","summary":"s","runbook":"x",
      "value":{"metric":"tenon_x"},"min":{"value":{"metric":"tenon_n"},"is":5},
      "critical":{"above":1}}]})");
    Time time{rules};
    AlertBook book;
    CHECK(book.step(rules, time.page("tenon_x 9\ntenon_n 4\n").samples()).empty());
    CHECK(book.step(rules, time.page("tenon_x 9\n").samples()).empty());
    CHECK(book.step(rules, time.page("tenon_x 9\ntenon_n 5\n").samples()).size() == 1);
}

TEST_CASE("one alert for each set of labels, of its worst value", "[monitor][alerts][M3]") {
    const auto rules = rules_of(R"({"rules":[{"name":"X","summary":"s","runbook":"x",
      "value":{"metric":"tenon_x"},"by":["host"],"warning":{"above":1},"critical":{"above":5}}]})");
    Time time{rules};
    AlertBook book;
    const auto events = book.step(
        rules,
        time.page("tenon_x{host=\"a\",disk=\"1\"} 2\ntenon_x{host=\"a\",disk=\"2\"} 9\n"
                  "tenon_x{host=\"b\",disk=\"1\"} 3\n")
            .samples()
    );
    REQUIRE(events.size() == 3);
    CHECK(events[0].alert.labels == Labels{{"host", "a"}});
    CHECK(events[0].alert.value == 9);
    CHECK(events[1].alert.labels == Labels{{"host", "b"}});
    CHECK(events[2].alert.severity == Severity::critical);
}

TEST_CASE("rules that are gone take their alerts along", "[monitor][alerts][M3]") {
    const auto rules = rules_of(R"({"rules":[{"name":"X","summary":"s","runbook":"x",
      "value":{"metric":"tenon_x"},"warning":{"above":1}}]})");
    Time time{rules};
    AlertBook book;
    REQUIRE(book.step(rules, time.page("tenon_x 9\n").samples()).size() == 1);
    book.keep_only(rules);
    CHECK(book.alerts().size() == 1);
    book.keep_only({});
    CHECK(book.alerts().empty());
}

TEST_CASE("a wrong rule is refused with its place", "[monitor][alerts][M3]") {
    const auto refusal = [](const std::string& rule) -> std::string {
        try {
            (void)rules_of(R"({"rules":[)" + rule + "]}");
        } catch (const Error& e) {
            CHECK(e.code() == TENON_INVALID);
            return e.what();
        }
        return {};
    };
    const auto with = [](const std::string& value, const std::string& rest) {
        return R"({"name":"X","summary":"s","runbook":"x","value":)" + value + rest + "}";
    };
    const std::string level = R"(,"warning":{"above":1})";
    CHECK(refusal(with(R"({"metric":"tenon_x"})", level)).empty());
    CHECK_THAT(refusal(with(R"({"metric":"x"})", level)), Contains("/rules/0/value"));
    CHECK_THAT(refusal(with(R"({"median":"tenon_x"})", level)), Contains("expected one of metric"));
    CHECK_THAT(refusal(with(R"({"metric":"tenon_x","over_s":60})", level)), Contains("\"over_s\""));
    CHECK_THAT(refusal(with(R"({"rate":"tenon_x","over_s":1})", level)), Contains("10 to"));
    CHECK_THAT(refusal(with(R"({"ratio":[{"metric":"tenon_x"}]})", level)), Contains("two"));
    CHECK_THAT(
        refusal(with(R"({"quantile":95,"of":"tenon_x","over_s":60})", level)),
        Contains("less than 1")
    );
    CHECK_THAT(refusal(with(R"({"metric":"tenon_x"})", "")), Contains("warning, critical or both"));
    CHECK_THAT(
        refusal(with(R"({"metric":"tenon_x"})", R"(,"warning":{"above":1,"clear":2})")),
        Contains("good side")
    );
    CHECK_THAT(
        refusal(with(R"({"metric":"tenon_x"})", R"(,"warning":{"above":1},"critical":{"below":2})")
        ),
        Contains("different sides")
    );
    CHECK_THAT(
        refusal(
            with(R"({"metric":"tenon_x"})", level) + "," + with(R"({"metric":"tenon_y"})", level)
        ),
        Contains("two rules")
    );
}

TEST_CASE("a rate over days keeps few values and forgets no restart", "[monitor][alerts][M3]") {
    const Expression watched = expression(R"({"rate":"tenon_c_total","over_s":259200})");
    Time time{watched};
    constexpr int k_steps = 3 * 86'400 / 15;
    double value = 0, grown = 0;
    for (int i = 0; i <= k_steps; ++i) {
        if (i % 1'000 == 999) {
            value = 0;  // it was started anew
        }
        const double more = i == 0 ? 0 : i % 7;
        value += more;
        grown += more;
        time.page("tenon_c_total " + std::to_string(value) + "\n");
    }
    const auto* const series = time.samples().of("tenon_c_total").at(0);
    CHECK(series->samples.size() < 800);
    CHECK(series->samples.size() > 700);
    // What was counted between the last page and a restart nobody has seen, there or here.
    CHECK(only_value(watched, time) == Approx(grown / 259'200).epsilon(0.01));
    // Growth of the newest hour is still exact.
    const Expression hour = expression(R"({"rate":"tenon_c_total","over_s":3600})");
    CHECK(only_value(hour, time) == Approx(3.0 / 15).epsilon(0.02));
}
