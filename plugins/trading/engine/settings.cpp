// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/settings.hpp"

#include <tenon/plugin.hpp>

#include <boost/json.hpp>

namespace tenon::engine {
namespace {

std::uint64_t number(const boost::json::object& json, std::string_view key) {
    return json.at(key).to_number<std::uint64_t>();
}

void parse_demo(const boost::json::object& demo, Settings& settings) {
    for (const auto& [key, value] : demo) {
        if (key == "name" && value.is_string()) {
            settings.demo_account = value.as_string();
        } else if (key == "funds" && value.is_object()) {
            for (const auto& [asset, amount] : value.as_object()) {
                if (!amount.is_string()) {
                    throw Error{
                        TENON_INVALID,
                        "demo_account/funds/" + std::string{asset} +
                            ": found a value that is not text, expected a decimal in quotes"};
                }
                settings.demo_funds[std::string{asset}] = amount.as_string();
            }
        } else {
            throw Error{
                TENON_INVALID,
                "demo_account/" + std::string{key} +
                    ": expected \"name\" (text) or \"funds\" (object)"};
        }
    }
    if (settings.demo_account.empty() && !demo.empty()) {
        throw Error{TENON_INVALID, "demo_account/name: missing"};
    }
}

ViewSettings parse_view(const boost::json::object& json) {
    ViewSettings view;
    view.data_dir = json.at("data_dir").as_string();
    const auto text = [&](std::string_view key) {
        const auto* value = json.if_contains(key);
        return value == nullptr ? std::string{} : std::string{value->as_string()};
    };
    view.time = text("time");
    view.account = text("account");
    view.symbol = text("symbol");
    if (json.contains("sequence")) {
        view.sequence = number(json, "sequence");
    }
    return view;
}

ReplaySettings parse_replay(const boost::json::object& json) {
    ReplaySettings replay;
    const auto text = [&](std::string_view key) {
        const auto* value = json.if_contains(key);
        return value == nullptr ? std::string{} : std::string{value->as_string()};
    };
    const auto optional_number = [&](std::string_view key) {
        return json.contains(key) ? std::optional{number(json, key)} : std::nullopt;
    };
    replay.data_dir = text("data_dir");
    replay.work_dir = text("work_dir");
    replay.from_time = text("from_time");
    replay.to_time = text("to_time");
    replay.from_sequence = optional_number("from_sequence");
    replay.to_sequence = optional_number("to_sequence");
    replay.changed = json.contains("changed") && json.at("changed").as_bool();
    replay.shown = optional_number("shown").value_or(replay.shown);
    if (const auto* risk = json.if_contains("risk"); risk != nullptr) {
        for (const boost::json::value& row : risk->as_array()) {
            replay.risk.emplace_back(row.as_string());
        }
    }
    return replay;
}

}  // namespace

Settings parse_settings(std::string_view json) {
    const boost::json::value parsed = boost::json::parse({json.data(), json.size()});
    const auto& object = parsed.as_object();
    Settings settings;
    settings.segment_bytes = number(object, "segment_mb") << 20;
    settings.disk_reserve_bytes = number(object, "disk_reserve_mb") << 20;
    settings.queue_max = number(object, "queue_max");
    settings.snapshot_commands = number(object, "snapshot_commands");
    settings.snapshot_bytes = number(object, "snapshot_mb") << 20;
    settings.history_orders_max = number(object, "history_orders_max");
    settings.history_trades_max = number(object, "history_trades_max");
    settings.open_orders_max = static_cast<std::uint32_t>(number(object, "open_orders_max"));
    settings.projection_queue_max = number(object, "projection_queue_max");
    settings.projection_batch_max = number(object, "projection_batch_max");
    settings.projection_interval_ms =
        static_cast<std::int64_t>(number(object, "projection_interval_ms"));
    if (const auto* gathers = object.if_contains("projection_gathering"); gathers != nullptr) {
        settings.projection_gathering = gathers->as_bool();
    }
    if (const auto* demo = object.if_contains("demo_account"); demo != nullptr) {
        parse_demo(demo->as_object(), settings);
    }
    if (const auto* view = object.if_contains("view"); view != nullptr) {
        settings.view = parse_view(view->as_object());
    }
    if (const auto* replay = object.if_contains("replay"); replay != nullptr) {
        settings.replay = parse_replay(replay->as_object());
    }
    return settings;
}

}  // namespace tenon::engine
