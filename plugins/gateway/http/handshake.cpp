// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/handshake.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <openssl/evp.h>

namespace tenon::http {
namespace {

constexpr std::string_view k_guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t k_key_size = 24;  // 16 bytes in base64

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) {
        return lower(x) == lower(y);
    });
}

bool is_base64(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

}  // namespace

std::string_view header_of(const tenon_http_request& request, std::string_view name) {
    for (std::uint32_t i = 0; i < request.header_count; ++i) {
        if (view(request.headers[i].name) == name) {
            return view(request.headers[i].value);
        }
    }
    return {};
}

bool asks_for_websocket(const tenon_http_request& request) {
    return equals_ignoring_case(header_of(request, "upgrade"), "websocket");
}

HandshakeFault check_handshake(const tenon_http_request& request) {
    if (view(request.method) != "GET") {
        return {400, "a WebSocket is opened with GET"};
    }
    if (header_of(request, "sec-websocket-version") != "13") {
        return {426, "Sec-WebSocket-Version must be 13"};
    }
    const std::string_view key = header_of(request, "sec-websocket-key");
    const bool well_formed = key.size() == k_key_size && key.ends_with("==") &&
                             std::all_of(key.begin(), key.end() - 2, is_base64);
    if (!well_formed) {
        return {400, "Sec-WebSocket-Key must be 16 bytes in base64"};
    }
    return {};
}

std::string accept_key(std::string_view key) {
    std::string text{key};
    text.append(k_guid);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) {
        throw Error{TENON_INTERNAL, "SHA-1 is not available"};
    }
    std::array<unsigned char, 64> base64{};
    const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(size));
    return {base64.begin(), base64.begin() + length};
}

std::string handshake_answer(std::string_view key, std::string_view extensions) {
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: " +
           accept_key(key) + "\r\n" + std::string{extensions} + "\r\n";
}

}  // namespace tenon::http
