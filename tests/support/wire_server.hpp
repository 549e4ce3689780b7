// SPDX-License-Identifier: Apache-2.0
// A server of a test, on a free port of 127.0.0.1: each connection is played by a script that reads
// and writes bytes as it likes, plain or over TLS with a certificate made for the run.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace tenon::test {

// A certificate that signs itself, for 127.0.0.1 and for the name in it.
struct WireCertificate {
    explicit WireCertificate(const std::string& name);
    std::string certificate_pem, key_pem;
};

class WireConnection {
public:
    // What has come up to and including `end`; less when the peer went.
    [[nodiscard]] std::string read_until(std::string_view end);
    [[nodiscard]] std::string read_exactly(std::size_t size);
    // True when the peer has gone.
    [[nodiscard]] bool wait_for_end();
    void send(std::string_view bytes);
    // The peer begins with TLS now, as after STARTTLS. False when it does not come about.
    bool start_tls(const WireCertificate& certificate);
    // Ends it at once, with a reset and not in order.
    void cut();

    [[nodiscard]] int number() const noexcept { return number_; }

private:
    friend class WireServer;
    struct Impl;
    [[nodiscard]] bool fill();

    std::shared_ptr<Impl> impl_;
    int number_ = 0;  // 1 for the first connection of the server
};

class WireServer {
public:
    using Script = std::function<void(WireConnection&)>;

    // The script runs in a thread of its connection, which closes when the script returns.
    explicit WireServer(Script script, const WireCertificate* certificate = nullptr);
    // Cuts all connections and waits for the scripts.
    ~WireServer();
    WireServer(const WireServer&) = delete;
    WireServer& operator=(const WireServer&) = delete;

    [[nodiscard]] int port() const noexcept { return port_; }

    [[nodiscard]] int connections() const noexcept { return accepted_; }

private:
    void accept_all();

    Script script_;
    std::shared_ptr<void> tls_;
    int listener_ = -1;
    int port_ = 0;
    std::atomic<bool> stopping_{false};
    std::atomic<int> accepted_{0};
    std::mutex mutex_;  // of what is below
    std::list<std::thread> threads_;
    std::list<std::shared_ptr<WireConnection::Impl>> open_;
    std::thread acceptor_;
};

}  // namespace tenon::test
