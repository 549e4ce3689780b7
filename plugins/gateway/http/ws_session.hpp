// SPDX-License-Identifier: Apache-2.0
// One WebSocket connection after its handshake: messages in, frames out, pings, closing. Does no
// I/O.
#pragma once

#include "plugins/gateway/http/shared.hpp"
#include "plugins/gateway/http/ws_frame.hpp"
#include "plugins/gateway/http/ws_reader.hpp"

#include <tenon/abi/http.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tenon::http {

class WsSession {
public:
    // `deflate`: permessage-deflate has been agreed on.
    WsSession(Shared& shared, std::uint64_t connection, const Route& route, bool deflate);
    ~WsSession();
    WsSession(const WsSession&) = delete;
    WsSession& operator=(const WsSession&) = delete;

    // Tells the handler, once. A handler that fails has the connection closed with 1011.
    void open(const tenon_http_request& request);
    // Takes whole frames from the start of the buffer, which it changes; returns the bytes taken.
    std::size_t receive(char* data, std::size_t size);
    // TENON_OK | TENON_NOT_FOUND (closing) | TENON_UNAVAILABLE (too much is queued: closing now)
    tenon_status send(tenon_ws_frame& frame);
    tenon_status close(std::uint16_t code, std::string_view reason);
    // The handler hears of the end and of nothing after it. Called when the connection ends.
    void detach() noexcept;

    // The handler's mount, 0 when detached.
    [[nodiscard]] std::uint64_t route() const noexcept { return route_.fn_handle; }

    // When due() wants to be called.
    [[nodiscard]] std::int64_t deadline_ns() const noexcept;
    void due();

    [[nodiscard]] FrameQueue& output() noexcept { return output_; }

    [[nodiscard]] const FrameQueue& output() const noexcept { return output_; }

    // Nothing more will come in or be sent once the output is written.
    [[nodiscard]] bool done() const noexcept { return state_ == State::done; }

    // Done without the client's close: it may still be sending.
    [[nodiscard]] bool cut_off() const noexcept { return done() && !peer_closed_; }

private:
    enum class State { open, closing, done };

    struct Handler {
        tenon_ws_handler table{};
        void* ctx = nullptr;
        void* user = nullptr;
        std::uint64_t fn_handle = 0;
    };

    void on_item(const WsReader::Item& item);
    void end(std::uint16_t code, std::string_view reason, State next);
    [[nodiscard]] bool within_rate();
    void push_own(tenon_ws_frame* frame);

    Shared& shared_;
    const std::uint64_t connection_;
    const bool deflate_;
    const bool requests_;  // its handler limits its messages
    Handler route_;
    WsReader reader_;
    FrameQueue output_;
    State state_ = State::open;
    bool opened_ = false;
    bool peer_closed_ = false;
    std::int64_t next_ping_ns_;
    std::int64_t last_heard_ns_;
    std::int64_t closing_until_ns_ = 0;
    std::int64_t arrival_ns_ = 0;  // theoretical arrival time of the next message (GCRA)
};

}  // namespace tenon::http
