// SPDX-License-Identifier: Apache-2.0
#include "kernel/manifest/plan.hpp"

#include "kernel/manifest/schema.hpp"

#include <algorithm>
#include <set>
#include <sys/stat.h>

namespace tenon::manifest {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

using Index = std::size_t;

class Planner {
public:
    explicit Planner(Plan& plan)
        : plan_{&plan}, report_{plan.deployment.file.string(), plan.problems} {}

    void make() {
        choose_manifests();
        check_images();
        for (PlannedPlugin& plugin : plan_->plugins) {
            check_permissions(plugin);
            check_config(plugin);
            check_drafts(plugin);
        }
        check_conflicts();
        for (Index i = 0; i < plan_->plugins.size(); ++i) {
            bind(i);
        }
        order();
    }

private:
    // Pairs each enabled instance with its manifest, and brings along what that manifest did wrong.
    void choose_manifests() {
        const Deployment& deployment = plan_->deployment;
        std::vector<PluginManifest> found = discover(deployment.plugin_path, report_);
        std::set<std::string> reported;
        for (const Instance& instance : deployment.instances) {
            if (!instance.enabled || instance.id.empty()) {
                continue;
            }
            std::vector<const PluginManifest*> matches;
            for (const PluginManifest& manifest : found) {
                if (manifest.id == instance.id) {
                    matches.push_back(&manifest);
                }
            }
            if (matches.empty()) {
                no_manifest(instance, found);
                continue;
            }
            if (reported.insert(instance.id).second) {
                used_manifest(matches);
            }
            check_version(instance, *matches.front());
            plan_->plugins.push_back({instance, *matches.front(), {}, {}});
        }
    }

    void no_manifest(const Instance& instance, const std::vector<PluginManifest>& found) {
        std::vector<std::string> ids;
        for (const PluginManifest& manifest : found) {
            if (manifest.id.empty()) {
                // It may be the one that is looked for, so its faults are shown.
                plan_->problems.insert(
                    plan_->problems.end(), manifest.problems.begin(), manifest.problems.end()
                );
            } else {
                ids.push_back(manifest.id);
            }
        }
        const std::string near = nearest(instance.id, ids);
        report_.add(
            "M09",
            pointer_of(instance) + "/id",
            "no plugin of this id in the plugin path",
            "\"" + instance.id + "\"",
            near.empty() ? (ids.empty() ? "a plugin; the path has none" : "one of " + join(ids))
                         : "perhaps \"" + near + "\""
        );
    }

    void used_manifest(const std::vector<const PluginManifest*>& matches) {
        const PluginManifest& used = *matches.front();
        plan_->problems.insert(plan_->problems.end(), used.problems.begin(), used.problems.end());
        Report report{used.file.string(), plan_->problems};
        if (!used.library.empty()) {
            check_library(used, plan_->deployment.plugin_path, report);
        }
        for (std::size_t i = 1; i < matches.size(); ++i) {
            report.add(
                "M10",
                "/id",
                "two manifests with one id",
                matches[i]->file.string() + " has it too",
                "one manifest for " + used.id
            );
        }
    }

    void check_version(const Instance& instance, const PluginManifest& manifest) {
        if (instance.version.empty()) {
            return;
        }
        const std::string pointer = pointer_of(instance) + "/version";
        if (!is_version_range(instance.version)) {
            report_.add(
                "M04",
                pointer,
                "not a version range",
                "\"" + instance.version + "\"",
                "1.2.3 or ^1.2"
            );
        } else if (!version_fits(manifest.version, instance.version)) {
            report_.add(
                "M11", pointer, "the plugin has another version", manifest.version, instance.version
            );
        }
    }

    // One library under two ids, and instances beyond what a plugin allows.
    void check_images() {
        std::map<std::pair<dev_t, ino_t>, const PlannedPlugin*> images;
        std::map<std::string, const PlannedPlugin*> single;
        for (const PlannedPlugin& plugin : plan_->plugins) {
            const PluginManifest& manifest = plugin.manifest;

            struct stat info {};

            if (!manifest.library.empty() && ::stat(manifest.library.c_str(), &info) == 0) {
                const auto [at, fresh] = images.try_emplace({info.st_dev, info.st_ino}, &plugin);
                if (!fresh && at->second->manifest.id != manifest.id) {
                    Report{manifest.file.string(), plan_->problems}.add(
                        "M10",
                        "/library/file",
                        "the same library as that of " + at->second->manifest.id,
                        manifest.library.string(),
                        "a library of its own"
                    );
                }
            }
            const auto [at, fresh] = single.try_emplace(manifest.id, &plugin);
            if (!fresh && manifest.single_instance) {
                report_.add(
                    "M10",
                    pointer_of(plugin.instance) + "/id",
                    "the plugin allows one instance",
                    "\"" + at->second->instance.name + "\" is one already",
                    "one instance of " + manifest.id
                );
            }
        }
    }

    void check_permissions(const PlannedPlugin& plugin) {
        const std::vector<std::string>& grant = plugin.instance.grant;
        const std::vector<std::string>& wanted = plugin.manifest.permissions;
        const bool all = std::find(grant.begin(), grant.end(), "*") != grant.end();
        const std::string pointer = pointer_of(plugin.instance) + "/grant";
        for (const std::string& permission : wanted) {
            if (!all && std::find(grant.begin(), grant.end(), permission) == grant.end()) {
                report_.add(
                    "M16",
                    pointer,
                    "a permission that the plugin asks for is not granted",
                    grant.empty() ? "no grant" : join(grant),
                    "\"" + permission + "\" (or \"*\")"
                );
            }
        }
        for (const std::string& permission : grant) {
            if (permission != "*" &&
                std::find(wanted.begin(), wanted.end(), permission) == wanted.end()) {
                report_.warn(
                    "M16",
                    pointer,
                    "granted, but the plugin does not ask for it: \"" + permission + "\""
                );
            }
        }
    }

    void check_config(PlannedPlugin& plugin) {
        if (!plugin.manifest.schema_usable) {
            return;
        }
        json::value config = plugin.instance.config;
        validate(
            plugin.manifest.config_schema,
            config,
            pointer_of(plugin.instance) + "/config",
            SchemaRules{},
            report_
        );
        if (config.is_object()) {
            plugin.config = std::move(config.get_object());
        }
    }

    void check_drafts(const PlannedPlugin& plugin) {
        if (!plugin.manifest.drafts.empty() && !plan_->deployment.allow_draft) {
            report_.add(
                "M15",
                pointer_of(plugin.instance),
                "the plugin uses draft interfaces",
                join(plugin.manifest.drafts),
                "\"allow_draft\": true in the deployment"
            );
        }
    }

    void check_conflicts() {
        for (const PlannedPlugin& plugin : plan_->plugins) {
            for (const PlannedPlugin& other : plan_->plugins) {
                for (const std::string& enemy : plugin.manifest.conflicts) {
                    if (&plugin != &other &&
                        (other.manifest.id == enemy || other.manifest.offers(enemy))) {
                        report_.add(
                            "M14",
                            pointer_of(plugin.instance),
                            "cannot run beside " + enemy,
                            "\"" + other.instance.name + "\"",
                            "one of the two"
                        );
                    }
                }
            }
        }
    }

    void bind(Index self) {
        PlannedPlugin& plugin = plan_->plugins[self];
        check_bind_keys(plugin);
        for (const Requirement& requirement : plugin.manifest.requirements) {
            if (is_host_interface(requirement.interface_id)) {
                continue;
            }
            std::vector<Index>& chosen = plugin.providers[requirement.interface_id];
            if (const std::vector<std::string>* names = bound(plugin, requirement)) {
                chosen = by_name(plugin, requirement, *names);
            } else {
                chosen = by_interface(self, requirement);
            }
        }
    }

    static const std::vector<std::string>*
    bound(const PlannedPlugin& plugin, const Requirement& requirement) {
        for (const std::string& key : {requirement.as, requirement.interface_id}) {
            const auto found = plugin.instance.bind.find(key);
            if (found != plugin.instance.bind.end()) {
                return &found->second;
            }
        }
        return nullptr;
    }

    void check_bind_keys(const PlannedPlugin& plugin) {
        std::vector<std::string> known;
        for (const Requirement& requirement : plugin.manifest.requirements) {
            known.push_back(requirement.interface_id);
            if (requirement.as != requirement.interface_id) {
                known.push_back(requirement.as);
            }
        }
        for (const auto& [key, names] : plugin.instance.bind) {
            if (std::find(known.begin(), known.end(), key) == known.end()) {
                const std::string near = nearest(key, known);
                report_.add(
                    "M01",
                    pointer_to(pointer_of(plugin.instance) + "/bind", key),
                    "the plugin does not require this",
                    "\"" + key + "\"",
                    near.empty() ? (known.empty() ? "no binding" : "one of " + join(known))
                                 : "perhaps \"" + near + "\""
                );
            }
        }
    }

    std::vector<Index> by_name(
        const PlannedPlugin& plugin,
        const Requirement& requirement,
        const std::vector<std::string>& names
    ) {
        const std::string pointer =
            pointer_to(pointer_of(plugin.instance) + "/bind", requirement.as);
        std::vector<Index> chosen;
        for (const std::string& name : names) {
            const auto found = std::find_if(
                plan_->plugins.begin(),
                plan_->plugins.end(),
                [&](const PlannedPlugin& other) { return other.instance.name == name; }
            );
            if (found == plan_->plugins.end() ||
                !found->manifest.offers(requirement.interface_id)) {
                report_.add(
                    "M11",
                    pointer,
                    found == plan_->plugins.end() ? "no enabled plugin of this name"
                                                  : "the plugin does not provide the interface",
                    "\"" + name + "\"",
                    providers_text(requirement.interface_id)
                );
                continue;
            }
            chosen.push_back(static_cast<Index>(found - plan_->plugins.begin()));
        }
        if (chosen.size() > 1 && !requirement.many) {
            report_.add("M12", pointer, "several providers for one place", join(names), "one name");
        }
        if (names.empty() && !requirement.optional) {
            report_.add("M11", pointer, "a requirement is bound to nothing", "[]", "a name");
        }
        return chosen;
    }

    std::vector<Index> by_interface(Index self, const Requirement& requirement) {
        std::vector<Index> chosen;
        for (Index i = 0; i < plan_->plugins.size(); ++i) {
            if (i != self && plan_->plugins[i].manifest.offers(requirement.interface_id)) {
                chosen.push_back(i);
            }
        }
        const PlannedPlugin& plugin = plan_->plugins[self];
        if (chosen.empty() && !requirement.optional) {
            missing(plugin, requirement);
        }
        if (chosen.size() > 1 && !requirement.many) {
            report_.add(
                "M12",
                pointer_of(plugin.instance) + "/bind",
                "several plugins provide " + requirement.interface_id,
                providers_text(requirement.interface_id),
                "\"bind\": {\"" + requirement.as + "\": NAME}"
            );
        }
        return chosen;
    }

    void missing(const PlannedPlugin& plugin, const Requirement& requirement) {
        std::vector<std::string> offered;
        for (const PlannedPlugin& other : plan_->plugins) {
            for (const Provision& provision : other.manifest.provides) {
                offered.push_back(provision.interface_id);
            }
        }
        const std::string name =
            requirement.interface_id.substr(0, requirement.interface_id.find('/'));
        std::string near;
        for (const std::string& candidate : offered) {
            if (candidate.starts_with(name + "/")) {
                near = candidate;  // another revision of the very interface
            }
        }
        if (near.empty()) {
            near = nearest(requirement.interface_id, offered);
        }
        report_.add(
            "M11",
            pointer_of(plugin.instance),
            "no enabled plugin provides " + requirement.interface_id,
            near.empty() ? "none like it" : "\"" + near + "\"",
            "\"" + requirement.interface_id + "\""
        );
    }

    std::string providers_text(std::string_view interface_id) const {
        std::vector<const PlannedPlugin*> providers;
        for (const PlannedPlugin& plugin : plan_->plugins) {
            if (plugin.manifest.offers(interface_id)) {
                providers.push_back(&plugin);
            }
        }
        const auto score = [&](const PlannedPlugin* plugin) {
            std::int64_t best = 0;
            for (const Provision& provision : plugin->manifest.provides) {
                if (provision.interface_id == interface_id) {
                    best = std::max(best, provision.score);
                }
            }
            return best;
        };
        std::stable_sort(providers.begin(), providers.end(), [&](const auto* a, const auto* b) {
            return score(a) > score(b);
        });
        std::vector<std::string> names;
        for (const PlannedPlugin* plugin : providers) {
            names.push_back(plugin->instance.name);
        }
        return names.empty() ? "a provider; there is none" : join(names);
    }

    // Sorts so that providers come first; among equals the order of the deployment stays.
    void order() {
        const std::size_t count = plan_->plugins.size();
        std::vector<std::set<Index>> needs(count);
        for (Index i = 0; i < count; ++i) {
            const PlannedPlugin& plugin = plan_->plugins[i];
            for (const auto& [interface_id, providers] : plugin.providers) {
                needs[i].insert(providers.begin(), providers.end());
            }
            for (Index j = 0; j < count; ++j) {
                const PluginManifest& other = plan_->plugins[j].manifest;
                const auto offered = [&](const std::string& id) { return other.offers(id); };
                const auto any = [&](const std::vector<std::string>& list) {
                    return i != j && std::any_of(list.begin(), list.end(), offered);
                };
                if (any(plugin.manifest.after)) {
                    needs[i].insert(j);
                }
                if (any(plugin.manifest.before)) {
                    needs[j].insert(i);
                }
            }
        }
        std::vector<Index> sorted;
        std::vector<Index> path;
        std::vector<int> colour(count, 0);
        for (Index i = 0; i < count; ++i) {
            visit(i, needs, colour, path, sorted);
        }
        rearrange(sorted);
    }

    void visit(
        Index at,
        const std::vector<std::set<Index>>& needs,
        std::vector<int>& colour,
        std::vector<Index>& path,
        std::vector<Index>& sorted
    ) {
        constexpr int k_open = 1;
        constexpr int k_done = 2;
        if (colour[at] == k_done) {
            return;
        }
        path.push_back(at);
        if (colour[at] == k_open) {
            cycle(path);
            path.pop_back();
            return;
        }
        colour[at] = k_open;
        for (const Index need : needs[at]) {
            visit(need, needs, colour, path, sorted);
        }
        colour[at] = k_done;
        path.pop_back();
        sorted.push_back(at);
    }

    void cycle(const std::vector<Index>& path) {
        const auto begin = std::find(path.begin(), path.end(), path.back());
        std::vector<std::string> names;
        for (auto at = begin; at != path.end(); ++at) {
            names.push_back(plan_->plugins[*at].instance.name);
        }
        report_.add(
            "M13",
            pointer_of(plan_->plugins[path.back()].instance),
            "plugins need each other in a circle",
            join(names, " -> "),
            "an order in which they can start"
        );
    }

    void rearrange(const std::vector<Index>& sorted) {
        std::vector<Index> place(sorted.size());
        std::vector<PlannedPlugin> moved;
        moved.reserve(sorted.size());
        for (Index i = 0; i < sorted.size(); ++i) {
            place[sorted[i]] = i;
            moved.push_back(std::move(plan_->plugins[sorted[i]]));
        }
        for (PlannedPlugin& plugin : moved) {
            for (auto& [interface_id, providers] : plugin.providers) {
                for (Index& provider : providers) {
                    provider = place[provider];
                }
            }
        }
        plan_->plugins = std::move(moved);
    }

    static std::string pointer_of(const Instance& instance) {
        return pointer_to("/plugins", instance.name);
    }

    Plan* plan_;
    Report report_;
};

}  // namespace

Plan make_plan(
    const fs::path& deployment_file,
    const std::vector<Override>& overrides,
    const std::vector<fs::path>& plugin_path,
    const std::vector<fs::path>& default_plugin_path
) {
    Plan plan;
    plan.deployment = read_deployment(deployment_file, overrides, plan.problems);
    if (plan.deployment.document.empty()) {
        return plan;  // not JSON: there is nothing to go by
    }
    std::vector<fs::path>& path = plan.deployment.plugin_path;
    if (!plugin_path.empty()) {
        path = plugin_path;
    }
    plan.deployment.plugin_path_given = !path.empty();
    if (path.empty()) {
        path = default_plugin_path;
    }
    Planner{plan}.make();
    return plan;
}

}  // namespace tenon::manifest
