// SPDX-License-Identifier: Apache-2.0
// A socket to a Redis server, plain or with TLS: connecting within a time, reading and writing
// without waiting.
#pragma once

#include "sdk/net/tls.hpp"
#include "sdk/redis/address.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::redis {

// The authorities that an address trusts; null for one without TLS. Throws Error TENON_INVALID when
// its ca_file cannot be used, or is set without TLS.
[[nodiscard]] std::shared_ptr<const net::TlsContext> trusted(const Address& address);

// Not thread-safe; but a plain one may be written to while it is read.
class Connection {
public:
    Connection();
    ~Connection();
    Connection(Connection&& other) noexcept;
    Connection& operator=(Connection&& other) noexcept;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Tries the host's addresses in turn, with TLS when `tls` is not null. Waits until `timeout` is
    // over or `interrupt` is readable; looking a name up is not bounded by it. Throws Error
    // TENON_UNAVAILABLE.
    [[nodiscard]] static Connection open(
        const Address& address,
        const net::TlsContext* tls,
        std::chrono::nanoseconds timeout,
        int interrupt
    );

    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }

    [[nodiscard]] int fd() const noexcept { return fd_; }

    void close() noexcept;

    [[nodiscard]] bool is_secure() const noexcept { return secure_ != nullptr; }

    // Bytes taken, 0 when it takes none now. Throws Error TENON_UNAVAILABLE.
    [[nodiscard]] std::size_t write(std::string_view data);
    // True: what was taken is with the system. With TLS some may be left, and write() of nothing
    // goes on with it. Throws as write() does.
    [[nodiscard]] bool is_flushed() const noexcept;
    // What is there, up to `most` bytes; 0: nothing now. Throws Error TENON_UNAVAILABLE, also at
    // the stream's end.
    [[nodiscard]] std::size_t read(char* to, std::size_t most);
    // How long read_waiting() waits. Throws Error TENON_UNAVAILABLE.
    void set_patience(std::chrono::nanoseconds most) const;
    // As read(), of a plain connection, and waits for the first byte.
    [[nodiscard]] std::size_t read_waiting(char* to, std::size_t most);

    // There is something to be read that no event of the socket tells of.
    [[nodiscard]] bool has_more() const noexcept;

private:
    struct Secure;

    explicit Connection(int fd) noexcept;
    void shake_hands(std::chrono::steady_clock::time_point deadline, int interrupt);
    void send_sealed();
    [[nodiscard]] std::size_t receive(char* to, std::size_t most, int flags) const;

    int fd_ = -1;
    std::unique_ptr<Secure> secure_;
};

}  // namespace tenon::redis
