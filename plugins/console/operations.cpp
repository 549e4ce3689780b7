// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/operations.hpp"

#include "plugins/console/refusal.hpp"

#include <algorithm>
#include <array>

namespace tenon::console {
namespace {

constexpr std::size_t k_argument_max = 256;
constexpr std::int64_t k_look_ms = 5'000, k_change_ms = 30'000, k_search_ms = 120'000;

constexpr std::array<std::string_view, 2> k_cache{"cache", "tag"};
constexpr std::array<std::string_view, 2> k_throttle{"limit", "level"};
constexpr std::array<std::string_view, 1> k_index{"name"};
constexpr std::array<std::string_view, 1> k_label{"label"};
constexpr std::array<std::string_view, 1> k_plugin{"plugin"};
constexpr std::array<std::string_view, 2> k_log{"plugin", "level"};

constexpr std::array k_operations{
    Operation{"status", "status", k_right_watch, false, {}, k_look_ms},
    Operation{"plugins", "plugins.list", k_right_watch, false, {}, k_look_ms},
    Operation{"alerts", "alerts.list", k_right_watch, false, {}, k_look_ms},
    Operation{"caches", "cache.stats", k_right_watch, false, {}, k_look_ms},
    Operation{"throttles", "throttle.stats", k_right_watch, false, {}, k_look_ms},
    Operation{"slow-queries", "advise.slow", k_right_watch, false, {}, k_look_ms},
    Operation{"plans", "advise.plans", k_right_watch, false, {}, k_look_ms},
    Operation{"backups", "backup.list", k_right_watch, false, {}, k_look_ms},
    Operation{"schema", "migrate.status", k_right_watch, false, {}, k_look_ms},
    Operation{"predictions", "predictions.stats", k_right_watch, false, {}, k_look_ms},
    Operation{"imports", "migrate.import", k_right_watch, false, {}, k_look_ms, R"("status":true)"},
    Operation{"copy", "migrate.copy", k_right_watch, false, {}, k_look_ms, R"("status":true)"},
    Operation{"audit", "audit.list", k_right_operate, false, {}, k_look_ms},
    Operation{"cache-invalidate", "cache.invalidate", k_right_operate, true, k_cache, k_change_ms},
    Operation{"throttle-level", "throttle.level", k_right_operate, true, k_throttle, k_change_ms},
    Operation{"advice", "advise.indexes", k_right_operate, true, {}, k_search_ms},
    Operation{"advice-apply", "advise.apply", k_right_operate, true, {}, k_search_ms},
    Operation{"advice-withdraw", "advise.withdraw", k_right_operate, true, k_index, k_search_ms},
    Operation{"alerts-reload", "alerts.reload", k_right_operate, true, {}, k_change_ms},
    Operation{"backup-create", "backup.create", k_right_operate, true, k_label, k_search_ms},
    Operation{"plugin-release", "plugins.release", k_right_operate, true, k_plugin, k_change_ms},
    Operation{"log-level", "log.level", k_right_operate, true, k_log, k_change_ms},
};

}  // namespace

std::span<const Operation> operations() noexcept {
    return k_operations;
}

const Operation* find_operation(std::string_view name) noexcept {
    const auto found =
        std::find_if(k_operations.begin(), k_operations.end(), [&](const Operation& operation) {
            return operation.name == name;
        });
    return found == k_operations.end() ? nullptr : &*found;
}

std::string arguments_of(const Operation& operation, const Json& body) {
    std::string out{"{"};
    out.append(operation.fixed);
    if (!body.is(Json::Kind::object)) {
        throw invalid("a JSON object expected");
    }
    for (std::size_t i = 0; i < body.keys().size(); ++i) {
        const std::string& key = body.keys()[i];
        const auto& known = operation.texts;
        if (std::find(known.begin(), known.end(), key) == known.end()) {
            throw invalid("this operation does not take such an argument");
        }
        const Json& value = body.items()[i];
        if (!value.is(Json::Kind::text) || value.text().empty() ||
            value.text().size() > k_argument_max) {
            throw invalid(key + ": a text of 1 to 256 bytes expected");
        }
        out.append(out.size() == 1 ? "" : ",");
        append_json(out, key);
        out.push_back(':');
        append_json(out, value.text());
    }
    out.push_back('}');
    return out;
}

std::string line_of(const Operation& operation, std::string_view arguments) {
    std::string line{R"({"command":)"};
    append_json(line, operation.command);
    line.append(R"(,"args":)").append(arguments).append("}");
    return line;
}

}  // namespace tenon::console
