// SPDX-License-Identifier: Apache-2.0
// One connection to an HTTP/1.1 server, plain or over TLS with the certificate checked, for threads
// that may block. What a backup uploads must not pass through the reactor, which trades; so this is
// not sdk/net's client. No redirects, no proxies. One thread at a time.
#pragma once

#include "sdk/net/url.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tenon::vault {

struct WireRequest {
    std::string method;
    std::string target;
    std::vector<std::pair<std::string, std::string>> headers;  // without Host and Content-Length
    std::span<const unsigned char> body;
};

struct WireReply {
    unsigned status = 0;
    std::uint64_t length = 0;  // Content-Length, also of an answer without a body
    std::vector<unsigned char> body;
};

class Wire {
public:
    struct Options {
        net::Url url;
        std::string ca_file;  // PEM of the authorities to trust instead of the system's
        std::int64_t timeout_ms = 30'000;  // without a byte going or coming
        std::size_t body_max = 0;
        std::function<bool()> is_cancelled;
    };

    explicit Wire(Options options);
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    // Connects when there is no connection. Throws Error TENON_UNAVAILABLE or TENON_TIMEOUT, with
    // the reason and nothing of the request; the connection is closed then.
    [[nodiscard]] WireReply exchange(const WireRequest& request);
    // Throws TENON_UNAVAILABLE when cancelled.
    void wait(std::int64_t ns);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::vault
