// SPDX-License-Identifier: Apache-2.0
#include "kernel/answers.hpp"

#include "sdk/manifest/json_file.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

namespace tenon::kernel {

namespace json = boost::json;

std::string
set_log_level(runtime::LogRouter& router, runtime::LogSource& source, std::string_view args_json) {
    const json::value parsed = json::parse(args_json);
    const json::object& args = parsed.get_object();
    const json::value* level_name = args.if_contains("level");
    if (level_name == nullptr) {
        json::object levels;
        for (const auto& [name, level] : router.levels()) {
            levels[name] = log::name_of(level);
        }
        return json::serialize(levels);
    }
    const auto level = level_name->is_string() ? log::level_of(level_name->get_string())
                                               : std::optional<std::int32_t>{};
    if (!level) {
        throw Error{
            TENON_INVALID,
            "level: found " + manifest::shown(*level_name) +
                ", expected trace, debug, info, warn, error or off"};
    }
    const json::value* plugin = args.if_contains("plugin");
    const std::string name = plugin != nullptr && plugin->is_string()
                                 ? std::string{plugin->get_string()}
                                 : std::string{"*"};
    if (!router.set_level(name, *level)) {
        throw Error{TENON_NOT_FOUND, "no plugin \"" + name + "\""};
    }
    source.write(
        TENON_LOG_INFO, "log_level_changed", {{"name", name}, {"level_name", log::name_of(*level)}}
    );
    return json::serialize(json::object{{"plugin", name}, {"level", log::name_of(*level)}});
}

std::string
release(loader::SafeMode& safe_mode, runtime::LogSource& source, std::string_view args_json) {
    const json::value args = json::parse(args_json);
    const std::string name = manifest::text_at(args.get_object(), "plugin");
    if (!safe_mode.release(name)) {
        throw Error{TENON_NOT_FOUND, "no plugin \"" + name + "\" is in safe mode"};
    }
    source.write(TENON_LOG_INFO, "plugin_released", {{"name", name}});
    return json::serialize(json::object{{"plugin", name}, {"tried_again", "at the next start"}});
}

std::string list_plugins(const manifest::Plan& plan, const registry::Health& health) {
    json::array list;
    const std::vector<registry::Health::Plugin> states = health.plugins();
    for (const manifest::PlannedPlugin& planned : plan.plugins) {
        json::array provides;
        for (const manifest::Provision& provision : planned.manifest.provides) {
            provides.emplace_back(provision.interface_id);
        }
        json::array restarts;
        for (const std::size_t index : manifest::with_dependants(plan, planned.instance.name)) {
            restarts.emplace_back(plan.plugins[index].instance.name);
        }
        json::object item{
            {"name", planned.instance.name},
            {"id", planned.manifest.id},
            {"provides", std::move(provides)},
            {"restarts", std::move(restarts)},
            {"heals", planned.manifest.heals}};
        for (const registry::Health::Plugin& state : states) {
            if (state.name == planned.instance.name) {
                item["version"] = state.version;  // a reload changes it
                item["state"] = registry::state_name(state.state);
                item["error"] = state.error;
            }
        }
        list.push_back(std::move(item));
    }
    return json::serialize(list);
}

std::string finish_rotation(
    const manifest::Plan& plan,
    registry::AdminCommands& commands,
    sealing::SecretBox& secret
) {
    constexpr std::string_view k_permission = "secret:master-key", k_ending = ".reseal";
    const std::string previous = secret.previous();  // what is counted is of this rotation alone
    const std::vector<registry::AdminCommands::Usage> usages = commands.list();
    for (const manifest::PlannedPlugin& planned : plan.plugins) {
        const std::vector<std::string>& granted = planned.manifest.permissions;
        if (std::find(granted.begin(), granted.end(), k_permission) == granted.end()) {
            continue;
        }
        const auto reseal = std::find_if(usages.begin(), usages.end(), [&](const auto& usage) {
            return usage.owner == planned.instance.name && usage.name.ends_with(k_ending);
        });
        const std::string start = "plugin \"" + planned.instance.name + "\" ";
        if (reseal == usages.end()) {
            throw Error{
                TENON_CONFLICT,
                start + "may keep sealed secrets and has no command to seal them anew; is it up?"};
        }
        const json::value left = json::parse(commands.run(reseal->name, R"({"limit":0})"));
        if (const json::value& remaining = left.at("remaining"); remaining != 0) {
            throw Error{
                TENON_CONFLICT,
                start + "has secrets under the old key, " + json::serialize(remaining) +
                    " in all: first `tenon key rotate`"};
        }
    }
    return secret.finish(previous);
}

void publish(
    runtime::Metrics& metrics,
    const registry::Health& health,
    const runtime::LogRouter& log,
    runtime::Exec& exec,
    const registry::Bus& bus,
    std::uint64_t generation
) {
    for (const registry::Health::Plugin& plugin : health.plugins()) {
        const tenon_label label{str("plugin"), str(plugin.name)};
        std::int64_t* up =
            metrics.gauge("tenon_plugin_up", "1 when the plugin has started", {label});
        const bool started = plugin.state == registry::PluginState::started;
        std::atomic_ref<std::int64_t>{*up}.store(started ? 1 : 0);
    }
    const auto set = [&](std::string_view name, std::string_view help, std::uint64_t now) {
        std::int64_t* cell = metrics.gauge(name, help, {});
        std::atomic_ref<std::int64_t>{*cell}.store(static_cast<std::int64_t>(now));
    };
    set("tenon_log_dropped_lines", "Lines lost because the log's queue was full", log.dropped());
    set("tenon_config_generation", "How often the configuration changed, from 1", generation);
    set("tenon_exec_blocking_queue_depth",
        "Tasks that wait for the blocking pool",
        exec.pool().queued());
    std::uint64_t* missed =
        metrics.counter("tenon_bus_missed_total", "Messages lost to a subscriber that lagged", {});
    std::atomic_ref<std::uint64_t>{*missed}.store(bus.missed());
}

}  // namespace tenon::kernel
