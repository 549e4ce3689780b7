// SPDX-License-Identifier: Apache-2.0
#include "plugins/jobs/command.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace tenon::jobs {
namespace {

namespace json = boost::json;

// Payloads lie in the database: who may write there must not become an administrator by it.
constexpr std::array<std::string_view, 11> k_allowed{
    "advise.indexes",
    "archive.run",
    "archive.verify",
    "backup.create",
    "backup.drill",
    "backup.prune",
    "backup.verify",
    "integrity.check",
    "migrate.drift",
    "views.check",
    "views.rebuild"};

void require_allowed(std::string_view name) {
    if (std::find(k_allowed.begin(), k_allowed.end(), name) != k_allowed.end()) {
        return;
    }
    std::string all;
    for (const std::string_view one : k_allowed) {
        all.append(all.empty() ? "" : ", ").append(one);
    }
    throw Error{
        TENON_INVALID,
        "the command \"" + std::string{name} + "\" is none that a schedule may give: " + all};
}

std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    std::size_t at = 0;
    while ((at = line.find_first_not_of(' ', at)) != std::string_view::npos) {
        const std::size_t end = std::min(line.find(' ', at), line.size());
        words.emplace_back(line.substr(at, end - at));
        at = end;
    }
    return words;
}

}  // namespace

Command parse_command(std::string_view line) {
    const std::vector<std::string> words = words_of(line);
    Command command;
    std::size_t i = 0;
    for (; i < words.size() && !words[i].starts_with("--"); ++i) {
        command.name.append(i == 0 ? "" : ".").append(words[i]);
    }
    require_allowed(command.name);
    const auto refuse = [&](const std::string& why) {
        throw Error{TENON_INVALID, "the command \"" + std::string{line} + "\": " + why};
    };
    while (i < words.size()) {
        const std::string& word = words[i++];
        if (!word.starts_with("--") || word.size() == 2) {
            refuse("expected an option with --, found \"" + word + "\"");
        }
        std::string key = word.substr(2);  // as the command line sends it
        std::replace(key.begin(), key.end(), '-', '_');
        if (command.args.contains(key)) {
            refuse(word + " is there twice");
        }
        const bool has_value = i < words.size() && !words[i].starts_with("--");
        command.args[key] = has_value ? json::value(words[i++]) : json::value(true);
    }
    return command;
}

std::string payload_of(const Command& command) {
    return json::serialize(json::object{{"command", command.name}, {"args", command.args}});
}

Command command_of(std::string_view payload) {
    boost::system::error_code failed;
    const json::value parsed = json::parse(payload, failed);
    const json::object* const object = failed ? nullptr : parsed.if_object();
    const json::value* const name = object == nullptr ? nullptr : object->if_contains("command");
    const json::value* const args = object == nullptr ? nullptr : object->if_contains("args");
    if (name == nullptr || !name->is_string() || args == nullptr || !args->is_object()) {
        throw Error{
            TENON_INVALID,
            R"(expected {"command":TEXT,"args":{…}}, found )" +
                std::string{payload.substr(0, 200)}};
    }
    require_allowed(std::string_view{name->get_string()});
    return {std::string{name->get_string()}, args->get_object()};
}

}  // namespace tenon::jobs
