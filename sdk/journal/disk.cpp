// SPDX-License-Identifier: Apache-2.0
#include "sdk/journal/disk.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace tenon::journal {
namespace {

class PosixFile final : public File {
public:
    explicit PosixFile(int fd) : fd_{fd} {}

    ~PosixFile() override { ::close(fd_); }

    PosixFile(const PosixFile&) = delete;
    PosixFile& operator=(const PosixFile&) = delete;

    std::int64_t write_at(std::span<const std::byte> data, std::uint64_t offset) override {
        const auto n = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset));
        return n < 0 ? -errno : n;
    }

    std::int64_t read_at(std::span<std::byte> data, std::uint64_t offset) override {
        const auto n = ::pread(fd_, data.data(), data.size(), static_cast<off_t>(offset));
        return n < 0 ? -errno : n;
    }

    int sync() override { return ::fdatasync(fd_) == 0 ? 0 : errno; }

    int resize(std::uint64_t size) override {
        return ::ftruncate(fd_, static_cast<off_t>(size)) == 0 ? 0 : errno;
    }

    std::int64_t size() override {
        struct stat info {};

        return ::fstat(fd_, &info) == 0 ? info.st_size : -errno;
    }

private:
    int fd_;
};

class PosixDisk final : public Disk {
public:
    std::unique_ptr<File> open(const std::string& path, OpenMode mode) override {
        int flags = O_CLOEXEC | (mode == OpenMode::read ? O_RDONLY : O_RDWR);
        if (mode == OpenMode::create) {
            flags |= O_CREAT | O_TRUNC;
        }
        const int fd = ::open(path.c_str(), flags, 0600);
        require_ok(fd < 0 ? errno : 0, "cannot open", path);
        return std::make_unique<PosixFile>(fd);
    }

    void rename(const std::string& from, const std::string& to) override {
        require_ok(::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno, "cannot rename to", to);
    }

    void remove(const std::string& path) override {
        require_ok(::unlink(path.c_str()) == 0 ? 0 : errno, "cannot remove", path);
    }

    void sync_folder(const std::string& path) override {
        const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        require_ok(fd < 0 ? errno : 0, "cannot open folder", path);
        const int error = ::fsync(fd) == 0 ? 0 : errno;
        ::close(fd);
        require_ok(error, "cannot sync folder", path);
    }

    void make_folder(const std::string& path) override {
        std::error_code error;
        std::filesystem::create_directories(path, error);
        require_ok(error.value(), "cannot make folder", path);
    }

    std::vector<std::string> list(const std::string& path) override {
        std::vector<std::string> names;
        std::error_code error;
        for (std::filesystem::directory_iterator it{path, error}, end; !error && it != end;
             it.increment(error)) {
            if (it->is_regular_file(error)) {
                names.push_back(it->path().filename().string());
            }
        }
        require_ok(error.value(), "cannot list folder", path);
        std::sort(names.begin(), names.end());
        return names;
    }

    std::uint64_t free_bytes(const std::string& path) override {
        struct statvfs info {};

        require_ok(::statvfs(path.c_str(), &info) == 0 ? 0 : errno, "cannot ask space of", path);
        return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
    }
};

}  // namespace

std::unique_ptr<Disk> make_posix_disk() {
    return std::make_unique<PosixDisk>();
}

int write_all(File& file, std::span<const std::byte> data, std::uint64_t offset) {
    while (!data.empty()) {
        const std::int64_t n = file.write_at(data, offset);
        if (n == -EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? ENOSPC : static_cast<int>(-n);
        }
        data = data.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return 0;
}

std::size_t
read_all(File& file, std::span<std::byte> data, std::uint64_t offset, const std::string& path) {
    std::size_t done = 0;
    while (done < data.size()) {
        const std::int64_t n = file.read_at(data.subspan(done), offset + done);
        if (n == -EINTR) {
            continue;
        }
        require_ok(n < 0 ? static_cast<int>(-n) : 0, "cannot read", path);
        if (n == 0) {
            break;
        }
        done += static_cast<std::size_t>(n);
    }
    return done;
}

void require_ok(int error, const char* what, const std::string& path) {
    if (error != 0) {
        throw Error{
            TENON_UNAVAILABLE,
            std::string{what} + " " + path + ": " + std::generic_category().message(error)};
    }
}

}  // namespace tenon::journal
