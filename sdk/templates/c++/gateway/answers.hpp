// SPDX-License-Identifier: Apache-2.0
// What the routes answer with. Knows nothing of connections, so that the test can use it as it is.
#pragma once

#include <tenon/abi/http.h>
#include <tenon/json.hpp>

#include <string>
#include <string_view>

// The header's value, "" when it was not sent; names come in lower case.
[[nodiscard]] inline std::string_view
header_of(const tenon_http_request& request, std::string_view name) {
    for (std::uint32_t i = 0; i < request.header_count; ++i) {
        if (tenon::view(request.headers[i].name) == name) {
            return tenon::view(request.headers[i].value);
        }
    }
    return {};
}

[[nodiscard]] inline std::string hello_body(std::string_view greeting) {
    std::string body = R"({"message":)";
    tenon::append_json(body, greeting);
    return body + "}";
}

[[nodiscard]] inline std::string echo_body(std::uint64_t account, std::string_view sent) {
    std::string body = R"({"account":)" + std::to_string(account) + R"(,"body":)";
    tenon::append_json(body, sent);
    return body + "}";
}

[[nodiscard]] inline std::string error_body(std::string_view code, std::string_view message) {
    std::string body = R"({"error":{"code":)";
    tenon::append_json(body, code);
    body += R"(,"message":)";
    tenon::append_json(body, message);
    return body + "}}";
}
