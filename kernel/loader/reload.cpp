// SPDX-License-Identifier: Apache-2.0
#include "kernel/loader/reload.hpp"

#include "kernel/loader/secret_reference.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>

#include <algorithm>
#include <set>

namespace tenon::loader {

namespace {

namespace json = boost::json;
using manifest::PlannedPlugin;
using manifest::pointer_to;

// A deployment as it is compared: what was understood of it, one member for each code of a problem.
json::object document(const manifest::Plan& plan, const Settings& settings) {
    json::object plugins;
    for (const PlannedPlugin& plugin : plan.plugins) {
        const manifest::Instance& instance = plugin.instance;
        const std::set<std::string> grant{instance.grant.begin(), instance.grant.end()};
        plugins[instance.name] = json::object{
            {"id",
             plugin.manifest.id + " " + plugin.manifest.version + " " +
                 plugin.manifest.sha256.substr(0, 16)},
            {"bind", json::value_from(instance.bind)},
            {"grant", json::value_from(grant)},
            {"on_failure", instance.stop_on_failure ? "stop" : "degrade"},
            {"config", settings.at(instance.name)}};
    }
    json::object out;
    for (const std::string_view section : {"log", "runtime"}) {
        const json::value* given = plan.deployment.document.if_contains(section);
        out[section] =
            given != nullptr && given->is_object() ? *given : json::value(json::object{});
    }
    out["plugins"] = std::move(plugins);
    return out;
}

json::object schema(const manifest::Plan& running, const manifest::Plan& fresh) {
    json::value out = json::parse(R"({"properties":{"plugins":{},
        "log":{"properties":{"level":{"x-reload":"live"},"levels":{"x-reload":"live"},
            "format":{},"file":{},"max_size_mb":{},"max_files":{}}},
        "runtime":{"properties":{"reactors":{},"blocking_threads":{},"spin_us":{}}}}})");
    json::object plugins;
    for (const manifest::Plan* plan : {&running, &fresh}) {
        for (const PlannedPlugin& plugin : plan->plugins) {
            json::value parts = json::parse(R"({"id":{},"bind":{},"grant":{},"on_failure":{}})");
            parts.get_object()["config"] = plugin.manifest.config_schema;
            plugins[plugin.instance.name] = json::object{{"properties", std::move(parts)}};
        }
    }
    out.at_pointer("/properties/plugins").get_object()["properties"] = std::move(plugins);
    return out.get_object();
}

// The code of a difference that needs a restart, by where it is, and why.
std::pair<std::string_view, std::string_view> rule_of(std::string_view pointer) {
    constexpr std::string_view k_plugins = "/plugins/";
    if (!pointer.starts_with(k_plugins)) {
        return {"R05", "the kernel does not take this live"};
    }
    const auto slash = pointer.find('/', k_plugins.size());
    if (slash == std::string_view::npos) {
        return {"R02", "a plugin was added or removed"};
    }
    pointer.remove_prefix(slash);
    if (pointer.starts_with("/config")) {
        return {"R01", "the plugin does not take this setting live"};
    }
    return pointer == "/id" ? std::pair{"R03", "the plugin is another one"}
                            : std::pair{"R04", "it is fixed at the start"};
}

std::string config_of(const std::string& instance) {
    return pointer_to("/plugins", instance) + "/config";
}

// What cannot be resolved stays a reference, with a problem.
Settings resolve(const manifest::Plan& plan, manifest::Report& report) {
    Settings out;
    for (const PlannedPlugin& plugin : plan.plugins) {
        const std::string& name = plugin.instance.name;
        json::value& config = out[name] = plugin.config;
        try {
            resolve_secrets(plugin.manifest.config_schema, config, plan.deployment.folder);
        } catch (const Error& e) {
            report.add("M18", config_of(name), e.what());
        }
    }
    return out;
}

std::int32_t level_of(const manifest::LogSettings& log, const std::string& source) {
    const auto own = log.levels.find(source);
    return runtime::log_level(own == log.levels.end() ? log.level : own->second)
        .value_or(TENON_LOG_INFO);
}

}  // namespace

std::vector<manifest::Difference> compare(
    const manifest::Plan& running,
    const manifest::Plan& fresh,
    const Settings& before,
    const Settings& after,
    manifest::Problems& problems
) {
    std::set<std::string> named;
    for (const manifest::Problem& problem : problems) {
        named.insert(problem.warning ? "" : problem.pointer);
    }
    auto changes = manifest::differences(
        schema(running, fresh), document(running, before), document(fresh, after)
    );
    manifest::Report report{fresh.deployment.file.string(), problems};
    for (const manifest::Difference& change : changes) {
        if (!change.live && named.insert(change.pointer).second) {
            const auto [code, reason] = rule_of(change.pointer);
            report.add(
                code,
                change.pointer,
                std::string{reason} + ": needs a restart",
                manifest::shown(change.after),
                manifest::shown(change.before) + ", which runs"
            );
        }
    }
    return changes;
}

bool Reload::configure(
    const std::string& name,
    const Settings& settings,
    bool dry_run,
    std::string_view code,
    manifest::Report& report
) {
    if (!lifecycle_->started(name)) {
        report.add("R08", config_of(name), "the plugin does not run: needs a restart");
        return false;
    }
    try {
        lifecycle_->reconfigure(name, json::serialize(settings.at(name)), dry_run);
        return true;
    } catch (const Error& e) {
        report.add(code, config_of(name), e.what());
        return false;
    }
}

void Reload::take(manifest::Plan& fresh) {
    for (const auto& [source, level] : log_->levels()) {
        // A level that was set by hand stays until the deployment's own changes.
        const std::int32_t wanted = level_of(fresh.deployment.log, source);
        if (wanted != level_of(running_->deployment.log, source)) {
            (void)log_->set_level(source, wanted);
        }
    }
    for (PlannedPlugin& plugin : running_->plugins) {
        for (PlannedPlugin& now : fresh.plugins) {
            if (now.instance.name == plugin.instance.name) {
                plugin.config = std::move(now.config);
            }
        }
    }
    running_->deployment = std::move(fresh.deployment);
}

Reload::Outcome Reload::run(bool dry_run) {
    Outcome out;
    manifest::Plan fresh = read_();
    out.problems = fresh.problems;
    if (fresh.deployment.document.empty()) {
        return out;
    }
    manifest::Report report{fresh.deployment.file.string(), out.problems};
    const Settings after = resolve(fresh, report);
    const Settings before = lifecycle_->settings();
    const bool sound = !manifest::has_errors(out.problems);
    out.changes = compare(*running_, fresh, before, after, out.problems);
    std::vector<std::string> names;
    for (const PlannedPlugin& plugin : running_->plugins) {
        const std::string start = config_of(plugin.instance.name);
        if (std::any_of(out.changes.begin(), out.changes.end(), [&](const auto& change) {
                return change.live && change.pointer.starts_with(start);
            })) {
            names.push_back(plugin.instance.name);
        }
    }
    for (std::size_t i = 0; sound && i < names.size(); ++i) {
        (void)configure(names[i], after, true, "R06", report);
    }
    if (manifest::has_errors(out.problems) || dry_run) {
        return out;
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (!configure(names[i], after, false, "R07", report)) {
            for (std::size_t back = i + 1; back-- > 0;) {
                (void)configure(names[back], before, false, "R07", report);
            }
            return out;
        }
    }
    take(fresh);
    out.applied = true;
    return out;
}

}  // namespace tenon::loader
