// SPDX-License-Identifier: Apache-2.0
#include "answers.hpp"
#include "check.h"

int main() {
    const tenon_http_header headers[] = {
        {tenon::str("host"), tenon::str("x")}, {tenon::str("x-api-key"), tenon::str("k1")}};
    tenon_http_request request{};
    request.headers = headers;
    request.header_count = 2;
    CHECK(header_of(request, "x-api-key") == "k1");
    CHECK(header_of(request, "x-signature").empty());

    CHECK(hello_body("say \"hi\"\n") == R"({"message":"say \"hi\"\u000a"})");
    CHECK(echo_body(17, "{}") == R"({"account":17,"body":"{}"})");
    CHECK(error_body("c", "m") == R"({"error":{"code":"c","message":"m"}})");
    return failures();
}
