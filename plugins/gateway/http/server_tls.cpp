// SPDX-License-Identifier: Apache-2.0
// Connections with TLS: their socket is read and written through their session.
#include "plugins/gateway/http/server.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <sys/socket.h>

namespace tenon::http {
namespace {

constexpr int k_reads_a_turn = 16;  // then others have their turn

// Whoever speaks HTTP to the wrong port is told so in HTTP. What it has sent is read, or its system
// would drop our words.
void answer_plain_http(int fd) noexcept {
    static constexpr std::string_view k_answer =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 42\r\n"
        "Connection: close\r\n\r\nThis port speaks HTTPS: use https:// here.";
    (void)::send(fd, k_answer.data(), k_answer.size(), MSG_NOSIGNAL);
    std::array<char, 4096> rest{};
    for (int i = 0; i<k_reads_a_turn&& ::recv(fd, rest.data(), rest.size(), 0)> 0; ++i) {}
}

}  // namespace

void Server::set(std::shared_ptr<const TlsContext> tls) {
    tls_ = std::move(tls);
    shared_.metrics.tls_expires.set(tls_->expires_s());
}

std::int64_t Server::deadline_of(const Slot& slot) noexcept {
    return std::min(slot.connection.deadline_ns(), slot.handshake_due_ns);
}

// True when the connection may be read and written.
bool Server::shake_hands(Slot& slot) {
    if (slot.tls->established()) {
        return true;
    }
    switch (slot.tls->shake_hands()) {
        case TlsSession::Outcome::done:
            slot.handshake_due_ns = Connection::k_never;
            shared_.metrics.tls_handshakes.add();
            return true;
        case TlsSession::Outcome::again:
            return false;
        case TlsSession::Outcome::plain_http:
            answer_plain_http(slot.fd);
            break;
        default:
            break;
    }
    shared_.metrics.tls_failures.add();
    slot.connection.lost();
    return false;
}

void Server::read_tls(Slot& slot) {
    if (!shake_hands(slot)) {
        return;
    }
    for (int i = 0; i < k_reads_a_turn; ++i) {
        const std::span<char> room = slot.connection.room();
        if (room.empty()) {
            return;
        }
        const TlsSession::Read got = slot.tls->read(room);
        switch (got.outcome) {
            case TlsSession::Outcome::done:
                slot.connection.received(got.size);
                break;
            case TlsSession::Outcome::again:
                return;
            case TlsSession::Outcome::ended:
                slot.connection.end_of_input();
                return;
            default:
                slot.connection.lost();
                return;
        }
    }
}

void Server::write_tls(Slot& slot) {
    TlsSession& tls = *slot.tls;
    auto outcome = tls.has_output() ? tls.flush() : TlsSession::Outcome::done;
    std::array<iovec, 64> parts{};
    while (outcome == TlsSession::Outcome::done && tls.established() && slot.connection.has_output()
    ) {
        const std::size_t count = slot.connection.gather(parts.data(), parts.size());
        std::size_t taken = 0;
        outcome = tls.write({parts.data(), count}, taken);
        slot.connection.written(taken);
    }
    if (outcome != TlsSession::Outcome::done && outcome != TlsSession::Outcome::again) {
        slot.connection.lost();
    }
}

}  // namespace tenon::http
