// SPDX-License-Identifier: Apache-2.0
// One WebSocket connection to a server, plain or over TLS. Pings are answered; a silent server is
// asked, and given up when it stays silent. It does not come back by itself. All on one reactor.
#pragma once

#include "sdk/net/stream.hpp"
#include "sdk/net/ws_codec.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::net {

struct WsClientOptions {
    Url url;  // with the path and query to ask for
    std::string user_agent = "tenon";
    std::size_t message_max = 16'777'216;
    std::int64_t open_timeout_ns = 10'000'000'000;
    // After this time without a byte of the server a ping is sent; after as much again it is gone.
    std::int64_t silence_ns = 30'000'000'000;
};

class WsClient final : private Stream::Events {
public:
    // Never called inside a call of the client. It may be destroyed inside of them.
    class Events {
    public:
        virtual void ws_open() = 0;
        virtual void ws_text(std::string_view text) = 0;
        // Once; also when it was never open. The reason is for people.
        virtual void ws_closed(const std::string& reason) = 0;

    protected:
        ~Events() = default;
    };

    // Begins to connect.
    WsClient(const Network& network, WsClientOptions options, Events& events);
    // Closes without a word; no event comes afterwards.
    ~WsClient();
    WsClient(const WsClient&) = delete;
    WsClient& operator=(const WsClient&) = delete;

    // After ws_open.
    void send_text(std::string_view text);

    [[nodiscard]] bool is_open() const noexcept { return open_; }

private:
    void stream_open() override;
    void stream_data(std::string_view bytes) override;
    void stream_closed(const std::string& reason) override;

    [[nodiscard]] bool read_handshake(std::string& trouble);
    void read_frames();
    void send_frame(WsOpcode opcode, std::string_view payload);
    void on_timer();
    void fail(const std::string& reason);
    [[nodiscard]] std::int64_t now_ns() const;

    Network network_;
    WsClientOptions options_;
    Events& events_;
    Timer timer_;
    std::shared_ptr<Stream> stream_;
    WsFrameReader reader_;
    std::string key_, handshake_;
    bool open_ = false;
    bool asked_ = false;  // a ping waits for any byte
    std::int64_t heard_ns_ = 0;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace tenon::net
