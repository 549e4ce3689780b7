// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/sample_config.hpp"

#include "sdk/manifest/schema.hpp"

#include <algorithm>

namespace tenon::conformance {
namespace {

namespace json = boost::json;

std::int64_t whole(const json::object& schema, std::string_view key, std::int64_t otherwise) {
    const json::value* const value = schema.if_contains(key);
    return value != nullptr && value->is_number() ? value->to_number<std::int64_t>() : otherwise;
}

bool is_secret(const json::object& schema) {
    const json::value* const secret = schema.if_contains("x-secret");
    return secret != nullptr && secret->is_bool() && secret->get_bool();
}

std::string sample_text(const json::object& schema) {
    if (is_secret(schema)) {
        return std::string{k_secret_text};
    }
    const auto length = std::max<std::int64_t>(whole(schema, "minLength", 0), 0);
    return std::string(static_cast<std::size_t>(length), 'x');
}

json::array sample_array(const json::object& schema) {
    json::array array;
    const json::value* const items = schema.if_contains("items");
    for (std::int64_t i = whole(schema, "minItems", 0); i > 0; --i) {
        array.push_back(
            items != nullptr && items->is_object() ? sample_value(items->get_object())
                                                   : json::value{}
        );
    }
    return array;
}

// Fills in what the schema requires and `object` lacks; a default is left to validation.
void complete(const json::object& schema, json::object& object) {
    const json::value* const required = schema.if_contains("required");
    const json::value* const properties = schema.if_contains("properties");
    if (required == nullptr || !required->is_array() || properties == nullptr) {
        return;
    }
    for (const json::value& name : required->get_array()) {
        const json::value* const property = properties->as_object().if_contains(name.as_string());
        if (property != nullptr && !object.contains(name.as_string())) {
            object[name.as_string()] = sample_value(property->as_object());
        }
    }
}

json::value validated(const json::object& schema, json::value value, bool& good) {
    manifest::Problems problems;
    manifest::Report report{"config", problems};
    manifest::SchemaRules rules;
    rules.secrets = false;
    manifest::validate(schema, value, "", rules, report);
    good = !manifest::has_errors(problems);
    return value;
}

}  // namespace

json::value sample_value(const json::object& schema) {
    for (const std::string_view key : {"default", "const"}) {
        if (const json::value* const value = schema.if_contains(key)) {
            return *value;
        }
    }
    if (const json::value* const options = schema.if_contains("enum")) {
        return options->as_array().at(0);
    }
    const json::value* const type = schema.if_contains("type");
    const std::string_view name =
        type != nullptr && type->is_string() ? std::string_view{type->get_string()} : "object";
    if (name == "string") {
        return json::value(sample_text(schema));
    }
    if (name == "integer" || name == "number") {
        return std::clamp<std::int64_t>(
            whole(schema, "minimum", 0),
            whole(schema, "minimum", INT64_MIN),
            whole(schema, "maximum", INT64_MAX)
        );
    }
    if (name == "boolean") {
        return false;
    }
    if (name == "array") {
        return sample_array(schema);
    }
    json::object object;
    complete(schema, object);
    return object;
}

json::object sample_config(const manifest::PluginManifest& manifest, json::object given) {
    if (!manifest.schema_usable) {
        return given;
    }
    complete(manifest.config_schema, given);
    bool good = true;
    return validated(manifest.config_schema, std::move(given), good).as_object();
}

bool accepts(const json::object& schema, json::value value) {
    bool good = true;
    (void)validated(schema, std::move(value), good);
    return good;
}

}  // namespace tenon::conformance
