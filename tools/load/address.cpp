// SPDX-License-Identifier: Apache-2.0
#include "tools/load/address.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>

namespace tenon::load {

Address address_of(const std::string& text) {
    std::string_view rest = text;
    if (rest.starts_with("https:")) {
        throw std::invalid_argument{"https is not supported: measure behind the proxy, by http"};
    }
    if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    }
    if (rest.ends_with('/')) {
        rest.remove_suffix(1);
    }
    const auto colon = rest.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == rest.size() ||
        rest.find('/') != std::string_view::npos) {
        throw std::invalid_argument{
            "address: found \"" + text + "\", expected http://HOST:PORT or HOST:PORT"};
    }
    std::string host{rest.substr(0, colon)};
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    const std::string port{rest.substr(colon + 1)};
    addrinfo wanted{};
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (const int error = getaddrinfo(host.c_str(), port.c_str(), &wanted, &found); error != 0) {
        throw std::runtime_error{std::string{rest} + ": " + gai_strerror(error)};
    }
    Address address;
    address.text = rest;
    std::memcpy(&address.peer, found->ai_addr, found->ai_addrlen);
    address.length = found->ai_addrlen;
    freeaddrinfo(found);
    return address;
}

int begin_connect(const Address& address) {
    const int fd = ::socket(address.peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        throw std::runtime_error{std::string{"no socket: "} + std::strerror(errno)};
    }
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto* peer = static_cast<const sockaddr*>(static_cast<const void*>(&address.peer));
    if (::connect(fd, peer, address.length) != 0 && errno != EINPROGRESS) {
        const int error = errno;
        (void)::close(fd);
        throw std::runtime_error{"cannot connect to " + address.text + ": " + std::strerror(error)};
    }
    return fd;
}

int connect_error(int fd) noexcept {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

void need_descriptors(std::size_t count) {
    rlimit limit{};
    const rlim_t wanted = count + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
    if (limit.rlim_cur < wanted || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        throw std::runtime_error{
            "the limit of open files is too low for " + std::to_string(count) +
            " users (ulimit -n)"};
    }
}

}  // namespace tenon::load
