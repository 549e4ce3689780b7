// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/plan.hpp"

#include "sdk/manifest/bindings.hpp"
#include "sdk/manifest/schema.hpp"

#include <algorithm>
#include <set>
#include <sys/stat.h>

namespace tenon::manifest {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

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
        bind_and_order(*plan_, report_);
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
            std::vector<PluginManifest*> matches;
            for (PluginManifest& manifest : found) {
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
            plan_->plugins.push_back({instance, *matches.front(), {}, {}, {}});
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

    void used_manifest(const std::vector<PluginManifest*>& matches) {
        PluginManifest& used = *matches.front();
        plan_->problems.insert(plan_->problems.end(), used.problems.begin(), used.problems.end());
        Report report{used.file.string(), plan_->problems};
        if (!used.library.empty()) {
            used.sha256 = check_library(used, plan_->deployment.plugin_path, report);
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
            plugin.deployed = plugin.config;
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

std::vector<std::size_t> with_dependants(const Plan& plan, std::string_view name) {
    std::vector<std::size_t> found;
    const auto is_bound = [&](const PlannedPlugin& one) {
        return std::any_of(one.providers.begin(), one.providers.end(), [&](const auto& bound) {
            return std::find_first_of(
                       bound.second.begin(), bound.second.end(), found.begin(), found.end()
                   ) != bound.second.end();
        });
    };
    for (std::size_t i = 0; i < plan.plugins.size(); ++i) {
        if (plan.plugins[i].instance.name == name || is_bound(plan.plugins[i])) {
            found.push_back(i);
        }
    }
    return found;
}

}  // namespace tenon::manifest
