// SPDX-License-Identifier: Apache-2.0
// The HTTP gateway on a fake host and a free port, and a blocking client for it.
#pragma once

#include "tests/support/fake_host.hpp"

#include <tenon/abi/http.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::test {

// A blocking socket with a time limit on every read; failures are thrown.
class Client {
public:
    explicit Client(std::uint16_t port);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void send(std::string_view text);
    // Exactly `size` bytes.
    [[nodiscard]] std::string read(std::size_t size);
    // One response with its body (by Content-Length); `head`: there is no body.
    [[nodiscard]] std::string response(bool head = false);
    // All until the server closes.
    [[nodiscard]] std::string read_to_end();
    void stop_sending();
    // A small receive window, for slow readers; before the first read.
    void set_receive_buffer(int bytes);
    // Opens a WebSocket; returns the server's answer.
    // `headers`: further lines, each with its line end.
    std::string upgrade(std::string_view path, std::string_view headers = {});
    // One masked frame of a client.
    void send_frame(unsigned opcode, std::string_view payload, bool final = true);

    struct Frame {
        unsigned opcode = 0;
        bool compressed = false;
        std::string payload;
    };

    [[nodiscard]] Frame frame();

private:
    [[nodiscard]] bool fill();

    int fd_;
    std::string buffer_;
};

// Body of an HTTP response, and its status.
[[nodiscard]] std::string body_of(const std::string& response);
[[nodiscard]] int status_of(const std::string& response);
// The close code of a close frame's payload.
[[nodiscard]] int close_code(const std::string& payload);

// The plugin, started; everything goes through its C tables.
class Gateway {
public:
    using Handler = std::function<void(const tenon_http_request&)>;

    // `config` are settings besides the defaults, as JSON members.
    // `throttle` is bound to it.
    explicit Gateway(
        const std::string& config = "{}",
        const std::string& listen = "127.0.0.1:0",
        const tenon_iface* throttle = nullptr
    );
    ~Gateway();
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    std::uint64_t mount(const std::string& method, const std::string& path, Handler handler);
    // Answers 200 with this text.
    void mount_text(const std::string& path, const std::string& text);
    void respond(std::uint64_t request, std::string_view body, std::uint32_t status = 200);
    void stop();
    void drain(std::int64_t timeout_ns);

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    [[nodiscard]] FakeHost& host() noexcept { return host_; }

    [[nodiscard]] Service<tenon_http_routes_1> routes() const noexcept { return routes_; }

    [[nodiscard]] const std::string& data_dir() const noexcept { return data_dir_; }

    // Runs on the reactor and waits.
    void on_reactor(const std::function<void()>& body);

private:
    FakeHost host_;
    std::string data_dir_;
    tenon_plugin* plugin_ = nullptr;
    Service<tenon_http_routes_1> routes_;
    std::uint16_t port_ = 0;
    std::vector<std::unique_ptr<Handler>> handlers_;
};

}  // namespace tenon::test
