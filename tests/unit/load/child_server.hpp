// SPDX-License-Identifier: Apache-2.0
// A small HTTP server in a process of its own, so that it can be stopped as a whole.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace tenon::test {

class ChildServer {
public:
    // What it answers to each request; "" closes the connection instead. With a `tick` that is sent
    // to everybody who was answered, a hundred times a second. With `work`, so many steps of
    // reckoning for each request.
    explicit ChildServer(
        const std::string& answer = k_answer,
        const std::string& tick = {},
        std::uint64_t work = 0
    );
    ~ChildServer();  // kills it
    ChildServer(const ChildServer&) = delete;
    ChildServer& operator=(const ChildServer&) = delete;

    [[nodiscard]] std::string address() const;
    // Returns when it is stopped.
    void stop() const;
    void go_on() const;
    // What the process has used of the CPU.
    [[nodiscard]] double cpu_s() const;

    static constexpr const char* k_answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

private:
    pid_t pid_ = -1;
    std::uint16_t port_ = 0;
};

}  // namespace tenon::test
