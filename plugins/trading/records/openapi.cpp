// SPDX-License-Identifier: Apache-2.0
// The OpenAPI document, from the same descriptions that the requests are checked with.
#include "plugins/trading/records/api.hpp"
#include "plugins/trading/records/flags.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <map>

namespace tenon::records {
namespace {

[[nodiscard]] std::string quoted(std::string_view text) {
    std::string out;
    append_json(out, text);
    return out;
}

[[nodiscard]] std::string choices_of(std::string_view choices) {
    std::string out;
    while (!choices.empty()) {
        const std::string_view one = choices.substr(0, choices.find('|'));
        out.append(out.empty() ? "" : ",").append(quoted(one));
        choices.remove_prefix(std::min(one.size() + 1, choices.size()));
    }
    return out;
}

[[nodiscard]] std::string type_of(const Field& field, std::string_view type) {
    return "\"type\":" +
           ((field.use & k_nullable) == 0 ? quoted(type) : "[" + quoted(type) + ",\"null\"]");
}

[[nodiscard]] std::string range_of(const Field& field) {
    std::string out;
    if (field.min != INT64_MIN) {
        out.append(",\"minimum\":").append(std::to_string(field.min));
    }
    if (field.max != INT64_MAX) {
        out.append(",\"maximum\":").append(std::to_string(field.max));
    }
    return out;
}

[[nodiscard]] std::string schema_of(const Field& field) {
    std::string out{"{"};
    switch (field.kind) {
        case Kind::integer:
            out.append(type_of(field, "integer"))
                .append(",\"format\":\"int64\"")
                .append(range_of(field));
            break;
        case Kind::time:
            out.append(type_of(field, "integer"))
                .append(
                    ",\"format\":\"int64\",\"minimum\":0,\"description\":\"microseconds since "
                    "1970\""
                );
            break;
        case Kind::flag:
            out.append(type_of(field, "boolean"));
            break;
        case Kind::object:
            out.append(type_of(field, "object"));
            break;
        case Kind::choice:
            out.append(type_of(field, "string"))
                .append(",\"enum\":[")
                .append(choices_of(field.choices));
            out.append((field.use & k_nullable) == 0 ? "]" : ",null]");
            break;
        case Kind::side:
            out.append(R"("type":"string","enum":["buy","sell"])");
            break;
        case Kind::symbol:
            out.append(R"("type":"string","description":"an instrument's symbol")");
            break;
        case Kind::text:
        case Kind::code:
            out.append(type_of(field, "string"))
                .append(",\"minLength\":")
                .append(std::to_string(field.min));
            out.append(",\"maxLength\":").append(std::to_string(field.max));
            break;
        default:
            out.append(type_of(field, "string")).append(R"(,"pattern":"^-?[0-9]+(\\.[0-9]+)?$")");
            out.append(R"(,"description":"an exact decimal")");
    }
    if (!field.help.empty()) {
        out.append(",\"title\":").append(quoted(field.help));
    }
    return out.append("}");
}

// The members that a body may have, or (use 0) those of a row.
[[nodiscard]] std::string properties_of(const Resource& resource, unsigned use) {
    std::string properties, required;
    if (use == 0 && &resource != &k_settings && !resource.is_summary) {
        properties = R"("id":{"type":"integer","format":"int64"})";
    }
    if (use == 0 && resource.is_owned) {
        properties.append(properties.empty() ? "" : ",")
            .append(R"("user_id":{"type":"integer","format":"int64"})");
    }
    for (const Field& field : resource.fields) {
        if (use != 0 && (field.use & use) == 0) {
            continue;
        }
        properties.append(properties.empty() ? "" : ",");
        properties.append(quoted(field.name)).append(":").append(schema_of(field));
        if (use == k_create && (field.use & k_required) != 0) {
            required.append(required.empty() ? "" : ",").append(quoted(field.name));
        }
    }
    return R"({"type":"object","properties":{)" + properties + "}" +
           (required.empty() ? "" : ",\"required\":[" + required + "]") +
           (use == 0 ? "}" : R"(,"additionalProperties":false})");
}

// The members of a body that are sealed.
[[nodiscard]] std::string with_secrets(std::string schema, unsigned use) {
    std::string properties, required;
    for (const Field& field : secret_fields()) {
        properties.append(properties.empty() ? "" : ",");
        properties.append(quoted(field.name)).append(":").append(schema_of(field));
        properties.insert(properties.size() - 1, R"(,"writeOnly":true)");
        if ((field.use & k_required) != 0) {
            required.append(required.empty() ? "" : ",").append(quoted(field.name));
        }
    }
    const std::string_view comma = use == k_create ? "," : "";
    constexpr std::string_view k_required_begin = R"("required":[)";
    schema.insert(schema.find(k_required_begin) + k_required_begin.size(), required.append(comma));
    constexpr std::string_view k_begin = R"({"type":"object","properties":{)";
    return schema.insert(k_begin.size(), properties.append(comma));
}

// Whose licence of which type for how long.
[[nodiscard]] std::string license_members() {
    return R"("user_id":{"type":"integer","format":"int64","minimum":1},"license_type":)" +
           schema_of(k_licenses.fields.front()) +
           R"(,"duration_days":{"type":["integer","null"],"minimum":1,"maximum":3660})";
}

[[nodiscard]] std::string body_schema(const Endpoint& endpoint) {
    const Resource& resource = *endpoint.resource;
    switch (endpoint.operation) {
        case Operation::create:
            return properties_of(resource, k_create);
        case Operation::change:
            return properties_of(resource, k_change);
        case Operation::settings_put: {
            std::string schema = properties_of(resource, k_change);
            constexpr std::string_view k_begin = R"({"type":"object","properties":{)";
            schema.insert(k_begin.size(), R"("version":{"type":"integer","minimum":1},)");
            return schema;
        }
        case Operation::license_grant:
            return R"({"type":"object","required":["user_id","license_type"],)"
                   R"("additionalProperties":false,"properties":{)" +
                   license_members() + "}}";
        case Operation::promo_redeem:
            return R"({"type":"object","required":["code"],"additionalProperties":false,)"
                   R"("properties":{"code":{"type":"string","minLength":4,"maxLength":64}}})";
        case Operation::payment_book: {
            std::string schema = properties_of(resource, k_create);
            constexpr std::string_view k_begin = R"({"type":"object","properties":{)";
            schema.insert(k_begin.size(), license_members() + ",");
            constexpr std::string_view k_required_begin = R"("required":[)";
            schema.insert(schema.find(k_required_begin) + k_required_begin.size(), R"("user_id",)");
            return schema;
        }
        case Operation::credential_store:
            return with_secrets(properties_of(resource, k_create), k_create);
        case Operation::credential_replace:
            return with_secrets(
                R"({"type":"object","properties":{},"required":[],)"
                R"("additionalProperties":false})",
                k_change
            );
        default:
            return {};
    }
}

[[nodiscard]] std::string
parameter(std::string_view name, std::string_view where, std::string_view schema) {
    return "{\"name\":" + quoted(name) + ",\"in\":" + quoted(where) +
           (where == "path" ? ",\"required\":true" : "") + ",\"schema\":" + std::string{schema} +
           "}";
}

[[nodiscard]] bool is_list(const Endpoint& endpoint) noexcept {
    return endpoint.operation == Operation::list || endpoint.operation == Operation::summary;
}

[[nodiscard]] std::string parameters_of(const Endpoint& endpoint) {
    if (endpoint.path.find("{id}") != std::string::npos) {
        return parameter("id", "path", R"({"type":"integer"})");
    }
    if (endpoint.operation == Operation::license_check) {
        std::string out = parameter("license_type", "query", schema_of(k_licenses.fields.front()));
        return out.insert(out.size() - 1, R"(,"required":true)");
    }
    if (!is_list(endpoint)) {
        return {};
    }
    std::string out = parameter(
        "limit", "query", R"({"type":"integer","minimum":1,"maximum":1000,"default":100})"
    );
    out.append(",").append(parameter("cursor", "query", R"({"type":"string"})"));
    for (const char* name : {"from_us", "to_us"}) {
        out.append(",").append(parameter(name, "query", R"({"type":"integer"})"));
    }
    if (endpoint.resource->is_owned) {
        out.append(",").append(parameter("user_id", "query", R"({"type":"integer"})"));
    }
    for (const Field& field : endpoint.resource->fields) {
        if ((field.use & k_filter) != 0) {
            out.append(",").append(parameter(field.name, "query", schema_of(field)));
        }
    }
    return out;
}

[[nodiscard]] std::string answer_schema(const Endpoint& endpoint) {
    if (endpoint.operation == Operation::license_check) {
        return R"({"type":"object","properties":{"license_type":{"type":"string"},)"
               R"("licensed":{"type":"boolean"},"end_us":{"type":["integer","null"]}}})";
    }
    if (endpoint.operation == Operation::credential_delete) {
        return R"({"type":"object","properties":{"id":{"type":"integer","format":"int64"},)"
               R"("deleted":{"type":"boolean"}}})";
    }
    const Resource& row =
        endpoint.operation == Operation::promo_redeem ? k_licenses : *endpoint.resource;
    const std::string reference =
        R"({"$ref":"#/components/schemas/)" + std::string{row.name} + "\"}";
    return is_list(endpoint) ? R"({"type":"object","properties":{"data":{"type":"array","items":)" +
                                   reference + R"(},"next_cursor":{"type":["string","null"]}}})"
                             : reference;
}

[[nodiscard]] std::string operation_of(const Endpoint& endpoint) {
    const bool creates = endpoint.method == "POST";
    std::string out = "{\"summary\":" + quoted(endpoint.summary) + ",\"tags\":[" +
                      quoted(endpoint.resource->name) + "],\"x-right\":";
    out.append(
        endpoint.right == Right::read    ? "\"read\""
        : endpoint.right == Right::trade ? "\"trade\""
                                         : "\"admin\""
    );
    out.append(",\"parameters\":[").append(parameters_of(endpoint)).append("]");
    if (const std::string body = body_schema(endpoint); !body.empty()) {
        out.append(R"(,"requestBody":{"required":true,"content":{"application/json":{"schema":)");
        out.append(body).append("}}}");
    }
    out.append(creates ? R"(,"responses":{"201")" : R"(,"responses":{"200")");
    out.append(R"(:{"description":"done","content":{"application/json":{"schema":)");
    out.append(answer_schema(endpoint)).append("}}},");
    out.append(R"("default":{"$ref":"#/components/responses/failure"}}})");
    return out;
}

}  // namespace

std::string openapi_document(std::string_view version) {
    std::map<std::string, std::string> paths, schemas;
    for (const Endpoint& endpoint : endpoints()) {
        std::string method{endpoint.method};
        std::transform(method.begin(), method.end(), method.begin(), [](char c) {
            return static_cast<char>(c | 0x20);
        });
        std::string& path = paths[endpoint.path];
        path.append(path.empty() ? "" : ",").append(quoted(method)).append(":");
        path.append(operation_of(endpoint));
        schemas[std::string{endpoint.resource->name}] = properties_of(*endpoint.resource, 0);
    }
    paths["/api/flags"] = flags_operations();
    paths["/api/flags/{name}"] = flag_operations();
    schemas["flags"] = R"({"type":"object","properties":{"name":{"type":"string"},)"
                       R"("title":{"type":"string"},"description":{"type":"string"},)"
                       R"("by":{"type":"string"},"reason":{"type":"string"},)"
                       R"("on":{"type":"boolean"},"deployment":{"type":"boolean"},)"
                       R"("overridden":{"type":"boolean"}}})";
    schemas["flag-change"] = R"({"type":"object","properties":{"name":{"type":"string"},)"
                             R"("on":{"type":"boolean"},"before":{"type":"boolean"},)"
                             R"("generation":{"type":"integer"}}})";
    std::string out = R"({"openapi":"3.1.0","info":{"title":"Tenon native API","version":)" +
                      quoted(version) +
                      R"(},"security":[{"key":[],"timestamp":[],"signature":[]}],"paths":{)";
    bool is_first = true;
    for (const auto& [path, operations] : paths) {
        out.append(is_first ? "" : ",")
            .append(quoted(path))
            .append(":{")
            .append(operations)
            .append("}");
        is_first = false;
    }
    out.append(R"(},"components":{"schemas":{)");
    for (const auto& [name, schema] : schemas) {
        out.append(quoted(name)).append(":").append(schema).append(",");
    }
    out.append(
        R"("error":{"type":"object","properties":{"error":{"type":"object","properties":{)"
        R"("code":{"type":"string"},"message":{"type":"string"},"pointer":{"type":"string"}}}}}},)"
    );
    out.append(R"("responses":{"failure":{"description":"not done","content":{"application/json":)"
               R"({"schema":{"$ref":"#/components/schemas/error"}}}}},"securitySchemes":{)");
    out.append(R"("key":{"type":"apiKey","in":"header","name":"X-Tenon-Key"},)");
    out.append(R"("timestamp":{"type":"apiKey","in":"header","name":"X-Tenon-Timestamp",)"
               R"("description":"milliseconds since 1970"},)");
    out.append(
        R"("signature":{"type":"apiKey","in":"header","name":"X-Tenon-Signature",)"
        R"("description":"of timestamp, method, path, query and body, each but the last followed by a newline; )"
        R"(HMAC-SHA256 in hexadecimal or Ed25519 in base64"}}}})"
    );
    return out;
}

}  // namespace tenon::records
