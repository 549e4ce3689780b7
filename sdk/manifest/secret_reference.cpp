// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/secret_reference.hpp"

#include "sdk/manifest/json_file.hpp"
#include "sdk/manifest/schema.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>

#include <cstdlib>

namespace tenon::manifest {

namespace {

namespace json = boost::json;

std::string read_secret(const std::filesystem::path& file, const std::string& reference) {
    constexpr std::size_t k_longest = 65536;
    std::string error;
    auto text = read_file(file, k_longest, error);
    if (!text) {
        throw Error{TENON_NOT_FOUND, "M18 the secret " + reference + " cannot be read: " + error};
    }
    if (text->ends_with('\n')) {
        text->pop_back();
    }
    return std::move(*text);
}

std::string resolve(const std::string& reference, const std::filesystem::path& folder) {
    if (!is_secret_reference(reference)) {  // never repeat it: it may well be the secret
        throw Error{TENON_INVALID, "M18 plain text where a reference to a secret is wanted"};
    }
    const auto colon = reference.find(':');
    const std::string kind = reference.substr(0, colon);
    const std::string name = reference.substr(colon + 1);
    if (kind == "file") {
        return read_secret(folder / name, reference);
    }
    const bool credential = kind == "credential";
    const char* found = std::getenv(credential ? "CREDENTIALS_DIRECTORY" : name.c_str());
    if (found == nullptr) {
        throw Error{TENON_NOT_FOUND, "M18 the secret " + reference + " is not in the environment"};
    }
    return credential ? read_secret(std::filesystem::path{found} / name, reference) : found;
}

}  // namespace

void resolve_secrets(
    const json::object& schema,
    json::value& value,
    const std::filesystem::path& folder
) {
    if (value.is_string() && !value.get_string().empty()) {
        const json::value* secret = schema.if_contains("x-secret");
        if (secret != nullptr && *secret == true) {
            value = resolve(std::string{value.get_string()}, folder);
        }
    } else if (value.is_array()) {
        if (const json::value* items = schema.if_contains("items"); items != nullptr) {
            for (json::value& item : value.get_array()) {
                resolve_secrets(items->get_object(), item, folder);
            }
        }
    } else if (value.is_object()) {
        const json::value* properties = schema.if_contains("properties");
        if (properties == nullptr) {
            return;
        }
        for (auto& entry : value.get_object()) {
            const json::value* declared = properties->get_object().if_contains(entry.key());
            if (declared != nullptr) {
                resolve_secrets(declared->get_object(), entry.value(), folder);
            }
        }
    }
}

}  // namespace tenon::manifest
