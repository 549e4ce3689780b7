// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/representation.hpp"

#include "plugins/gateway/http/handshake.hpp"
#include "sdk/net/header_words.hpp"

#include <tenon/byte_codec.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>

namespace tenon::http {

using net::same_word;
using net::take;

namespace {

constexpr std::size_t k_kept_overhead = 128;  // of a list node, a map node and the string

bool is_text(std::string_view content_type) noexcept {
    const std::string_view type = take(content_type, ';');
    static constexpr std::array<std::string_view, 6> k_types{
        "application/json",
        "application/javascript",
        "application/xml",
        "application/manifest+json",
        "application/openmetrics-text",
        "image/svg+xml"};
    return (type.size() > 5 && same_word(type.substr(0, 5), "text/")) ||
           std::any_of(k_types.begin(), k_types.end(), [&](std::string_view known) {
               return same_word(type, known);
           });
}

struct Said {
    bool may_be_kept = false;
    bool decided = false;
};

Said said_by(const tenon_http_response& response) noexcept {
    Said said;
    for (std::uint32_t i = 0; i < response.header_count; ++i) {
        const std::string_view name = view(response.headers[i].name);
        if (same_word(name, "cache-control")) {
            said.may_be_kept =
                view(response.headers[i].value).find("no-store") == std::string_view::npos;
        }
        said.decided =
            said.decided || same_word(name, "etag") || same_word(name, "content-encoding");
    }
    return said;
}

bool reads(std::string_view method) noexcept {
    return method == "GET" || method == "HEAD";
}

}  // namespace

bool is_this_machine(std::string_view address) noexcept {
    return address == k_unix_address || address.starts_with("127.") || address == "::1" ||
           address.starts_with("::ffff:127.");
}

bool matches_etag(std::string_view if_none_match, std::string_view etag) noexcept {
    const auto opaque = [](std::string_view tag) {
        return tag.starts_with("W/") ? tag.substr(2) : tag;
    };
    while (!if_none_match.empty()) {
        const std::string_view one = take(if_none_match, ',');
        if (one == "*" || (!one.empty() && opaque(one) == opaque(etag))) {
            return true;
        }
    }
    return false;
}

void Compressor::shrink_to(std::size_t bytes) {
    while (bytes_ > bytes) {
        bytes_ -= kept_.back().packed.capacity() + k_kept_overhead;
        by_hash_.erase(kept_.back().hash);
        kept_.pop_back();
    }
}

std::string_view
Compressor::compress(std::string_view body, std::uint64_t hash, std::size_t bytes_max) {
    const auto found = by_hash_.find(hash);
    if (found != by_hash_.end() && found->second->plain_size == body.size()) {
        kept_.splice(kept_.begin(), kept_, found->second);
        return kept_.front().packed;
    }
    std::string packed = packer_.pack(body);
    const std::size_t cost = packed.capacity() + k_kept_overhead;
    if (cost > bytes_max || found != by_hash_.end()) {
        too_long_ = std::move(packed);
        return too_long_;
    }
    shrink_to(bytes_max - cost);
    kept_.push_front({hash, body.size(), std::move(packed)});
    by_hash_.emplace(hash, kept_.begin());
    bytes_ += cost;
    return kept_.front().packed;
}

Representation Negotiator::choose(
    const tenon_http_request& request,
    const tenon_http_response& response,
    const Settings& settings
) {
    Representation chosen{response.status, view(response.body), {}};
    const bool packs = settings.answer_compression && response.body.n >= settings.gzip_min_bytes &&
                       is_text(view(response.content_type)) &&
                       (settings.gzip == Packs::always || !is_this_machine(view(request.remote)));
    if (response.status != 200 || (!packs && response.header_count == 0)) {
        return chosen;
    }
    const Said said = said_by(response);
    const bool tagged = settings.etags && said.may_be_kept && reads(view(request.method));
    if (said.decided || (!packs && !tagged)) {
        return chosen;
    }
    chosen.varies = packs;
    const std::uint64_t hash = hash64(chosen.body);
    if (tagged) {
        static constexpr std::string_view k_digits = "0123456789abcdef";
        etag_ = "W/\"";
        for (int shift = 60; shift >= 0; shift -= 4) {
            etag_.push_back(k_digits[(hash >> shift) & 0xF]);
        }
        etag_.push_back('"');
        chosen.etag = etag_;
        if (matches_etag(header_of(request, "if-none-match"), etag_)) {
            chosen.status = 304;
            chosen.body = {};
            return chosen;
        }
    }
    if (packs && net::accepts_gzip(header_of(request, "accept-encoding"))) {
        const std::string_view packed = compressor_.compress(
            chosen.body, hash, said.may_be_kept ? settings.gzip_kept_bytes : 0
        );
        if (!packed.empty()) {
            chosen.gzip = true;
            chosen.body = packed;
        }
    }
    return chosen;
}

}  // namespace tenon::http
