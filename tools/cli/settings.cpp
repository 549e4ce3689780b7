// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/settings.hpp"

#include "sdk/manifest/problem.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <cstdio>
#include <pwd.h>
#include <unistd.h>

namespace tenon::cli {

namespace json = boost::json;

namespace {

// As actors of the audit log are named.
std::string caller() {
    const passwd* entry = ::getpwuid(::geteuid());
    return "cli:" + (entry == nullptr ? std::to_string(::geteuid()) : std::string{entry->pw_name});
}

json::value value_of(const std::string& text) {
    json::error_code ec;
    json::value value = json::parse(text, ec);
    return ec ? json::value(text) : value;
}

std::string text_of(const json::value& value, std::string_view key) {
    return std::string{value.at(key).as_string()};
}

}  // namespace

Arguments settings_arguments(const Arguments& typed) {
    Arguments out = typed;
    const std::vector<std::string>& words = typed.words;
    const std::string verb = words.size() > 1 ? words[1] : std::string{};
    if (verb == "list" && words.size() == 2) {
        return out;
    }
    const bool set = verb == "set" && words.size() == 5;
    if (!set && !(verb == "unset" && words.size() == 4)) {
        throw UsageError{
            "usage: tenon settings list [--plugin NAME], settings set PLUGIN POINTER VALUE "
            "[--reason TEXT] [--dry-run], settings unset PLUGIN POINTER [--reason TEXT]"};
    }
    json::object change{{"plugin", words[2]}, {"pointer", words[3]}};
    if (set) {
        change["value"] = value_of(words[4]);
    }
    out.words.resize(2);
    out.options["changes"] = json::array{std::move(change)};
    if (!out.options.contains("by")) {
        out.options["by"] = caller();
    }
    return out;
}

int tell_settings(const json::value& answer) {
    if (const json::value* settings = answer.as_object().if_contains("settings")) {
        for (const json::value& item : settings->as_array()) {
            const bool over = item.at("overridden").as_bool();
            (void)std::printf(
                "%-40s %s%s\n",
                (text_of(item, "plugin") + " " + text_of(item, "pointer")).c_str(),
                json::serialize(item.at("value")).c_str(),
                over ? ("   (deployment: " + json::serialize(item.at("deployment")) + ")").c_str()
                     : ""
            );
        }
        for (const json::value& item : answer.at("unfit").as_array()) {
            (void)std::fprintf(
                stderr,
                "not in force: %s %s: %s\n",
                text_of(item, "plugin").c_str(),
                text_of(item, "pointer").c_str(),
                text_of(item.at("problem"), "message").c_str()
            );
        }
        return k_exit_ok;
    }
    for (const json::value& change : answer.at("changes").as_array()) {
        (void)std::printf(
            "%s %s: %s -> %s\n",
            text_of(change, "plugin").c_str(),
            text_of(change, "pointer").c_str(),
            json::serialize(change.at("before")).c_str(),
            json::serialize(change.at("after")).c_str()
        );
    }
    bool good = true;
    for (const json::value& item : answer.at("problems").as_array()) {
        const manifest::Problem problem{
            text_of(item, "code"),
            text_of(item, "file"),
            text_of(item, "pointer"),
            text_of(item, "message"),
            text_of(item, "found"),
            text_of(item, "expected"),
            text_of(item, "severity") == "warning"};
        good = good && problem.warning;
        (void)std::fprintf(stderr, "%s\n", manifest::to_text(problem).c_str());
    }
    const char* const done = answer.at("dry_run").as_bool() ? "would be applied" : "applied";
    (void)std::printf(
        "%s; generation %s\n",
        good ? done : "refused; nothing changed",
        json::serialize(answer.at("generation")).c_str()
    );
    return good ? k_exit_ok : k_exit_failed;
}

}  // namespace tenon::cli
