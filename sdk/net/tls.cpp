// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/tls.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace tenon::net {
namespace {

constexpr std::size_t k_step_bytes = 16'384;  // the most that one record carries

[[nodiscard]] std::string last_error() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) {
        return "unknown reason";
    }
    const char* const reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "error " + std::to_string(code);
}

[[nodiscard]] bool is_address(const std::string& host) {
    ASN1_OCTET_STRING* const address = a2i_IPADDRESS(host.c_str());
    const bool found = address != nullptr;
    ASN1_OCTET_STRING_free(address);
    return found;
}

[[nodiscard]] int size_of(std::string_view text) noexcept {
    return static_cast<int>(
        std::min<std::size_t>(text.size(), std::size_t{std::numeric_limits<int>::max()})
    );
}

}  // namespace

struct TlsContext::Impl {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());

    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    ~Impl() { SSL_CTX_free(context); }
};

TlsContext::TlsContext(const std::string& ca_file) : impl_{std::make_unique<Impl>()} {
    SSL_CTX* const context = impl_->context;
    if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        throw Error{TENON_INTERNAL, "TLS: " + last_error()};
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    const int loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context)
                                       : SSL_CTX_load_verify_file(context, ca_file.c_str());
    if (loaded != 1) {
        throw Error{TENON_INVALID, "TLS: the authorities of " + ca_file + ": " + last_error()};
    }
}

TlsContext::~TlsContext() = default;

struct TlsSession::Impl {
    SSL* ssl = nullptr;
    BIO* in = nullptr;   // owned by ssl
    BIO* out = nullptr;  // owned by ssl

    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    ~Impl() { SSL_free(ssl); }

    [[nodiscard]] Error failure() const {
        const long verified = SSL_get_verify_result(ssl);
        std::string reason = verified != X509_V_OK
                                 ? "the certificate is refused: " +
                                       std::string{X509_verify_cert_error_string(verified)}
                                 : last_error();
        ERR_clear_error();
        return {TENON_UNAVAILABLE, "TLS: " + reason};
    }
};

TlsSession::TlsSession(const TlsContext& context, const std::string& host)
    : impl_{std::make_unique<Impl>()} {
    SSL* const ssl = impl_->ssl = SSL_new(context.impl_->context);
    if (ssl == nullptr) {
        throw Error{TENON_UNAVAILABLE, "TLS: " + last_error()};
    }
    impl_->in = BIO_new(BIO_s_mem());
    impl_->out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, impl_->in, impl_->out);
    SSL_set_connect_state(ssl);
    std::string name = host;
    bool set = false;
    if (is_address(host)) {
        set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
    } else {
        // What the macro SSL_set_tlsext_host_name does, without its cast.
        set = SSL_set1_host(ssl, host.c_str()) == 1 &&
              SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) ==
                  1;
    }
    if (!set) {
        throw Error{TENON_UNAVAILABLE, "TLS: the host's name cannot be checked"};
    }
}

TlsSession::~TlsSession() = default;

void TlsSession::received(std::string_view network) {
    while (!network.empty()) {
        const int done = BIO_write(impl_->in, network.data(), size_of(network));
        if (done <= 0) {
            throw impl_->failure();
        }
        network.remove_prefix(static_cast<std::size_t>(done));
    }
}

bool TlsSession::handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(impl_->ssl);
    if (result == 1) {
        return true;
    }
    if (SSL_get_error(impl_->ssl, result) == SSL_ERROR_WANT_READ) {
        return false;
    }
    throw impl_->failure();
}

void TlsSession::write(std::string_view plain) {
    while (!plain.empty()) {
        ERR_clear_error();
        const int done =
            SSL_write(impl_->ssl, plain.data(), size_of(plain.substr(0, k_step_bytes)));
        if (done <= 0) {
            throw impl_->failure();  // memory takes everything: there is nothing to wait for
        }
        plain.remove_prefix(static_cast<std::size_t>(done));
    }
}

bool TlsSession::read(std::string& plain) {
    std::array<char, k_step_bytes> step;
    while (true) {
        ERR_clear_error();
        const int done = SSL_read(impl_->ssl, step.data(), static_cast<int>(step.size()));
        if (done > 0) {
            plain.append(step.data(), static_cast<std::size_t>(done));
            continue;
        }
        switch (SSL_get_error(impl_->ssl, done)) {
            case SSL_ERROR_WANT_READ:
                return true;
            case SSL_ERROR_ZERO_RETURN:
                return false;
            default:
                throw impl_->failure();
        }
    }
}

void TlsSession::take_output(std::string& network) {
    std::array<char, k_step_bytes> step;
    while (true) {
        const int done = BIO_read(impl_->out, step.data(), static_cast<int>(step.size()));
        if (done <= 0) {
            return;
        }
        network.append(step.data(), static_cast<std::size_t>(done));
    }
}

}  // namespace tenon::net
