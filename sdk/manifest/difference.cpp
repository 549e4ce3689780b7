// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/difference.hpp"

#include "sdk/manifest/problem.hpp"

#include <boost/json/array.hpp>

#include <algorithm>

namespace tenon::manifest {

namespace json = boost::json;

namespace {

// A member of an object, or null. A temporary would leave it dangling.
const json::value& member(const json::value& object, std::string_view key) {
    static const json::value k_absent;
    const json::value* found = object.is_object() ? object.get_object().if_contains(key) : nullptr;
    return found == nullptr ? k_absent : *found;
}

const json::value& member(json::value&&, std::string_view) = delete;

class Walk {
public:
    void compare(
        const json::object& schema,
        const json::value& before,
        const json::value& after,
        const std::string& pointer,
        bool live
    ) {
        if (before == after) {
            return;
        }
        const json::value* reload = schema.if_contains("x-reload");
        live = live || (reload != nullptr && *reload == "live");
        const json::value* properties = schema.if_contains("properties");
        if (properties == nullptr || !before.is_object() || !after.is_object()) {
            found.push_back(
                {pointer, without_secrets(schema, before), without_secrets(schema, after), live}
            );
            return;
        }
        for (const auto& property : properties->get_object()) {
            compare(
                property.value().get_object(),
                member(before, property.key()),
                member(after, property.key()),
                pointer_to(pointer, property.key()),
                live
            );
        }
    }

    std::vector<Difference> found;
};

}  // namespace

bool holds_secret(const json::object& schema) {
    const json::value* secret = schema.if_contains("x-secret");
    const json::value* items = schema.if_contains("items");
    if ((secret != nullptr && *secret == true) ||
        (items != nullptr && items->is_object() && holds_secret(items->get_object()))) {
        return true;
    }
    const json::value* properties = schema.if_contains("properties");
    return properties != nullptr &&
           std::any_of(
               properties->get_object().begin(),
               properties->get_object().end(),
               [](const auto& property) { return holds_secret(property.value().get_object()); }
           );
}

json::value without_secrets(const json::object& schema, const json::value& value) {
    if (const json::value* secret = schema.if_contains("x-secret");
        secret != nullptr && *secret == true && !value.is_null()) {
        return "(secret)";
    }
    if (const json::value* items = schema.if_contains("items"); items != nullptr) {
        if (!value.is_array()) {
            return value.is_null() ? value : json::value("(not shown)");
        }
        json::array out;
        for (const json::value& item : value.get_array()) {
            out.push_back(without_secrets(items->get_object(), item));
        }
        return out;
    }
    const json::value* properties = schema.if_contains("properties");
    if (properties == nullptr) {
        return value;
    }
    if (!value.is_object()) {  // of a wrong type, so nothing says what of it is secret
        return value.is_null() ? value : json::value("(not shown)");
    }
    json::object out;
    for (const auto& entry : value.get_object()) {
        if (const json::value& inner = member(*properties, entry.key()); inner.is_object()) {
            out[entry.key()] = without_secrets(inner.get_object(), entry.value());
        }
    }
    return out;
}

std::vector<Difference> differences(
    const json::object& schema,
    const json::value& before,
    const json::value& after,
    const std::string& pointer
) {
    Walk walk;
    walk.compare(schema, before, after, pointer, false);
    return std::move(walk.found);
}

json::array to_json(const std::vector<Difference>& differences) {
    json::array out;
    for (const Difference& difference : differences) {
        out.push_back(json::object{
            {"pointer", difference.pointer},
            {"live", difference.live},
            {"old", difference.before},
            {"new", difference.after}});
    }
    return out;
}

}  // namespace tenon::manifest
