// SPDX-License-Identifier: Apache-2.0
// Sends a workload's requests to one HTTP/1.1 server over a keep-alive connection a user, in one
// thread, and measures the answers.
//
// Open: each request leaves when the schedule says so, or as soon as its user's connection is free
// after that, and its latency counts from when it was due. What was never sent or never answered
// counts with the time that it had waited, so a server that stops cannot look better than it is.
// Closed (no schedule): each user sends the next request when the last was answered; this finds the
// most that a server gives, and its latencies say nothing of what users would see.
#pragma once

#include "tools/load/address.hpp"
#include "tools/load/schedule.hpp"
#include "tools/load/tally.hpp"
#include "tools/load/workload.hpp"

#include <functional>
#include <memory>

namespace tenon::load {

struct GeneratorOptions {
    Address address;
    std::uint32_t users = 1;  // connections
    std::int64_t warmup_ns = 0;
    std::int64_t duration_ns = 10'000'000'000;  // with the warm-up
    std::int64_t timeout_ns = 10'000'000'000;   // of an answer; also how long the end may take
    std::int64_t window_ns = 1'000'000'000;
    std::uint64_t seed = 1;  // of a closed loop's kinds
};

struct Progress {
    std::int64_t at_ns = 0;
    std::uint64_t sent = 0, answered = 0, errors = 0;
    std::uint64_t waiting = 0;            // due, and not sent yet
    std::int64_t p50_ns = 0, p99_ns = 0;  // since the last report
};

class Generator {
public:
    using Report = std::function<void(const Progress& progress)>;

    // Connects all users. Throws std::runtime_error when one cannot within the timeout.
    Generator(GeneratorOptions options, Workload& workload);
    ~Generator();
    Generator(const Generator&) = delete;
    Generator& operator=(const Generator&) = delete;

    // Blocks. `report` is called once a second; may be empty.
    [[nodiscard]] Run open(const std::vector<Arrival>& schedule, const Report& report);
    [[nodiscard]] Run closed(const Report& report);

private:
    class Loop;
    std::unique_ptr<Loop> loop_;
};

}  // namespace tenon::load
