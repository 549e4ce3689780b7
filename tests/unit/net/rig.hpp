// SPDX-License-Identifier: Apache-2.0
// A reactor that the test turns itself, and what connections on it share.
#pragma once

#include "sdk/net/stream.hpp"
#include "tests/support/fake_host.hpp"

#include <chrono>
#include <functional>
#include <string>

namespace tenon::test {

struct NetRig {
    FakeHost host{FakeReactor::Mode::manual};
    net::Resolver resolver{host.exec(), 0};
    net::Network network{host.exec(), 0, &resolver, nullptr};

    // Turns until it is so; false after 30 s of real time.
    [[nodiscard]] bool until(const std::function<bool()>& so) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
        while (!so()) {
            if (std::chrono::steady_clock::now() > end) {
                return false;
            }
            host.reactor().turn(10);
        }
        return true;
    }

    [[nodiscard]] std::int64_t in(std::chrono::nanoseconds duration) {
        return host.reactor().now_ns() + duration.count();
    }
};

[[nodiscard]] inline net::Url local_url(int port, bool is_tls = false) {
    return {is_tls, "127.0.0.1", std::to_string(port), "/"};
}

}  // namespace tenon::test
