// SPDX-License-Identifier: Apache-2.0
// One POST over HTTP/1.1, or over TLS with the certificate checked against the system's and the
// host's name. No redirects, no proxies, no connection kept: a batch is worth one.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace tenon::predictor {

struct Url {
    bool is_tls = false;
    std::string host, port, path;
};

// "https://host[:port]/path" or "http://…". Throws Error TENON_INVALID, without the text, which may
// hold a secret.
[[nodiscard]] Url parse_url(std::string_view text);

struct Post {
    std::string body;
    std::string authorization;  // "" sends none
    std::chrono::milliseconds timeout{5000};
};

// [io] The body of a 2xx answer, at most 1 MiB. Throws Error: TENON_TIMEOUT;
// TENON_DENIED (401, 403); TENON_UNAVAILABLE (no connection, TLS, any other status). A resolver
// that hangs can hold it longer than the time-out.
[[nodiscard]] std::string post_json(const Url& url, const Post& post);

}  // namespace tenon::predictor
