// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/settings.hpp"

#include "sdk/manifest/difference.hpp"
#include "sdk/manifest/json_file.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace tenon::manifest {

namespace {

namespace json = boost::json;

constexpr std::size_t k_changes_max = 100;
constexpr std::size_t k_value_max = 16U << 10U;  // as JSON
constexpr std::size_t k_by_max = 256;
constexpr std::size_t k_reason_max = 1000;

const PlannedPlugin* plugin_of(const Plan& plan, std::string_view name) {
    const auto found = std::find_if(plan.plugins.begin(), plan.plugins.end(), [&](const auto& one) {
        return one.instance.name == name;
    });
    return found == plan.plugins.end() ? nullptr : &*found;
}

// What the settings have there; null when nothing.
json::value value_at(const json::object& config, const std::string& pointer) {
    const json::object* at = &config;
    const json::value* found = nullptr;
    for (const std::string& token : tokens_of(pointer)) {
        found = at == nullptr ? nullptr : at->if_contains(token);
        at = found == nullptr ? nullptr : found->if_object();
    }
    return found == nullptr ? json::value(nullptr) : *found;
}

json::value value_at(const Plan& plan, const SettingOverride& of) {
    const PlannedPlugin* plugin = plugin_of(plan, of.plugin);
    return plugin == nullptr ? json::value(nullptr) : value_at(plugin->config, of.pointer);
}

class Lister {
public:
    Lister(const OverridesFile& overrides, const PlannedPlugin& plugin, json::array& out)
        : overrides_{&overrides}, plugin_{&plugin}, out_{&out} {}

    void walk(const json::object& schema, const std::string& pointer, bool live) {
        const json::value* reload = schema.if_contains("x-reload");
        live = live || (reload != nullptr && *reload == "live");
        if (const json::value* properties = schema.if_contains("properties");
            properties != nullptr) {
            for (const auto& property : properties->get_object()) {
                walk(property.value().get_object(), pointer_to(pointer, property.key()), live);
            }
        } else if (live && !pointer.empty() && !holds_secret(schema)) {
            out_->push_back(item(schema, pointer));
        }
    }

private:
    json::object item(const json::object& schema, const std::string& pointer) const {
        json::object out{
            {"plugin", plugin_->instance.name},
            {"pointer", pointer},
            {"title", text_at(schema, "title")},
            {"description", text_at(schema, "description")},
            {"type", text_at(schema, "type")}};
        for (const char* keyword : {"minimum", "maximum", "enum"}) {
            if (const json::value* given = schema.if_contains(keyword); given != nullptr) {
                out[keyword] = *given;
            }
        }
        out["value"] = value_at(plugin_->config, pointer);
        out["deployment"] = value_at(plugin_->deployed, pointer);
        const SettingOverride* over = override_of(pointer);
        out["overridden"] = over != nullptr;
        const json::value* flag = schema.if_contains("x-flag");
        out["flag"] = flag != nullptr && *flag == true;
        if (over != nullptr) {
            out["by"] = over->by;
            out["reason"] = over->reason;
            out["at_ms"] = over->at_ms;
        }
        return out;
    }

    const SettingOverride* override_of(const std::string& pointer) const {
        for (const SettingOverride& one : overrides_->list()) {
            if (one.plugin == plugin_->instance.name && one.pointer == pointer) {
                return &one;
            }
        }
        return nullptr;
    }

    const OverridesFile* overrides_;
    const PlannedPlugin* plugin_;
    json::array* out_;
};

struct Request {
    SettingOverrideList changes;
    AskedBy asked;
    bool dry_run = false;
    bool unset = false;
};

std::string text_of(const json::object& args, std::string_view key, std::size_t most) {
    const json::value* value = args.if_contains(key);
    if (value == nullptr) {
        return {};
    }
    if (!value->is_string() || value->get_string().size() > most) {
        throw Error{
            TENON_INVALID,
            std::string{key} + ": found " + shown(*value) + ", expected text of at most " +
                std::to_string(most) + " bytes"};
    }
    return std::string{value->get_string()};
}

SettingOverride change_of(const json::value& given, const Request& request, std::int64_t now_ms) {
    const json::object* change = given.if_object();
    if (change == nullptr) {
        throw Error{TENON_INVALID, "changes: expected objects"};
    }
    SettingOverride out;
    out.plugin = text_of(*change, "plugin", k_by_max);
    out.pointer = text_of(*change, "pointer", k_reason_max);
    const json::value* value = change->if_contains("value");
    if (out.plugin.empty() || !out.pointer.starts_with('/')) {
        throw Error{TENON_INVALID, "changes: each has a plugin, and a pointer that starts with /"};
    }
    if ((value == nullptr) != request.unset) {
        throw Error{
            TENON_INVALID,
            out.plugin + out.pointer + ": " +
                (request.unset ? "unset takes no value" : "no value")};
    }
    if (value != nullptr) {
        out.value = *value;
        if (json::serialize(*value).size() > k_value_max) {
            throw Error{
                TENON_INVALID,
                out.plugin + out.pointer + ": a value of more than " + std::to_string(k_value_max) +
                    " bytes"};
        }
    }
    out.by = request.asked.by;
    out.reason = request.asked.reason;
    out.at_ms = now_ms;
    return out;
}

Request request_of(std::string_view command, const json::object& args, std::int64_t now_ms) {
    Request out;
    out.unset = command == "settings.unset";
    out.asked = asked_by(args);
    if (const json::value* dry = args.if_contains("dry_run"); dry != nullptr) {
        if (!dry->is_bool()) {
            throw Error{
                TENON_INVALID, "dry_run: found " + shown(*dry) + ", expected true or false"};
        }
        out.dry_run = dry->get_bool();
    }
    const json::value* changes = args.if_contains("changes");
    if (changes == nullptr || !changes->is_array() || changes->get_array().empty() ||
        changes->get_array().size() > k_changes_max) {
        throw Error{TENON_INVALID, "changes: expected a list of 1 to 100 changes"};
    }
    for (const json::value& given : changes->get_array()) {
        SettingOverride change = change_of(given, out, now_ms);
        for (const SettingOverride& other : out.changes) {
            if (other.is_of(change)) {
                throw Error{TENON_INVALID, change.plugin + change.pointer + " is there twice"};
            }
        }
        out.changes.push_back(std::move(change));
    }
    return out;
}

// The list as the request wants it. Unsetting what is not overridden is a problem.
SettingOverrideList wanted(const Request& request, const OverridesFile& overrides, Report& report) {
    SettingOverrideList list = overrides.list();
    for (const SettingOverride& change : request.changes) {
        const auto had = std::find_if(list.begin(), list.end(), [&](const SettingOverride& one) {
            return one.is_of(change);
        });
        if (!request.unset) {
            if (had == list.end()) {
                list.push_back(change);
            } else {
                *had = change;
            }
        } else if (had != list.end()) {
            list.erase(had);
        } else {
            report.add(
                "S06",
                pointer_to("/plugins", change.plugin) + "/config" + change.pointer,
                "the setting is not overridden"
            );
        }
    }
    if (list.size() > OverridesFile::k_overrides_max) {
        throw Error{
            TENON_UNAVAILABLE, "1000 overrides are kept; unset some, or edit the deployment"};
    }
    return list;
}

json::value audited(const json::value& value) {
    const std::string text = json::serialize(value);
    return text.size() <= k_value_max
               ? value
               : json::value(json::object{{"bytes", text.size()}, {"sha256", sha256_of(text)}});
}

class Change {
public:
    Change(std::string_view command, Request request, OverridesFile& overrides, SettingsHost& host)
        : command_{command}, request_{std::move(request)}, overrides_{&overrides}, host_{&host} {}

    json::object run() {
        Report report{overrides_->path(), problems_};
        list_ = wanted(request_, *overrides_, report);
        Plan fresh = *host_->running;
        fresh.problems.clear();
        unfit_ = lay_over(list_, fresh, overrides_->path());
        for (const Unfit& one : unfit_) {
            if (std::any_of(request_.changes.begin(), request_.changes.end(), [&](const auto& c) {
                    return c.is_of(one.override);
                })) {
                problems_.push_back(one.problem);
            }
        }
        json::array changes;
        for (const SettingOverride& change : request_.changes) {
            changes.push_back(json::object{
                {"plugin", change.plugin},
                {"pointer", change.pointer},
                {"before", value_at(*host_->running, change)},
                {"after", value_at(fresh, change)}});
        }
        const bool applied = !has_errors(problems_) && take(std::move(fresh));
        if (!request_.dry_run) {
            record(changes, applied);
        }
        return {
            {"applied", applied},
            {"dry_run", request_.dry_run},
            {"generation", host_->generation},
            {"changes", has_errors(problems_) ? json::array{} : std::move(changes)},
            {"problems", to_json(problems_)}};
    }

private:
    // In this order nothing that was applied is lost, and nothing is kept that was refused.
    bool take(Plan fresh) {
        if (request_.dry_run) {
            note(host_->apply(std::move(fresh), true));
            return false;
        }
        Plan before = *host_->running;
        before.problems.clear();
        overrides_->prepare(list_);
        if (!note(host_->apply(std::move(fresh), false))) {
            overrides_->discard();
            return false;
        }
        try {
            overrides_->commit(std::move(list_), std::move(unfit_));
        } catch (const Error&) {
            overrides_->discard();
            (void)host_->apply(std::move(before), false);
            throw;
        }
        return true;
    }

    bool note(SettingsHost::Outcome outcome) {
        problems_.insert(problems_.end(), outcome.problems.begin(), outcome.problems.end());
        return outcome.applied;
    }

    void record(const json::array& changes, bool applied) const {
        for (const json::value& change : changes) {
            const json::object& of = change.get_object();
            // Of what was refused no value is kept: it may have been a secret in a wrong place.
            const json::object detail =
                applied ? json::object{{"result", "applied"},
                                       {"before", audited(of.at("before"))},
                                       {"after", audited(of.at("after"))},
                                       {"reason", request_.asked.reason}}
                        : json::object{{"result", "refused"},
                                       {"problem", problems_.empty() ? "" : problems_.front().message},
                                       {"reason", request_.asked.reason}};
            host_->record(
                command_, request_.asked.by, text_at(of, "plugin") + text_at(of, "pointer"), detail
            );
        }
    }

    std::string_view command_;
    Request request_;
    OverridesFile* overrides_;
    SettingsHost* host_;
    SettingOverrideList list_;
    std::vector<Unfit> unfit_;
    Problems problems_;
};

}  // namespace

AskedBy asked_by(const json::object& args) {
    AskedBy out{text_of(args, "by", k_by_max), text_of(args, "reason", k_reason_max)};
    if (out.by.empty()) {
        out.by = "admin";
    }
    return out;
}

json::object list_settings(
    const json::object& args,
    const OverridesFile& overrides,
    const Plan& running,
    std::uint64_t generation
) {
    const std::string only = text_of(args, "plugin", k_by_max);
    if (!only.empty() && plugin_of(running, only) == nullptr) {
        throw Error{TENON_NOT_FOUND, "no plugin \"" + only + "\""};
    }
    json::array settings;
    for (const PlannedPlugin& plugin : running.plugins) {
        if (only.empty() || plugin.instance.name == only) {
            Lister{overrides, plugin, settings}.walk(plugin.manifest.config_schema, "", false);
        }
    }
    json::array unfit;
    for (const Unfit& one : overrides.unfit()) {
        unfit.push_back(json::object{
            {"plugin", one.override.plugin},
            {"pointer", one.override.pointer},
            {"value", one.problem.code == "S04" ? json::value("(secret)") : one.override.value},
            {"problem", to_json(one.problem)}});
    }
    return {
        {"generation", generation}, {"settings", std::move(settings)}, {"unfit", std::move(unfit)}};
}

json::object change_settings(
    std::string_view command,
    const json::object& args,
    OverridesFile& overrides,
    SettingsHost& host
) {
    return Change{command, request_of(command, args, host.now_ms), overrides, host}.run();
}

}  // namespace tenon::manifest
