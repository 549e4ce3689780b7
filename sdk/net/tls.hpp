// SPDX-License-Identifier: Apache-2.0
// TLS of a client (1.2 and 1.3) over OpenSSL, without a socket: bytes of the network go in and come
// out, and so do the bytes of the application. The peer's certificate is checked against the
// trusted authorities and against the host's name; there is no way to switch that off.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace tenon::net {

// Trusted authorities; shared by connections. Immutable, any thread.
class TlsContext {
public:
    // `ca_file`: PEM of the authorities to trust instead of the system's; empty: the system's.
    // Throws Error TENON_INVALID when the file cannot be used.
    explicit TlsContext(const std::string& ca_file);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

private:
    friend class TlsSession;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// One connection's. After a failure nothing may be called any more.
class TlsSession {
public:
    TlsSession(const TlsContext& context, const std::string& host);
    ~TlsSession();
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    // Bytes of the network. All three throw Error TENON_UNAVAILABLE with the reason.
    void received(std::string_view network);
    // Goes on with the handshake; true when it is done.
    [[nodiscard]] bool handshake();
    // Of the application, after the handshake.
    void write(std::string_view plain);
    // Appends what can be read. False: the peer has closed its side.
    [[nodiscard]] bool read(std::string& plain);
    // Appends what is to be sent to the peer.
    void take_output(std::string& network);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::net
