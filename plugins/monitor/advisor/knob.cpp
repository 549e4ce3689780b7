// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/knob.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace tenon::advisor {

namespace json = boost::json;

namespace {

const json::value& member(const json::value& of, std::string_view key) {
    const json::object* const object = of.if_object();
    const json::value* const found = object == nullptr ? nullptr : object->if_contains(key);
    if (found == nullptr) {
        throw Error{TENON_INVALID, "the server's answer has no \"" + std::string{key} + "\""};
    }
    return *found;
}

std::string text(const json::value& of, std::string_view key) {
    const json::value& found = member(of, key);
    if (!found.is_string()) {
        throw Error{TENON_INVALID, "the server's \"" + std::string{key} + "\" is no text"};
    }
    return std::string{std::string_view{found.get_string()}};
}

const json::array& list(const json::value& of) {
    if (!of.is_array()) {
        throw Error{TENON_INVALID, "the server's answer is no list"};
    }
    return of.get_array();
}

// The element of that name, by its place.
std::optional<std::size_t> place_of(const json::value& setting, std::string_view element) {
    const json::array* const all = setting.if_array();
    for (std::size_t i = 0; all != nullptr && i < all->size(); ++i) {
        const json::object* const one = (*all)[i].if_object();
        const json::value* const name = one == nullptr ? nullptr : one->if_contains("name");
        if (name != nullptr && name->is_string() && name->get_string() == element) {
            return i;
        }
    }
    return std::nullopt;
}

[[noreturn]] void refuse_missing(const Knob& knob) {
    throw Error{TENON_NOT_FOUND, "no live setting " + knob.text()};
}

}  // namespace

std::string Knob::text() const {
    std::string out = plugin + pointer;
    if (!element.empty()) {
        out.append("[").append(element).append("].").append(field);
    }
    return out;
}

SettingsView::SettingsView(
    const json::value& settings,
    const json::value& plugins,
    std::vector<Bound> bounds
)
    : bounds_{std::move(bounds)} {
    std::map<std::string, std::string> id_of;
    for (const json::value& one : list(plugins)) {
        ids_.push_back(text(one, "id"));
        id_of.emplace(text(one, "name"), ids_.back());
    }
    for (const json::value& one : list(member(settings, "settings"))) {
        LiveSetting setting;
        setting.plugin = text(one, "plugin");
        setting.id = id_of[setting.plugin];
        setting.pointer = text(one, "pointer");
        setting.value = member(one, "value");
        const json::value* const overridden = one.get_object().if_contains("overridden");
        setting.overridden =
            overridden != nullptr && overridden->is_bool() && overridden->get_bool();
        settings_.push_back(std::move(setting));
    }
}

const LiveSetting* SettingsView::find(std::string_view id, std::string_view pointer) const {
    const auto found =
        std::find_if(settings_.begin(), settings_.end(), [&](const LiveSetting& one) {
            return one.id == id && one.pointer == pointer;
        });
    return found == settings_.end() ? nullptr : &*found;
}

const LiveSetting* SettingsView::of(const Knob& knob) const {
    const auto found =
        std::find_if(settings_.begin(), settings_.end(), [&](const LiveSetting& one) {
            return one.plugin == knob.plugin && one.pointer == knob.pointer;
        });
    return found == settings_.end() ? nullptr : &*found;
}

const Bound* SettingsView::bound_of(const Knob& knob) const {
    const LiveSetting* const setting = of(knob);
    if (setting == nullptr) {
        return nullptr;
    }
    const std::string name =
        setting->id + knob.pointer + (knob.field.empty() ? "" : "/" + knob.field);
    const auto found = std::find_if(bounds_.begin(), bounds_.end(), [&](const Bound& one) {
        return one.setting == name;
    });
    return found == bounds_.end() ? nullptr : &*found;
}

bool SettingsView::has_plugin(std::string_view id) const {
    return std::find(ids_.begin(), ids_.end(), id) != ids_.end();
}

json::value SettingsView::value_of(const Knob& knob) const {
    const LiveSetting* const setting = of(knob);
    if (setting == nullptr) {
        refuse_missing(knob);
    }
    if (knob.element.empty()) {
        return setting->value;
    }
    const auto place = place_of(setting->value, knob.element);
    if (!place) {
        refuse_missing(knob);
    }
    const json::value* const found =
        setting->value.get_array()[*place].get_object().if_contains(knob.field);
    if (found == nullptr) {
        refuse_missing(knob);
    }
    return *found;
}

json::value SettingsView::with(const Knob& knob, const json::value& to) const {
    (void)value_of(knob);  // it is there
    if (knob.element.empty()) {
        return to;
    }
    json::value whole = of(knob)->value;
    whole.get_array()[*place_of(whole, knob.element)].get_object()[knob.field] = to;
    return whole;
}

std::string SettingsView::refusal(const Knob& knob, const json::value& to) const {
    const Bound* const bound = bound_of(knob);
    if (bound == nullptr) {
        return "no bounds are set for " + knob.text();
    }
    if (!bound->values.empty()) {
        const bool is_one =
            to.is_string() &&
            std::find(
                bound->values.begin(), bound->values.end(), std::string_view{to.get_string()}
            ) != bound->values.end();
        return is_one ? "" : json::serialize(to) + " is not among the values allowed";
    }
    if (!to.is_int64() && !to.is_uint64()) {
        return json::serialize(to) + " is no whole number";
    }
    const std::int64_t value = to.to_number<std::int64_t>();
    if ((bound->min && value < *bound->min) || (bound->max && value > *bound->max)) {
        return std::to_string(value) + " is outside the bounds " +
               (bound->min ? std::to_string(*bound->min) : "") + " to " +
               (bound->max ? std::to_string(*bound->max) : "");
    }
    return {};
}

}  // namespace tenon::advisor
