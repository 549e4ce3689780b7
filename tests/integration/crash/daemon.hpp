// SPDX-License-Identifier: Apache-2.0
// A real tenond in a folder of its own, for tests that kill it: starts it, talks to its admin
// socket, reads the pipe of the load plugin.
#pragma once

#include <boost/json.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tenon::test {

// What the load plugin wrote: the last answer of each order, and all fills of takers.
struct Acknowledged {
    std::map<std::int64_t, std::vector<std::int64_t>> orders;
    std::vector<std::vector<std::int64_t>> trades;
};

class Daemon {
public:
    Daemon();
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    // Returns when every plugin has started. Throws std::runtime_error with the log's end.
    void start();
    void kill();
    // By SIGTERM, cleanly.
    void stop();

    // Throws std::runtime_error when the answer is an error.
    boost::json::object admin(const std::string& command, const boost::json::object& args);

    // The same, again while the answer is UNAVAILABLE: old rows may still be on their way to SQL.
    boost::json::object admin_when_available(const std::string& command);

    void start_load(std::uint64_t seed);
    // Reads until that many lines came.
    void collect(Acknowledged& into, std::uint64_t lines);
    // Reads what the dead process left in the pipe.
    void collect_rest(Acknowledged& into);

private:
    void write_deployment();
    [[nodiscard]] std::string log_tail() const;
    // False at the end of the pipe.
    bool read_some(Acknowledged& into);
    void take_line(const std::string& line, Acknowledged& into);
    void wait_exit();

    std::string folder_;
    pid_t pid_ = 0;
    int pipe_ = -1;
    std::string unread_;
    std::uint64_t lines_ = 0;
};

[[nodiscard]] std::uint64_t environment_number(const char* name, std::uint64_t otherwise);

}  // namespace tenon::test
