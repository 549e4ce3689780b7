// SPDX-License-Identifier: Apache-2.0
#include "kernel/registry/health.hpp"

#include "kernel/runtime/clock.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>

#include <algorithm>
#include <array>

namespace tenon::registry {

namespace json = boost::json;

namespace {

std::string_view health_name(std::int32_t state) {
    constexpr std::array<std::string_view, 3> k_names{"healthy", "degraded", "critical"};
    return k_names[static_cast<std::size_t>(std::clamp(state, 0, 2))];
}

bool is_up(PluginState state) {
    return state == PluginState::started;
}

}  // namespace

bool is_broken(PluginState state) {
    return state >= PluginState::failed;
}

std::string_view state_name(PluginState state) {
    constexpr std::array<std::string_view, 10> k_names{
        "planned",
        "created",
        "configured",
        "started",
        "draining",
        "stopped",
        "failed",
        "down",
        "quarantined",
        "held"};
    return k_names[static_cast<std::size_t>(state)];
}

void Health::add_plugin(Plugin plugin) {
    const std::lock_guard lock{mutex_};
    plugins_.push_back(std::move(plugin));
    refresh();
}

void Health::set_plugin(std::string_view name, PluginState state, std::string error) {
    const std::lock_guard lock{mutex_};
    for (Plugin& plugin : plugins_) {
        if (plugin.name == name) {
            plugin.state = state;
            plugin.error = std::move(error);
        }
    }
    refresh();
}

void Health::set_version(std::string_view name, std::string version) {
    const std::lock_guard lock{mutex_};
    for (Plugin& plugin : plugins_) {
        if (plugin.name == name) {
            plugin.version = std::move(version);
            return;
        }
    }
}

void Health::set(
    std::string_view plugin,
    std::string_view component,
    std::int32_t state,
    std::string_view reason
) {
    state = std::clamp(state, TENON_HEALTHY, TENON_CRITICAL);
    bool changed = false;
    {
        const std::lock_guard lock{mutex_};
        const auto [at, fresh] =
            components_.try_emplace({std::string{plugin}, std::string{component}});
        Component& known = at->second;
        changed = fresh ? state != TENON_HEALTHY : known.state != state;
        if (fresh || known.state != state) {
            known.since_real_ns = runtime::realtime_ns();
        }
        known.state = state;
        known.reason = std::string{reason};
        refresh();
    }
    if (changed) {
        log_->write(
            state == TENON_HEALTHY ? TENON_LOG_INFO : TENON_LOG_WARN,
            "health_changed",
            {{"plugin_name", plugin},
             {"component", component},
             {"state", health_name(state)},
             {"reason", reason}}
        );
    }
}

void Health::refresh() {
    const bool started = std::all_of(plugins_.begin(), plugins_.end(), [](const Plugin& plugin) {
        return is_up(plugin.state);
    });
    const bool sound = std::none_of(components_.begin(), components_.end(), [](const auto& entry) {
        return entry.second.state == TENON_CRITICAL;
    });
    ready_.store(started && sound, std::memory_order_relaxed);
}

json::object Health::report() const {
    const std::lock_guard lock{mutex_};
    std::int32_t worst = TENON_HEALTHY;
    json::array components;
    for (const auto& [key, component] : components_) {
        worst = std::max(worst, component.state);
        components.push_back(json::object{
            {"plugin", key.first},
            {"component", key.second},
            {"state", health_name(component.state)},
            {"reason", component.reason},
            {"since", component.since_real_ns / 1'000'000}});
    }
    json::array plugins;
    for (const Plugin& plugin : plugins_) {
        if (is_broken(plugin.state)) {
            worst = std::max(worst, plugin.critical ? TENON_CRITICAL : TENON_DEGRADED);
        }
        plugins.push_back(json::object{
            {"name", plugin.name},
            {"id", plugin.id},
            {"version", plugin.version},
            {"state", state_name(plugin.state)},
            {"error", plugin.error}});
    }
    return {
        {"state", health_name(worst)},
        {"ready", ready()},
        {"components", std::move(components)},
        {"plugins", std::move(plugins)}};
}

std::vector<Health::Plugin> Health::plugins() const {
    const std::lock_guard lock{mutex_};
    return plugins_;
}

}  // namespace tenon::registry
