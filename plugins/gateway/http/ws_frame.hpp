// SPDX-License-Identifier: Apache-2.0
// WebSocket frames to send (RFC 6455, 5.2): built once, shared by reference count, queued.
#pragma once

#include <tenon/abi/http.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <sys/uio.h>
#include <vector>

namespace tenon::http {
class WsDeflater;
}

// One unmasked, unfragmented frame. The bytes follow the struct in the same allocation. `packed` is
// the same message compressed, made by the first who wants to send it so.
struct tenon_ws_frame {
    std::atomic<std::uint32_t> references;
    std::uint32_t size;
    tenon_ws_frame* packed = nullptr;  // the reactor's
    bool tried = false;                // to make it

    [[nodiscard]] const char* bytes() const noexcept {
        return reinterpret_cast<const char*>(this + 1);
    }
};

namespace tenon::http {

enum class Opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10,
};

// The count is 1. Throws std::bad_alloc; the payload is less than 4 GiB.
[[nodiscard]] tenon_ws_frame* make_frame(Opcode opcode, std::string_view payload);
[[nodiscard]] tenon_ws_frame* make_close_frame(std::uint16_t code, std::string_view reason);
void retain_frame(tenon_ws_frame& frame) noexcept;
void release_frame(tenon_ws_frame* frame) noexcept;

// The frame to send to a client that takes compressed ones: a text of `bytes_min` and more is
// compressed, once, when that makes it shorter. Valid as long as the frame. One thread.
[[nodiscard]] tenon_ws_frame&
packed_frame(tenon_ws_frame& frame, WsDeflater& deflater, std::size_t bytes_min);

// Frames of one connection that wait to be written. Bounded by its user. One thread.
class FrameQueue {
public:
    FrameQueue() = default;
    ~FrameQueue();
    FrameQueue(const FrameQueue&) = delete;
    FrameQueue& operator=(const FrameQueue&) = delete;

    // Keeps a reference of its own.
    void push(tenon_ws_frame& frame);

    [[nodiscard]] bool empty() const noexcept { return first_ == frames_.size(); }

    // Bytes not yet written.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

    // Fills at most `room` entries with the next bytes; returns how many.
    std::size_t gather(iovec* out, std::size_t room) const noexcept;
    // `size` bytes of what gather gave have been written.
    void written(std::size_t size) noexcept;
    // Drops all but a frame that has been written in part.
    void drop_unstarted() noexcept;

private:
    std::vector<tenon_ws_frame*> frames_;
    std::size_t first_ = 0;   // index of the next frame
    std::size_t offset_ = 0;  // of it already written
    std::size_t bytes_ = 0;
};

}  // namespace tenon::http
