// SPDX-License-Identifier: Apache-2.0
// Subscribers of a WebSocket stream, all in one thread: how long an event takes from its own time
// (the field "E", in milliseconds or microseconds) to each of them, and from the first subscriber
// to each other one. Messages are not parsed beyond "E"; those without it count in the spread only.
// The delivery needs clocks that agree: server and generator on one machine, or kept together.
#pragma once

#include "tools/load/address.hpp"
#include "tools/load/generator.hpp"
#include "tools/load/tally.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::load {

struct FanOutOptions {
    Address address;
    std::string target;  // path and query of the stream
    std::uint32_t subscribers = 1;
    std::int64_t warmup_ns = 0;
    std::int64_t duration_ns = 10'000'000'000;  // with the warm-up
    std::int64_t timeout_ns = 10'000'000'000;   // of all handshakes together
    std::int64_t window_ns = 1'000'000'000;
};

// The operations of the run that it gives.
inline constexpr const char* k_delivery = "delivery";
inline constexpr const char* k_spread = "spread";

// Blocks. `planned` are the messages that came after the warm-up, and `all` is their delivery; a
// subscriber that is lost is an error. Throws std::runtime_error when one cannot subscribe.
[[nodiscard]] Run fan_out(const FanOutOptions& options, const Generator::Report& report);

// The time of the event in ns since the epoch; 0 when it has none.
[[nodiscard]] std::int64_t event_time_ns(std::string_view message) noexcept;

}  // namespace tenon::load
