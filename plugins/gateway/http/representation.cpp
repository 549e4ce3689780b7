// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/representation.hpp"

#include "plugins/gateway/http/handshake.hpp"
#include "plugins/gateway/http/header_words.hpp"

#include <tenon/byte_codec.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <zlib.h>

namespace tenon::http {
namespace {

constexpr std::size_t k_kept_overhead = 128;  // of a list node, a map node and the string

// "q=0", "q=0.0" and so on: not acceptable.
bool is_refused(std::string_view parameters) noexcept {
    while (!parameters.empty()) {
        const std::string_view one = take(parameters, ';');
        if (one.size() >= 3 && same_word(one.substr(0, 2), "q=")) {
            return one.find_first_not_of("0.", 2) == std::string_view::npos;
        }
    }
    return false;
}

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
    return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

bool accepts_gzip(std::string_view accept_encoding) noexcept {
    std::optional<bool> any;
    while (!accept_encoding.empty()) {
        std::string_view parameters = take(accept_encoding, ',');
        const std::string_view coding = take(parameters, ';');
        if (same_word(coding, "gzip") || same_word(coding, "x-gzip")) {
            return !is_refused(parameters);
        }
        if (coding == "*") {
            any = !is_refused(parameters);
        }
    }
    return any.value_or(false);
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

Compressor::Compressor() = default;

Compressor::~Compressor() {
    if (stream_) {
        deflateEnd(stream_.get());
    }
}

// 15 window bits and 16: a gzip header, whose time is zero, so that equal bodies give equal bytes.
std::string Compressor::deflate_whole(std::string_view body) {
    if (!stream_) {
        auto fresh = std::make_unique<z_stream_s>();
        if (deflateInit2(fresh.get(), 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
            return {};
        }
        stream_ = std::move(fresh);
    }
    deflateReset(stream_.get());
    std::string packed(body.size(), '\0');  // not shorter: of no use
    stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream_->avail_in = static_cast<uInt>(body.size());
    stream_->next_out = reinterpret_cast<Bytef*>(packed.data());
    stream_->avail_out = static_cast<uInt>(packed.size());
    if (deflate(stream_.get(), Z_FINISH) != Z_STREAM_END) {
        return {};
    }
    packed.resize(packed.size() - stream_->avail_out);
    packed.shrink_to_fit();
    return packed;
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
    if (body.size() > std::numeric_limits<uInt>::max()) {
        return {};
    }
    const auto found = by_hash_.find(hash);
    if (found != by_hash_.end() && found->second->plain_size == body.size()) {
        kept_.splice(kept_.begin(), kept_, found->second);
        return kept_.front().packed;
    }
    std::string packed = deflate_whole(body);
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
    const bool packs = settings.gzip != Gzip::off && response.body.n >= settings.gzip_min_bytes &&
                       is_text(view(response.content_type)) &&
                       (settings.gzip == Gzip::always || !is_this_machine(view(request.remote)));
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
    if (packs && accepts_gzip(header_of(request, "accept-encoding"))) {
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
