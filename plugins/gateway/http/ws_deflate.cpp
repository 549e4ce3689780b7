// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/ws_deflate.hpp"

#include "sdk/net/header_words.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <new>
#include <optional>
#include <zlib.h>

namespace tenon::http {

using net::take;

namespace {

// A flush ends with an empty stored block; its last four bytes do not travel (RFC 7692, 7.2.1).
constexpr std::string_view k_tail{"\x00\x00\xFF\xFF", 4};
constexpr std::size_t k_kept_bytes = 64 * 1024;
constexpr int k_smallest_window = 8;
constexpr int k_largest_window = 15;

// 8 to 15 without leading zeros, also in quotes.
std::optional<int> window_of(std::string_view value) noexcept {
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
        value = value.substr(1, value.size() - 2);
    }
    int bits = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), bits);
    const bool number = !value.empty() && parsed.ec == std::errc{} &&
                        parsed.ptr == value.data() + value.size() && value.front() != '0';
    return number && bits >= k_smallest_window && bits <= k_largest_window ? std::optional{bits}
                                                                           : std::nullopt;
}

// One offer's parameters.
DeflateOffer read_offer(std::string_view parameters) noexcept {
    static constexpr std::array<std::string_view, 4> k_names{
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits"};
    DeflateOffer offer;
    std::array<bool, k_names.size()> seen{};
    while (!parameters.empty()) {
        std::string_view value = take(parameters, ';');
        const bool has_value = value.find('=') != std::string_view::npos;
        const std::string_view name = take(value, '=');
        const auto at = static_cast<std::size_t>(
            std::find(k_names.begin(), k_names.end(), name) - k_names.begin()
        );
        if (at == k_names.size() || seen.at(at)) {
            return {};
        }
        seen.at(at) = true;
        const std::optional<int> window = window_of(value);
        const bool right = at < 2    ? !has_value
                           : at == 2 ? window.value_or(0) >= WsDeflater::k_window_bits
                                     : !has_value || window.has_value();
        if (!right) {
            return {};
        }
    }
    offer.accepted = true;
    offer.window_asked = seen[2];
    return offer;
}

Bytef* bytes_of(std::string_view text) noexcept {
    // zlib does not write to its input.
    return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

}  // namespace

DeflateOffer choose_deflate(const tenon_http_request& request) {
    for (std::uint32_t i = 0; i < request.header_count; ++i) {
        if (view(request.headers[i].name) != "sec-websocket-extensions") {
            continue;
        }
        std::string_view offers = view(request.headers[i].value);
        while (!offers.empty()) {
            std::string_view parameters = take(offers, ',');
            if (take(parameters, ';') == "permessage-deflate") {
                if (const DeflateOffer offer = read_offer(parameters); offer.accepted) {
                    return offer;
                }
            }
        }
    }
    return {};
}

std::string deflate_answer(const DeflateOffer& offer) {
    std::string line =
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
        "client_no_context_takeover";
    if (offer.window_asked) {
        line += "; server_max_window_bits=" + std::to_string(WsDeflater::k_window_bits);
    }
    return line + "\r\n";
}

WsDeflater::WsDeflater() = default;

WsDeflater::~WsDeflater() {
    if (stream_) {
        deflateEnd(stream_.get());
    }
}

std::string_view WsDeflater::pack(std::string_view text) {
    constexpr int k_memory = 6;  // of a small window, and soon reset
    if (text.size() > std::numeric_limits<uInt>::max() / 2) {
        return {};
    }
    if (!stream_) {
        auto fresh = std::make_unique<z_stream_s>();
        if (deflateInit2(
                fresh.get(), 1, Z_DEFLATED, -k_window_bits, k_memory, Z_DEFAULT_STRATEGY
            ) != Z_OK) {
            throw std::bad_alloc{};
        }
        stream_ = std::move(fresh);
    }
    deflateReset(stream_.get());
    packed_.resize(text.size() + k_tail.size());  // longer: of no use
    stream_->next_in = bytes_of(text);
    stream_->avail_in = static_cast<uInt>(text.size());
    stream_->next_out = reinterpret_cast<Bytef*>(packed_.data());
    stream_->avail_out = static_cast<uInt>(packed_.size());
    // Room left over is how zlib says that it has flushed all.
    if (deflate(stream_.get(), Z_SYNC_FLUSH) != Z_OK || stream_->avail_out == 0) {
        return {};
    }
    const std::size_t size = packed_.size() - stream_->avail_out;
    return std::string_view{packed_}.substr(0, size - k_tail.size());
}

WsInflater::WsInflater() = default;

WsInflater::~WsInflater() {
    if (stream_) {
        inflateEnd(stream_.get());
    }
}

WsInflater::Outcome WsInflater::unpack(std::string_view packed, std::size_t bytes_max) {
    if (!stream_) {
        auto fresh = std::make_unique<z_stream_s>();
        if (inflateInit2(fresh.get(), -k_largest_window) != Z_OK) {
            throw std::bad_alloc{};
        }
        stream_ = std::move(fresh);
    }
    inflateReset(stream_.get());
    text_.clear();
    if (text_.capacity() > k_kept_bytes) {
        text_.shrink_to_fit();
    }
    Outcome outcome = feed(packed, bytes_max);
    if (outcome == Outcome::text) {
        outcome = feed(k_tail, bytes_max);
    }
    // Bit 7: nothing is left of the block that was read last.
    if (outcome == Outcome::text && (stream_->data_type & 0x80) == 0) {
        outcome = Outcome::broken;
    }
    return outcome;
}

WsInflater::Outcome WsInflater::feed(std::string_view packed, std::size_t bytes_max) {
    std::array<char, 16 * 1024> piece{};
    stream_->next_in = bytes_of(packed);
    stream_->avail_in = static_cast<uInt>(packed.size());
    while (true) {
        stream_->next_out = reinterpret_cast<Bytef*>(piece.data());
        stream_->avail_out = static_cast<uInt>(piece.size());
        const int result = inflate(stream_.get(), Z_SYNC_FLUSH);
        if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END) {
            return Outcome::broken;
        }
        const std::size_t made = piece.size() - stream_->avail_out;
        if (made > bytes_max - text_.size()) {
            return Outcome::too_big;
        }
        text_.append(piece.data(), made);
        if (result == Z_STREAM_END) {
            // A client may end the stream (RFC 7692, 7.2.3.4); what follows is a new one.
            inflateReset(stream_.get());
        }
        if (stream_->avail_in == 0 && stream_->avail_out != 0) {
            return Outcome::text;
        }
    }
}

}  // namespace tenon::http
