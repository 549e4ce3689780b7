// SPDX-License-Identifier: Apache-2.0
#include "kernel/configuration.hpp"

#include "kernel/registry/admin_commands.hpp"
#include "kernel/registry/health.hpp"
#include "kernel/runtime/clock.hpp"
#include "kernel/runtime/metrics.hpp"
#include "sdk/manifest/json_file.hpp"
#include "sdk/manifest/plan_difference.hpp"
#include "sdk/manifest/settings.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>

#include <algorithm>
#include <chrono>
#include <string>

namespace tenon::kernel {

namespace {

namespace json = boost::json;

// A change waits so long for another one.
constexpr std::chrono::seconds k_turn_limit{5};

}  // namespace

manifest::Plan read_plan(const DaemonOptions& options) {
    return manifest::make_plan(
        options.deployment, options.overrides, options.plugin_path, {default_plugin_path()}
    );
}

void Configuration::record() const {
    const json::object document = manifest::portable_document(server_.plan->deployment);
    server_.data_dir->write("deployment.json", json::serialize(document) + "\n");
}

void Configuration::hang_up() {
    hung_up_ = true;
    see_to_hang_up();
}

// Whoever changes what runs, one at a time.
Configuration::Turn::Turn(Configuration& configuration)
    : mine{&configuration}, lock{configuration.turn_, k_turn_limit} {
    if (!lock || !mine->reload_) {
        throw Error{TENON_UNAVAILABLE, "another reload, the start or the stop is under way"};
    }
}

Configuration::Turn::~Turn() {
    lock.unlock();
    (void)guard(nullptr, [this] { mine->see_to_hang_up(); });
}

// With turn_ held.
loader::Reload::Outcome Configuration::apply(manifest::Plan fresh, bool dry_run, bool patient) {
    loader::Reload::Outcome outcome = reload_->run(std::move(fresh), dry_run, patient);
    if (outcome.must_stop) {
        server_.needed_failed();
    }
    if (outcome.applied && !outcome.changes.empty()) {
        if (guard(nullptr, [this] { record(); }) != TENON_OK) {
            log(TENON_LOG_ERROR, "deployment_not_recorded");
        }
    }
    return outcome;
}

// With turn_ held.
json::object Configuration::reload(bool dry_run, std::string_view actor) {
    if (!dry_run) {
        const std::string now = std::to_string(runtime::monotonic_ns() / 1000);
        runtime::notify_systemd("RELOADING=1\nMONOTONIC_USEC=" + now);
    }
    manifest::Plan fresh = read_plan(*server_.options);
    manifest::OverridesFile overrides{overrides_};
    overrides.apply(fresh);
    const manifest::NewCode code = manifest::set_aside_new_code(*server_.plan, fresh);
    loader::Reload::Outcome outcome =
        apply(std::move(fresh), dry_run || !code.names.empty(), false);
    json::array renewed;
    if (!code.names.empty() && !dry_run && !manifest::has_errors(outcome.problems)) {
        renewed = renew(code.names, actor, overrides, outcome);
    }
    outcome.changes.insert(outcome.changes.begin(), code.changes.begin(), code.changes.end());
    const bool good = !manifest::has_errors(outcome.problems);
    if (good && !dry_run) {
        overrides_ = std::move(overrides);
        tell_settings();
    }
    const json::array changes = manifest::to_json(outcome.changes);
    if (!dry_run) {
        const std::string_view result = !good             ? "refused"
                                        : changes.empty() ? "unchanged"
                                                          : "applied";
        for (const manifest::Problem& problem : outcome.problems) {
            log(TENON_LOG_WARN, "config_problem", {{"problem", manifest::to_text(problem)}});
        }
        log(good ? TENON_LOG_INFO : TENON_LOG_ERROR,
            "config_reload",
            {{"result", result},
             {"generation", server_.generation->load()},
             {"changes", json::serialize(changes)},
             {"problems", outcome.problems.size()}});
        count("tenon_config_reloads_total", "Reloads of the configuration by their result", result);
        audit_reload(actor, result, changes);
        runtime::notify_systemd("READY=1");
    }
    return {
        {"ok", good},
        {"reloaded", outcome.applied},
        {"dry_run", dry_run},
        {"generation", server_.generation->load()},
        {"changes", changes},
        {"plugins", renewed},
        {"problems", manifest::to_json(outcome.problems)}};
}

// New code for these plugins, and then the settings of the others; when one of them is no good, all
// go on as they did, with R09. With turn_ held.
json::array Configuration::renew(
    const std::vector<std::string>& names,
    std::string_view actor,
    manifest::OverridesFile& overrides,
    loader::Reload::Outcome& outcome
) {
    const std::vector<manifest::PlannedPlugin> before = server_.plan->plugins;
    manifest::Report report{server_.plan->deployment.file.string(), outcome.problems};
    json::array answers;
    for (const std::string& name : names) {
        answers.push_back(replace({{"plugin", name}, {"by", actor}, {"reason", "reload"}}));
        const json::object& answer = answers.back().as_object();
        if (answer.at("ok") != true) {
            const std::string pointer = manifest::pointer_to("/plugins", name) + "/library";
            report.add("R09", pointer, std::string{answer.at("error").as_string()});
            put_back(names, answers.size() - 1, before);
            return answers;
        }
    }
    manifest::Plan fresh = read_plan(*server_.options);
    overrides.apply(fresh);
    const manifest::NewCode later = manifest::set_aside_new_code(*server_.plan, fresh);
    outcome = apply(std::move(fresh), false, false);
    if (manifest::has_errors(outcome.problems)) {
        put_back(names, names.size(), before);
    }
    return answers;
}

// The first `count` of them as they were.
void Configuration::put_back(
    const std::vector<std::string>& names,
    std::size_t count,
    const std::vector<manifest::PlannedPlugin>& before
) {
    while (count-- > 0) {
        const auto old = std::find_if(before.begin(), before.end(), [&](const auto& plugin) {
            return plugin.instance.name == names[count];
        });
        ErrorBuffer err;
        const tenon_status status = guard(&err, [&] {
            const auto done = lifecycle_->replace(names[count], *old, std::chrono::milliseconds{0});
            if (!done.error.empty()) {
                throw Error{TENON_INTERNAL, done.error};
            }
        });
        log(status == TENON_OK ? TENON_LOG_WARN : TENON_LOG_ERROR,
            "plugin_put_back",
            {{"name", names[count]}, {"reason", err.message()}});
    }
}

// With turn_ held.
json::object Configuration::settings(std::string_view command, const json::object& args) {
    if (command == "settings.list") {
        return manifest::list_settings(args, overrides_, *server_.plan, server_.generation->load());
    }
    manifest::SettingsHost host{
        server_.plan,
        server_.generation->load(),
        runtime::realtime_ns() / 1'000'000,
        [&](manifest::Plan fresh, bool dry_run) {
            loader::Reload::Outcome outcome = apply(std::move(fresh), dry_run, true);
            host.generation = server_.generation->load();
            return manifest::SettingsHost::Outcome{outcome.applied, std::move(outcome.problems)};
        },
        [this](auto action, auto actor, auto subject, const json::object& detail) {
            audit(action, actor, subject, detail);
        }};
    json::object answer = manifest::change_settings(command, args, overrides_, host);
    log(TENON_LOG_INFO,
        "settings_changed",  // the values are in the audit log
        {{"command", command}, {"applied", answer.at("applied") == true ? "yes" : "no"}});
    tell_settings();
    return answer;
}

json::object Configuration::restart(const json::object& args) {
    const std::string name = manifest::text_at(args, "plugin");
    const auto [actor, reason] = manifest::asked_by(args);
    const std::int64_t began_ns = runtime::monotonic_ns();
    log(TENON_LOG_INFO, "plugin_restart", {{"name", name}, {"by", actor}, {"reason", reason}});
    const std::vector<std::string> names = lifecycle_->restart(name);
    json::array failed;
    for (const registry::Health::Plugin& plugin : server_.health->plugins()) {
        if (std::find(names.begin(), names.end(), plugin.name) != names.end() &&
            plugin.state != registry::PluginState::started) {
            failed.push_back(json::object{
                {"name", plugin.name},
                {"state", registry::state_name(plugin.state)},
                {"error", plugin.error}});
        }
    }
    const bool ok = failed.empty();
    json::object answer{
        {"ok", ok}, {"plugins", json::value_from(names)}, {"failed", std::move(failed)}};
    json::object detail = answer;
    detail["reason"] = reason;
    audit("plugins.restart", actor, name, detail);
    log(ok ? TENON_LOG_INFO : TENON_LOG_ERROR,
        "plugin_restarted",
        {{"name", name},
         {"ok", ok ? "yes" : "no"},
         {"count", names.size()},
         {"elapsed_ms", (runtime::monotonic_ns() - began_ns) / 1'000'000}});
    if (lifecycle_->must_stop()) {
        server_.needed_failed();
    }
    return answer;
}

// The plugin as its manifest, library and the deployment are now. Throws Error, with every problem,
// when they are wrong or when others would have to be bound anew.
manifest::PlannedPlugin Configuration::new_code(const manifest::PlannedPlugin& running) const {
    manifest::Plan fresh = read_plan(*server_.options);
    manifest::OverridesFile{overrides_}.apply(fresh);
    if (!fresh.good()) {
        std::string all;
        for (const manifest::Problem& problem : fresh.problems) {
            all += problem.warning ? "" : (all.empty() ? "" : "\n") + manifest::to_text(problem);
        }
        throw Error{TENON_INVALID, all};
    }
    const auto found =
        std::find_if(fresh.plugins.begin(), fresh.plugins.end(), [&](const auto& plugin) {
            return plugin.instance.name == running.instance.name;
        });
    std::string reason = "R02 it is not in the deployment any more: needs a restart of the server";
    if (found != fresh.plugins.end()) {
        reason = manifest::why_not_replaced(*server_.plan, running, fresh, *found);
    }
    if (!reason.empty()) {
        throw Error{TENON_CONFLICT, reason};
    }
    manifest::PlannedPlugin out = std::move(*found);
    out.providers = running.providers;
    return out;
}

// New code for one plugin, which goes on as it was when that is not good.
json::object Configuration::replace(const json::object& args) {
    const std::string name = manifest::text_at(args, "plugin");
    const auto [actor, reason] = manifest::asked_by(args);
    const std::chrono::milliseconds period{manifest::number_at(args, "watch_ms", 2000, 60'000)};
    const auto planned = std::find_if(
        server_.plan->plugins.begin(),
        server_.plan->plugins.end(),
        [&](const auto& plugin) { return plugin.instance.name == name; }
    );
    if (planned == server_.plan->plugins.end()) {
        throw Error{TENON_NOT_FOUND, "no plugin \"" + name + "\""};
    }
    const std::string from = planned->manifest.version + " " + planned->manifest.sha256;
    const std::int64_t began_ns = runtime::monotonic_ns();
    json::object answer{{"ok", true}, {"plugin", name}, {"from", from}};
    std::string_view result = "unchanged";
    loader::Lifecycle::Replaced outcome;
    try {
        manifest::PlannedPlugin fresh = new_code(*planned);
        images_.note(name, planned->manifest);
        fresh.manifest = images_.take(name, fresh.manifest);
        const std::string to = fresh.manifest.version + " " + fresh.manifest.sha256;
        answer["to"] = to;
        if (to != from || fresh.manifest.config_schema != planned->manifest.config_schema) {
            images_.note(name, fresh.manifest);
            outcome = lifecycle_->replace(name, std::move(fresh), period);
            result = outcome.error.empty() ? "replaced" : outcome.restored ? "restored" : "failed";
            answer["way"] = outcome.swapped ? "side by side" : "stopped and started";
            answer["plugins"] = json::value_from(outcome.names);
        }
    } catch (const Error& e) {
        result = "refused";
        outcome.error = e.what();
    }
    answer["ok"] = outcome.error.empty();
    answer["result"] = result;
    answer["error"] = outcome.error;
    answer["old_images"] = images_.old_images(name);
    count("tenon_plugin_reloads_total", "Plugins given new code, by the result", result);
    std::int64_t* images = server_.metrics->gauge(
        "tenon_plugin_old_images",
        "Libraries of a plugin that were replaced and stay mapped",
        {tenon_label{str("plugin"), str(name)}}
    );
    std::atomic_ref<std::int64_t>{*images}.store(static_cast<std::int64_t>(images_.old_images(name))
    );
    json::object detail = answer;
    detail["reason"] = reason;
    ErrorBuffer cut;  // at a character
    (void)fail(&cut, TENON_INVALID, outcome.error);
    detail["error"] = cut.message();
    audit("plugins.reload", actor, name, detail);
    log(outcome.error.empty() ? TENON_LOG_INFO : TENON_LOG_ERROR,
        "plugin_reload",
        {{"name", name},
         {"result", result},
         {"from", from},
         {"reason", outcome.error},
         {"elapsed_ms", (runtime::monotonic_ns() - began_ns) / 1'000'000}});
    if (lifecycle_->must_stop()) {
        server_.needed_failed();
    }
    return answer;
}

void Configuration::tell_settings() {
    const std::string complaint = overrides_.complaint();
    server_.health->set(
        "kernel", "settings", complaint.empty() ? TENON_HEALTHY : TENON_DEGRADED, complaint
    );
}

void Configuration::audit(
    std::string_view action,
    std::string_view actor,
    std::string_view subject,
    const json::object& detail
) {
    const std::string text = json::serialize(detail);
    const tenon_audit_event event{
        sizeof event, 0, str(actor), str(action), str(subject), str(text)};
    ErrorBuffer err;
    if (guard(&err, [&] {
            server_.audit->record("kernel", event, runtime::realtime_ns() / 1'000'000);
        }) != TENON_OK) {
        log(TENON_LOG_ERROR, "audit_failed", {{"reason", err.message()}});
    }
}

void Configuration::audit_reload(
    std::string_view actor,
    std::string_view result,
    const json::array& changes
) {
    json::object detail{
        {"result", result}, {"generation", server_.generation->load()}, {"changes", changes}};
    if (json::serialize(detail).size() > audit::Log::k_detail_max) {
        detail["changes"] = manifest::digest(changes);  // what can be compared with the file
    }
    const std::string file =
        server_.plan->deployment.file.string().substr(0, audit::Log::k_subject_max);
    audit("config.reload", actor, file, detail);
}

// Sees to a SIGHUP, unless another reload is under way, which then sees to it at its end.
void Configuration::see_to_hang_up() {
    while (hung_up_.load()) {
        const std::unique_lock lock{turn_, std::try_to_lock};
        if (!lock) {
            return;
        }
        if (hung_up_.exchange(false) && reload_) {
            (void)reload(false, "signal:SIGHUP");
        }
    }
}

void Configuration::count(std::string_view name, std::string_view help, std::string_view result) {
    const tenon_label label{str("result"), str(result)};
    std::uint64_t* total = server_.metrics->counter(name, help, {label});
    std::atomic_ref<std::uint64_t>{*total}.fetch_add(1);
}

void Configuration::open(loader::Lifecycle& lifecycle) {
    const std::lock_guard lock{turn_};
    lifecycle_ = &lifecycle;
    reload_.emplace(*server_.plan, lifecycle, *server_.log, *server_.generation);
}

std::unique_lock<std::timed_mutex> Configuration::close() {
    std::unique_lock lock{turn_};
    reload_.reset();
    return lock;
}

void Configuration::add_commands(registry::AdminCommands& commands) {
    const auto add = [&](std::string_view name, std::string_view usage, auto run) {
        (void)commands.add("kernel", name, usage, std::move(run));
    };
    add("reload",
        "reload [--dry-run]: read the deployment again and apply what can change live",
        [this](std::string_view args) {
            const json::value parsed = json::parse(args);
            const bool dry_run = parsed.get_object().contains("dry_run");
            const Turn turn{*this};
            return json::serialize(reload(dry_run, "admin"));
        });
    add("plugins.restart",
        "plugins restart --plugin NAME [--reason TEXT]: stop and start it and all that need it",
        [this](std::string_view args) {
            const Turn turn{*this};
            return json::serialize(restart(json::parse(args).get_object()));
        });
    add("plugins.reload",
        "plugins reload --plugin NAME [--watch-ms MS] [--reason TEXT]: give it its new library",
        [this](std::string_view args) {
            const Turn turn{*this};
            return json::serialize(replace(json::parse(args).get_object()));
        });
    for (const auto& [name, usage] :
         {std::pair{"settings.list", "settings list [--plugin NAME]: what may be changed live"},
          std::pair{
              "settings.set",
              "settings set PLUGIN POINTER VALUE [--reason TEXT]: over the deployment"},
          std::pair{"settings.unset", "settings unset PLUGIN POINTER: as the deployment has it"}}) {
        add(name, usage, [this, command = std::string{name}](std::string_view args) {
            const Turn turn{*this};
            return json::serialize(settings(command, json::parse(args).get_object()));
        });
    }
}

}  // namespace tenon::kernel
