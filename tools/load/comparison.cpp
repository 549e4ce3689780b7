// SPDX-License-Identifier: Apache-2.0
#include "tools/load/comparison.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <vector>

namespace tenon::load {

namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 5> k_metrics{
    "server_cpu_us",
    "p50_us",
    "p99_us",
    "mean_us",
    "per_second"};

// A server that refuses is quick: figures with more errors say nothing beside such with fewer.
constexpr double k_errors_apart = 0.01;

std::vector<double> samples(const json::object& result, std::string_view metric) {
    std::vector<double> out;
    for (const json::value& value : result.at("samples").at(metric).as_array()) {
        out.push_back(value.to_number<double>());
    }
    return out;
}

bool all_known(const std::vector<double>& values) {
    return !values.empty() &&
           std::all_of(values.begin(), values.end(), [](double value) { return value > 0; });
}

double median(std::vector<double> values) {
    if (values.empty()) {
        return 0;
    }
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Of the rate more is better, of everything else less.
std::string_view judged(statistics::Verdict verdict, std::string_view metric) {
    if (verdict == statistics::Verdict::no_difference || verdict == statistics::Verdict::too_few) {
        return statistics::name_of(verdict);
    }
    return (verdict == statistics::Verdict::higher) == (metric == "per_second") ? "better"
                                                                                : "worse";
}

std::string_view chosen_metric(const json::object& a, const json::object& b) {
    if (all_known(samples(a, "server_cpu_us")) && all_known(samples(b, "server_cpu_us"))) {
        return "server_cpu_us";
    }
    return a.at("question").at("rate").to_number<double>() > 0 ? "p50_us" : "per_second";
}

std::string figure(const json::value& value, int width, int digits) {
    std::array<char, 48> text{};
    (void
    )std::snprintf(text.data(), text.size(), "%*.*f", width, digits, value.to_number<double>());
    return text.data();
}

double errors_of(const json::object& result) {
    const json::object& requests = result.at("requests").as_object();
    const auto planned = requests.at("planned").to_number<double>();
    return planned > 0 ? requests.at("errors").to_number<double>() / planned : 0;
}

std::string percent(double share) {
    return figure(json::value(share * 100), 0, 1) + " %";
}

}  // namespace

std::string not_comparable(const json::object& a, const json::object& b) {
    const json::object& one = a.at("question").as_object();
    const json::object& other = b.at("question").as_object();
    for (const std::string_view name :
         {"scenario", "arrivals", "rate", "times", "users", "duration_s", "warmup_s"}) {
        const auto left = json::serialize(one.at(name));
        const auto right = json::serialize(other.at(name));
        if (left != right) {
            return std::string{name} + " is " + left + " in one and " + right + " in the other";
        }
    }
    if (std::fabs(errors_of(a) - errors_of(b)) > k_errors_apart) {
        return "errors are " + percent(errors_of(a)) + " in one and " + percent(errors_of(b)) +
               " in the other";
    }
    if (a.at("machine") != b.at("machine")) {
        return "the machines differ: " + json::serialize(a.at("machine")) + " and " +
               json::serialize(b.at("machine"));
    }
    return {};
}

json::object compare_results(
    const json::object& a,
    const json::object& b,
    std::string_view metric,
    const statistics::Bars& bars
) {
    if (metric == "auto") {
        metric = chosen_metric(a, b);
    }
    if (std::find(k_metrics.begin(), k_metrics.end(), metric) == k_metrics.end()) {
        throw std::invalid_argument{
            "metric: found \"" + std::string{metric} +
            "\", expected auto, server_cpu_us, p50_us, p99_us, mean_us or per_second"};
    }
    json::object out{{"metric", metric}};
    json::array figures;
    for (const std::string_view name : k_metrics) {
        const std::vector<double> left = samples(a, name);
        const std::vector<double> right = samples(b, name);
        if (!all_known(left) || !all_known(right)) {
            if (name == metric) {
                throw std::invalid_argument{"the results do not have " + std::string{name}};
            }
            continue;
        }
        const statistics::Difference found = statistics::compare(left, right, bars);
        json::object line{
            {"name", name},
            {"a", median(left)},
            {"b", median(right)},
            {"ratio", found.ratio},
            {"p", found.test.p},
            {"z", found.test.z},
            {"u", found.test.u},
            {"measurements", json::array{left.size(), right.size()}},
            {"verdict", judged(found.verdict, name)}};
        if (name == metric) {
            out["verdict"] = line.at("verdict");
            out["ratio"] = found.ratio;
            out["p"] = found.test.p;
        }
        figures.push_back(std::move(line));
    }
    out["bars"] = json::object{{"p", bars.p}, {"effect", bars.effect}, {"least", bars.least}};
    out["figures"] = std::move(figures);
    const bool rounds = a.at("samples").at("of") == json::value("rounds") &&
                        b.at("samples").at("of") == json::value("rounds");
    out["note"] = rounds ? ""
                         : "measurements are windows of one run: what changed on the machine "
                           "between the runs counts as a difference (use --rounds, or ab)";
    return out;
}

std::string comparison_text(const json::object& comparison) {
    std::string out = "median of           a           b     b / a         p  verdict\n";
    for (const json::value& line : comparison.at("figures").as_array()) {
        std::string name{line.at("name").as_string()};
        name.resize(14, ' ');
        out += name + figure(line.at("a"), 10, 2) + "  " + figure(line.at("b"), 10, 2) + "  " +
               figure(line.at("ratio"), 8, 3) + "  " + figure(line.at("p"), 8, 5) + "  " +
               std::string{line.at("verdict").as_string()} + "\n";
    }
    out += "\nb is " + std::string{comparison.at("verdict").as_string()} + " by " +
           std::string{comparison.at("metric").as_string()} + ": " +
           figure(comparison.at("ratio"), 0, 3) + " of a, p " + figure(comparison.at("p"), 0, 5) +
           " (bars: p below " + figure(comparison.at("bars").at("p"), 0, 3) + ", effect " +
           figure(comparison.at("bars").at("effect"), 0, 3) + ")\n";
    if (!comparison.at("note").as_string().empty()) {
        out += std::string{comparison.at("note").as_string()} + "\n";
    }
    return out;
}

}  // namespace tenon::load
