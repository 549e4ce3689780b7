// SPDX-License-Identifier: Apache-2.0
#include "sdk/redis/connection.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
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

// Until the socket is ready. Gives an error, 0: it is.
int wait_for(int fd, short events, std::chrono::nanoseconds timeout, int interrupt) {
    std::array<pollfd, 2> polled{{{fd, events, 0}, {interrupt, POLLIN, 0}}};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
    const int ready = ::poll(
        polled.data(), interrupt >= 0 ? 2 : 1, static_cast<int>(std::max<std::int64_t>(ms, 0))
    );
    if (ready > 0 && polled[0].revents != 0) {
        return 0;
    }
    return ready < 0 ? errno : polled[1].revents != 0 ? ECANCELED : ETIMEDOUT;
}

// Until a connect that has begun has ended. Gives its error, 0: connected.
int finish_connect(int fd, std::chrono::nanoseconds timeout, int interrupt) {
    if (const int error = wait_for(fd, POLLOUT, timeout, interrupt); error != 0) {
        return error;
    }
    int code = 0;
    socklen_t size = sizeof code;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno;
}

constexpr std::size_t k_record_bytes = 16'384;  // the most that one record of TLS carries

}  // namespace

struct Connection::Secure {
    Secure(const net::TlsContext& context, const std::string& host) : session{context, host} {}

    net::TlsSession session;
    std::string out;  // for the network
    std::size_t sent = 0;
    std::string plain;  // for the reader
    std::size_t taken = 0;
};

Connection::Connection() = default;

Connection::Connection(int fd) noexcept : fd_{fd} {}

Connection::~Connection() {
    close();
}

Connection::Connection(Connection&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)}, secure_{std::move(other.secure_)} {}

Connection& Connection::operator=(Connection&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    secure_ = std::move(other.secure_);
    return *this;
}

void Connection::close() noexcept {
    secure_.reset();
    if (fd_ >= 0) {
        ::close(std::exchange(fd_, -1));
    }
}

std::shared_ptr<const net::TlsContext> trusted(const Address& address) {
    if (address.tls) {
        return std::make_shared<const net::TlsContext>(address.ca_file);
    }
    if (!address.ca_file.empty()) {
        throw Error{TENON_INVALID, "authorities to trust are for rediss:// alone"};
    }
    return nullptr;
}

Connection Connection::open(
    const Address& address,
    const net::TlsContext* tls,
    std::chrono::nanoseconds timeout,
    int interrupt
) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
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
        } else if (tls != nullptr) {
            made.secure_ = std::make_unique<Secure>(*tls, address.host);
            try {
                made.shake_hands(deadline, interrupt);
            } catch (const Error& error) {
                fail(address.shown() + ": " + error.what());
            }
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

void Connection::shake_hands(std::chrono::steady_clock::time_point deadline, int interrupt) {
    std::array<char, k_record_bytes> step;
    while (true) {
        const bool done = secure_->session.handshake();
        secure_->session.take_output(secure_->out);
        send_sealed();
        if (done && is_flushed()) {
            return;
        }
        const auto left = deadline - std::chrono::steady_clock::now();
        const auto events = static_cast<short>(is_flushed() ? POLLIN : POLLOUT);
        if (const int error = wait_for(fd_, events, left, interrupt); error != 0) {
            fail("TLS: " + reason(error));
        }
        const std::size_t got =
            events == POLLIN ? receive(step.data(), step.size(), MSG_DONTWAIT) : 0;
        secure_->session.received({step.data(), got});
    }
}

bool Connection::is_flushed() const noexcept {
    return secure_ == nullptr || secure_->sent == secure_->out.size();
}

bool Connection::has_more() const noexcept {
    return secure_ != nullptr && secure_->taken != secure_->plain.size();
}

void Connection::send_sealed() {
    std::string& out = secure_->out;
    while (secure_->sent < out.size()) {
        const ssize_t written = ::send(
            fd_, out.data() + secure_->sent, out.size() - secure_->sent, MSG_NOSIGNAL | MSG_DONTWAIT
        );
        if (written < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                fail("writing: " + reason(errno));
            }
            return;
        }
        secure_->sent += static_cast<std::size_t>(written);
    }
    out.clear();
    secure_->sent = 0;
}

std::size_t Connection::write(std::string_view data) {
    if (secure_ != nullptr) {
        send_sealed();
        if (!is_flushed()) {
            return 0;
        }
        const std::string_view part = data.substr(0, 4 * k_record_bytes);
        secure_->session.write(part);
        secure_->session.take_output(secure_->out);
        send_sealed();
        return part.size();
    }
    const ssize_t written = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written >= 0) {
        return static_cast<std::size_t>(written);
    }
    if (errno != EAGAIN && errno != EINTR) {
        fail("writing: " + reason(errno));
    }
    return 0;
}

std::size_t Connection::receive(char* to, std::size_t most, int flags) const {
    const ssize_t got = ::recv(fd_, to, most, flags);
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

void Connection::set_patience(std::chrono::nanoseconds most) const {
    const auto us = std::chrono::ceil<std::chrono::microseconds>(most).count();
    timeval time{};
    time.tv_sec = us / 1'000'000;
    time.tv_usec = us % 1'000'000;
    const int flags = ::fcntl(fd_, F_GETFL);
    // All calls but the one that waits say that they do not.
    if (flags < 0 || ::fcntl(fd_, F_SETFL, flags & ~O_NONBLOCK) != 0 ||
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0) {
        fail("the socket's time to wait cannot be set: " + reason(errno));
    }
}

std::size_t Connection::read_waiting(char* to, std::size_t most) {
    return receive(to, most, 0);
}

std::size_t Connection::read(char* to, std::size_t most) {
    if (secure_ == nullptr) {
        return receive(to, most, MSG_DONTWAIT);
    }
    Secure& tls = *secure_;
    if (!has_more()) {
        tls.plain.clear();
        tls.taken = 0;
        std::array<char, k_record_bytes> step;
        const std::size_t got = receive(step.data(), step.size(), MSG_DONTWAIT);
        tls.session.received({step.data(), got});
        const bool open = tls.session.read(tls.plain);
        tls.session.take_output(tls.out);
        send_sealed();
        if (!open && tls.plain.empty()) {
            fail("the server closed the connection");
        }
    }
    const std::size_t part = std::min(most, tls.plain.size() - tls.taken);
    std::memcpy(to, tls.plain.data() + tls.taken, part);
    tls.taken += part;
    return part;
}

}  // namespace tenon::redis
