// SPDX-License-Identifier: Apache-2.0
// How an answer is given to this request: whole, compressed (RFC 9110, 8.4 and 12.5.3), or as "not
// modified" (RFC 9110, 13.1.2). Knows no socket and no clock.
//
// An answer gets an ETag when its handler says by Cache-Control that it may be kept. It is gzip
// when the client takes that, the body is text and long enough, and the peer is not this machine,
// where bytes cost nothing. A body that was compressed is kept, bounded: many ask for the same; one
// that must not be kept (no-store, or nothing is said) is not. A
// handler that sets ETag or Content-Encoding has decided by itself. One thread.
#pragma once

#include "plugins/gateway/http/settings.hpp"
#include "sdk/net/gzip.hpp"

#include <tenon/abi/http.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tenon::http {

struct Representation {
    std::uint32_t status;   // the handler's, or 304
    std::string_view body;  // the handler's, or compressed
    std::string_view etag;  // empty: none
    bool gzip = false;      // says Content-Encoding
    bool varies = false;    // another client may get other bytes: says Vary
};

// gzip of bodies, level 1: those that were asked for last are kept, up to `bytes_max`.
class Compressor {
public:
    // Empty when it would not be shorter. Valid until the next call.
    [[nodiscard]] std::string_view
    compress(std::string_view body, std::uint64_t hash, std::size_t bytes_max);

    [[nodiscard]] std::size_t kept_bytes() const noexcept { return bytes_; }

private:
    struct Kept {
        std::uint64_t hash;
        std::size_t plain_size;
        std::string packed;
    };

    void shrink_to(std::size_t bytes);

    net::Packer packer_;
    std::list<Kept> kept_;  // newest first
    std::unordered_map<std::uint64_t, std::list<Kept>::iterator> by_hash_;
    std::size_t bytes_ = 0;
    std::string too_long_;  // packed, and not kept
};

class Negotiator {
public:
    // What it returns is valid until the next call, and no longer than the response.
    [[nodiscard]] Representation choose(
        const tenon_http_request& request,
        const tenon_http_response& response,
        const Settings& settings
    );

    // Of compressed bodies.
    [[nodiscard]] std::size_t kept_bytes() const noexcept { return compressor_.kept_bytes(); }

private:
    Compressor compressor_;
    std::string etag_;
};

// A peer to whom bytes cost nothing.
[[nodiscard]] bool is_this_machine(std::string_view address) noexcept;
// By weak comparison; "*" matches.
[[nodiscard]] bool matches_etag(std::string_view if_none_match, std::string_view etag) noexcept;

}  // namespace tenon::http
