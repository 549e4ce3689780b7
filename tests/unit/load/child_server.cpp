// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/load/child_server.hpp"

#include <arpa/inet.h>
#include <array>
#include <csignal>
#include <ctime>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace tenon::test {

namespace {

// Every read is taken for the requests that end in it.
bool serve(int fd, const std::string& answer, std::uint64_t work) {
    std::array<char, 16'384> buffer{};
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n <= 0 || answer.empty()) {
        return false;
    }
    const std::string_view text{buffer.data(), static_cast<std::size_t>(n)};
    for (auto at = text.find("\r\n\r\n"); at != std::string_view::npos;
         at = text.find("\r\n\r\n", at + 4)) {
        volatile std::uint64_t steps = 0;
        while (steps < work) {
            steps = steps + 1;
        }
        if (::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) {
            return false;
        }
    }
    return true;
}

[[noreturn]] void
run(int listener, const std::string& answer, const std::string& tick, std::uint64_t work) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<pollfd> watched{{listener, POLLIN, 0}};
    for (;;) {
        const int ready = ::poll(watched.data(), watched.size(), tick.empty() ? -1 : 10);
        for (std::size_t i = 1; i < watched.size() && ready == 0; ++i) {
            (void)::send(watched[i].fd, tick.data(), tick.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        for (std::size_t i = watched.size(); i-- > 1;) {
            if (watched[i].revents != 0 && !serve(watched[i].fd, answer, work)) {
                (void)::close(watched[i].fd);
                watched.erase(watched.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
        if (watched[0].revents != 0) {
            watched.push_back({::accept(listener, nullptr, nullptr), POLLIN, 0});
        }
    }
}

}  // namespace

ChildServer::ChildServer(const std::string& answer, const std::string& tick, std::uint64_t work) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* address = static_cast<sockaddr*>(static_cast<void*>(&own));
    socklen_t size = sizeof own;
    if (::bind(listener, address, size) != 0 || ::listen(listener, 256) != 0 ||
        ::getsockname(listener, address, &size) != 0) {
        throw std::runtime_error{"cannot listen"};
    }
    port_ = ntohs(own.sin_port);
    pid_ = ::fork();
    if (pid_ == 0) {
        run(listener, answer, tick, work);
    }
    (void)::close(listener);
}

ChildServer::~ChildServer() {
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
}

std::string ChildServer::address() const {
    return "127.0.0.1:" + std::to_string(port_);
}

void ChildServer::stop() const {
    (void)::kill(pid_, SIGSTOP);
    int status = 0;
    (void)::waitpid(pid_, &status, WUNTRACED);
}

double ChildServer::cpu_s() const {
    clockid_t clock{};
    timespec used{};
    if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &used) != 0) {
        throw std::runtime_error{"no CPU clock of the child"};
    }
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

void ChildServer::go_on() const {
    (void)::kill(pid_, SIGCONT);
}

}  // namespace tenon::test
