/* SPDX-License-Identifier: Apache-2.0 */
#include "answers.h"
#include "check.h"

int main(void) {
    const tenon_http_header headers[] = {{{"host", 4}, {"x", 1}}, {{"x-api-key", 9}, {"k1", 2}}};
    const tenon_str         said = {"say \"hi\"\n", 9};
    tenon_http_request      request;
    char*                   body;
    memset(&request, 0, sizeof request);
    request.headers = headers;
    request.header_count = 2;
    CHECK(header_of(&request, "x-api-key").n == 2);
    CHECK(header_of(&request, "x-signature").n == 0);

    body = json_body("{\"message\":", said, "}");
    CHECK(body != NULL && strcmp(body, "{\"message\":\"say \\\"hi\\\"\\u000a\"}") == 0);
    free(body);
    return failures();
}
