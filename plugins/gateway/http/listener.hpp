// SPDX-License-Identifier: Apache-2.0
// The listening socket: binds, accepts without blocking, names addresses. Linux.
#pragma once

#include <string>
#include <string_view>
#include <sys/socket.h>

namespace tenon::http {

// "ADDR:PORT" of a socket address, IPv6 in brackets; and the address alone, IPv4-mapped as IPv4. Of
// a Unix socket k_unix_address.
[[nodiscard]] std::string endpoint_text(const sockaddr_storage& address);
[[nodiscard]] std::string address_text(const sockaddr_storage& address);

// A Unix socket in the file system. `mode` says who may connect.
struct UnixPath {
    std::string path;
    unsigned mode = 0660;
};

class Listener {
public:
    enum class Outcome { accepted, nothing, out_of_descriptors, failed };

    struct Accepted {
        int fd = -1;
        std::string remote;
    };

    // "ADDR:PORT" or "[V6]:PORT"; port 0 takes a free one. Under systemd the socket that the
    // process before listened on is taken up, with the clients who wait there. May block in name
    // resolution: [control]. Throws Error that names the address and the reason.
    explicit Listener(std::string_view listen);
    // What a server that died has left at the path is taken away; not what somebody listens on, nor
    // what is no socket. It is not kept for the next process, and goes with this. Throws Error.
    explicit Listener(const UnixPath& at);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_; }

    // The address it really listens on.
    [[nodiscard]] const std::string& endpoint() const noexcept { return endpoint_; }

    // The socket is one that was kept: clients may be waiting in its queue.
    [[nodiscard]] bool kept() const noexcept { return kept_; }

    // The next waiting connection, non-blocking and without Nagle's delay; the caller owns the fd.
    [[nodiscard]] Outcome accept(Accepted& out) const;

private:
    int fd_ = -1;
    bool kept_ = false;
    std::string endpoint_;
    std::string path_;  // of a Unix socket
};

}  // namespace tenon::http
