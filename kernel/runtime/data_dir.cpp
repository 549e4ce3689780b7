// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/data_dir.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
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

}  // namespace tenon::runtime
