// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/health/healer.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace tenon::monitor {
namespace {

namespace json = boost::json;

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_s = 1'000 * k_ms;
constexpr std::int64_t k_hour_ns = 3'600 * k_s;
constexpr std::string_view k_probe = "probe-";

std::string text_of(const json::object& object, std::string_view key) {
    return std::string{std::string_view{object.at(key).as_string()}};
}

bool is_restart(const Settings& json, std::string_view key, std::string fallback) {
    const auto action = json.get<std::string>(key, std::move(fallback));
    if (action != "restart" && action != "none") {
        json.refuse(std::string{key} + ": expected restart or none");
    }
    return action == "restart";
}

const HealSettings::Rule*
rule_for(const HealSettings& settings, std::string_view plugin, std::string_view component) {
    const auto rule =
        std::find_if(settings.rules.begin(), settings.rules.end(), [&](const auto& one) {
            return one.plugin == plugin && (one.component.empty() || one.component == component);
        });
    return rule == settings.rules.end() ? nullptr : &*rule;
}

bool counts(
    const HealSettings& settings,
    std::string_view plugin,
    std::string_view component,
    bool is_bad
) {
    const HealSettings::Rule* const rule = rule_for(settings, plugin, component);
    if (rule == nullptr) {
        return is_bad && settings.restarts;
    }
    return rule->restarts && (is_bad || !rule->component.empty());
}

// What may stop when a plugin is restarted: the others do not run.
bool runs(const json::object& plugin) {
    const std::string state = text_of(plugin, "state");
    return state == "started" || state == "draining";
}

const json::object* find(const json::array& plugins, std::string_view name) {
    for (const json::value& one : plugins) {
        if (one.as_object().at("name") == json::value(name)) {
            return &one.as_object();
        }
    }
    return nullptr;
}

std::string times(std::size_t count) {
    return count == 1 ? "once" : std::to_string(count) + " times";
}

}  // namespace

HealSettings::Rule::Rule(const Settings& json)
    : plugin{json.get<std::string>("plugin")},
      component{json.get<std::string>("component", "")},
      restarts{is_restart(json, "action", "restart")} {}

HealSettings::HealSettings(const Settings& json)
    : restarts{is_restart(json, "heal", "restart")},
      after{json.get<std::uint32_t>("heal_after", 3)},
      backoff{
          json.get<std::int64_t>("heal_backoff_ms", 30'000) * k_ms,
          json.get<std::int64_t>("heal_backoff_max_ms", 1'800'000) * k_ms},
      per_hour{json.get<std::uint32_t>("heal_per_hour", 4)},
      rules{json.get<std::vector<Rule>>("heal_rules", {})} {
    if (backoff.longest_ns < backoff.first_ns) {
        json.refuse("heal_backoff_max_ms: expected no less than heal_backoff_ms");
    }
}

std::vector<Fault>
faults_of(std::string_view report, std::string_view own, const HealSettings& settings) {
    const json::value parsed = json::parse(report);
    const json::array& components = parsed.at("components").as_array();
    std::vector<Fault> faults;
    for (const json::value& value : parsed.at("plugins").as_array()) {
        const json::object& plugin = value.as_object();
        const std::string name = text_of(plugin, "name");
        const std::string state = text_of(plugin, "state");
        if (state == "failed" && counts(settings, name, "", true)) {
            faults.push_back({name, "it does not run: " + text_of(plugin, "error"), true});
        }
        if (state != "started") {
            continue;
        }
        for (const json::value& one : components) {
            const json::object& object = one.as_object();
            const std::string owner = text_of(object, "plugin");
            const std::string full = text_of(object, "component");
            const std::string health = text_of(object, "state");
            const bool is_probe = owner == own && full == std::string{k_probe} + name;
            if (health == "healthy" || (owner != name && !is_probe) ||
                (owner == own && !is_probe)) {
                continue;
            }
            const std::string component = is_probe ? "probe" : full;
            if (counts(settings, name, component, is_probe || health == "critical")) {
                faults.push_back(
                    {name, component + " is " + health + ": " + text_of(object, "reason")}
                );
                break;
            }
        }
    }
    return faults;
}

std::string objection_to(std::string_view plugins, std::string_view plugin) {
    const json::value parsed = json::parse(plugins);
    const json::array& list = parsed.as_array();
    const json::object* const target = find(list, plugin);
    if (target == nullptr) {
        return "there is no such plugin";
    }
    if (!target->at("heals").as_bool()) {
        return "its manifest does not allow it";
    }
    for (const json::value& name : target->at("restarts").as_array()) {
        const json::object* const other = find(list, std::string_view{name.as_string()});
        if (other != nullptr && runs(*other) && !other->at("heals").as_bool()) {
            return "it would stop " + text_of(*other, "name") +
                   ", whose manifest does not allow it";
        }
    }
    return {};
}

void Healer::recovered(const std::string& plugin, Patient& patient) {
    if (patient.attempts > 0) {
        news_.push_back(
            {plugin, State::healed, "well again after it was restarted " + times(patient.attempts)}
        );
    }
    patient.cause.clear();
    patient.checks_failed = 0;
    patient.attempts = 0;
    patient.not_before_ns = 0;
    patient.refusal.clear();
    patient.is_told = false;
    patient.backoff.reset();
}

std::optional<Healer::Attempt>
Healer::judge(const std::vector<Fault>& faults, const HealSettings& settings, std::int64_t now_ns) {
    for (auto& [plugin, patient] : patients_) {
        const auto fault = std::find_if(faults.begin(), faults.end(), [&](const Fault& one) {
            return one.plugin == plugin;
        });
        if (std::exchange(patient.is_open, false)) {
            const bool is_down = fault != faults.end() && fault->is_down;
            news_.push_back({plugin, is_down ? State::failed : State::restarted, patient.cause});
        }
        if (fault == faults.end() && plugin != busy_) {
            recovered(plugin, patient);
        }
    }
    std::optional<Attempt> due;
    for (const Fault& fault : faults) {
        Patient& patient = patients_[fault.plugin];
        if (!patient.backoff) {
            patient.backoff.emplace(settings.backoff, seed_ + patients_.size());
        }
        patient.cause = fault.cause;
        ++patient.checks_failed;
        while (!patient.times_ns.empty() && now_ns - patient.times_ns.front() >= k_hour_ns) {
            patient.times_ns.pop_front();
        }
        if (due || !busy_.empty() || patient.checks_failed < settings.after ||
            now_ns < patient.not_before_ns) {
            continue;
        }
        if (patient.times_ns.size() >= settings.per_hour) {
            if (!std::exchange(patient.is_told, true)) {
                news_.push_back(
                    {fault.plugin,
                     State::given_up,
                     "restarted " + times(patient.times_ns.size()) +
                         " within the hour, which is the most: " + fault.cause}
                );
            }
            continue;
        }
        patient.is_told = false;
        due = Attempt{
            fault.plugin,
            "failed " + std::to_string(patient.checks_failed) + " checks, attempt " +
                std::to_string(patient.attempts + 1) + ": " + fault.cause};
    }
    if (due) {
        busy_ = due->plugin;
    }
    return due;
}

void Healer::attempted(Patient& patient, std::int64_t now_ns) {
    busy_.clear();
    ++patient.attempts;
    patient.checks_failed = 0;
    patient.refusal.clear();
    patient.times_ns.push_back(now_ns);
    patient.not_before_ns = now_ns + patient.backoff->next();
}

void Healer::settled(
    const std::string& plugin,
    State state,
    std::string reason,
    std::int64_t now_ns
) {
    Patient& patient = patients_.at(plugin);
    if (state != State::refused) {
        attempted(patient, now_ns);
        news_.push_back({plugin, state, std::move(reason)});
        return;
    }
    busy_.clear();
    patient.not_before_ns = now_ns + patient.backoff->next();
    if (std::exchange(patient.refusal, reason) != reason) {
        news_.push_back({plugin, state, std::move(reason)});
    }
}

void Healer::withdrawn() {
    busy_.clear();
}

void Healer::interrupted(const std::string& plugin, std::int64_t now_ns) {
    Patient& patient = patients_.at(plugin);
    attempted(patient, now_ns);
    patient.is_open = true;
}

std::vector<std::pair<std::string, std::string>> Healer::shown(std::int64_t now_ns) const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [plugin, patient] : patients_) {
        if (patient.cause.empty()) {
            out.emplace_back(plugin, "");
            continue;
        }
        std::string text;
        if (patient.is_told) {
            text = "given up for now, restarted " + times(patient.times_ns.size()) +
                   " within the hour";
        } else if (!patient.refusal.empty()) {
            text = "not restarted: " + patient.refusal;
        } else if (patient.attempts > 0) {
            const std::int64_t wait_ns = std::max<std::int64_t>(patient.not_before_ns - now_ns, 0);
            text = "restarted " + times(patient.attempts) + ", again in " +
                   std::to_string((wait_ns + k_s - 1) / k_s) + " s at the earliest";
        }
        if (!text.empty()) {
            out.emplace_back(plugin, text + ": " + patient.cause);
        }
    }
    return out;
}

std::string_view name_of(Healer::State state) {
    constexpr std::array<std::string_view, 5> k_names{
        "restarted", "failed", "refused", "given_up", "healed"};
    return k_names[static_cast<std::size_t>(state)];
}

}  // namespace tenon::monitor
