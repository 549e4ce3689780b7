// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/ws_frame.hpp"

#include "plugins/gateway/http/ws_deflate.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <string>

namespace tenon::http {

namespace {

constexpr unsigned k_final = 0x80;
constexpr unsigned k_compressed = 0x40;  // RSV1 (RFC 7692, 6)

tenon_ws_frame* build(unsigned first, std::string_view payload) {
    std::array<unsigned char, 10> head{};
    std::size_t head_size = 2;
    head[0] = static_cast<unsigned char>(first);
    const std::uint64_t size = payload.size();
    if (size < 126) {
        head[1] = static_cast<unsigned char>(size);
    } else {
        const std::size_t width = size <= 0xFFFF ? 2 : 8;
        head[1] = width == 2 ? 126 : 127;
        for (std::size_t i = 0; i < width; ++i) {
            head[2 + i] = static_cast<unsigned char>(size >> (8 * (width - 1 - i)));
        }
        head_size += width;
    }
    void* const memory = ::operator new(sizeof(tenon_ws_frame) + head_size + payload.size());
    auto* const frame =
        new (memory) tenon_ws_frame{1, static_cast<std::uint32_t>(head_size + payload.size())};
    char* const bytes = reinterpret_cast<char*>(frame + 1);
    std::memcpy(bytes, head.data(), head_size);
    if (!payload.empty()) {
        std::memcpy(bytes + head_size, payload.data(), payload.size());
    }
    return frame;
}

std::string_view payload_of(const tenon_ws_frame& frame) noexcept {
    const auto length = static_cast<unsigned char>(frame.bytes()[1]);
    const std::size_t head = length < 126 ? 2 : length == 126 ? 4 : 10;
    return {frame.bytes() + head, frame.size - head};
}

}  // namespace

tenon_ws_frame* make_frame(Opcode opcode, std::string_view payload) {
    return build(k_final | static_cast<unsigned>(opcode), payload);
}

tenon_ws_frame& packed_frame(tenon_ws_frame& frame, WsDeflater& deflater, std::size_t bytes_min) {
    const std::string_view text = payload_of(frame);
    if (!frame.tried && text.size() >= bytes_min) {
        frame.tried = true;
        const std::string_view packed = deflater.pack(text);
        if (!packed.empty() && packed.size() < text.size()) {
            const auto opcode = static_cast<unsigned>(Opcode::text);
            frame.packed = build(k_final | k_compressed | opcode, packed);
        }
    }
    return frame.packed == nullptr ? frame : *frame.packed;
}

tenon_ws_frame* make_close_frame(std::uint16_t code, std::string_view reason) {
    constexpr std::size_t k_reason_max = 123;  // a control frame carries 125 bytes
    std::string payload;
    payload.push_back(static_cast<char>(code >> 8U));
    payload.push_back(static_cast<char>(code & 0xFFU));
    std::size_t size = std::min(reason.size(), k_reason_max);
    while (size < reason.size() && size > 0 &&
           (static_cast<unsigned char>(reason[size]) & 0xC0U) == 0x80U) {
        --size;  // not inside a character
    }
    payload.append(reason.substr(0, size));
    return make_frame(Opcode::close, payload);
}

void retain_frame(tenon_ws_frame& frame) noexcept {
    frame.references.fetch_add(1, std::memory_order_relaxed);
}

void release_frame(tenon_ws_frame* frame) noexcept {
    if (frame != nullptr && frame->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        release_frame(frame->packed);
        frame->~tenon_ws_frame();
        ::operator delete(frame);
    }
}

FrameQueue::~FrameQueue() {
    for (std::size_t i = first_; i < frames_.size(); ++i) {
        release_frame(frames_[i]);
    }
}

void FrameQueue::push(tenon_ws_frame& frame) {
    // Written frames are forgotten when they are the larger part: constant cost for each on
    // average.
    if (first_ > 64 && first_ * 2 > frames_.size()) {
        frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
    frames_.push_back(&frame);
    retain_frame(frame);
    bytes_ += frame.size;
}

std::size_t FrameQueue::gather(iovec* out, std::size_t room) const noexcept {
    std::size_t count = 0;
    std::size_t skip = offset_;
    for (std::size_t i = first_; i < frames_.size() && count < room; ++i, ++count) {
        // writev does not write through the pointer.
        out[count] = {const_cast<char*>(frames_[i]->bytes()) + skip, frames_[i]->size - skip};
        skip = 0;
    }
    return count;
}

void FrameQueue::written(std::size_t size) noexcept {
    bytes_ -= size;
    size += offset_;
    while (first_ < frames_.size() && size >= frames_[first_]->size) {
        size -= frames_[first_]->size;
        release_frame(frames_[first_++]);
    }
    offset_ = size;
    if (first_ == frames_.size()) {
        frames_.clear();
        first_ = 0;
    }
}

void FrameQueue::drop_unstarted() noexcept {
    const std::size_t keep = first_ + (offset_ != 0 ? 1 : 0);
    while (frames_.size() > keep) {
        bytes_ -= frames_.back()->size;
        release_frame(frames_.back());
        frames_.pop_back();
    }
}

}  // namespace tenon::http
