// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/data_dir.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace tenon::runtime {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const std::string& what) {
    throw InUse{what + ": " + std::strerror(errno)};
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t wrote = ::write(fd, text.data(), text.size());
        if (wrote <= 0) {
            return false;
        }
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
}

struct Address {
    std::string host;
    std::string port;
};

Address split(const std::string& listen) {
    const auto colon = listen.rfind(':');
    if (colon == std::string::npos || colon == 0) {
        throw std::invalid_argument{"\"" + listen + "\" is not ADDR:PORT"};
    }
    Address address{listen.substr(0, colon), listen.substr(colon + 1)};
    if (address.host.starts_with('[') && address.host.ends_with(']')) {
        address.host = address.host.substr(1, address.host.size() - 2);
    }
    std::uint16_t port = 0;
    const char* const end = address.port.data() + address.port.size();
    const auto [last, ec] = std::from_chars(address.port.data(), end, port);
    if (ec != std::errc{} || last != end) {
        throw std::invalid_argument{"\"" + listen + "\" has no port from 0 to 65535"};
    }
    return address;
}

}  // namespace

DataDir::DataDir(const fs::path& path) : path_{fs::absolute(path).lexically_normal()} {
    std::error_code ec;
    if (!fs::is_directory(path_, ec)) {
        fs::create_directories(path_.parent_path(), ec);
        if (::mkdir(path_.c_str(), 0700) != 0) {
            fail("the data folder " + path_.string() + " cannot be made");
        }
    }
    const fs::path file = path_ / "lock";
    lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0) {
        fail("the data folder " + path_.string() + " cannot be written to");
    }
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        std::array<char, 32> pid{};
        const ssize_t got = ::pread(lock_, pid.data(), pid.size() - 1, 0);
        ::close(lock_);
        lock_ = -1;
        const std::string owner = got > 0 ? "process " + std::to_string(std::atol(pid.data()))
                                          : std::string{"another process"};
        throw InUse{"the data folder " + path_.string() + " is in use by " + owner};
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(lock_, 0) != 0 || !write_all(lock_, pid)) {
        const int reason = errno;
        ::close(lock_);
        lock_ = -1;
        errno = reason;
        fail("the data folder " + path_.string() + " cannot be written to");
    }
}

DataDir::~DataDir() {
    if (lock_ >= 0) {
        ::close(lock_);  // which also unlocks it
    }
}

bool DataDir::fresh() const {
    return !fs::exists(path_ / "deployment.json");
}

void DataDir::write(std::string_view name, std::string_view text) const {
    const fs::path file = path_ / name;
    const fs::path next = file.string() + ".new";
    const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(next.string() + " cannot be written");
    }
    const bool written = write_all(fd, text);
    const int reason = errno;
    ::close(fd);
    errno = reason;
    if (!written || ::rename(next.c_str(), file.c_str()) != 0) {
        fail(file.string() + " cannot be written");
    }
}

void DataDir::remove(std::string_view name) const noexcept {
    std::error_code ec;
    fs::remove(path_ / name, ec);
}

void probe_listen(const std::string& listen) {
    const Address address = split(listen);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    addrinfo* found = nullptr;
    if (const int rc = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
        rc != 0) {
        throw std::invalid_argument{"\"" + listen + "\" is no address: " + ::gai_strerror(rc)};
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list{found, &::freeaddrinfo};
    const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        fail("no socket for " + listen);
    }

    struct Close {
        int fd;

        ~Close() { ::close(fd); }
    } close{fd};

    const int on = 1;
    (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd, 1) != 0) {
        fail("cannot listen on " + listen);
    }
}

void notify_systemd(std::string_view state) noexcept {
    const char* path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr || *path == '\0') {
        return;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t length = std::strlen(path);
    if (length >= sizeof address.sun_path) {
        return;
    }
    std::memcpy(address.sun_path, path, length);
    if (address.sun_path[0] == '@') {
        address.sun_path[0] = '\0';  // the abstract namespace
    }
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)::sendto(
            fd,
            state.data(),
            state.size(),
            MSG_NOSIGNAL,
            reinterpret_cast<const sockaddr*>(&address),
            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length)
        );
        ::close(fd);
    }
}

}  // namespace tenon::runtime
