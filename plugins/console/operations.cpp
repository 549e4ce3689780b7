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
constexpr std::array<std::string_view, 1> k_id{"id"};
constexpr std::array<std::string_view, 2> k_id_reason{"id", "reason"};

[[nodiscard]] constexpr Operation look(std::string_view name, std::string_view command) {
    return {name, command, k_right_watch, false, {}, k_look_ms};
}

// A change that its plugin keeps in its own history, under the name of who did it.
[[nodiscard]] constexpr Operation signed_change(
    std::string_view name,
    std::string_view command,
    std::span<const std::string_view> texts,
    bool asks_reason
) {
    Operation made{name, command, k_right_operate, true, texts, k_search_ms};
    made.is_signed = true;
    made.asks_reason = asks_reason;
    return made;
}

[[nodiscard]] constexpr Operation settings_change(std::string_view name, std::string_view command) {
    Operation made = signed_change(name, command, {}, true);
    made.takes_changes = true;
    return made;
}

constexpr std::array k_operations{
    Operation{"status", "status", k_right_watch, false, {}, k_look_ms},
    Operation{"plugins", "plugins.list", k_right_watch, false, {}, k_look_ms},
    Operation{"alerts", "alerts.list", k_right_watch, false, {}, k_look_ms},
    Operation{"caches", "cache.stats", k_right_watch, false, {}, k_look_ms},
    Operation{"throttles", "throttle.stats", k_right_watch, false, {}, k_look_ms},
    Operation{"slow-queries", "advise.slow", k_right_watch, false, {}, k_look_ms},
    Operation{"plans", "advise.plans", k_right_watch, false, {}, k_look_ms},
    Operation{"backups", "backup.list", k_right_watch, false, {}, k_look_ms},
    Operation{"archives", "archive.list", k_right_watch, false, {}, k_look_ms},
    Operation{"jobs", "jobs.list", k_right_watch, false, {}, k_look_ms, R"("limit":50)"},
    Operation{"dead-jobs", "jobs.dead", k_right_watch, false, {}, k_look_ms, R"("limit":200)"},
    look("job-queues", "jobs.queues"),
    look("job-schedules", "jobs.schedules"),
    Operation{"schema", "migrate.status", k_right_watch, false, {}, k_look_ms},
    Operation{"predictions", "predictions.stats", k_right_watch, false, {}, k_look_ms},
    Operation{"imports", "migrate.import", k_right_watch, false, {}, k_look_ms, R"("status":true)"},
    Operation{"copy", "migrate.copy", k_right_watch, false, {}, k_look_ms, R"("status":true)"},
    look("settings", "settings.list"),
    look("recommendations", "advice.list"),
    look("recommendation-history", "advice.history"),
    Operation{"audit", "audit.list", k_right_operate, false, {}, k_look_ms, R"("count":200)"},
    Operation{"cache-invalidate", "cache.invalidate", k_right_operate, true, k_cache, k_change_ms},
    Operation{"throttle-level", "throttle.level", k_right_operate, true, k_throttle, k_change_ms},
    Operation{"advice", "advise.indexes", k_right_operate, true, {}, k_search_ms},
    Operation{"advice-apply", "advise.apply", k_right_operate, true, {}, k_search_ms},
    Operation{"advice-withdraw", "advise.withdraw", k_right_operate, true, k_index, k_search_ms},
    Operation{"alerts-reload", "alerts.reload", k_right_operate, true, {}, k_change_ms},
    Operation{"backup-create", "backup.create", k_right_operate, true, k_label, k_search_ms},
    Operation{"backup-drill", "backup.drill", k_right_operate, true, {}, k_search_ms},
    Operation{"archive-run", "archive.run", k_right_operate, true, {}, k_search_ms},
    Operation{"plugin-release", "plugins.release", k_right_operate, true, k_plugin, k_change_ms},
    Operation{"log-level", "log.level", k_right_operate, true, k_log, k_change_ms},
    settings_change("settings-set", "settings.set"),
    settings_change("settings-unset", "settings.unset"),
    signed_change("recommendation-apply", "advice.apply", k_id, false),
    signed_change("recommendation-rollback", "advice.rollback", k_id_reason, false),
    signed_change("recommendation-dismiss", "advice.dismiss", k_id, true),
    signed_change("job-replay", "jobs.replay", k_id, false),
    signed_change("job-discard", "jobs.discard", k_id, false),
    signed_change("plugin-restart", "plugins.restart", k_plugin, true),
};

void append_value(std::string& out, const Json& value) {
    switch (value.kind()) {
        case Json::Kind::null:
            out.append("null");
            return;
        case Json::Kind::boolean:
            out.append(value.boolean() ? "true" : "false");
            return;
        case Json::Kind::number:
            out.append(value.number());
            return;
        case Json::Kind::text:
            append_json(out, value.text());
            return;
        case Json::Kind::array:
        case Json::Kind::object:
            break;
    }
    const bool is_object = value.is(Json::Kind::object);
    out.push_back(is_object ? '{' : '[');
    for (std::size_t i = 0; i < value.items().size(); ++i) {
        out.append(i == 0 ? "" : ",");
        if (is_object) {
            append_json(out, value.keys()[i]);
            out.push_back(':');
        }
        append_value(out, value.items()[i]);
    }
    out.push_back(is_object ? '}' : ']');
}

void check_text(std::string_view key, const Json& value) {
    if (!value.is(Json::Kind::text) || value.text().empty() ||
        value.text().size() > k_argument_max) {
        throw invalid(std::string{key} + ": a text of 1 to 256 bytes expected");
    }
}

// What a setting takes is for the server to say; that it is a change of one, is said here.
void check_changes(const Json& changes) {
    constexpr std::size_t k_changes_max = 64;
    if (!changes.is(Json::Kind::array) || changes.items().empty() ||
        changes.items().size() > k_changes_max) {
        throw invalid("changes: an array of 1 to 64 changes expected");
    }
    for (const Json& change : changes.items()) {
        const Json* const plugin = change.find("plugin");
        const Json* const pointer = change.find("pointer");
        if (plugin == nullptr || pointer == nullptr) {
            throw invalid("changes: each has a plugin and a pointer");
        }
        check_text("plugin", *plugin);
        check_text("pointer", *pointer);
        for (const std::string& key : change.keys()) {
            if (key != "plugin" && key != "pointer" && key != "value") {
                throw invalid("changes: a plugin, a pointer and a value are all that is taken");
            }
        }
    }
}

void check_argument(const Operation& operation, std::string_view key, const Json& value) {
    if (operation.takes_changes && key == "changes") {
        check_changes(value);
    } else if (operation.takes_changes && key == "dry_run") {
        if (!value.is(Json::Kind::boolean)) {
            throw invalid("dry_run: true or false expected");
        }
    } else if ((operation.asks_reason && key == "reason") ||
               std::find(operation.texts.begin(), operation.texts.end(), key) !=
                   operation.texts.end()) {
        check_text(key, value);
    } else {
        throw invalid("this operation does not take such an argument");
    }
}

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

std::string arguments_of(const Operation& operation, const Json& body, std::string_view actor) {
    std::string out{"{"};
    out.append(operation.fixed);
    if (!body.is(Json::Kind::object)) {
        throw invalid("a JSON object expected");
    }
    if (operation.asks_reason && body.find("reason") == nullptr) {
        throw invalid("reason: say why, in 1 to 256 bytes");
    }
    if (operation.takes_changes && body.find("changes") == nullptr) {
        throw invalid("changes: an array of 1 to 64 changes expected");
    }
    const auto put = [&](std::string_view key) {
        out.append(out.size() == 1 ? "" : ",");
        append_json(out, key);
        out.push_back(':');
    };
    for (std::size_t i = 0; i < body.keys().size(); ++i) {
        check_argument(operation, body.keys()[i], body.items()[i]);
        put(body.keys()[i]);
        append_value(out, body.items()[i]);
    }
    if (operation.is_signed) {
        put("by");
        append_json(out, actor);
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
