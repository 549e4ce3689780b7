// SPDX-License-Identifier: Apache-2.0
// permessage-deflate (RFC 7692) without context takeover on either side: each message is compressed
// by itself, so that one compressed frame serves everybody who gets the message, and no connection
// needs a window of its own. Knows no connection. One thread.
#pragma once

#include <tenon/abi/http.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct z_stream_s;

namespace tenon::http {

struct DeflateOffer {
    bool accepted = false;
    bool window_asked = false;  // the answer must name the server's window
};

// The first of the client's offers that can be served. An offer with a window smaller than ours, or
// with a parameter that RFC 7692 does not know, is passed over, as the RFC asks for.
[[nodiscard]] DeflateOffer choose_deflate(const tenon_http_request& request);
// The header line of the answer, with its line end.
[[nodiscard]] std::string deflate_answer(const DeflateOffer& offer);

// Text as it stands in a frame: raw deflate, level 1, without the last four bytes.
class WsDeflater {
public:
    // 4 KiB: what some clients limit a server to. Larger ones gain little on JSON.
    static constexpr int k_window_bits = 12;

    WsDeflater();
    ~WsDeflater();
    WsDeflater(const WsDeflater&) = delete;
    WsDeflater& operator=(const WsDeflater&) = delete;

    // Empty when it would not be shorter. Valid until the next call.
    [[nodiscard]] std::string_view pack(std::string_view text);

private:
    std::unique_ptr<z_stream_s> stream_;
    std::string packed_;
};

// The other way, for messages of clients, which may be made to grow: by more than a thousand times.
class WsInflater {
public:
    enum class Outcome { text, too_big, broken };

    WsInflater();
    ~WsInflater();
    WsInflater(const WsInflater&) = delete;
    WsInflater& operator=(const WsInflater&) = delete;

    // Never makes more than `bytes_max` bytes, and keeps little memory afterwards.
    [[nodiscard]] Outcome unpack(std::string_view packed, std::size_t bytes_max);

    // What unpack made. Valid until the next call.
    [[nodiscard]] std::string_view text() const noexcept { return text_; }

private:
    [[nodiscard]] Outcome feed(std::string_view packed, std::size_t bytes_max);

    std::unique_ptr<z_stream_s> stream_;
    std::string text_;
};

}  // namespace tenon::http
