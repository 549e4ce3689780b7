// SPDX-License-Identifier: Apache-2.0
#include "sdk/process/process.hpp"

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace tenon::process {

namespace {

[[noreturn]] void fail(const std::string& what) {
    throw InUse{what + ": " + std::strerror(errno)};
}

struct Address {
    std::string host;
    std::string port;
};

Address split(const std::string& listen) {
    const auto colon = listen.rfind(':');
    if (colon == std::string::npos || colon == 0) {
        throw std::invalid_argument{"\"" + listen + "\" is not ADDR:PORT"};
    }
    Address address{listen.substr(0, colon), listen.substr(colon + 1)};
    if (address.host.starts_with('[') && address.host.ends_with(']')) {
        address.host = address.host.substr(1, address.host.size() - 2);
    }
    std::uint16_t port = 0;
    const char* const end = address.port.data() + address.port.size();
    const auto [last, ec] = std::from_chars(address.port.data(), end, port);
    if (ec != std::errc{} || last != end) {
        throw std::invalid_argument{"\"" + listen + "\" has no port from 0 to 65535"};
    }
    return address;
}

}  // namespace

void probe_listen(const std::string& listen) {
    const Address address = split(listen);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    addrinfo* found = nullptr;
    if (const int rc = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
        rc != 0) {
        throw std::invalid_argument{"\"" + listen + "\" is no address: " + ::gai_strerror(rc)};
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list{found, &::freeaddrinfo};
    const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        fail("no socket for " + listen);
    }

    struct Close {
        int fd;

        ~Close() { ::close(fd); }
    } close{fd};

    const int on = 1;
    (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd, 1) != 0) {
        fail("cannot listen on " + listen);
    }
}

void notify_systemd(std::string_view state) noexcept {
    const char* path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr || *path == '\0') {
        return;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t length = std::strlen(path);
    if (length >= sizeof address.sun_path) {
        return;
    }
    std::memcpy(address.sun_path, path, length);
    if (address.sun_path[0] == '@') {
        address.sun_path[0] = '\0';  // the abstract namespace
    }
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)::sendto(
            fd,
            state.data(),
            state.size(),
            MSG_NOSIGNAL,
            reinterpret_cast<const sockaddr*>(&address),
            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length)
        );
        ::close(fd);
    }
}

}  // namespace tenon::process
