// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/ws_reader.hpp"

#include "plugins/gateway/http/utf8.hpp"
#include "plugins/gateway/http/ws_deflate.hpp"
#include "plugins/gateway/http/ws_frame.hpp"

#include <array>
#include <cstring>

namespace tenon::http {
namespace {

constexpr std::uint16_t k_protocol_error = 1002;
constexpr std::uint16_t k_unsupported = 1003;
constexpr std::uint16_t k_no_status = 1005;
constexpr std::uint16_t k_bad_text = 1007;
constexpr std::uint16_t k_policy = 1008;
constexpr std::uint16_t k_too_big = 1009;
// Fragments are free of the limit of messages, and empty ones of that of bytes.
constexpr std::size_t k_fragments_max = 1'024;

unsigned at(const char* data, std::size_t i) {
    return static_cast<unsigned char>(data[i]);
}

void unmask(char* data, std::size_t size, const char* key) {
    std::array<char, 8> wide{};
    std::memcpy(wide.data(), key, 4);
    std::memcpy(wide.data() + 4, key, 4);
    std::uint64_t mask = 0;
    std::memcpy(&mask, wide.data(), sizeof mask);
    std::size_t i = 0;
    for (; size - i >= sizeof mask; i += sizeof mask) {
        std::uint64_t word = 0;
        std::memcpy(&word, data + i, sizeof word);
        word ^= mask;
        std::memcpy(data + i, &word, sizeof word);
    }
    for (; i < size; ++i) {
        data[i] = static_cast<char>(at(data, i) ^ at(key, i % 4));
    }
}

// Codes that may stand in a close frame (RFC 6455, 7.4, and the IANA registry).
bool may_be_sent(unsigned code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

bool is_control(std::uint8_t opcode) {
    return (opcode & 8U) != 0;
}

WsReader::Item failure(std::uint16_t code, std::string_view reason) {
    return {WsReader::Event::failed, reason, code, 0};
}

}  // namespace

std::string_view WsReader::check_head(const char* data, std::size_t size, std::uint16_t& code)
    const {
    code = k_protocol_error;
    const unsigned first = at(data, 0);
    const auto opcode = static_cast<std::uint8_t>(first & 0x0FU);
    // The first of them says "compressed", on the first frame of a message alone.
    const bool may_be_compressed = inflater_ != nullptr && (opcode == 1 || opcode == 2);
    if ((first & (may_be_compressed ? 0x30U : 0x70U)) != 0) {
        return "reserved bits are set";
    }
    if (opcode > 10 || (opcode > 2 && opcode < 8)) {
        return "unknown opcode";
    }
    if (is_control(opcode) && (first & 0x80U) == 0) {
        return "fragmented control frame";
    }
    if (opcode == 0 && !in_message_) {
        return "continuation of nothing";
    }
    if ((opcode == 1 || opcode == 2) && in_message_) {
        return "the message before has not ended";
    }
    if (size < 2) {
        return {};
    }
    if ((at(data, 1) & 0x80U) == 0) {
        return "frames of a client must be masked";
    }
    if (is_control(opcode) && (at(data, 1) & 0x7FU) > 125) {
        return "control frame too long";
    }
    if (opcode == 2) {
        code = k_unsupported;
        return "binary messages are not supported";
    }
    return {};
}

bool WsReader::read_head(const char* data, std::size_t size, Head& head) {
    if (size < 2) {
        return false;
    }
    head.opcode = static_cast<std::uint8_t>(at(data, 0) & 0x0FU);
    head.final = (at(data, 0) & 0x80U) != 0;
    head.compressed = (at(data, 0) & 0x40U) != 0;
    const unsigned length = at(data, 1) & 0x7FU;
    std::size_t width = 0;
    if (length >= 126) {
        width = length == 126 ? 2 : 8;
    }
    head.size = 2 + width + 4;
    if (size < head.size) {
        return false;
    }
    head.payload = width == 0 ? length : 0;
    for (std::size_t i = 0; i < width; ++i) {
        head.payload = head.payload << 8U | at(data, 2 + i);
    }
    return true;
}

WsReader::Item WsReader::next(char* data, std::size_t size) {
    if (size == 0) {
        return {};
    }
    if (!in_message_) {
        message_.clear();
    }
    std::uint16_t code = 0;
    if (const std::string_view wrong = check_head(data, size, code); !wrong.empty()) {
        return failure(code, wrong);
    }
    Head head;
    if (!read_head(data, size, head)) {
        return {};
    }
    const bool minimal = head.size == 6 || head.payload >= (head.size == 8 ? 126U : 65536U);
    if (!minimal) {
        return failure(k_protocol_error, "length not in its shortest form");
    }
    const bool data_frame_now = !is_control(head.opcode);
    if (data_frame_now && head.payload > message_max_ - message_.size()) {
        return failure(k_too_big, "message too big");
    }
    const auto payload_size = static_cast<std::size_t>(head.payload);
    if (size - head.size < payload_size) {
        return {};
    }
    char* const payload = data + head.size;
    unmask(payload, payload_size, payload - 4);
    Item item = data_frame_now ? data_frame(head, {payload, payload_size})
                               : control_frame(head, {payload, payload_size});
    item.consumed = head.size + payload_size;
    return item;
}

WsReader::Item WsReader::data_frame(const Head& head, std::string_view payload) {
    if (!in_message_) {
        compressed_ = head.compressed;
        fragments_ = 0;
    }
    if (++fragments_ > k_fragments_max) {
        return failure(k_policy, "too many fragments");
    }
    if (!head.final) {
        message_.append(payload);
        in_message_ = true;
        return {Event::fragment, {}, 0, 0};
    }
    if (in_message_) {
        message_.append(payload);
        payload = message_;
        in_message_ = false;
    }
    return whole_message(payload);
}

WsReader::Item WsReader::whole_message(std::string_view payload) {
    if (compressed_) {
        using Outcome = WsInflater::Outcome;
        const Outcome outcome = inflater_->unpack(payload, message_max_);
        if (outcome != Outcome::text) {
            return outcome == Outcome::too_big
                       ? failure(k_too_big, "message too big")
                       : failure(k_bad_text, "message is not well compressed");
        }
        payload = inflater_->text();
    }
    if (!is_utf8(payload)) {
        return failure(k_bad_text, "text is not UTF-8");
    }
    return {Event::text, payload, 0, 0};
}

WsReader::Item WsReader::control_frame(const Head& head, std::string_view payload) {
    if (head.opcode == static_cast<std::uint8_t>(Opcode::ping)) {
        return {Event::ping, payload, 0, 0};
    }
    if (head.opcode == static_cast<std::uint8_t>(Opcode::pong)) {
        return {Event::pong, payload, 0, 0};
    }
    if (payload.empty()) {
        return {Event::close, {}, k_no_status, 0};
    }
    if (payload.size() == 1) {
        return failure(k_protocol_error, "close frame of one byte");
    }
    const unsigned code = at(payload.data(), 0) << 8U | at(payload.data(), 1);
    if (!may_be_sent(code)) {
        return failure(k_protocol_error, "close code that must not be sent");
    }
    if (!is_utf8(payload.substr(2))) {
        return failure(k_bad_text, "close reason is not UTF-8");
    }
    return {Event::close, payload.substr(2), static_cast<std::uint16_t>(code), 0};
}

}  // namespace tenon::http
