// SPDX-License-Identifier: Apache-2.0
// The live settings of a running server as its admin commands tell them, and one of them as a knob
// that may be turned within bounds.
//
// A knob is a setting of a plugin, or a field of an element (by its name) of a setting that is an
// array. Without bounds from the manifest or the deployment a knob is not turned. Pure.
#pragma once

#include <boost/json/value.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::advisor {

struct Knob {
    std::string plugin;   // instance
    std::string pointer;  // of the live setting
    std::string element, field;

    [[nodiscard]] std::string text() const;

    friend bool operator==(const Knob&, const Knob&) = default;
};

struct LiveSetting {
    std::string plugin, id, pointer;
    boost::json::value value;
    bool overridden = false;
};

// What a knob may be set to: {"setting":"tenon.cache.memory/bytes_max","min":…,"max":…} or
// {"setting":…,"values":[…]}; of an array's elements "tenon.cache.stack/caches/ttl_ms".
struct Bound {
    std::string setting;
    std::optional<std::int64_t> min, max;
    std::vector<std::string> values;  // from careful to bold
};

class SettingsView {
public:
    SettingsView() = default;
    // The answers of settings.list and plugins.list. Throws Error TENON_INVALID when they are not
    // what those give.
    SettingsView(
        const boost::json::value& settings,
        const boost::json::value& plugins,
        std::vector<Bound> bounds
    );

    // Of the first plugin with that id.
    [[nodiscard]] const LiveSetting* find(std::string_view id, std::string_view pointer) const;
    [[nodiscard]] const LiveSetting* of(const Knob& knob) const;
    // None: nothing bounds it.
    [[nodiscard]] const Bound* bound_of(const Knob& knob) const;
    [[nodiscard]] bool has_plugin(std::string_view id) const;

    // The knob's value, and the whole setting with the knob at `to`. Throw Error TENON_NOT_FOUND
    // when there is no such setting, element or field.
    [[nodiscard]] boost::json::value value_of(const Knob& knob) const;
    [[nodiscard]] boost::json::value with(const Knob& knob, const boost::json::value& to) const;
    // Why it may not be set to that; empty when it may.
    [[nodiscard]] std::string refusal(const Knob& knob, const boost::json::value& to) const;

private:
    std::vector<LiveSetting> settings_;
    std::vector<std::string> ids_;
    std::vector<Bound> bounds_;
};

}  // namespace tenon::advisor
