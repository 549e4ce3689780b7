// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/plan_difference.hpp"

#include "sdk/manifest/json_file.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>

#include <algorithm>
#include <set>

namespace tenon::manifest {

namespace {

namespace json = boost::json;

// False when the other plan has the instance with another schema. Then its settings are not
// compared, since only its own schema says which of them are secret; the id differs, which is
// reported.
bool same_schema(const PlannedPlugin& plugin, const Plan& other) {
    const auto twin =
        std::find_if(other.plugins.begin(), other.plugins.end(), [&](const PlannedPlugin& have) {
            return have.instance.name == plugin.instance.name;
        });
    return twin == other.plugins.end() ||
           twin->manifest.config_schema == plugin.manifest.config_schema;
}

// A deployment as it is compared: what was understood of it, one member for each code of a problem.
json::object document(const Plan& plan, const Plan& other, const Settings& settings) {
    json::object plugins;
    for (const PlannedPlugin& plugin : plan.plugins) {
        const std::string schema = json::serialize(plugin.manifest.config_schema);
        const Instance& instance = plugin.instance;
        const std::set<std::string> grant{instance.grant.begin(), instance.grant.end()};
        plugins[instance.name] = json::object{
            {"id",
             plugin.manifest.id + " " + plugin.manifest.version + " " +
                 plugin.manifest.sha256.substr(0, 16) + " " + sha256_of(schema).substr(0, 16)},
            {"bind", json::value_from(instance.bind)},
            {"grant", json::value_from(grant)},
            {"on_failure", instance.stop_on_failure ? "stop" : "degrade"},
            {"config",
             same_schema(plugin, other) ? settings.at(instance.name) : json::value(nullptr)}};
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

json::object schema(const Plan& running, const Plan& fresh) {
    json::value out = json::parse(R"({"properties":{"plugins":{},
        "log":{"properties":{"level":{"x-reload":"live"},"levels":{"x-reload":"live"},
            "format":{},"file":{},"max_size_mb":{},"max_files":{}}},
        "runtime":{"properties":{"reactors":{},"blocking_threads":{},"spin_us":{}}}}})");
    json::object plugins;
    for (const Plan* plan : {&running, &fresh}) {
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

}  // namespace

std::vector<Difference> compare(
    const Plan& running,
    const Plan& fresh,
    const Settings& before,
    const Settings& after,
    Problems& problems
) {
    std::set<std::string> named;
    for (const Problem& problem : problems) {
        named.insert(problem.warning ? "" : problem.pointer);
    }
    auto changes = differences(
        schema(running, fresh), document(running, fresh, before), document(fresh, running, after)
    );
    Report report{fresh.deployment.file.string(), problems};
    for (const Difference& change : changes) {
        if (!change.live && named.insert(change.pointer).second) {
            const auto [code, reason] = rule_of(change.pointer);
            report.add(
                code,
                change.pointer,
                std::string{reason} + ": needs a restart",
                shown(change.after),
                shown(change.before) + ", which runs"
            );
        }
    }
    return changes;
}

namespace {

// What others see of an instance.
json::object bindings_of(const Plan& plan, const PlannedPlugin& plugin) {
    std::set<std::string> provides;
    for (const Provision& provision : plugin.manifest.provides) {
        provides.insert(provision.interface_id);
    }
    json::object requires_;
    for (const Requirement& requirement : plugin.manifest.requirements) {
        json::array names;
        const auto bound = plugin.providers.find(requirement.interface_id);
        for (std::size_t i = 0; bound != plugin.providers.end() && i < bound->second.size(); ++i) {
            names.emplace_back(plan.plugins[bound->second[i]].instance.name);
        }
        requires_[requirement.interface_id] =
            json::object{{"optional", requirement.optional}, {"providers", std::move(names)}};
    }
    const auto sorted = [](const std::vector<std::string>& words) {
        return json::value_from(std::set<std::string>{words.begin(), words.end()});
    };
    return {
        {"id", plugin.manifest.id},
        {"provides", json::value_from(provides)},
        {"requires", std::move(requires_)},
        {"permissions", sorted(plugin.manifest.permissions)},
        {"grant", sorted(plugin.instance.grant)},
        {"on_failure", plugin.instance.stop_on_failure ? "stop" : "degrade"}};
}

}  // namespace

std::string why_not_replaced(
    const Plan& running,
    const PlannedPlugin& old,
    const Plan& fresh,
    const PlannedPlugin& plugin
) {
    const json::object before = bindings_of(running, old);
    const json::object after = bindings_of(fresh, plugin);
    std::string out;
    for (const auto& [key, value] : before) {
        if (value != after.at(key)) {
            out += std::string{out.empty() ? "" : "; "} + (key == "id" ? "R03 " : "R04 ") +
                   std::string{key} + ": found " + json::serialize(after.at(key)) + ", " +
                   json::serialize(value) + " runs: needs a restart of the server";
        }
    }
    return out;
}

NewCode set_aside_new_code(const Plan& running, Plan& fresh) {
    NewCode code;
    Report report{fresh.deployment.file.string(), fresh.problems};
    const auto shown_of = [](const PluginManifest& manifest) {
        return manifest.version + " " + manifest.sha256.substr(0, 16);
    };
    for (PlannedPlugin& plugin : fresh.plugins) {
        const std::string& name = plugin.instance.name;
        const auto old = std::find_if(
            running.plugins.begin(),
            running.plugins.end(),
            [&](const PlannedPlugin& one) { return one.instance.name == name; }
        );
        if (old == running.plugins.end() || old->manifest.id != plugin.manifest.id ||
            (old->manifest.version == plugin.manifest.version &&
             old->manifest.sha256 == plugin.manifest.sha256 &&
             old->manifest.config_schema == plugin.manifest.config_schema)) {
            continue;
        }
        const std::string pointer = pointer_to("/plugins", name) + "/library";
        if (const std::string why = why_not_replaced(running, *old, fresh, plugin); !why.empty()) {
            report.add("R03", pointer, why);
        }
        code.names.push_back(name);
        code.changes.push_back(
            {pointer,
             json::value(shown_of(old->manifest)),
             json::value(shown_of(plugin.manifest)),
             true}
        );
        plugin.manifest = old->manifest;
        plugin.config = old->config;
        plugin.deployed = old->deployed;
    }
    return code;
}

}  // namespace tenon::manifest
