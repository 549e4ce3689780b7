// SPDX-License-Identifier: Apache-2.0
// The crash sentinel in a process of its own.
#include "kernel/runtime/crash.hpp"

#include "tests/unit/kernel/scene.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using Pipe = std::array<int, 2>;

// Two threads: one crashes and waits for a reader of crash.json, then the other crashes.
[[noreturn]] void crash_twice(const std::filesystem::path& folder, int told, int go) {
    const rlimit no_core{0, 0};
    (void)::setrlimit(RLIMIT_CORE, &no_core);
    (void)::dup2(told, STDERR_FILENO);
    for (const int signal : {SIGILL, SIGFPE}) {
        (void)std::signal(signal, SIG_DFL);  // the test framework's are not wanted here
    }
    tenon::runtime::arm_crash_sentinel(folder);
    std::thread{[] { (void)::raise(SIGILL); }}.detach();
    char byte = 0;
    while (::read(go, &byte, 1) < 0) {}
    (void)::raise(SIGFPE);
    ::_exit(0);
}

std::string read_some(int fd) {
    std::string text(4096, '\0');
    const ssize_t got = ::read(fd, text.data(), text.size());
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
}

}  // namespace

TEST_CASE("of two threads that crash together the first is written down", "[kernel][crash]") {
    const tenon::test::TempDir dir;
    const std::filesystem::path file = dir.path() / tenon::runtime::k_crash_file;
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);  // whoever writes it waits for its reader
    Pipe told{};
    Pipe go{};
    REQUIRE(::pipe2(told.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(go.data(), O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        crash_twice(dir.path(), told[1], go[0]);
    }
    ::close(told[1]);
    CHECK(read_some(told[0]) == "tenond: SIGILL outside of any plugin\n");
    REQUIRE(::write(go[1], "x", 1) == 1);
    // Nothing may end the process now: the pipe of its standard error stays open.
    pollfd ended{told[0], POLLIN, 0};
    CHECK(::poll(&ended, 1, 300) == 0);
    const int reader = ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(reader >= 0);
    pollfd written{reader, POLLIN, 0};
    CHECK(::poll(&written, 1, 10'000) == 1);
    CHECK(read_some(reader).starts_with(R"({"signal":"SIGILL")"));
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    for (const int fd : {reader, told[0], go[0], go[1]}) {
        ::close(fd);
    }
}
