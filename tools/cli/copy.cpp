// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/copy.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <poll.h>

namespace tenon::cli {

namespace json = boost::json;

namespace {

constexpr int k_look_again_ms = 500;
// Changes that a busy server always has waiting.
constexpr std::int64_t k_few = 1'000;

std::int64_t number_of(const json::value& status, std::string_view key) {
    const json::value* found = status.as_object().if_contains(key);
    return found == nullptr ? 0 : found->to_number<std::int64_t>();
}

bool is_there(const json::value& status) {
    return status.at("all_tables_copied").as_bool() &&
           number_of(status, "changes_waiting") <= k_few;
}

}  // namespace

std::string copy_progress(const json::value& status) {
    const auto number = [&](std::string_view key) {
        return std::to_string(number_of(status, key));
    };
    std::string line{status.at("phase").as_string()};
    line += " " + number("percent") + " %, " + number("rows_copied") + " of " +
            number("rows_total") + " rows";
    if (status.as_object().contains("rows_per_s")) {
        line += ", " + number("rows_per_s") + " rows/s";
    }
    line += ", " + number("changes_waiting") + " changes waiting";
    const json::string& error = status.at("error").as_string();
    return error.empty() ? line : line + "; it failed and is tried again: " + error.c_str();
}

json::value run_copy(AdminClient& client, const Arguments& arguments) {
    constexpr std::array<std::string_view, 5> k_actions{
        "status", "verify", "finish", "reopen", "abandon"};
    for (const auto& [name, value] : arguments.options) {
        const bool is_action =
            std::find(k_actions.begin(), k_actions.end(), name) != k_actions.end();
        const bool has_value = (name == "to" || name == "forget") && value.is_string();
        if (!has_value && (!is_action || value != true)) {
            throw UsageError{"migrate copy: no such option: --" + std::string{name}};
        }
    }
    if (arguments.words.size() != 2 ||
        arguments.options.size() > (arguments.options.contains("to") ? 2U : 1U)) {
        throw UsageError{"usage: tenon migrate copy [--to NAME] and one option at most"};
    }
    json::value answer = client.run("migrate.copy", arguments.options);
    const bool follows = arguments.options.size() == (arguments.options.contains("to") ? 1U : 0U);
    while (follows && !is_there(answer)) {
        (void)std::fprintf(stderr, "%s\n", copy_progress(answer).c_str());
        if (!answer.at("running").as_bool()) {
            throw CommandFailed{"CONFLICT", answer.at("error").as_string().c_str()};
        }
        (void)::poll(nullptr, 0, k_look_again_ms);
        answer = client.run("migrate.copy", json::object{{"status", true}});
    }
    if (follows) {
        (void)std::fprintf(stderr, "%s\n", copy_progress(answer).c_str());
    }
    return answer;
}

}  // namespace tenon::cli
