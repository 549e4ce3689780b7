// SPDX-License-Identifier: Apache-2.0
// A host's addresses, looked up with an end to the wait. libpq looks names up by itself, but in the
// caller's thread and for as long as the resolver takes, which may be half a minute.
//
// A look-up that is not over in time goes on in libc's own thread, and who asks for the same name
// next waits for that one: there is one for each name at most. It is forgotten when it is over, so
// that a name that moves is followed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tenon::postgres {

// Keywords of libpq to be put after `keywords`: the addresses of the host as `hostaddr`, and as
// many times `host`, which certificates and password files are looked up by. Nothing when there is
// no name to look up: an address, a socket's folder, none at all, or a service that says it.
// Waits. Throws StorageError OTHER_HOST: not resolved by the deadline of `now`, or not known.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> addresses_of(
    const std::vector<std::pair<std::string, std::string>>& keywords,
    std::int64_t deadline_ns,
    const std::function<std::int64_t()>& now_ns
);

}  // namespace tenon::postgres
