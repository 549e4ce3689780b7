// SPDX-License-Identifier: Apache-2.0
// A Redis server of a test's own: a real one, in a folder of its own, gone with the object.
//
//   RedisServer server;
//   redis::Client client{{.address = server.address()}};
//
// It listens on a unix socket in its folder and keeps nothing on disk. It dies with the thread that
// started it, however that ends. Not thread-safe; failures throw std::runtime_error, also where
// Redis is not installed: a test does not skip what it claims.
#pragma once

#include "sdk/redis/address.hpp"
#include "tests/support/temporary_folder.hpp"

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tenon::test {

class RedisServer {
public:
    // Words for the command line: {"--requirepass", "secret"}.
    explicit RedisServer(std::vector<std::string> options = {});
    ~RedisServer();
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    [[nodiscard]] redis::Address address() const;

    [[nodiscard]] std::string url() const { return "unix://" + socket(); }

    [[nodiscard]] std::string socket() const { return (folder() / "redis.sock").string(); }

    // Starts empty and waits until it answers.
    void start();
    // As a machine that loses its power.
    void kill_9();
    // Stands still (SIGSTOP) and goes on.
    void pause();
    void resume();

    [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_.path(); }

private:
    [[nodiscard]] bool answers() const;

    std::vector<std::string> options_;
    TemporaryFolder folder_;
    pid_t server_ = -1;
};

}  // namespace tenon::test
