// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/flags.hpp"

#include <algorithm>
#include <pwd.h>
#include <unistd.h>

namespace tenon::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view k_usage =
    "usage: tenon flags list | on NAME | off NAME | reset NAME [--reason TEXT]";

[[nodiscard]] std::string text_at(const json::value& object, std::string_view key) {
    const json::value* const found = object.as_object().if_contains(key);
    return found != nullptr && found->is_string() ? std::string{found->get_string()}
                                                  : std::string{};
}

[[nodiscard]] bool is_flag(const json::value& setting) {
    const json::value* const flag = setting.as_object().if_contains("flag");
    return flag != nullptr && *flag == true;
}

// "/prefetch" of the plugin cache: "cache.prefetch".
[[nodiscard]] std::string name_of(const json::value& setting) {
    std::string name = text_at(setting, "plugin") + text_at(setting, "pointer");
    std::replace(name.begin(), name.end(), '/', '.');
    return name;
}

// Who types this, for the audit log.
[[nodiscard]] std::string typist() {
    const passwd* const user = ::getpwuid(::geteuid());
    return "cli:" + (user != nullptr ? std::string{user->pw_name} : std::to_string(::geteuid()));
}

[[nodiscard]] json::value find_flag(const json::value& settings, const std::string& name) {
    for (const json::value& setting : settings.at("settings").as_array()) {
        if (is_flag(setting) && name_of(setting) == name) {
            return setting;
        }
    }
    throw CommandFailed{"NOT_FOUND", "there is no flag " + name + " (tenon flags list)"};
}

[[nodiscard]] json::value
change(AdminClient& client, const Arguments& arguments, const json::value& flag) {
    const std::string& action = arguments.words[1];
    json::object wanted{{"plugin", flag.at("plugin")}, {"pointer", flag.at("pointer")}};
    if (action != "reset") {
        wanted["value"] = action == "on";
    }
    json::object request{{"changes", json::array{wanted}}, {"by", typist()}};
    if (const json::value* const reason = arguments.options.if_contains("reason")) {
        if (!reason->is_string()) {
            throw UsageError{"--reason needs one text"};
        }
        request["reason"] = *reason;
    }
    const json::value told =
        client.run(action == "reset" ? "settings.unset" : "settings.set", request);
    json::object out{{"name", name_of(flag)}};
    if (told.at("applied") != true) {
        out["ok"] = false;
        out["on"] = flag.at("value");
        out["problems"] = told.at("problems");
        return out;
    }
    // A flag that is as it was wanted to be has no change.
    out["before"] = flag.at("value");
    out["on"] = action == "reset" ? flag.at("deployment") : wanted.at("value");
    out["generation"] = told.at("generation");
    return out;
}

}  // namespace

json::array flags_of(const json::value& settings) {
    json::array flags;
    for (const json::value& setting : settings.at("settings").as_array()) {
        if (!is_flag(setting)) {
            continue;
        }
        json::object flag{
            {"name", name_of(setting)},
            {"on", setting.at("value")},
            {"deployment", setting.at("deployment")},
            {"overridden", setting.at("overridden")},
            {"title", text_at(setting, "title")},
            {"description", text_at(setting, "description")}};
        for (const std::string_view key : {"by", "reason"}) {
            if (const std::string text = text_at(setting, key); !text.empty()) {
                flag[key] = text;
            }
        }
        flags.emplace_back(std::move(flag));
    }
    std::sort(flags.begin(), flags.end(), [](const json::value& a, const json::value& b) {
        return text_at(a, "name") < text_at(b, "name");
    });
    return flags;
}

json::value run_flags(AdminClient& client, const Arguments& arguments) {
    const std::vector<std::string>& words = arguments.words;
    const std::string action = words.size() > 1 ? words[1] : "";
    const bool lists = action == "list";
    const bool changes = action == "on" || action == "off" || action == "reset";
    if ((!lists && !changes) || words.size() != (lists ? 2U : 3U)) {
        throw UsageError{std::string{k_usage}};
    }
    const json::value settings = client.run("settings.list", {});
    return lists ? json::value(flags_of(settings))
                 : change(client, arguments, find_flag(settings, words[2]));
}

}  // namespace tenon::cli
