// SPDX-License-Identifier: Apache-2.0
// What a server asks of the machine before it starts, and what it tells of itself to whoever
// started it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace tenon::process {

// The folder or the port is not to be had: in use, read-only, no folder.
class InUse : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// Checks that the address can be listened on: "ADDR:PORT", "[ADDR]:PORT" for IPv6; port 0 always
// can. Throws InUse; std::invalid_argument when it is no address.
void probe_listen(const std::string& listen);

// Tells systemd ("READY=1"), when it asked to be told. See sd_notify(3).
void notify_systemd(std::string_view state) noexcept;

}  // namespace tenon::process
