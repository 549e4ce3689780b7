// SPDX-License-Identifier: Apache-2.0
// Where a Redis server is, and who to log in as.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::redis {

struct Address {
    std::string host = "127.0.0.1";
    std::uint16_t port = 6379;
    std::string socket;  // path of a unix socket; then host and port do not count
    std::string user;    // empty: the default user
    std::string password;
    std::uint32_t database = 0;
    bool tls = false;     // the server's certificate is checked, also against the host
    std::string ca_file;  // PEM of the authorities to trust instead of the system's

    // For logs and errors: never with the password.
    [[nodiscard]] std::string shown() const;
};

// redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE], rediss:// for the same over TLS, or
// unix://[USER[:PASSWORD]@]/PATH[?db=DATABASE], with %XX in user and password; HOST may be [IPv6].
// Throws Error TENON_INVALID, without quoting the URL, which may hold a password.
[[nodiscard]] Address parse_url(std::string_view url);

}  // namespace tenon::redis
