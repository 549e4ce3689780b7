// SPDX-License-Identifier: Apache-2.0
// What a server asks of the machine before it starts, and what it tells of itself to whoever
// started it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace tenon::process {

// The folder or the port is not to be had: in use, read-only, no folder.
class InUse : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// Checks that the address can be listened on: "ADDR:PORT", "[ADDR]:PORT" for IPv6; port 0 always
// can, and so can one whose socket the service manager kept. Throws InUse; std::invalid_argument
// when it is no address. Called once, before there are threads: closes what the service manager
// kept for another address.
void probe_listen(const std::string& listen);

// Tells systemd ("READY=1"), when it asked to be told. See sd_notify(3).
void notify_systemd(std::string_view state) noexcept;

// The listening socket outlives the process when systemd keeps it (FileDescriptorStoreMax=):
// clients who connect between two processes wait in its queue, none is refused. See
// sd_pid_notify_with_fds(3).
//
// A new descriptor, close-on-exec, of the socket that listens on this address and was kept: given
// to this process at its start, or kept by it before. Port 0 matches any. -1: there is none, or
// nobody who keeps one. The caller owns it. [any]
[[nodiscard]] int kept_listener(const sockaddr* address) noexcept;

// Gives systemd, when there is one, a listening socket to keep, and keeps it open in this process
// for whoever listens on that address next. The caller's descriptor stays its own. [any]
void keep_listener(int fd) noexcept;

}  // namespace tenon::process
