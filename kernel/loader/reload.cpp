// SPDX-License-Identifier: Apache-2.0
#include "kernel/loader/reload.hpp"

#include "sdk/manifest/secret_reference.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/serialize.hpp>

#include <algorithm>

namespace tenon::loader {

namespace {

namespace json = boost::json;
using manifest::PlannedPlugin;
using manifest::pointer_to;
using manifest::Settings;

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
            manifest::resolve_secrets(
                plugin.manifest.config_schema, config, plan.deployment.folder
            );
        } catch (const Error& e) {
            report.add("M18", config_of(name), e.what());
        }
    }
    return out;
}

std::int32_t level_of(const manifest::LogSettings& log, const std::string& source) {
    const auto own = log.levels.find(source);
    return log::level_of(own == log.levels.end() ? log.level : own->second)
        .value_or(TENON_LOG_INFO);
}

}  // namespace

bool Reload::configure(
    const std::string& name,
    const Settings& settings,
    bool dry_run,
    manifest::Report& report
) {
    if (!lifecycle_->started(name)) {
        if (patient_) {
            report.warn("R08", config_of(name), "the plugin does not run: taken at its next start");
            return dry_run || lifecycle_->keep(name, json::serialize(settings.at(name)));
        }
        report.add("R08", config_of(name), "the plugin does not run: needs a restart");
        return false;
    }
    try {
        lifecycle_->reconfigure(name, json::serialize(settings.at(name)), dry_run);
        return true;
    } catch (const Error& e) {
        report.add(dry_run ? "R06" : "R07", config_of(name), e.what());
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
                plugin.deployed = std::move(now.deployed);
            }
        }
    }
    running_->deployment = std::move(fresh.deployment);
}

Reload::Outcome Reload::run(manifest::Plan fresh, bool dry_run, bool patient) {
    Outcome out;
    patient_ = patient;
    apply(fresh, dry_run, out);
    out.must_stop = lifecycle_->must_stop();
    return out;
}

void Reload::apply(manifest::Plan& fresh, bool dry_run, Outcome& out) {
    out.problems = fresh.problems;
    if (fresh.deployment.document.empty()) {
        return;
    }
    manifest::Report report{fresh.deployment.file.string(), out.problems};
    const Settings after = resolve(fresh, report);
    const Settings before = lifecycle_->settings();
    const bool sound = !manifest::has_errors(out.problems);
    out.changes = manifest::compare(*running_, fresh, before, after, out.problems);
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
        (void)configure(names[i], after, true, report);
    }
    if (manifest::has_errors(out.problems) || dry_run) {
        return;
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (!configure(names[i], after, false, report)) {
            for (std::size_t back = i + 1; back-- > 0;) {
                (void)configure(names[back], before, false, report);
            }
            return;
        }
    }
    take(fresh);
    out.applied = true;
    // Who sees the new generation sees the new settings, whichever plugin it is told of first.
    for (const PlannedPlugin& plugin : running_->plugins) {
        lifecycle_->show(plugin.instance.name, plugin.config);
    }
    *generation_ += out.changes.empty() ? 0 : 1;
    for (const std::string& name : names) {
        try {
            lifecycle_->announce(name);
        } catch (const Error& e) {
            report.warn("R07", config_of(name), e.what());
        }
    }
}

}  // namespace tenon::loader
