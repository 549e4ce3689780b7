// SPDX-License-Identifier: Apache-2.0
#include "sdk/redis/connection.hpp"

#include <tenon/plugin.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace tenon::redis {
namespace {

[[noreturn]] void fail(const std::string& why) {
    throw Error{TENON_UNAVAILABLE, why};
}

std::string reason(int code) {
    return std::error_code{code, std::generic_category()}.message();
}

// Until a connect that has begun has ended. Gives its error, 0: connected.
int finish_connect(int fd, std::chrono::nanoseconds timeout, int interrupt) {
    std::array<pollfd, 2> polled{{{fd, POLLOUT, 0}, {interrupt, POLLIN, 0}}};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
    const int ready = ::poll(polled.data(), interrupt >= 0 ? 2 : 1, static_cast<int>(ms));
    if (ready <= 0 || polled[0].revents == 0) {
        return ready < 0 ? errno : polled[1].revents != 0 ? ECANCELED : ETIMEDOUT;
    }
    int code = 0;
    socklen_t size = sizeof code;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno;
}

}  // namespace

void Connection::close() noexcept {
    if (fd_ >= 0) {
        ::close(std::exchange(fd_, -1));
    }
}

Connection
Connection::open(const Address& address, std::chrono::nanoseconds timeout, int interrupt) {
    int code = ECONNREFUSED;
    const auto attempt = [&](int family, const sockaddr* to, socklen_t size) {
        Connection made{::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        if (!made.is_open()) {
            code = errno;
            return made;
        }
        if (family != AF_UNIX) {
            const int on = 1;
            (void)::setsockopt(made.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        }
        code = ::connect(made.fd_, to, size) == 0 ? 0 : errno;
        if (code == EINPROGRESS) {
            code = finish_connect(made.fd_, timeout, interrupt);
        }
        if (code != 0) {
            made.close();
        }
        return made;
    };
    if (!address.socket.empty()) {
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        if (address.socket.size() >= sizeof to.sun_path) {
            fail("the path of the socket is too long: " + address.socket);
        }
        std::memcpy(to.sun_path, address.socket.c_str(), address.socket.size() + 1);
        Connection made = attempt(AF_UNIX, reinterpret_cast<const sockaddr*>(&to), sizeof to);
        return made.is_open() ? std::move(made)
                              : (fail(address.shown() + ": " + reason(code)), Connection{});
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int wrong =
        ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (wrong != 0) {
        fail(address.shown() + ": " + ::gai_strerror(wrong));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all{found, &::freeaddrinfo};
    for (const addrinfo* one = all.get(); one != nullptr; one = one->ai_next) {
        Connection made = attempt(one->ai_family, one->ai_addr, one->ai_addrlen);
        if (made.is_open()) {
            return made;
        }
        if (code == ECANCELED) {
            break;
        }
    }
    fail(address.shown() + ": " + reason(code));
}

std::size_t Connection::write(std::string_view data) const {
    const ssize_t written = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
    if (written >= 0) {
        return static_cast<std::size_t>(written);
    }
    if (errno != EAGAIN && errno != EINTR) {
        fail("writing: " + reason(errno));
    }
    return 0;
}

std::size_t Connection::read(char* to, std::size_t most) const {
    const ssize_t got = ::recv(fd_, to, most, 0);
    if (got > 0) {
        return static_cast<std::size_t>(got);
    }
    if (got == 0) {
        fail("the server closed the connection");
    }
    if (errno != EAGAIN && errno != EINTR) {
        fail("reading: " + reason(errno));
    }
    return 0;
}

}  // namespace tenon::redis
