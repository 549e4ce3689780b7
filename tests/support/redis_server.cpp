// SPDX-License-Identifier: Apache-2.0
#include "tests/support/redis_server.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::test {
namespace fs = std::filesystem;

namespace {

constexpr auto k_start_patience = std::chrono::seconds{30};

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error{"Redis for the test: " + what};
}

}  // namespace

RedisServer::RedisServer(std::vector<std::string> options) : options_{std::move(options)} {
    start();
}

RedisServer::~RedisServer() {
    kill_9();
}

redis::Address RedisServer::address() const {
    redis::Address address;
    address.socket = socket();
    return address;
}

void RedisServer::start() {
    if (server_ > 0) {
        return;
    }
    std::vector<std::string> words{
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        socket(),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        folder().string()};
    words.insert(words.end(), options_.begin(), options_.end());
    std::vector<char*> argv;
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    const std::string log = (folder() / "log").string();
    fs::remove(socket());
    const pid_t parent = ::getpid();
    server_ = ::fork();
    if (server_ < 0) {
        fail("fork");
    }
    if (server_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) {
            ::_exit(126);
        }
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::execvp("redis-server", argv.data());
        ::_exit(127);
    }
    const auto deadline = std::chrono::steady_clock::now() + k_start_patience;
    while (!answers()) {
        int status = 0;
        if (::waitpid(server_, &status, WNOHANG) == server_) {
            server_ = -1;
            fail(
                WIFEXITED(status) && WEXITSTATUS(status) == 127
                    ? "redis-server is not installed (tools/bootstrap --with-servers)"
                    : "it ended at once; see " + log
            );
        }
        if (std::chrono::steady_clock::now() > deadline) {
            kill_9();
            fail("it does not answer");
        }
        ::poll(nullptr, 0, 5);
    }
}

bool RedisServer::answers() const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    const std::string path = socket();
    std::memcpy(to.sun_path, path.c_str(), path.size() + 1);
    std::array<char, 16> answer{};
    const bool good = fd >= 0 &&
                      ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
                      ::send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
                      ::recv(fd, answer.data(), answer.size(), 0) > 0;
    if (fd >= 0) {
        ::close(fd);
    }
    return good;
}

void RedisServer::kill_9() {
    if (server_ > 0) {
        ::kill(server_, SIGKILL);
        ::waitpid(server_, nullptr, 0);
        server_ = -1;
    }
}

void RedisServer::pause() {
    if (server_ > 0) {
        ::kill(server_, SIGSTOP);
        ::waitpid(server_, nullptr, WUNTRACED);
    }
}

void RedisServer::resume() {
    if (server_ > 0) {
        ::kill(server_, SIGCONT);
    }
}

}  // namespace tenon::test
