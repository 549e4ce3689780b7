// SPDX-License-Identifier: Apache-2.0
// Where a server is: "http://HOST:PORT" or "HOST:PORT". Sockets that do not block.
#pragma once

#include <cstdint>
#include <string>
#include <sys/socket.h>

namespace tenon::load {

struct Address {
    std::string text;  // "HOST:PORT"
    sockaddr_storage peer{};
    socklen_t length = 0;
};

// Looks the host up. Throws std::invalid_argument on a text that is no address, also on https
// (which is not supported), std::runtime_error when the host is unknown.
[[nodiscard]] Address address_of(const std::string& text);

// Begins to connect, without delay of small writes; the descriptor. Throws std::runtime_error.
[[nodiscard]] int begin_connect(const Address& address);

// 0, or the error of a connect that has ended.
[[nodiscard]] int connect_error(int fd) noexcept;

// Makes room for so many descriptors. Throws std::runtime_error when the limit is below.
void need_descriptors(std::size_t count);

}  // namespace tenon::load
