// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/load.hpp"

#include "tools/cli/load_side.hpp"
#include "tools/load/comparison.hpp"
#include "tools/load/page.hpp"

#include <boost/json/serialize.hpp>

#include <cstdio>
#include <ctime>
#include <optional>
#include <stdexcept>

namespace tenon::cli {

namespace json = boost::json;

namespace {

std::string now_text() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    (void)gmtime_r(&now, &parts);
    std::string text(32, '\0');
    text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts));
    return text;
}

void show(const Arguments& arguments, const json::object& value, const std::string& readable) {
    const std::string text = arguments.json ? json::serialize(value) + "\n" : readable;
    (void)std::fputs(text.c_str(), stdout);
}

double errors_of(const json::object& result) {
    const double planned = result.at("requests").at("planned").to_number<double>();
    const double errors = result.at("requests").at("errors").to_number<double>();
    return planned > 0 ? errors / planned : 1;
}

int code_of(const LoadOptions& options, const json::object& result, const json::object* compared) {
    // A subscriber that was lost misses what nobody counts, and was perhaps the slowest.
    const bool subscriber_lost = options.question.scenario == "fanout" && errors_of(result) > 0;
    if (errors_of(result) > options.errors_max || subscriber_lost) {
        (void
        )std::fprintf(stderr, "tenon: %.2f %% of the requests failed\n", errors_of(result) * 100);
        return k_exit_failed;
    }
    if (result.at("generator_saturated").as_bool()) {
        return k_exit_saturated;
    }
    return compared != nullptr && compared->at("verdict") == json::value("worse") ? k_exit_worse
                                                                                  : k_exit_ok;
}

json::object checked_comparison(
    const json::object& a,
    const json::object& b,
    const LoadOptions& options,
    bool force
) {
    if (const std::string why = load::not_comparable(a, b); !why.empty() && !force) {
        throw std::runtime_error{"not comparable: " + why + " (--force compares all the same)"};
    }
    return load::compare_results(a, b, options.metric, options.bars);
}

int run_scenario(const Arguments& arguments) {
    const LoadOptions options = load_options(arguments, arguments.words.at(1));
    std::optional<json::object> baseline;
    if (!options.baseline.empty()) {
        baseline = load::read_result(options.baseline);  // before the work, not after it
    }
    if (!options.quiet) {
        (void)std::fprintf(
            stderr, "seed %llu\n", static_cast<unsigned long long>(options.question.seed)
        );
    }
    const std::string started_at = now_text();
    LoadSide side{options, arguments.data_dir};
    for (unsigned i = 0; i < options.rounds; ++i) {
        side.round(options.rounds > 1 ? "round " + std::to_string(i + 1) + " " : "");
    }
    json::object result = load::to_json(side.result(), started_at);
    std::string told = load::to_text(result);
    std::optional<json::object> compared;
    if (baseline) {
        compared = checked_comparison(*baseline, result, options, false);
        told += "\na is " + options.baseline.string() + ", b this run\n" +
                load::comparison_text(*compared);
        result["comparison"] = *compared;
    }
    if (!options.out.empty()) {
        load::write_file(options.out, json::serialize(result) + "\n");
    }
    const json::object* const beside = compared ? &*compared : nullptr;
    if (!options.html.empty()) {
        load::write_file(options.html, load::to_page(result, beside));
    }
    show(arguments, result, told);
    return code_of(options, result, beside);
}

// Options of `compare` among those of a run, so that they are checked alike.
int run_compare(Arguments arguments) {
    if (arguments.words.size() != 4) {
        throw UsageError{"usage: tenon load compare A.json B.json"};
    }
    const bool force = arguments.options.erase("force") > 0;
    const LoadOptions options = load_options(arguments, "market-data");
    const json::object a = load::read_result(arguments.words[2]);
    const json::object b = load::read_result(arguments.words[3]);
    const json::object compared = checked_comparison(a, b, options, force);
    if (!options.html.empty()) {
        load::write_file(options.html, load::to_page(b, &compared));
    }
    show(arguments, compared, load::comparison_text(compared));
    return compared.at("verdict") == json::value("worse") ? k_exit_worse : k_exit_ok;
}

int run_page(const Arguments& arguments) {
    if (arguments.words.size() != 4) {
        throw UsageError{"usage: tenon load page RESULT.json PAGE.html"};
    }
    const json::object result = load::read_result(arguments.words[2]);
    const json::value* compared = result.if_contains("comparison");
    load::write_file(
        arguments.words[3],
        load::to_page(result, compared == nullptr ? nullptr : &compared->as_object())
    );
    return k_exit_ok;
}

// Rounds in turns, each pair in the other order than the one before, so that what drifts on the
// machine falls on both.
int run_ab(Arguments arguments) {
    if (arguments.words.size() != 4) {
        throw UsageError{"usage: tenon load ab URL_A URL_B --scenario NAME"};
    }
    const auto taken = [&](const char* name, std::string absent) {
        const json::value* value = arguments.options.if_contains(name);
        if (value != nullptr && value->is_string()) {
            absent = value->get_string();
        }
        arguments.options.erase(name);
        return absent;
    };
    const std::string scenario = taken("scenario", "market-data");
    const std::string data_dir_b = taken("data_dir_b", arguments.data_dir.string());
    LoadOptions options = load_options(arguments, scenario);
    options.rounds = arguments.options.contains("rounds") ? options.rounds : 10;
    const std::string started_at = now_text();
    options.question.target = arguments.words[2];
    LoadSide a{options, arguments.data_dir};
    options.question.target = arguments.words[3];
    LoadSide b{options, data_dir_b};
    for (unsigned i = 0; i < options.rounds; ++i) {
        LoadSide& first = i % 2 == 0 ? a : b;
        LoadSide& second = i % 2 == 0 ? b : a;
        const std::string number = "round " + std::to_string(i + 1);
        first.round(number + (i % 2 == 0 ? " a " : " b "));
        second.round(number + (i % 2 == 0 ? " b " : " a "));
    }
    const json::object one = load::to_json(a.result(), started_at);
    const json::object other = load::to_json(b.result(), started_at);
    const json::object compared = load::compare_results(one, other, options.metric, options.bars);
    const json::object all{
        {"format", "tenon-load-ab/1"}, {"a", one}, {"b", other}, {"comparison", compared}};
    if (!options.out.empty()) {
        load::write_file(options.out, json::serialize(all) + "\n");
    }
    if (!options.html.empty()) {
        load::write_file(options.html, load::to_page(other, &compared));
    }
    show(
        arguments,
        all,
        "a: " + load::to_text(one) + "\nb: " + load::to_text(other) + "\n" +
            load::comparison_text(compared)
    );
    const int first = code_of(options, one, nullptr);
    return first != k_exit_ok ? first : code_of(options, other, &compared);
}

}  // namespace

int run_load(const Arguments& arguments) {
    if (arguments.help || arguments.words.size() < 2) {
        (void)std::fputs(load_help().c_str(), stdout);
        return arguments.help ? k_exit_ok : k_exit_usage;
    }
    const std::string& word = arguments.words[1];
    try {
        if (word == "compare") {
            return run_compare(arguments);
        }
        if (word == "ab") {
            return run_ab(arguments);
        }
        if (word == "page") {
            return run_page(arguments);
        }
        if (arguments.words.size() != 2) {
            throw UsageError{"usage: tenon load SCENARIO [--option VALUE]..."};
        }
        return run_scenario(arguments);
    } catch (const std::invalid_argument& e) {
        throw UsageError{e.what()};
    }
}

}  // namespace tenon::cli
