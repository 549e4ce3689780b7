// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/ws_codec.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <openssl/evp.h>
#include <openssl/rand.h>

namespace tenon::net {
namespace {

constexpr std::size_t k_control_max = 125;
constexpr std::uint16_t k_no_code = 1005;

[[nodiscard]] unsigned byte_at(const std::string& text, std::size_t at) noexcept {
    return static_cast<unsigned char>(text[at]);
}

[[nodiscard]] bool is_control(WsOpcode opcode) noexcept {
    return static_cast<unsigned>(opcode) >= 8;
}

[[nodiscard]] std::string base64(const unsigned char* bytes, std::size_t size) {
    std::array<unsigned char, 64> out{};
    const int length = EVP_EncodeBlock(out.data(), bytes, static_cast<int>(size));
    return {out.begin(), out.begin() + length};
}

void fill_random(unsigned char* bytes, std::size_t size) {
    if (RAND_bytes(bytes, static_cast<int>(size)) != 1) {
        throw Error{TENON_UNAVAILABLE, "the system has no random bytes"};
    }
}

}  // namespace

void append_ws_frame(
    std::string& out,
    WsOpcode opcode,
    std::string_view payload,
    std::uint32_t mask
) {
    const auto put = [&](std::uint64_t value) {
        out.push_back(static_cast<char>(static_cast<unsigned char>(value & 0xFFU)));
    };
    constexpr unsigned k_final = 0x80, k_masked = 0x80;
    put(k_final | static_cast<unsigned>(opcode));
    if (payload.size() <= k_control_max) {
        put(k_masked | payload.size());
    } else {
        const unsigned bytes = payload.size() <= 0xFFFF ? 2 : 8;
        put(k_masked | (bytes == 2 ? 126U : 127U));
        for (unsigned i = bytes; i-- > 0;) {
            put(payload.size() >> (8 * i));
        }
    }
    std::array<unsigned char, 4> key{};
    for (unsigned i = 0; i < key.size(); ++i) {
        key[i] = static_cast<unsigned char>(mask >> (8 * i));
        put(key[i]);
    }
    for (std::size_t i = 0; i < payload.size(); ++i) {
        put(static_cast<unsigned char>(payload[i]) ^ key[i % 4]);
    }
}

void WsFrameReader::feed(std::string_view bytes) {
    input_.erase(0, used_);
    used_ = 0;
    input_.append(bytes);
}

bool WsFrameReader::read_head(Head& head) const {
    const std::size_t have = input_.size() - used_;
    if (have < 2) {
        return false;
    }
    const unsigned second = byte_at(input_, used_ + 1);
    const unsigned bytes = (second & 0x7FU) == 126 ? 2 : (second & 0x7FU) == 127 ? 8 : 0;
    head.size = 2 + bytes;
    head.final = (byte_at(input_, used_) & 0x80U) != 0;
    head.opcode = static_cast<WsOpcode>(byte_at(input_, used_) & 0x0FU);
    if (have < head.size) {
        return false;
    }
    head.payload = bytes == 0 ? second & 0x7FU : 0;
    for (unsigned i = 0; i < bytes; ++i) {
        head.payload = (head.payload << 8U) | byte_at(input_, used_ + 2 + i);
    }
    return true;
}

std::string_view WsFrameReader::breach(const Head& head) const {
    if ((byte_at(input_, used_) & 0x70U) != 0) {
        return "a reserved bit is set";
    }
    if ((byte_at(input_, used_ + 1) & 0x80U) != 0) {
        return "a server's frame is masked";
    }
    switch (head.opcode) {
        case WsOpcode::close:
        case WsOpcode::ping:
        case WsOpcode::pong:
            return !head.final || head.payload > k_control_max ? "a control frame is too large"
                                                               : std::string_view{};
        case WsOpcode::continuation:
            if (!in_message_) {
                return "a fragment has no beginning";
            }
            break;
        case WsOpcode::text:
        case WsOpcode::binary:
            if (in_message_) {
                return "a message begins inside another";
            }
            break;
        default:
            return "an opcode is unknown";
    }
    // What was joined before is of a message that has been given.
    const std::size_t have = in_message_ ? message_.size() : 0;
    return head.payload > message_max_ - std::min(message_max_, have) ? "a message is too large"
                                                                      : std::string_view{};
}

WsFrameReader::Item WsFrameReader::control(const Head& head, std::string_view payload) const {
    if (head.opcode != WsOpcode::close) {
        return {head.opcode == WsOpcode::ping ? Event::ping : Event::pong, payload, 0};
    }
    if (payload.size() < 2) {
        return {Event::close, {}, k_no_code};
    }
    const auto high = static_cast<unsigned char>(payload[0]);
    const auto low = static_cast<unsigned char>(payload[1]);
    return {Event::close, payload.substr(2), static_cast<std::uint16_t>((high << 8U) | low)};
}

WsFrameReader::Item WsFrameReader::next() {
    while (true) {
        Head head;
        if (!read_head(head)) {
            return {};
        }
        if (const std::string_view why = breach(head); !why.empty()) {
            return {Event::failed, why, 0};
        }
        if (input_.size() - used_ - head.size < head.payload) {
            return {};
        }
        const std::string_view payload{
            input_.data() + used_ + head.size, static_cast<std::size_t>(head.payload)};
        used_ += head.size + payload.size();
        if (is_control(head.opcode)) {
            return control(head, payload);
        }
        if (!in_message_) {
            kind_ = head.opcode;
            message_.clear();
        }
        in_message_ = !head.final;
        const Event event = kind_ == WsOpcode::text ? Event::text : Event::binary;
        if (head.final && head.opcode != WsOpcode::continuation) {
            return {event, payload, 0};
        }
        message_.append(payload);
        if (head.final) {
            return {event, message_, 0};
        }
    }
}

std::string random_ws_key() {
    std::array<unsigned char, 16> bytes{};
    fill_random(bytes.data(), bytes.size());
    return base64(bytes.data(), bytes.size());
}

std::string ws_accept_of(std::string_view key) {
    const std::string text = std::string{key} + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) {
        throw Error{TENON_UNAVAILABLE, "SHA-1 is not available"};
    }
    return base64(digest.data(), size);
}

std::uint32_t random_ws_mask() {
    std::array<unsigned char, 4> bytes{};
    fill_random(bytes.data(), bytes.size());
    return static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8U |
           static_cast<std::uint32_t>(bytes[2]) << 16U |
           static_cast<std::uint32_t>(bytes[3]) << 24U;
}

}  // namespace tenon::net
