// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/steering.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <utility>

namespace tenon::advisor {

namespace json = boost::json;

SettingsView Steering::settings(std::vector<Bound> bounds) {
    const json::value settings = ask("settings.list", {}, k_patience_ms);
    const json::value plugins = ask("plugins.list", {}, k_patience_ms);
    return {settings, plugins, std::move(bounds)};
}

void Steering::set(
    const Knob& knob,
    const json::value& value,
    std::string_view by,
    std::string_view why
) {
    change(
        "settings.set",
        {{"plugin", knob.plugin}, {"pointer", knob.pointer}, {"value", value}},
        by,
        why
    );
}

void Steering::unset(const Knob& knob, std::string_view by, std::string_view why) {
    change("settings.unset", {{"plugin", knob.plugin}, {"pointer", knob.pointer}}, by, why);
}

void Steering::change(
    std::string_view command,
    json::object change,
    std::string_view by,
    std::string_view why
) {
    json::object args{{"by", by}, {"reason", why}};
    args["changes"] = json::array{std::move(change)};
    const json::value answer = ask(command, std::move(args), k_patience_ms);
    const json::object* const object = answer.if_object();
    const json::value* const applied = object == nullptr ? nullptr : object->if_contains("applied");
    if (applied != nullptr && applied->is_bool() && applied->get_bool()) {
        return;
    }
    const json::value* const problems =
        object == nullptr ? nullptr : object->if_contains("problems");
    throw Error{
        TENON_INVALID,
        std::string{command} + " was refused" +
            (problems == nullptr ? "" : ": " + json::serialize(*problems))};
}

}  // namespace tenon::advisor
