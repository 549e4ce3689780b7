// SPDX-License-Identifier: Apache-2.0
// Where a server is: the part of a URL that a client needs.
#pragma once

#include <string>
#include <string_view>

namespace tenon::net {

struct Url {
    bool is_tls = false;
    std::string host;  // a name or an address; of IPv6 without brackets
    std::string port;
    std::string path;  // begins with '/'; may have a query

    // As it goes into the Host header: with the port unless it is the scheme's own.
    [[nodiscard]] std::string authority() const;
};

// http://, https://, ws:// or wss://, HOST[:PORT][/PATH]. No user, no fragment. Throws Error
// TENON_INVALID, without the text, which may hold a secret.
[[nodiscard]] Url parse_url(std::string_view text);

}  // namespace tenon::net
