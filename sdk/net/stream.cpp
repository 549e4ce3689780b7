// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/stream.hpp"

#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace tenon::net {
namespace {

// Of one turn, so that one busy connection does not keep the reactor from the others.
constexpr int k_reads_a_turn = 16;

[[nodiscard]] std::string system_reason(int error) {
    return std::generic_category().message(error);
}

}  // namespace

std::shared_ptr<Stream> Stream::connect(const Network& network, const Url& url, Events& events) {
    std::shared_ptr<Stream> stream{new Stream{network, url, events}};
    stream->begin();
    return stream;
}

Stream::Stream(const Network& network, Url url, Events& events)
    : network_{network}, url_{std::move(url)}, events_{&events} {}

Stream::~Stream() {
    drop_socket();
}

void Stream::close() noexcept {
    // Who gives up while a connect hangs shall come to the next address at the next attempt.
    if (state_ == State::connecting && socket_ >= 0) {
        (void)guard(nullptr, [&] {
            network_.resolver->put_last(url_.host, url_.port, addresses_[next_ - 1]);
        });
    }
    state_ = State::closed;
    drop_socket();
}

void Stream::drop_socket() noexcept {
    if (watch_ != 0) {
        network_.exec->unwatch(network_.exec.self, watch_);
        watch_ = 0;
        watched_ = 0;
    }
    if (socket_ >= 0) {
        ::close(socket_);
        socket_ = -1;
    }
}

void Stream::begin() {
    network_.resolver->resolve(
        url_.host,
        url_.port,
        [weak = weak_from_this()](const std::vector<Address>& found, const std::string& reason) {
            const auto stream = weak.lock();
            if (stream && stream->state_ == State::resolving) {
                stream->addresses_ = found;
                stream->next_address(reason);
            }
        }
    );
}

void Stream::next_address(std::string reason) {
    drop_socket();
    while (next_ < addresses_.size()) {
        const Address& address = addresses_[next_++];
        socket_ = ::socket(
            address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP
        );
        if (socket_ < 0) {
            reason = system_reason(errno);
            continue;
        }
        const int on = 1;
        (void)::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_storage place = address.storage;
        void* const raw = &place;
        if (::connect(socket_, static_cast<sockaddr*>(raw), address.size) != 0 &&
            errno != EINPROGRESS) {
            reason = system_reason(errno);
            drop_socket();
            continue;
        }
        state_ = State::connecting;
        watch(TENON_FD_WRITE);
        return;
    }
    fail("cannot connect to " + url_.host + ": " + reason);
}

void Stream::watch(std::uint32_t events) {
    if (watched_ == events) {
        return;
    }
    const auto& exec = network_.exec;
    tenon_status status = TENON_OK;
    if (watch_ == 0) {
        const auto fn = [](void* ctx, std::uint32_t ready) noexcept {
            // Kept alive over its own events.
            const auto mine = static_cast<Stream*>(ctx)->shared_from_this();
            const tenon_status done = guard(nullptr, [&] { mine->ready(ready); });
            if (done != TENON_OK) {
                (void)guard(nullptr, [&] { mine->fail("out of memory"); });
            }
        };
        status = exec->watch(exec.self, socket_, events, fn, this, &watch_);
    } else {
        status = exec->rewatch(exec.self, watch_, events);
    }
    if (status != TENON_OK) {
        throw Error{TENON_UNAVAILABLE, "the reactor does not watch the socket"};
    }
    watched_ = events;
}

void Stream::ready(std::uint32_t events) {
    if (state_ == State::connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        (void)::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            next_address(system_reason(error));
        } else if ((events & TENON_FD_WRITE) != 0) {
            connected();
        }
        return;
    }
    try {
        if ((events & (TENON_FD_READ | TENON_FD_ERROR)) != 0) {
            receive();
        }
        if (state_ != State::closed && (events & TENON_FD_WRITE) != 0) {
            flush();
        }
    } catch (const Error& e) {
        fail(e.what());
    }
}

void Stream::connected() {
    watch(TENON_FD_READ);
    if (!url_.is_tls) {
        state_ = State::open;
        events_->stream_open();
        return;
    }
    if (!network_.tls) {
        fail("TLS is not set up");
        return;
    }
    state_ = State::handshake;
    try {
        tls_.emplace(*network_.tls, url_.host);
        after_network();
    } catch (const Error& e) {
        fail(e.what());
    }
}

void Stream::start_tls() {
    if (state_ != State::open || tls_) {
        return;
    }
    if (!network_.tls) {
        fail_later("TLS is not set up");
        return;
    }
    state_ = State::handshake;
    try {
        tls_.emplace(*network_.tls, url_.host);
        after_network();
    } catch (const Error& e) {
        fail_later(e.what());
    }
}

void Stream::receive() {
    std::array<char, 16'384> buffer;
    for (int i = 0; i < k_reads_a_turn && socket_ >= 0; ++i) {
        const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
        if (got > 0) {
            deliver({buffer.data(), static_cast<std::size_t>(got)});
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        fail(got == 0 ? "the peer closed the connection" : system_reason(errno));
        return;
    }
}

void Stream::deliver(std::string_view bytes) {
    if (!tls_) {
        events_->stream_data(bytes);
        return;
    }
    tls_->received(bytes);
    after_network();
}

// The session goes on with what has come.
void Stream::after_network() {
    if (state_ == State::handshake) {
        const bool done = tls_->handshake();
        tls_->take_output(output_);
        flush();
        if (!done || state_ == State::closed) {
            return;
        }
        state_ = State::open;
        events_->stream_open();
        if (state_ == State::closed) {
            return;
        }
    }
    plain_.clear();
    const bool going_on = tls_->read(plain_);
    tls_->take_output(output_);
    flush();
    if (state_ != State::closed && !plain_.empty()) {
        const std::string bytes = std::exchange(plain_, {});
        events_->stream_data(bytes);
    }
    if (!going_on && state_ != State::closed) {
        fail("the peer closed the connection");
    }
}

void Stream::write(std::string_view bytes) {
    if (state_ != State::open) {
        return;
    }
    try {
        if (tls_) {
            tls_->write(bytes);
            tls_->take_output(output_);
        } else {
            output_.append(bytes);
        }
        flush();
    } catch (const Error& e) {
        fail_later(e.what());
    }
}

void Stream::flush() {
    if (socket_ < 0) {
        return;  // lost: the owner is told in a moment
    }
    std::size_t done = 0;
    while (done < output_.size()) {
        const ssize_t sent =
            ::send(socket_, output_.data() + done, output_.size() - done, MSG_NOSIGNAL);
        if (sent > 0) {
            done += static_cast<std::size_t>(sent);
        } else if (errno != EINTR) {
            break;
        }
    }
    const bool blocked = done < output_.size();
    const int error = errno;
    taken_ += done;
    output_.erase(0, done);
    if (!blocked) {
        watch(TENON_FD_READ);
    } else if (error != EAGAIN) {
        fail_later(system_reason(error));
    } else if (output_.size() > k_output_max) {
        fail_later("the peer does not read");
    } else {
        watch(TENON_FD_READ | TENON_FD_WRITE);
    }
}

void Stream::fail(const std::string& reason) {
    if (state_ == State::closed) {
        return;
    }
    close();
    events_->stream_closed(reason);
}

// For what is found inside a call: the owner is told in a later turn.
void Stream::fail_later(const std::string& reason) {
    if (state_ == State::closed) {
        return;
    }
    drop_socket();
    post(network_.exec, network_.reactor, [weak = weak_from_this(), reason] {
        if (const auto stream = weak.lock()) {
            stream->fail(reason);
        }
    });
}

}  // namespace tenon::net
