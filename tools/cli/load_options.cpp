// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/load_options.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <set>

namespace tenon::cli {

namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 5> k_scenarios{
    "market-data",
    "orders",
    "mixed",
    "get",
    "fanout"};

// Takes options out one by one, so that what is left over is unknown.
class Taker {
public:
    explicit Taker(const json::object& options) : options_{&options} {}

    std::string text(std::string_view name, std::string absent) {
        const std::vector<std::string> values = texts(name);
        if (values.size() > 1) {
            throw UsageError{option(name) + " may be given once"};
        }
        return values.empty() ? std::move(absent) : values.front();
    }

    // Given once or more, with commas or without.
    std::vector<std::string> texts(std::string_view name) {
        taken_.emplace(name);
        std::vector<std::string> out;
        const json::value* value = options_->if_contains(name);
        if (value == nullptr) {
            return out;
        }
        const json::array list = value->is_array() ? value->get_array() : json::array{*value};
        for (const json::value& item : list) {
            if (!item.is_string()) {
                throw UsageError{option(name) + " needs a value"};
            }
            out.emplace_back(item.get_string());
        }
        return out;
    }

    double number(std::string_view name, double absent, double least, double most) {
        const std::string typed = text(name, "");
        if (typed.empty()) {
            return absent;
        }
        double value = 0;
        const char* const end = typed.data() + typed.size();
        const auto [last, ec] = std::from_chars(typed.data(), end, value);
        if (ec != std::errc{} || last != end || !(value >= least) || !(value <= most)) {
            throw UsageError{
                option(name) + ": found \"" + typed + "\", expected a number from " +
                json::serialize(json::value(least)) + " to " + json::serialize(json::value(most))};
        }
        return value;
    }

    unsigned whole(std::string_view name, unsigned absent, double least, double most) {
        const double value = number(name, absent, least, most);
        if (value != static_cast<double>(static_cast<unsigned>(value))) {
            throw UsageError{option(name) + " must be a whole number"};
        }
        return static_cast<unsigned>(value);
    }

    bool flag(std::string_view name) {
        taken_.emplace(name);
        const json::value* value = options_->if_contains(name);
        if (value != nullptr && *value != json::value(true)) {
            throw UsageError{option(name) + " takes no value"};
        }
        return value != nullptr;
    }

    void nothing_left() const {
        for (const auto& member : *options_) {
            if (!taken_.contains(std::string{member.key()})) {
                throw UsageError{"tenon load has no option " + option(member.key())};
            }
        }
    }

private:
    static std::string option(std::string_view name) {
        std::string out = "--" + std::string{name};
        std::replace(out.begin(), out.end(), '_', '-');
        return out;
    }

    const json::object* options_;
    std::set<std::string> taken_;
};

std::uint64_t seed_of(const std::string& typed) {
    if (typed.empty()) {
        return std::random_device{}();
    }
    std::uint64_t seed = 0;
    const char* const end = typed.data() + typed.size();
    const auto [last, ec] = std::from_chars(typed.data(), end, seed);
    if (ec != std::errc{} || last != end) {
        throw UsageError{"--seed: found \"" + typed + "\", expected a whole number"};
    }
    return seed;
}

void read_question(Taker& take, load::Question& question) {
    question.target = take.text("target", "");
    question.users = take.whole("users", 64, 1, 20'000);
    question.times = take.number("times", 1, 0.001, 1000);
    question.duration_s = take.number("duration", 10, 0.1, 86'400);
    question.warmup_s = take.number("warmup", 2, 0, 3'600);
    question.seed = seed_of(take.text("seed", ""));
    question.arrivals = take.text("arrivals", "poisson");
    if (const std::string rate = take.text("rate", "1000"); rate == "max") {
        question.rate = 0;
        question.arrivals = "closed";
    } else {
        double value = 0;
        const auto [last, ec] = std::from_chars(rate.data(), rate.data() + rate.size(), value);
        if (ec != std::errc{} || last != rate.data() + rate.size() || !(value > 0)) {
            throw UsageError{"--rate: found \"" + rate + "\", expected a number above 0, or max"};
        }
        question.rate = value;
    }
}

}  // namespace

LoadOptions load_options(const Arguments& arguments, const std::string& scenario) {
    if (std::find(k_scenarios.begin(), k_scenarios.end(), scenario) == k_scenarios.end()) {
        throw UsageError{
            "scenario: found \"" + scenario +
            "\", expected market-data, orders, mixed, get or fanout"};
    }
    LoadOptions out;
    Taker take{arguments.options};
    out.question.scenario = scenario;
    read_question(take, out.question);
    if (scenario == "fanout") {  // what is sent is the server's choice
        out.question.arrivals = "events";
    }
    out.rounds = take.whole("rounds", 1, 1, 1000);
    out.timeout_s = take.number("timeout", 10, 0.01, 600);
    out.ramp_from = take.number("ramp_from", 0, 0, 1e7);
    out.errors_max = take.number("errors_max", 0.01, 0, 1);
    out.paths = take.texts("path");
    out.symbols = take.texts("symbol");
    out.stream = take.text("stream", "");
    out.account = take.text("account", "demo");
    out.accounts = take.whole("accounts", 0, 1, 10'000);
    out.key = take.text("key", "");
    out.secret = take.text("secret", "");
    out.out = take.text("out", "");
    out.html = take.text("html", "");
    out.baseline = take.text("baseline", "");
    out.metric = take.text("metric", "auto");
    out.bars.p = take.number("p", 0.01, 1e-9, 0.5);
    out.bars.effect = take.number("effect", 0.05, 0, 10);
    out.quiet = take.flag("quiet");
    take.nothing_left();
    if (out.key.empty() != out.secret.empty()) {
        throw UsageError{"--key and --secret belong together"};
    }
    if (out.paths.empty() == (scenario == "get")) {
        throw UsageError{"--path belongs to the scenario get, which needs it"};
    }
    return out;
}

}  // namespace tenon::cli
