// SPDX-License-Identifier: Apache-2.0
// A socket to a Redis server: connecting within a time, reading and writing without waiting.
#pragma once

#include "sdk/redis/address.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::redis {

// Not thread-safe, but for write().
class Connection {
public:
    Connection() = default;

    ~Connection() { close(); }

    Connection(Connection&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}

    Connection& operator=(Connection&& other) noexcept {
        close();
        fd_ = std::exchange(other.fd_, -1);
        return *this;
    }

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Tries the host's addresses in turn. Waits until `timeout` is over or `interrupt` is readable;
    // looking a name up is not bounded by it. Throws Error TENON_UNAVAILABLE.
    [[nodiscard]] static Connection
    open(const Address& address, std::chrono::nanoseconds timeout, int interrupt);

    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }

    [[nodiscard]] int fd() const noexcept { return fd_; }

    void close() noexcept;

    // Bytes written, 0 when the socket takes none now. Throws Error TENON_UNAVAILABLE.
    [[nodiscard]] std::size_t write(std::string_view data) const;
    // Appends what is there, up to `most` bytes; 0: nothing now. Throws Error TENON_UNAVAILABLE,
    // also at the stream's end.
    [[nodiscard]] std::size_t read(char* to, std::size_t most) const;

private:
    explicit Connection(int fd) noexcept : fd_{fd} {}

    int fd_ = -1;
};

}  // namespace tenon::redis
