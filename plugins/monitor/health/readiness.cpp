// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/health/readiness.hpp"

#include <boost/json.hpp>

namespace tenon::monitor {
namespace {

namespace json = boost::json;

std::string text_of(const json::object& object, std::string_view key) {
    return std::string{std::string_view{object.at(key).as_string()}};
}

}  // namespace

HealthAnswer healthz(std::string_view report) {
    const json::value parsed = json::parse(report);
    const bool critical = text_of(parsed.as_object(), "state") == "critical";
    return {critical ? 503U : 200U, std::string{report}};
}

HealthAnswer readyz(std::string_view report) {
    const json::value parsed = json::parse(report);
    const json::object& root = parsed.as_object();
    const bool ready = root.at("ready").as_bool();
    json::array reasons;
    if (!ready) {
        for (const json::value& value : root.at("plugins").as_array()) {
            const json::object& plugin = value.as_object();
            const std::string state = text_of(plugin, "state");
            if (state != "started") {
                const std::string error = text_of(plugin, "error");
                reasons.emplace_back(
                    "plugin " + text_of(plugin, "name") + " is " + state +
                    (error.empty() ? "" : ": " + error)
                );
            }
        }
        for (const json::value& value : root.at("components").as_array()) {
            const json::object& component = value.as_object();
            if (text_of(component, "state") == "critical") {
                reasons.emplace_back(
                    text_of(component, "plugin") + "/" + text_of(component, "component") +
                    " is critical: " + text_of(component, "reason")
                );
            }
        }
    }
    return {
        ready ? 200U : 503U,
        json::serialize(json::object{{"ready", ready}, {"reasons", std::move(reasons)}})};
}

}  // namespace tenon::monitor
