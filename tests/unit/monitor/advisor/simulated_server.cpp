// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/monitor/advisor/simulated_server.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <cmath>

namespace tenon::test {

namespace json = boost::json;

SimulatedServer::SimulatedServer(std::uint64_t seed, Model model)
    : random_{seed}, model_{std::move(model)} {
    ids_ = {
        {"cache-memory", "tenon.cache.memory"},
        {"cache", "tenon.cache.stack"},
        {"throttle", "tenon.throttle.token-bucket"},
        {"http", "tenon.gateway.http"}};
    deployment_[{"cache-memory", "/bytes_max"}] = 50 * k_mega;
    deployment_[{"cache", "/caches"}] = json::parse(
        R"([{"name":"user_config","ttl_ms":2000},{"name":"price","ttl_ms":2000,"consistency":"timed"}])"
    );
    deployment_[{"throttle", "/level"}] = "moderate";
    run();
}

json::value SimulatedServer::ask(std::string_view command, json::object args, std::int64_t) {
    if (!answers) {
        throw Error{TENON_UNAVAILABLE, "nobody answers"};
    }
    if (command == "plugins.list") {
        json::array out;
        for (const auto& [name, id] : ids_) {
            out.push_back(json::object{{"name", name}, {"id", id}});
        }
        return out;
    }
    if (command == "settings.list") {
        return list();
    }
    const bool is_set = command == "settings.set";
    if (!is_set && command != "settings.unset") {
        throw Error{TENON_NOT_FOUND, "no command " + std::string{command}};
    }
    for (const json::value& each : args.at("changes").get_array()) {
        const json::object& change = each.get_object();
        const Key key{
            std::string{std::string_view{change.at("plugin").get_string()}},
            std::string{std::string_view{change.at("pointer").get_string()}}};
        const bool is_known = key.first == disabled ? !is_set && overrides_.count(key) != 0
                                                    : deployment_.count(key) != 0;
        if (!is_known) {
            return json::object{{"applied", false}, {"problems", json::array{"unknown"}}};
        }
        if (is_set) {
            overrides_[key] = change.at("value");
        } else {
            overrides_.erase(key);
        }
        first_change_ms = changes++ == 0 ? now_ms_ : first_change_ms;
    }
    return json::object{{"applied", true}};
}

json::value SimulatedServer::list() const {
    json::array out;
    for (const auto& [key, value] : deployment_) {
        if (key.first == disabled) {
            continue;
        }
        out.push_back(json::object{
            {"plugin", key.first},
            {"pointer", key.second},
            {"value", this->value(key.first, key.second)},
            {"deployment", value},
            {"overridden", overridden(key.first, key.second)}});
    }
    return json::object{{"generation", 1}, {"settings", std::move(out)}};
}

json::value SimulatedServer::value(const std::string& plugin, const std::string& pointer) const {
    const auto found = overrides_.find({plugin, pointer});
    return found == overrides_.end() ? deployment_.at({plugin, pointer}) : found->second;
}

bool SimulatedServer::overridden(const std::string& plugin, const std::string& pointer) const {
    return overrides_.count({plugin, pointer}) != 0;
}

void SimulatedServer::set_by_hand(
    const std::string& plugin,
    const std::string& pointer,
    json::value value
) {
    overrides_[{plugin, pointer}] = std::move(value);
}

// By a tenth, one way or the other.
double SimulatedServer::scattered(double value) {
    return value * (0.9 + 0.2 * static_cast<double>(random_() % 1000) / 1000);
}

void SimulatedServer::count(const std::string& family, double more) {
    count(family, "", "", more);
}

void SimulatedServer::count(
    const std::string& family,
    const std::string& label,
    const std::string& value,
    double more
) {
    for (advisor::Snapshot::Value& one : snapshot_.families[family]) {
        const auto found = one.labels.find(label);
        if (label.empty() || (found != one.labels.end() && found->second == value)) {
            one.value += more;
            return;
        }
    }
    advisor::Snapshot::Value made{{}, more};
    if (!label.empty()) {
        made.labels[label] = value;
    }
    snapshot_.families[family].push_back(std::move(made));
}

void SimulatedServer::run() {
    now_ms_ += 500;
    snapshot_.at_ms = now_ms_;
    const Behaviour behaviour = model_(*this);
    const double requests = std::floor(scattered(200));
    const double refused = std::floor(requests * scattered(behaviour.refused_ratio));
    count("tenon_http_requests_total", "status", "2xx", requests - refused);
    count("tenon_http_requests_total", "status", "4xx", refused);
    const double missed = std::floor(requests * scattered(behaviour.miss_ratio));
    count("tenon_cache_misses_total", "cache", "user_config", missed);
    count("tenon_cache_loads_total", "cache", "user_config", missed);
    count("tenon_cache_hits_total", "cache", "user_config", requests - missed);
    count("tenon_cache_memory_evicted_total", std::floor(missed / 2));
    snapshot_.families["tenon_cache_memory_bytes"] = {{{}, 49.0 * k_mega}};
    snapshot_.families["tenon_cache_entries"] = {{{{"cache", "user_config"}}, 60}};
    const double limited = std::floor(requests * scattered(behaviour.limited_ratio));
    count("tenon_throttle_limited_total", "limit", "default", limited);
    count("tenon_throttle_taken_total", "limit", "default", requests - limited);
    // Two in a hundred take ten times as long.
    const double median = scattered(behaviour.median_s);
    for (double bound = 0.0005; bound < 10; bound *= 1.5) {
        const double part = bound < median ? 0 : bound < 10 * median ? 0.98 : 1;
        count(
            "tenon_http_request_duration_seconds_bucket",
            "le",
            std::to_string(bound),
            std::floor(requests * part)
        );
    }
    count("tenon_http_request_duration_seconds_bucket", "le", "+Inf", requests);
    count("tenon_process_cpu_seconds_total", 0.5 * 2 * behaviour.cpu);
    snapshot_.families["tenon_system_cpus"] = {{{}, 2}};
}

}  // namespace tenon::test
