// SPDX-License-Identifier: Apache-2.0
#include "tests/support/wire_server.hpp"

#include <arpa/inet.h>
#include <array>
#include <csignal>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace tenon::test {
namespace {

[[nodiscard]] std::string pem_of(BIO* bio) {
    char* text = nullptr;
    const long size = BIO_ctrl(bio, BIO_CTRL_INFO, 0, &text);
    return {text, static_cast<std::size_t>(size)};
}

using Pkey = std::shared_ptr<EVP_PKEY>;
using Bio = std::shared_ptr<BIO>;

[[nodiscard]] std::shared_ptr<SSL_CTX> context_of(const WireCertificate& certificate) {
    const std::shared_ptr<SSL_CTX> context{SSL_CTX_new(TLS_server_method()), &SSL_CTX_free};
    const auto memory = [](const std::string& text) {
        return Bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
    };
    const Bio pem = memory(certificate.certificate_pem);
    const Bio secret = memory(certificate.key_pem);
    const std::shared_ptr<X509> x509{
        PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr), &X509_free};
    const Pkey key{
        PEM_read_bio_PrivateKey(secret.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free};
    if (SSL_CTX_use_certificate(context.get(), x509.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
        throw std::runtime_error{"the certificate cannot be used"};
    }
    return context;
}

}  // namespace

WireCertificate::WireCertificate(const std::string& name) {
    const Pkey key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
    const std::shared_ptr<X509> x509{X509_new(), &X509_free};
    X509_set_version(x509.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509.get()), 86'400);
    X509_set_pubkey(x509.get(), key.get());
    X509_NAME* const subject = X509_get_subject_name(x509.get());
    const std::string common = "Tenon test " + name;
    const void* const raw = common.c_str();
    X509_NAME_add_entry_by_txt(
        subject, "CN", MBSTRING_ASC, static_cast<const unsigned char*>(raw), -1, -1, 0
    );
    X509_set_issuer_name(x509.get(), subject);
    const std::string names = "DNS:" + name + ",IP:127.0.0.1";
    X509_EXTENSION* const extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    X509_add_ext(x509.get(), extension, -1);
    X509_EXTENSION_free(extension);
    X509_sign(x509.get(), key.get(), EVP_sha256());
    const Bio certificate{BIO_new(BIO_s_mem()), &BIO_free};
    const Bio secret{BIO_new(BIO_s_mem()), &BIO_free};
    PEM_write_bio_X509(certificate.get(), x509.get());
    PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    certificate_pem = pem_of(certificate.get());
    key_pem = pem_of(secret.get());
}

struct WireConnection::Impl {
    int socket = -1;
    SSL* ssl = nullptr;
    std::shared_ptr<SSL_CTX> context;  // of start_tls
    std::string input;

    explicit Impl(int fd) : socket{fd} {}

    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    ~Impl() {
        if (ssl != nullptr) {
            (void)SSL_shutdown(ssl);
            SSL_free(ssl);
        }
        ::close(socket);
    }
};

bool WireConnection::fill() {
    std::array<char, 4096> buffer;
    const ssize_t got = impl_->ssl != nullptr
                            ? SSL_read(impl_->ssl, buffer.data(), static_cast<int>(buffer.size()))
                            : ::recv(impl_->socket, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
        return false;
    }
    impl_->input.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
}

std::string WireConnection::read_until(std::string_view end) {
    std::size_t at = impl_->input.find(end);
    while (at == std::string::npos && fill()) {
        at = impl_->input.find(end);
    }
    const std::size_t size = at == std::string::npos ? impl_->input.size() : at + end.size();
    return read_exactly(size);
}

std::string WireConnection::read_exactly(std::size_t size) {
    while (impl_->input.size() < size && fill()) {}
    std::string out = impl_->input.substr(0, size);
    impl_->input.erase(0, out.size());
    return out;
}

bool WireConnection::wait_for_end() {
    while (fill()) {}
    return true;
}

void WireConnection::send(std::string_view bytes) {
    if (impl_->ssl != nullptr) {
        (void)SSL_write(impl_->ssl, bytes.data(), static_cast<int>(bytes.size()));
        return;
    }
    while (!bytes.empty()) {
        const ssize_t sent = ::send(impl_->socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

bool WireConnection::start_tls(const WireCertificate& certificate) {
    impl_->context = context_of(certificate);
    impl_->ssl = SSL_new(impl_->context.get());
    SSL_set_fd(impl_->ssl, impl_->socket);
    return SSL_accept(impl_->ssl) == 1;
}

void WireConnection::cut() {
    const linger hard{1, 0};
    (void)::setsockopt(impl_->socket, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    (void)::shutdown(impl_->socket, SHUT_RDWR);
}

WireServer::WireServer(Script script, const WireCertificate* certificate)
    : script_{std::move(script)} {
    (void)std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
    if (certificate != nullptr) {
        tls_ = context_of(*certificate);
    }
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    void* const raw = &place;
    socklen_t size = sizeof place;
    if (::bind(listener_, static_cast<sockaddr*>(raw), size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, static_cast<sockaddr*>(raw), &size) != 0) {
        throw std::runtime_error{"no port is free"};
    }
    port_ = ntohs(place.sin_port);
    acceptor_ = std::thread{[this] { accept_all(); }};
}

WireServer::~WireServer() {
    stopping_ = true;
    (void)::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
        const std::lock_guard lock{mutex_};
        for (const auto& connection : open_) {
            (void)::shutdown(connection->socket, SHUT_RDWR);
        }
    }
    for (std::thread& thread : threads_) {
        thread.join();
    }
}

void WireServer::accept_all() {
    while (!stopping_) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        WireConnection connection;
        connection.impl_ = std::make_shared<WireConnection::Impl>(fd);
        connection.number_ = ++accepted_;
        const std::lock_guard lock{mutex_};
        open_.push_back(connection.impl_);
        threads_.emplace_back([this, connection]() mutable {
            if (tls_) {
                connection.impl_->ssl = SSL_new(static_cast<SSL_CTX*>(tls_.get()));
                SSL_set_fd(connection.impl_->ssl, connection.impl_->socket);
            }
            if (!tls_ || SSL_accept(connection.impl_->ssl) == 1) {
                script_(connection);
            }
            const std::lock_guard inner{mutex_};
            open_.remove(connection.impl_);
            connection.impl_.reset();
        });
    }
}

}  // namespace tenon::test
