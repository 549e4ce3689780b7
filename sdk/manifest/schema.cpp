// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/schema.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace tenon::manifest {

namespace {

namespace json = boost::json;

constexpr std::array k_keywords{
    "type",
    "properties",
    "required",
    "additionalProperties",
    "enum",
    "const",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "items",
    "default",
    "description",
    "title",
    "x-secret",
    "x-reload",
    "x-flag"};

constexpr std::array k_types{"object", "array", "string", "integer", "number", "boolean", "null"};

std::string_view type_of(const json::value& value) {
    switch (value.kind()) {
        case json::kind::object:
            return "object";
        case json::kind::array:
            return "array";
        case json::kind::string:
            return "string";
        case json::kind::bool_:
            return "boolean";
        case json::kind::null:
            return "null";
        case json::kind::int64:
        case json::kind::uint64:
            return "integer";
        default:
            return "number";
    }
}

bool fits_type(const json::value& value, std::string_view type) {
    const std::string_view found = type_of(value);
    return found == type || (type == "number" && found == "integer");
}

std::size_t code_points(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

bool less(const json::value& a, const json::value& b) {
    // Integers are compared exactly; only a pair with a fraction goes through double.
    if (a.is_int64() && b.is_int64()) {
        return a.get_int64() < b.get_int64();
    }
    if (a.is_uint64() || b.is_uint64()) {
        if (a.is_int64()) {
            return a.get_int64() < 0 || static_cast<std::uint64_t>(a.get_int64()) < b.get_uint64();
        }
        if (b.is_int64()) {
            return b.get_int64() >= 0 && a.get_uint64() < static_cast<std::uint64_t>(b.get_int64());
        }
        if (a.is_uint64() && b.is_uint64()) {
            return a.get_uint64() < b.get_uint64();
        }
    }
    return a.to_number<double>() < b.to_number<double>();
}

std::string explained(const json::object& schema) {
    const json::value* description = schema.if_contains("description");
    return description != nullptr && description->is_string()
               ? " (" + std::string{description->get_string()} + ")"
               : std::string{};
}

std::vector<std::string> keys_of(const json::object& object) {
    std::vector<std::string> keys;
    for (const auto& entry : object) {
        keys.emplace_back(entry.key());
    }
    return keys;
}

class Validator {
public:
    Validator(const SchemaRules& rules, Report& report) : rules_{&rules}, report_{&report} {}

    void value(const json::object& schema, json::value& value, const std::string& pointer) {
        const json::value* type = schema.if_contains("type");
        if (type != nullptr && !fits_type(value, type->get_string())) {
            add(schema,
                pointer,
                "wrong type",
                std::string{type_of(value)} + " " + shown(value),
                std::string{type->get_string()});
            return;
        }
        fixed(schema, value, pointer);
        if (value.is_number()) {
            number(schema, value, pointer);
        } else if (value.is_string()) {
            text(schema, value.get_string(), pointer);
        } else if (value.is_array()) {
            array(schema, value.get_array(), pointer);
        } else if (value.is_object() && schema.contains("properties")) {
            object(schema, value.get_object(), pointer);
        }
    }

private:
    void fixed(const json::object& schema, const json::value& value, const std::string& pointer) {
        if (const json::value* only = schema.if_contains("const");
            only != nullptr && *only != value) {
            add(schema, pointer, "wrong value", shown(value), shown(*only));
        }
        if (const json::value* choices = schema.if_contains("enum"); choices != nullptr) {
            const json::array& list = choices->get_array();
            if (std::find(list.begin(), list.end(), value) == list.end()) {
                add(schema, pointer, "not one of the choices", shown(value), shown(*choices));
            }
        }
    }

    void number(const json::object& schema, const json::value& value, const std::string& pointer) {
        if (const json::value* bound = schema.if_contains("minimum");
            bound != nullptr && less(value, *bound)) {
            add(schema, pointer, "too small", shown(value), "at least " + shown(*bound));
        }
        if (const json::value* bound = schema.if_contains("maximum");
            bound != nullptr && less(*bound, value)) {
            add(schema, pointer, "too large", shown(value), "at most " + shown(*bound));
        }
    }

    // Reports a size outside of [low, high], two keywords of the schema.
    void extent(
        const json::object& schema,
        std::array<std::string_view, 2> keywords,
        std::size_t size,
        std::string_view unit,
        const std::string& pointer
    ) {
        const json::value* low = schema.if_contains(keywords[0]);
        const json::value* high = schema.if_contains(keywords[1]);
        const std::string found = std::to_string(size) + " " + std::string{unit};
        if (low != nullptr && size < low->to_number<std::size_t>()) {
            add(schema, pointer, "too short", found, "at least " + shown(*low));
        }
        if (high != nullptr && size > high->to_number<std::size_t>()) {
            add(schema, pointer, "too long", found, "at most " + shown(*high));
        }
    }

    void text(const json::object& schema, std::string_view value, const std::string& pointer) {
        extent(schema, {"minLength", "maxLength"}, code_points(value), "characters", pointer);
        const json::value* secret = schema.if_contains("x-secret");
        if (rules_->secrets && secret != nullptr && *secret == true && !value.empty() &&
            !is_secret_reference(value)) {
            // The text itself is never shown: it may well be the secret.
            report_->add(
                "M18",
                pointer,
                "a secret in plain text" + explained(schema),
                "text of " + std::to_string(value.size()) + " bytes",
                "file:PATH, env:NAME or credential:NAME"
            );
        }
    }

    void array(const json::object& schema, json::array& value, const std::string& pointer) {
        extent(schema, {"minItems", "maxItems"}, value.size(), "items", pointer);
        if (const json::value* items = schema.if_contains("items"); items != nullptr) {
            for (std::size_t i = 0; i < value.size(); ++i) {
                this->value(items->get_object(), value[i], pointer_to(pointer, i));
            }
        }
    }

    void object(const json::object& schema, json::object& value, const std::string& pointer) {
        const json::object& properties = schema.at("properties").get_object();
        for (const auto& entry : value) {
            if (!properties.contains(entry.key()) &&
                !(rules_->extensions && entry.key().starts_with("x-"))) {
                unknown(properties, entry.key(), pointer);
            }
        }
        for (const auto& property : properties) {
            const json::object& declared = property.value().get_object();
            if (!value.contains(property.key())) {
                fill(declared, value, property.key());
            }
            if (json::value* present = value.if_contains(property.key()); present != nullptr) {
                this->value(declared, *present, pointer_to(pointer, property.key()));
            }
        }
        const json::value* required = schema.if_contains("required");
        if (required == nullptr) {
            return;
        }
        for (const json::value& key : required->get_array()) {
            if (!value.contains(key.get_string())) {
                const json::object& declared = properties.at(key.get_string()).get_object();
                add(declared, pointer_to(pointer, key.get_string()), "missing", "nothing", "a value"
                );
            }
        }
    }

    // An absent property gets its default; an absent object the defaults within it.
    static void fill(const json::object& declared, json::object& value, std::string_view key) {
        if (const json::value* given = declared.if_contains("default"); given != nullptr) {
            value[key] = *given;
            return;
        }
        const json::value* inner = declared.if_contains("properties");
        if (inner == nullptr || declared.contains("required")) {
            return;
        }
        for (const auto& property : inner->get_object()) {
            if (property.value().get_object().contains("default")) {
                value[key] = json::object{};
                return;
            }
        }
    }

    void unknown(const json::object& properties, std::string_view key, const std::string& pointer) {
        const std::vector<std::string> known = keys_of(properties);
        const std::string near = nearest(key, known);
        report_->add(
            "M01",
            pointer_to(pointer, key),
            "unknown key",
            "\"" + std::string{key} + "\"",
            near.empty() ? (known.empty() ? "no key" : "one of " + join(known))
                         : "perhaps \"" + near + "\""
        );
    }

    void add(
        const json::object& schema,
        const std::string& pointer,
        std::string_view what,
        std::string found,
        std::string expected
    ) {
        const json::value* secret = schema.if_contains("x-secret");
        if (secret != nullptr && *secret == true) {
            found = "(hidden)";
        }
        report_->add(
            rules_->code,
            pointer,
            std::string{what} + explained(schema),
            std::move(found),
            std::move(expected)
        );
    }

    const SchemaRules* rules_;
    Report* report_;
};

class SchemaChecker {
public:
    explicit SchemaChecker(Report& report) : report_{&report} {}

    // True when the schema can be used.
    bool check(const json::value& schema, const std::string& pointer) {
        if (!schema.is_object()) {
            return bad(pointer, "a schema is an object", shown(schema), "object");
        }
        const json::object& object = schema.get_object();
        bool good = true;
        for (const auto& entry : object) {
            good = keyword(entry.key(), entry.value(), pointer_to(pointer, entry.key())) && good;
        }
        good = good && required(object, pointer) && flag(object, pointer);
        const json::value* given = object.if_contains("default");
        if (good && given != nullptr) {
            json::value copy = *given;
            SchemaRules rules;
            Validator{rules, *report_}.value(object, copy, pointer_to(pointer, "default"));
        }
        return good;
    }

private:
    bool keyword(std::string_view key, const json::value& value, const std::string& pointer) {
        if (std::find(k_keywords.begin(), k_keywords.end(), key) == k_keywords.end()) {
            const std::vector<std::string> known{k_keywords.begin(), k_keywords.end()};
            const std::string near = nearest(key, known);
            return bad(
                pointer,
                "unsupported schema keyword",
                std::string{key},
                near.empty() ? "one of " + join(known) : "perhaps \"" + near + "\""
            );
        }
        if (key == "type") {
            return value.is_string() &&
                           std::find(k_types.begin(), k_types.end(), value.get_string()) !=
                               k_types.end()
                       ? true
                       : bad(pointer, "unknown type", shown(value), "object, array, string, …");
        }
        if (key == "properties") {
            return properties(value, pointer);
        }
        if (key == "items") {
            return check(value, pointer);
        }
        if (key == "additionalProperties") {
            return value == false ||
                   bad(pointer, "objects with properties are closed", shown(value), "false");
        }
        return simple(key, value, pointer);
    }

    bool simple(std::string_view key, const json::value& value, const std::string& pointer) {
        if (key == "required" || key == "enum") {
            return value.is_array() || bad(pointer, "wrong type", shown(value), "array");
        }
        if (key == "minimum" || key == "maximum") {
            return value.is_number() || bad(pointer, "wrong type", shown(value), "number");
        }
        if (key == "description" || key == "title" || key == "x-reload") {
            return value.is_string() || bad(pointer, "wrong type", shown(value), "string");
        }
        if (key == "x-secret" || key == "x-flag") {
            return value.is_bool() || bad(pointer, "wrong type", shown(value), "boolean");
        }
        if (key.ends_with("Length") || key.ends_with("Items")) {
            return (value.is_int64() && value.get_int64() >= 0) ||
                   bad(pointer, "wrong type", shown(value), "integer from 0");
        }
        return true;
    }

    bool properties(const json::value& value, const std::string& pointer) {
        if (!value.is_object()) {
            return bad(pointer, "wrong type", shown(value), "object");
        }
        bool good = true;
        for (const auto& property : value.get_object()) {
            good = check(property.value(), pointer_to(pointer, property.key())) && good;
        }
        return good;
    }

    bool required(const json::object& schema, const std::string& pointer) {
        const json::value* list = schema.if_contains("required");
        if (list == nullptr) {
            return true;
        }
        const json::value* properties = schema.if_contains("properties");
        bool good = true;
        for (const json::value& key : list->get_array()) {
            if (!key.is_string() || properties == nullptr ||
                !properties->get_object().contains(key.get_string())) {
                good =
                    bad(pointer_to(pointer, "required"),
                        "a required key is not declared",
                        shown(key),
                        "a key of properties");
            }
        }
        return good;
    }

    // A switch of an optimisation, which operators find by its title.
    bool flag(const json::object& schema, const std::string& pointer) {
        const json::value* given = schema.if_contains("x-flag");
        if (given == nullptr || *given == false) {
            return true;
        }
        const auto is = [&](std::string_view key, std::string_view text) {
            const json::value* found = schema.if_contains(key);
            return found != nullptr && *found == json::value(text);
        };
        const json::value* title = schema.if_contains("title");
        return (is("type", "boolean") && is("x-reload", "live") && title != nullptr &&
                !title->get_string().empty()) ||
               bad(pointer_to(pointer, "x-flag"),
                   "a flag is a live boolean with a title",
                   shown(schema),
                   "\"type\": \"boolean\", \"x-reload\": \"live\" and a title");
    }

    bool bad(const std::string& pointer, std::string what, std::string found, std::string wanted) {
        report_->add("M19", pointer, std::move(what), std::move(found), std::move(wanted));
        return false;
    }

    Report* report_;
};

}  // namespace

bool check_schema(const json::value& schema, const std::string& pointer, Report& report) {
    return SchemaChecker{report}.check(schema, pointer);
}

void validate(
    const json::object& schema,
    json::value& value,
    const std::string& pointer,
    const SchemaRules& rules,
    Report& report
) {
    Validator{rules, report}.value(schema, value, pointer);
}

void check_descriptions(const json::object& schema, const std::string& pointer, Report& report) {
    if (const json::value* items = schema.if_contains("items"); items != nullptr) {
        check_descriptions(items->get_object(), pointer_to(pointer, "items"), report);
    }
    const json::value* properties = schema.if_contains("properties");
    if (properties == nullptr) {
        return;
    }
    for (const auto& property : properties->get_object()) {
        const json::object& declared = property.value().get_object();
        const std::string at = pointer_to(pointer_to(pointer, "properties"), property.key());
        const json::value* text = declared.if_contains("description");
        if (text == nullptr || text->get_string().empty()) {
            report.add("M20", at, "a property without a description", "none", "what it means");
        }
        check_descriptions(declared, at, report);
    }
}

bool is_secret_reference(std::string_view text) {
    return text.starts_with("file:") || text.starts_with("env:") || text.starts_with("credential:");
}

}  // namespace tenon::manifest
