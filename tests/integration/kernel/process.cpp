// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/kernel/process.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <poll.h>
#include <stdexcept>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::test {

namespace {

constexpr int k_limit_ms = 60'000;

// True when the process ended within the time.
bool ended(pid_t pid, int timeout_ms) {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    pollfd wanted{fd, POLLIN, 0};
    const int ready = ::poll(&wanted, 1, timeout_ms);
    ::close(fd);
    return ready == 1;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments)
    : out_{::memfd_create("out", MFD_CLOEXEC)}, err_{::memfd_create("err", MFD_CLOEXEC)} {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
        (void)::dup2(out_, STDOUT_FILENO);
        (void)::dup2(err_, STDERR_FILENO);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    if (pid_ < 0) {
        throw std::runtime_error{"no process"};
    }
}

Process::~Process() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        (void)::waitpid(pid_, nullptr, 0);
    }
    ::close(out_);
    ::close(err_);
}

void Process::signal(int number) const {
    ::kill(pid_, number);
}

Result Process::wait() {
    if (!ended(pid_, k_limit_ms)) {
        throw std::runtime_error{"the process does not end; it said:\n" + read(err_)};
    }
    int status = 0;
    (void)::waitpid(pid_, &status, 0);
    pid_ = -1;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(out_), read(err_)};
}

bool Process::says(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{k_limit_ms};
    while (std::chrono::steady_clock::now() < deadline) {
        if (read(err_).find(text) != std::string::npos) {
            return true;
        }
        if (ended(pid_, 5)) {
            return read(err_).find(text) != std::string::npos;
        }
    }
    return false;
}

std::string Process::read(int fd) {
    std::string text;
    char block[8192];
    for (;;) {
        const ssize_t got = ::pread(fd, block, sizeof block, static_cast<off_t>(text.size()));
        if (got <= 0) {
            return text;
        }
        text.append(block, static_cast<std::size_t>(got));
    }
}

Result run(const std::vector<std::string>& arguments) {
    return Process{arguments}.wait();
}

std::filesystem::path build_dir() {
    const char* given = std::getenv("TENON_BUILD_DIR");
    if (given == nullptr) {
        throw std::runtime_error{"TENON_BUILD_DIR is not set; run this test with ctest"};
    }
    return given;
}

}  // namespace tenon::test
