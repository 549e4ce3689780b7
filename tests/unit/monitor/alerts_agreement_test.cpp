// SPDX-License-Identifier: Apache-2.0
// The same rules on the same data, judged by Tenon and by Prometheus (promtool test rules): the
// same alerts fire at each evaluation. The seed of the data is Catch's (--rng-seed).
#include "plugins/monitor/alerts/alert_book.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::alerts;

namespace {

constexpr int k_steps = 160;
constexpr std::int64_t k_step_s = 15;

// Every kind of expression, levels on both sides, with and without a lower level, times and labels.
const std::string k_rules = R"({"rules":[
 {"name":"Level","summary":"s","runbook":"r","value":{"metric":"tenon_g"},"by":["host"],
  "warning":{"above":12,"clear":8,"for_s":30,"keep_s":30},"critical":{"above":16,"clear":15}},
 {"name":"Low","summary":"s","runbook":"r","value":{"metric":"tenon_g","where":{"host":["a","b.+"]}},
  "warning":{"below":4,"clear":6,"for_s":15,"keep_s":0},"critical":{"below":2}},
 {"name":"Rate","summary":"s","runbook":"r","value":{"rate":"tenon_c_total","over_s":60},
  "by":["status"],"warning":{"above":2,"clear":1,"for_s":15,"keep_s":15}},
 {"name":"Share","summary":"s","runbook":"r",
  "value":{"ratio":[{"sum":{"rate":"tenon_c_total","over_s":60,"where":{"status":"5xx"}}},
                    {"sum":{"rate":"tenon_c_total","over_s":60}}]},
  "and":[{"ratio":[{"sum":{"rate":"tenon_c_total","over_s":300,"where":{"status":["5xx"]}}},
                   {"sum":{"rate":"tenon_c_total","over_s":300}}]}],
  "min":{"value":{"sum":{"rate":"tenon_c_total","over_s":60}},"is":1.5},
  "critical":{"above":0.5,"clear":0.4,"for_s":0,"keep_s":45}},
 {"name":"Slow","summary":"s","runbook":"r",
  "value":{"quantile":0.9,"of":"tenon_h_seconds","over_s":60,"by":["host"]},"by":["host"],
  "warning":{"above":1.5,"clear":1.2,"for_s":15,"keep_s":0},"critical":{"above":3,"clear":2}},
 {"name":"Sum","summary":"s","runbook":"r",
  "value":{"one_minus":{"add":[{"max":{"metric":"tenon_g"}},{"metric":"tenon_o"}]}},
  "warning":{"below":-15,"clear":-12,"for_s":0,"keep_s":15}}
]})";

std::string number(double value) {
    char text[32];
    (void)std::snprintf(text, sizeof(text), "%.17g", value);
    return text;
}

// Series by their text, a value for each step.
using Data = std::map<std::string, std::vector<double>>;

Data make_data(unsigned seed) {
    std::mt19937_64 random{seed};
    const auto pick = [&](int below) {
        return static_cast<int>(random() % static_cast<unsigned>(below));
    };
    Data data;
    double a = 10, b = 10, failed = 0, good = 0;
    std::map<std::string, std::vector<double>> buckets{{"a", {0, 0, 0, 0}}, {"b.+", {0, 0, 0, 0}}};
    const char* const bounds[] = {"0.5", "1", "2.5", "+Inf"};
    for (int i = 0; i < k_steps; ++i) {
        a = std::min(20.0, std::max(0.0, a + pick(7) - 3));
        b = std::min(20.0, std::max(0.0, b + pick(9) - 4));
        data["tenon_g{host=\"a\"}"].push_back(a);
        data["tenon_g{host=\"b.+\"}"].push_back(b);
        data["tenon_o"].push_back(pick(3) - 1);
        // Runs of trouble, and restarts.
        failed = pick(40) == 0 ? pick(5) : failed + ((i / 12) % 2 == 0 ? pick(60) : pick(8));
        good = pick(40) == 0 ? pick(5) : good + pick(40);
        data["tenon_c_total{status=\"5xx\"}"].push_back(failed);
        data["tenon_c_total{status=\"2xx\"}"].push_back(good);
        for (auto& [host, counts] : buckets) {
            double more = 0;
            for (std::size_t k = 0; k < counts.size(); ++k) {
                more += pick(k == 2 && (i / 9) % 2 == 0 ? 12 : 4);
                counts[k] += more;
                data["tenon_h_seconds_bucket{host=\"" + host + "\",le=\"" + bounds[k] + "\"}"]
                    .push_back(counts[k]);
            }
        }
    }
    return data;
}

std::string page(const Data& data, std::size_t step) {
    std::string out;
    for (const auto& [series, values] : data) {
        out += series + " " + number(values[step]) + "\n";
    }
    return out;
}

// What fires after each step: rule, severity, labels.
using Firing = std::set<std::tuple<std::string, std::string, Labels>>;

std::vector<Firing> judge(const std::vector<Rule>& rules, const Data& data) {
    Samples samples;
    for (const Rule& rule : rules) {
        rule.want(samples);
    }
    AlertBook book;
    std::vector<Firing> out;
    for (int i = 0; i < k_steps; ++i) {
        samples.add(page(data, static_cast<std::size_t>(i)), i * k_step_s * 1000);
        (void)book.step(rules, samples);
        auto& firing = out.emplace_back();
        for (const Alert& alert : book.alerts()) {
            if (alert.state == Alert::State::firing) {
                firing.emplace(alert.rule, to_text(alert.severity), alert.labels);
            }
        }
    }
    return out;
}

void write_test(
    const std::filesystem::path& file,
    const RuleFile& rules,
    const Data& data,
    const std::vector<Firing>& firing
) {
    std::ofstream out{file};
    out << "rule_files: [rules.yml]\nevaluation_interval: 15s\ntests:\n  - interval: 15s\n"
           "    input_series:\n";
    for (const auto& [series, values] : data) {
        out << "      - series: '" << series << "'\n        values: '";
        for (const double value : values) {
            out << number(value) << " ";
        }
        out << "'\n";
    }
    out << "    alert_rule_test:\n";
    for (std::size_t i = 0; i < firing.size(); ++i) {
        for (const Rule& rule : rules.rules) {
            out << "      - eval_time: " << i * k_step_s << "s\n        alertname: Tenon"
                << rule.name << "\n        exp_alerts:\n";
            for (const auto& [name, severity, labels] : firing[i]) {
                if (name != rule.name) {
                    continue;
                }
                out << "          - exp_labels: {severity: " << severity;
                for (const auto& [label, value] : labels) {
                    out << ", " << label << ": '" << value << "'";
                }
                out << "}\n            exp_annotations: {summary: s, runbook: "
                       "\"etc/runbooks.md#r\"}\n";
            }
        }
    }
}

std::string output_of(const std::string& command, int& status) {
    std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string out;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
        out.push_back(static_cast<char>(c));
    }
    status = ::pclose(pipe);
    return out;
}

std::string read_file(const std::filesystem::path& file) {
    std::ifstream in{file};
    REQUIRE(in);
    return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

}  // namespace

TEST_CASE("Tenon and Prometheus fire alike on the same data", "[monitor][alerts][M3]") {
    const auto seed = static_cast<unsigned>(Catch::rngSeed());
    INFO("seed " << seed);
    const RuleFile rules{Settings{k_rules}};
    const Data data = make_data(seed);
    auto firing = judge(rules.rules, data);
    std::set<std::string> fired;
    for (const Firing& step : firing) {
        for (const auto& [name, severity, labels] : step) {
            fired.insert(name);
        }
    }
    CHECK(fired.size() >= rules.rules.size() / 2);  // else the data shows nothing
    const test::TemporaryFolder folder;
    std::ofstream{folder.path() / "rules.yml"} << rules.prometheus();
    write_test(folder.path() / "test.yml", rules, data, firing);
    const std::string run = "cd " + folder.path().string() + " && promtool test rules test.yml";
    int status = 0;
    const std::string said = output_of(run, status);
    INFO(said.substr(0, 3000));
    CHECK(status == 0);

    // And promtool would have noticed.
    auto& step = firing[k_steps / 2];
    if (step.empty()) {
        step.emplace("Level", "warning", Labels{{"host", "a"}});
    } else {
        step.erase(step.begin());
    }
    write_test(folder.path() / "test.yml", rules, data, firing);
    (void)output_of(run, status);
    CHECK(status != 0);
}

TEST_CASE(
    "the rules that ship are written for Prometheus as they are",
    "[monitor][alerts][M3][M5]"
) {
    const std::filesystem::path source{std::getenv("TENON_SOURCE_DIR")};
    const RuleFile rules{Settings{builtin_rules()}};
    CHECK(rules.prometheus() == read_file(source / "etc/prometheus/alerts.yml"));
    int status = 0;
    const std::string said = output_of(
        "promtool check rules " + (source / "etc/prometheus/alerts.yml").string(), status
    );
    INFO(said);
    CHECK(status == 0);
}

TEST_CASE("the rules that ship watch metrics that there are", "[monitor][alerts][M3]") {
    const std::filesystem::path source{std::getenv("TENON_SOURCE_DIR")};
    const RuleFile rules{Settings{builtin_rules()}};
    std::ifstream list{source / "etc/prometheus/metrics.txt"};
    std::set<std::string> known;
    for (std::string line; std::getline(list, line);) {
        known.insert(line.substr(0, line.find(' ')));
    }
    for (const Rule& rule : rules.rules) {
        std::set<std::string> names;
        rule.collect_names(names);
        for (const std::string& name : names) {
            INFO(rule.name << " watches " << name);
            CHECK(known.count(name) == 1);
        }
    }
}
