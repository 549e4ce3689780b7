// SPDX-License-Identifier: Apache-2.0
#include "tools/load/result.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <sys/utsname.h>
#include <thread>
#include <utility>

namespace tenon::load {

namespace json = boost::json;

namespace {

constexpr std::array<std::pair<std::string_view, double>, 7> k_shares{
    {{"p50", 0.5},
     {"p75", 0.75},
     {"p90", 0.9},
     {"p95", 0.95},
     {"p99", 0.99},
     {"p999", 0.999},
     {"p9999", 0.9999}}};

// A thousandth of a microsecond is the clock's own grain.
double microseconds(double ns) {
    return std::round(ns) / 1e3;
}

double microseconds(std::int64_t ns) {
    return microseconds(static_cast<double>(ns));
}

double rounded(double value) {
    return std::round(value * 1e3) / 1e3;
}

std::string cpu_name() {
    std::ifstream file{"/proc/cpuinfo"};
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("model name")) {
            return line.substr(std::min(line.find(": ") + 2, line.size()));
        }
    }
    return "unknown";
}

json::object statuses_json(const Tally& tally) {
    json::object out;
    for (const auto& [status, count] : tally.statuses) {
        out[status == 0 ? "none" : std::to_string(status)] = count;
    }
    return out;
}

json::array operations_json(const Result& result) {
    json::array out;
    for (std::size_t i = 0; i < result.run.operations.size(); ++i) {
        const Tally& tally = result.run.operations[i];
        if (tally.latency.count() > 0) {
            out.push_back(json::object{
                {"name", result.operations.at(i)},
                {"errors", tally.errors},
                {"statuses", statuses_json(tally)},
                {"latency_us", latency_json(tally.latency)}});
        }
    }
    return out;
}

json::array windows_json(const Run& run) {
    json::array out;
    const double width_s = static_cast<double>(run.window_ns) / 1e9;
    for (std::size_t i = 0; i < run.windows.size(); ++i) {
        const Tally& tally = run.windows[i];
        out.push_back(json::object{
            {"at_s", rounded(static_cast<double>(i) * width_s)},
            {"count", tally.latency.count()},
            {"errors", tally.errors},
            {"p50_us", microseconds(tally.latency.quantile_ns(0.5))},
            {"p99_us", microseconds(tally.latency.quantile_ns(0.99))},
            {"max_us", microseconds(tally.latency.max_ns())}});
    }
    return out;
}

// Points of the curve "share of requests against latency", evenly over the nines.
json::array curve_json(const Histogram& histogram) {
    json::array out;
    const double most = std::log10(std::max<double>(static_cast<double>(histogram.count()), 10));
    for (double nines = 0; nines <= most; nines += 0.05) {
        const double share = 1 - std::pow(10, -nines);
        out.push_back(json::array{
            std::round(share * 1e9) / 1e9, microseconds(histogram.quantile_ns(share))});
    }
    return out;
}

std::vector<Sample> samples_of(const Result& result) {
    if (result.rounds.size() > 1) {
        return result.rounds;
    }
    std::vector<Sample> out;
    for (const Tally& window : result.run.windows) {
        if (window.latency.count() > 0) {
            Run one;
            one.all = window;
            one.measured_ns = result.run.window_ns;
            out.push_back(sample_of(one, 0));
        }
    }
    return out;
}

json::object samples_json(const Result& result) {
    json::object out{{"of", result.rounds.size() > 1 ? "rounds" : "windows"}};
    const auto column = [&](std::string_view name, double Sample::*member) {
        json::array values;
        for (const Sample& sample : samples_of(result)) {
            values.push_back(rounded(sample.*member));
        }
        out[name] = std::move(values);
    };
    column("p50_us", &Sample::p50_us);
    column("p99_us", &Sample::p99_us);
    column("mean_us", &Sample::mean_us);
    column("per_second", &Sample::per_second);
    column("server_cpu_us", &Sample::server_cpu_us);
    return out;
}

double server_cpu(const Result& result) {
    double sum = 0;
    for (const Sample& sample : result.rounds) {
        sum += sample.server_cpu_us;
    }
    return result.rounds.empty() ? 0 : sum / static_cast<double>(result.rounds.size());
}

json::object requests_json(const Run& run) {
    return {
        {"planned", run.planned},
        {"answered", run.planned - run.never_sent - run.unanswered},
        {"errors", run.all.errors},
        {"late", run.late},
        {"never_sent", run.never_sent},
        {"unanswered", run.unanswered},
        {"reconnects", run.reconnects},
        {"statuses", statuses_json(run.all)}};
}

std::string number(const json::value& value) {
    std::array<char, 32> text{};
    const double figure = value.to_number<double>();
    const int digits = figure >= 1000 || figure == std::floor(figure) ? 0 : figure >= 10 ? 1 : 3;
    (void)std::snprintf(text.data(), text.size(), "%.*f", digits, figure);
    return text.data();
}

std::string latency_line(std::string_view name, const json::object& latency) {
    std::string line{name};
    line.resize(std::max<std::size_t>(line.size() + 1, 20), ' ');
    for (const auto& member : latency) {
        std::string figure = number(member.value());
        figure.insert(0, figure.size() < 10 ? 10 - figure.size() : 1, ' ');
        line += figure;
    }
    return line + "\n";
}

}  // namespace

Sample sample_of(const Run& run, double server_cpu_s) {
    const auto count = static_cast<double>(run.all.latency.count());
    Sample sample;
    sample.p50_us = microseconds(run.all.latency.quantile_ns(0.5));
    sample.p99_us = microseconds(run.all.latency.quantile_ns(0.99));
    sample.mean_us = microseconds(run.all.latency.mean_ns());
    sample.per_second =
        count * 1e9 / static_cast<double>(std::max<std::int64_t>(run.measured_ns, 1));
    sample.server_cpu_us = count > 0 ? server_cpu_s * 1e6 / count : 0;
    return sample;
}

json::object latency_json(const Histogram& histogram) {
    json::object out{{"count", histogram.count()}, {"mean", microseconds(histogram.mean_ns())}};
    for (const auto& [name, share] : k_shares) {
        out[name] = microseconds(histogram.quantile_ns(share));
    }
    out["max"] = microseconds(histogram.max_ns());
    return out;
}

json::object environment() {
    utsname system{};
    (void)uname(&system);
    return {
        {"version", TENON_LOAD_VERSION},
        {"build", TENON_LOAD_BUILD " " __VERSION__},
        {"machine",
         json::object{
             {"cpu", cpu_name()},
             {"cpus", std::thread::hardware_concurrency()},
             {"kernel", std::string{system.sysname} + " " + system.release},
             {"host", system.nodename}}}};
}

json::object to_json(const Result& result, std::string_view started_at) {
    const Question& asked = result.question;
    const Run& run = result.run;
    json::object out{{"format", "tenon-load/1"}, {"started_at", started_at}};
    for (auto& member : environment()) {
        out[member.key()] = member.value();
    }
    out["question"] = json::object{
        {"scenario", asked.scenario},
        {"target", asked.target},
        {"arrivals", asked.arrivals},
        {"rate", asked.rate},
        {"times", asked.times},
        {"users", asked.users},
        {"duration_s", asked.duration_s},
        {"warmup_s", asked.warmup_s},
        {"rounds", result.rounds.size()},
        {"seed", asked.seed}};
    out["requests"] = requests_json(run);
    out["per_second"] = rounded(sample_of(run, 0).per_second);
    out["server_cpu_us"] = rounded(server_cpu(result));
    out["latency_us"] = latency_json(run.all.latency);
    out["service_us"] = latency_json(run.service);
    out["lateness_us"] = latency_json(run.lateness);
    out["generator_saturated"] = saturated(run);
    out["operations"] = operations_json(result);
    out["windows"] = windows_json(run);
    out["curve"] = curve_json(run.all.latency);
    out["samples"] = samples_json(result);
    out["trouble"] = run.trouble;
    return out;
}

std::string to_text(const json::object& result) {
    const json::object& asked = result.at("question").as_object();
    const json::object& requests = result.at("requests").as_object();
    const auto text = [](const json::value& value) { return std::string{value.as_string()}; };
    std::string out = text(asked.at("scenario")) + " on " + text(asked.at("target")) + ": " +
                      number(asked.at("users")) + " users, " + text(asked.at("arrivals")) +
                      ", seed " + json::serialize(asked.at("seed")) + "\n";
    for (const std::string_view name :
         {"planned", "answered", "errors", "late", "never_sent", "unanswered", "reconnects"}) {
        out += std::string{name} + " " + number(requests.at(name)) + "  ";
    }
    out += "\n" + number(result.at("per_second")) + " a second; statuses " +
           json::serialize(requests.at("statuses")) + "\n";
    if (result.at("server_cpu_us").to_number<double>() > 0) {
        out += "the server's CPU: " + number(result.at("server_cpu_us")) + " us a request\n";
    }
    const json::object& latency = result.at("latency_us").as_object();
    std::string head = "\nmicroseconds";
    head.resize(21, ' ');
    for (const auto& member : latency) {
        const std::size_t width = member.key().size();
        head.append(width < 10 ? 10 - width : 1, ' ').append(member.key());
    }
    out += head + "\n" + latency_line("from when due", latency);
    out += latency_line("from when sent", result.at("service_us").as_object());
    for (const json::value& operation : result.at("operations").as_array()) {
        out +=
            latency_line("  " + text(operation.at("name")), operation.at("latency_us").as_object());
    }
    out += latency_line("generator's own", result.at("lateness_us").as_object());
    if (!result.at("trouble").as_string().empty()) {
        out += "\nconnections: " + text(result.at("trouble")) + "\n";
    }
    if (result.at("generator_saturated").as_bool()) {
        out +=
            "\nGENERATOR SATURATED: more than 1 % of the requests were handed out over 1 ms late;"
            " these figures are not the server's alone\n";
    }
    return out;
}

json::object read_result(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    if (!in) {
        throw std::runtime_error{"cannot read " + file.string()};
    }
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    json::error_code ec;
    json::value value = json::parse(text, ec);
    const json::object* object = ec ? nullptr : value.if_object();
    const json::value* format = object == nullptr ? nullptr : object->if_contains("format");
    if (format == nullptr || *format != json::value("tenon-load/1")) {
        throw std::runtime_error{
            file.string() + " is no result of tenon load (format tenon-load/1)"};
    }
    return std::move(value.as_object());
}

void write_file(const std::filesystem::path& file, std::string_view text) {
    const std::filesystem::path beside = file.string() + ".new";
    std::ofstream out{beside, std::ios::binary | std::ios::trunc};
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    out.close();
    std::error_code ec;
    if (out) {
        std::filesystem::rename(beside, file, ec);
    }
    if (!out || ec) {
        throw std::runtime_error{"cannot write " + file.string()};
    }
}

}  // namespace tenon::load
