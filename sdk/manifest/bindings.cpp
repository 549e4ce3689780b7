// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/bindings.hpp"

#include <algorithm>
#include <set>

namespace tenon::manifest {

namespace {

using Index = std::size_t;

std::string pointer_of(const Instance& instance) {
    return pointer_to("/plugins", instance.name);
}

class Binder {
public:
    Binder(Plan& plan, Report& report) : plan_{&plan}, report_{&report} {}

    void run() {
        for (Index i = 0; i < plan_->plugins.size(); ++i) {
            bind(i);
        }
        order();
    }

private:
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
                report_->add(
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
                report_->add(
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
            report_->add(
                "M12", pointer, "several providers for one place", join(names), "one name"
            );
        }
        if (names.empty() && !requirement.optional) {
            report_->add("M11", pointer, "a requirement is bound to nothing", "[]", "a name");
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
            report_->add(
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
        std::vector<std::string> offered = host_interfaces();
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
        report_->add(
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
        report_->add(
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

    Plan* plan_;
    Report* report_;
};

}  // namespace

void bind_and_order(Plan& plan, Report& report) {
    Binder{plan, report}.run();
}

}  // namespace tenon::manifest
