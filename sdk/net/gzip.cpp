// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/gzip.hpp"

#include "sdk/net/header_words.hpp"

#include <limits>
#include <optional>
#include <zlib.h>

namespace tenon::net {
namespace {

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

}  // namespace

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

Packer::Packer() = default;

Packer::~Packer() {
    if (stream_) {
        deflateEnd(stream_.get());
    }
}

// 15 window bits and 16: a gzip header, whose time is zero, so that equal bodies give equal bytes.
std::string Packer::pack(std::string_view body) {
    if (body.size() > std::numeric_limits<uInt>::max()) {
        return {};
    }
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

}  // namespace tenon::net
