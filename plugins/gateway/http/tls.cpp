// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/tls.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <new>
#include <openssl/err.h>
#include <openssl/x509.h>

namespace tenon::http {
namespace {

// What OpenSSL, or the system below it, complained of first in this thread's last call; none is
// left.
std::string reason() {
    std::array<char, 256> text{};
    const unsigned long code = ERR_peek_error();
    ERR_error_string_n(code, text.data(), text.size());
    const char* const words = ERR_SYSTEM_ERROR(code) ? std::strerror(ERR_GET_REASON(code))
                                                     : ERR_reason_error_string(code);
    ERR_clear_error();
    return words != nullptr ? words : text.data();
}

[[noreturn]] void refuse(const std::string& what, const std::string& file) {
    throw Error{TENON_INVALID, what + " " + file + ": " + reason()};
}

constexpr std::size_t k_record_max = 16 * 1024;

std::int64_t end_of(const X509* certificate) {
    std::tm parts{};
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) == 1 ? ::timegm(&parts) : 0;
}

// HTTP/1.1, and no failure for a client that asks for something else alone (RFC 7301, 3.2).
int choose_protocol(
    SSL* ssl,
    const unsigned char** out,
    unsigned char* size,
    const unsigned char* offered,
    unsigned int offered_size,
    void* ctx
) {
    (void)ssl;
    (void)ctx;
    static constexpr std::array<unsigned char, 9> k_ours{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, size, k_ours.data(), k_ours.size(), offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

TlsContext::TlsContext(
    const std::string& certificate,
    const std::string& key,
    std::string_view least
)
    : context_{SSL_CTX_new(TLS_server_method())} {
    if (context_ == nullptr) {
        throw std::bad_alloc{};
    }
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> owner{context_, &SSL_CTX_free};
    ERR_clear_error();
    SSL_CTX_set_min_proto_version(context_, least == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(
        context_,
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
            SSL_OP_IGNORE_UNEXPECTED_EOF
    );
    // A connection that waits holds no buffers.
    SSL_CTX_set_mode(
        context_,
        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
            SSL_MODE_RELEASE_BUFFERS
    );
    // Forward secrecy and authenticated encryption alone (RFC 9325, 4.2).
    SSL_CTX_set_cipher_list(context_, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_alpn_select_cb(context_, &choose_protocol, nullptr);
    // Nobody is there to be asked: a key under a passphrase is refused.
    SSL_CTX_set_default_passwd_cb(context_, [](char*, int, int, void*) { return -1; });
    if (SSL_CTX_use_certificate_chain_file(context_, certificate.c_str()) != 1) {
        refuse("certificate", certificate);
    }
    if (SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context_) != 1) {
        refuse("key", key);
    }
    expires_s_ = end_of(SSL_CTX_get0_certificate(context_));
    SSL_CTX_up_ref(context_);
}

TlsContext::~TlsContext() {
    SSL_CTX_free(context_);
}

TlsSession::TlsSession(const TlsContext& context, int fd)
    : ssl_{SSL_new(context.get())}, wants_read_{true} {
    if (ssl_ == nullptr || SSL_set_fd(ssl_, fd) != 1) {
        SSL_free(ssl_);
        throw std::bad_alloc{};
    }
    SSL_set_accept_state(ssl_);
}

TlsSession::~TlsSession() {
    SSL_free(ssl_);
}

TlsSession::Outcome TlsSession::judge(int result) noexcept {
    wants_read_ = wants_write_ = false;
    switch (SSL_get_error(ssl_, result)) {
        case SSL_ERROR_WANT_READ:
            wants_read_ = true;
            return Outcome::again;
        case SSL_ERROR_WANT_WRITE:
            wants_write_ = true;
            return Outcome::again;
        case SSL_ERROR_ZERO_RETURN:
            return Outcome::ended;
        default:
            break;
    }
    failed_ = true;
    const int why = ERR_GET_REASON(ERR_peek_error());
    ERR_clear_error();
    return !established() && why == SSL_R_HTTP_REQUEST ? Outcome::plain_http : Outcome::failed;
}

TlsSession::Outcome TlsSession::shake_hands() noexcept {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result != 1) {
        return judge(result);
    }
    wants_read_ = wants_write_ = false;
    return Outcome::done;
}

TlsSession::Read TlsSession::read(std::span<char> room) noexcept {
    ERR_clear_error();
    std::size_t size = 0;
    const int result = SSL_read_ex(ssl_, room.data(), room.size(), &size);
    if (result == 1) {
        wants_read_ = wants_write_ = false;
        return {Outcome::done, size};
    }
    return {judge(result), 0};
}

TlsSession::Outcome
TlsSession::send(const char* bytes, std::size_t size, std::size_t& sent) noexcept {
    sent = 0;
    while (sent < size) {
        ERR_clear_error();
        std::size_t more = 0;
        if (const int result = SSL_write_ex(ssl_, bytes + sent, size - sent, &more); result != 1) {
            return judge(result);
        }
        sent += more;
    }
    wants_read_ = wants_write_ = false;
    return Outcome::done;
}

// A record that the socket does not take is OpenSSL's already: it has to be offered again as it is,
// whatever becomes of the parts meanwhile.
TlsSession::Outcome TlsSession::write(std::span<const iovec> parts, std::size_t& taken) noexcept {
    static thread_local std::array<char, k_record_max> record;
    taken = 0;
    for (const iovec& part : parts) {
        const std::size_t size = std::min(part.iov_len, record.size() - taken);
        std::memcpy(record.data() + taken, part.iov_base, size);
        taken += size;
    }
    std::size_t sent = 0;
    const Outcome outcome = send(record.data(), taken, sent);
    if (outcome == Outcome::again) {
        left_ = taken - sent;
        record_.reset(new (std::nothrow) char[left_]);
        if (!record_) {
            failed_ = true;
            return Outcome::failed;
        }
        std::memcpy(record_.get(), record.data() + sent, left_);
    }
    return outcome;
}

TlsSession::Outcome TlsSession::flush() noexcept {
    std::size_t sent = 0;
    const Outcome outcome = send(record_.get(), left_, sent);
    left_ -= sent;
    if (left_ == 0) {
        record_.reset();
    } else if (sent != 0) {
        std::memmove(record_.get(), record_.get() + sent, left_);
    }
    return outcome;
}

void TlsSession::say_end() noexcept {
    if (!failed_ && established()) {
        ERR_clear_error();
        (void)SSL_shutdown(ssl_);
        ERR_clear_error();
    }
}

}  // namespace tenon::http
