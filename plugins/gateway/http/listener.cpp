// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/listener.hpp"

#include "sdk/process/process.hpp"

#include <tenon/address_networks.hpp>
#include <tenon/plugin.hpp>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace tenon::http {
namespace {

[[noreturn]] void refuse(std::string_view listen, const std::string& reason) {
    throw Error{TENON_INVALID, "cannot listen on " + std::string{listen} + ": " + reason};
}

std::string system_reason() {
    return std::system_category().message(errno);
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses resolve(std::string_view listen) {
    const std::size_t colon = listen.rfind(':');
    if (colon == std::string_view::npos || colon + 1 == listen.size()) {
        refuse(listen, "expected ADDR:PORT or [V6ADDR]:PORT");
    }
    std::string host{listen.substr(0, colon)};
    const std::string port{listen.substr(colon + 1)};
    if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string::npos) {
        refuse(listen, "an IPv6 address needs brackets");
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int status =
        getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found);
    if (status != 0) {
        refuse(listen, gai_strerror(status));
    }
    return {found, &freeaddrinfo};
}

[[nodiscard]] sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        refuse(path, "the path of a socket has at most 107 bytes");
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// Of a server that died: nobody answers there.
void remove_stale(const std::string& path, const sockaddr_un& address) {
    struct stat there {};

    if (lstat(path.c_str(), &there) != 0) {
        return;
    }
    if (!S_ISSOCK(there.st_mode)) {
        refuse(path, "there is something that is no socket");
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const bool refused =
        fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
        errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    if (!refused) {
        refuse(path, "another process listens there");
    }
    unlink(path.c_str());
}

void set_option(int fd, int level, int option) {
    const int on = 1;
    (void)setsockopt(fd, level, option, &on, sizeof on);
}

}  // namespace

std::string address_text(const sockaddr_storage& address) {
    if (address.ss_family == AF_UNIX) {
        return std::string{k_unix_address};
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
        return text.data();
    }
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    const std::string_view whole{text.data()};
    constexpr std::string_view k_mapped = "::ffff:";
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) != 0 && whole.starts_with(k_mapped);
    return std::string{mapped ? whole.substr(k_mapped.size()) : whole};
}

std::string endpoint_text(const sockaddr_storage& address) {
    const std::string text = address_text(address);
    if (address.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        return text + ":" + std::to_string(ntohs(v4.sin_port));
    }
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    return "[" + text + "]:" + std::to_string(ntohs(v6.sin6_port));
}

Listener::Listener(std::string_view listen) {
    const Addresses addresses = resolve(listen);
    const addrinfo& address = *addresses;
    fd_ = process::kept_listener(address.ai_addr);
    kept_ = fd_ >= 0;
    if (!kept_) {
        fd_ = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd_ < 0) {
            refuse(listen, system_reason());
        }
        set_option(fd_, SOL_SOCKET, SO_REUSEADDR);
        set_option(fd_, IPPROTO_TCP, TCP_NODELAY);  // accepted sockets inherit it
    }
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    // While one process takes over from another all clients may be waiting in the queue.
    if ((!kept_ &&
         (bind(fd_, address.ai_addr, address.ai_addrlen) != 0 || ::listen(fd_, SOMAXCONN) != 0)) ||
        getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
        const std::string reason = system_reason();
        close(fd_);
        refuse(listen, reason);
    }
    endpoint_ = endpoint_text(bound);
    if (!kept_) {
        process::keep_listener(fd_);
    }
}

Listener::Listener(const UnixPath& at)
    : endpoint_{std::string{k_unix_address} + at.path}, path_{at.path} {
    const sockaddr_un address = unix_address(at.path);
    remove_stale(at.path, address);
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // Nobody connects before it listens, so nobody comes by the mode that it is made with.
    if (fd_ < 0 || bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        chmod(at.path.c_str(), at.mode) != 0 || ::listen(fd_, SOMAXCONN) != 0) {
        const std::string reason = system_reason();
        if (fd_ >= 0) {
            close(fd_);
        }
        refuse(at.path, reason);
    }
}

Listener::~Listener() {
    if (!path_.empty()) {
        unlink(path_.c_str());
    }
    close(fd_);
}

Listener::Outcome Listener::accept(Accepted& out) const {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd =
        accept4(fd_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        out = {fd, address_text(peer)};
        return Outcome::accepted;
    }
    switch (errno) {
        case EAGAIN:
            return Outcome::nothing;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return Outcome::out_of_descriptors;
        default:
            return Outcome::failed;  // the peer went away before it was accepted
    }
}

}  // namespace tenon::http
