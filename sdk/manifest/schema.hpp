// SPDX-License-Identifier: Apache-2.0
// A closed subset of JSON Schema, for settings and for the manifests themselves: type, properties,
// required, additionalProperties (only false), enum, const, minimum, maximum, minLength, maxLength,
// minItems, maxItems, items, default, description, title, x-secret, x-reload,
// x-flag (a live boolean that operators switch by its title).
//
// An object with `properties` takes no other key; one without takes any. No references, patterns or
// combinations: a keyword that is not in the list is an error of the schema, never ignored.
#pragma once

#include "sdk/manifest/problem.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace tenon::manifest {

struct SchemaRules {
    std::string_view code = "M17";  // of a value that breaks a constraint
    bool extensions = false;        // unknown keys that start with "x-" are let through
    bool secrets = true;            // x-secret values must be references (M18)
};

// Reports what is wrong with the schema itself: M19 for keywords, M17 for a default that does not
// fit. True when values can be checked against it.
[[nodiscard]] bool
check_schema(const boost::json::value& schema, const std::string& pointer, Report& report);

// Checks the value against a schema that check_schema accepted, fills defaults in.
void validate(
    const boost::json::object& schema,
    boost::json::value& value,
    const std::string& pointer,
    const SchemaRules& rules,
    Report& report
);

// M20, for authors: every property of the schema says what it means.
void check_descriptions(
    const boost::json::object& schema,
    const std::string& pointer,
    Report& report
);

// True for "file:PATH", "env:NAME" and "credential:NAME": where a secret is to be found.
[[nodiscard]] bool is_secret_reference(std::string_view text);

}  // namespace tenon::manifest
