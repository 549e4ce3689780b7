// SPDX-License-Identifier: Apache-2.0
// The sign of life of who writes to a capture folder: up to which commit everything was captured
// when. Not synced: it says nothing after a crash but that it is old.
#pragma once

#include "sdk/capture/format.hpp"

namespace tenon::capture {

struct Heartbeat {
    std::uint64_t txid = 0;
    std::int64_t real_ns = 0;  // 0: there is none
};

void write_heartbeat(int fd, const Heartbeat& beat, const std::string& file);
// None when there is no file, or it is being written.
[[nodiscard]] Heartbeat read_heartbeat(const std::string& folder);
[[nodiscard]] std::string heartbeat_name(const std::string& folder);

}  // namespace tenon::capture
