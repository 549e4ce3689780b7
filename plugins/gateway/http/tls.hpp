// SPDX-License-Identifier: Apache-2.0
// TLS 1.2 and 1.3 by OpenSSL: a certificate with its key, and what a connection's socket is with
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <openssl/ssl.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>

namespace tenon::http {

// What handshakes are made with. Made on any thread, never changed.
class TlsContext {
public:
    // PEM files: the chain, the server's own certificate first, and its key. `least` is "1.2" or
    // "1.3". Throws Error that names the file and the reason.
    TlsContext(const std::string& certificate, const std::string& key, std::string_view least);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    [[nodiscard]] SSL_CTX* get() const noexcept { return context_; }

    // When the server's own certificate ends, in seconds since 1970 UTC.
    [[nodiscard]] std::int64_t expires_s() const noexcept { return expires_s_; }

private:
    SSL_CTX* context_;
    std::int64_t expires_s_ = 0;
};

// One connection, on its non-blocking socket, which it does not own. What write() has taken is its
// own: what the socket did not take goes out by flush().
class TlsSession {
public:
    enum class Outcome {
        done,
        again,       // nothing now: when the socket is ready
        ended,       // the peer says nothing more
        plain_http,  // a client that speaks HTTP without TLS
        failed
    };

    struct Read {
        Outcome outcome = Outcome::again;
        std::size_t size = 0;
    };

    TlsSession(const TlsContext& context, int fd);
    ~TlsSession();
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    // Until established(); then there is reading and writing.
    [[nodiscard]] Outcome shake_hands() noexcept;
    [[nodiscard]] Read read(std::span<char> room) noexcept;
    // Takes up to a record of the parts; `taken` says how much, also when it could not all leave.
    // Not while has_output().
    [[nodiscard]] Outcome write(std::span<const iovec> parts, std::size_t& taken) noexcept;
    // What was taken and has not left; done when nothing is left.
    [[nodiscard]] Outcome flush() noexcept;
    // Says that nothing more follows, as far as the socket takes it.
    void say_end() noexcept;

    [[nodiscard]] bool established() const noexcept { return SSL_is_init_finished(ssl_) != 0; }

    [[nodiscard]] bool has_output() const noexcept { return left_ != 0; }

    // Input that has left the socket already.
    [[nodiscard]] bool has_input() const noexcept { return SSL_pending(ssl_) > 0; }

    // What its last call waits for.
    [[nodiscard]] bool wants_read() const noexcept { return wants_read_; }

    [[nodiscard]] bool wants_write() const noexcept { return wants_write_; }

private:
    [[nodiscard]] Outcome judge(int result) noexcept;
    [[nodiscard]] Outcome send(const char* bytes, std::size_t size, std::size_t& sent) noexcept;

    SSL* ssl_;
    std::unique_ptr<char[]> record_;  // taken and not out
    std::size_t left_ = 0;
    bool wants_read_ = false, wants_write_ = false;
    bool failed_ = false;
};

}  // namespace tenon::http
