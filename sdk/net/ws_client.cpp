// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/ws_client.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>

#include <array>

namespace tenon::net {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t k_handshake_max = 16'384;

}  // namespace

WsClient::WsClient(const Network& network, WsClientOptions options, Events& events)
    : network_{network},
      options_{std::move(options)},
      events_{events},
      timer_{network.exec, [this] { on_timer(); }},
      stream_{Stream::connect(network, options_.url, *this)},
      reader_{options_.message_max} {
    timer_.at(now_ns() + options_.open_timeout_ns);
}

WsClient::~WsClient() {
    stream_->close();
}

std::int64_t WsClient::now_ns() const {
    return network_.exec->turn_now_ns(network_.exec.self);
}

void WsClient::stream_open() {
    key_ = random_ws_key();
    std::string request = "GET " + options_.url.path + " HTTP/1.1\r\nHost: ";
    request.append(options_.url.authority());
    request.append("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    );
    request.append("Sec-WebSocket-Key: ").append(key_);
    request.append("\r\nUser-Agent: ").append(options_.user_agent).append("\r\n\r\n");
    stream_->write(request);
}

void WsClient::stream_data(std::string_view bytes) {
    heard_ns_ = now_ns();
    asked_ = false;
    if (open_) {
        reader_.feed(bytes);
        read_frames();
        return;
    }
    handshake_.append(bytes);
    std::string trouble;
    if (!read_handshake(trouble)) {
        if (handshake_.size() > k_handshake_max) {
            fail("the handshake's answer is too long");
        }
        return;
    }
    if (!trouble.empty()) {
        fail(trouble);
        return;
    }
    open_ = true;
    timer_.at(heard_ns_ + options_.silence_ns);
    reader_.feed(handshake_);  // what came behind the answer
    handshake_.clear();
    const std::weak_ptr<int> alive = alive_;
    events_.ws_open();
    if (!alive.expired()) {
        read_frames();
    }
}

// True when the answer is there; `trouble` says what is wrong with it. Leaves what follows it.
bool WsClient::read_handshake(std::string& trouble) {
    const std::size_t end = handshake_.find("\r\n\r\n");
    if (end == std::string::npos) {
        return false;
    }
    http::response_parser<http::empty_body> parser;
    boost::system::error_code failed;
    const std::string head = handshake_.substr(0, end + 4);
    handshake_.erase(0, end + 4);
    (void)parser.put(boost::asio::buffer(head), failed);
    if (!parser.is_header_done()) {
        trouble = "the handshake's answer cannot be read: " + failed.message();
        return true;
    }
    const auto& answer = parser.get();
    if (answer.result_int() != 101) {
        trouble =
            "the server refuses the WebSocket with status " + std::to_string(answer.result_int());
    } else if (answer[http::field::sec_websocket_accept] != ws_accept_of(key_) || !boost::beast::iequals(answer[http::field::upgrade], "websocket")) {
        trouble = "the server does not speak WebSocket";
    }
    return true;
}

void WsClient::read_frames() {
    using Event = WsFrameReader::Event;
    const std::weak_ptr<int> alive = alive_;
    while (!alive.expired()) {
        const WsFrameReader::Item item = reader_.next();
        switch (item.event) {
            case Event::need_more:
                return;
            case Event::text:
                events_.ws_text(item.payload);
                break;
            case Event::ping:
                send_frame(WsOpcode::pong, item.payload);
                break;
            case Event::binary:
            case Event::pong:
                break;
            case Event::close:
                send_frame(WsOpcode::close, {});
                fail("the server closes with code " + std::to_string(item.code));
                return;
            case Event::failed:
                fail("the frames cannot be read: " + std::string{item.payload});
                return;
        }
    }
}

void WsClient::send_text(std::string_view text) {
    if (open_) {
        send_frame(WsOpcode::text, text);
    }
}

void WsClient::send_frame(WsOpcode opcode, std::string_view payload) {
    std::string frame;
    frame.reserve(payload.size() + 14);
    append_ws_frame(frame, opcode, payload, random_ws_mask());
    stream_->write(frame);
}

void WsClient::on_timer() {
    if (!open_) {
        fail("no connection in time");
        return;
    }
    const std::int64_t quiet_until = heard_ns_ + options_.silence_ns;
    if (now_ns() < quiet_until) {
        timer_.at(quiet_until);
    } else if (asked_) {
        fail("the server is silent");
    } else {
        asked_ = true;
        send_frame(WsOpcode::ping, {});
        timer_.at(now_ns() + options_.silence_ns);
    }
}

void WsClient::stream_closed(const std::string& reason) {
    fail(reason);
}

void WsClient::fail(const std::string& reason) {
    open_ = false;
    timer_.cancel();
    stream_->close();
    const std::string mine = reason;
    events_.ws_closed(mine);
}

}  // namespace tenon::net
