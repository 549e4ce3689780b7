// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/fence_file.hpp"

#include <tenon/plugin.hpp>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>

namespace tenon::postgres {
namespace {

constexpr std::string_view k_head = "tenon-fence 1 ";

class File {
public:
    File(const std::filesystem::path& path, int flags) : fd_{::open(path.c_str(), flags, 0600)} {}

    ~File() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }

    File(const File&) = delete;
    File& operator=(const File&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    int fd_;
};

[[noreturn]] void fail_with_errno(const char* what, const std::filesystem::path& path) {
    throw Error{
        TENON_UNAVAILABLE, std::string{what} + " " + path.string() + ": " + std::strerror(errno)};
}

Fence parse(std::string_view text, const std::filesystem::path& path) {
    Fence fence;
    const char* end = text.data() + text.size();
    if (text.starts_with(k_head) && text.ends_with('\n')) {
        const auto system = std::from_chars(text.data() + k_head.size(), end, fence.system);
        if (system.ec == std::errc{} && system.ptr != end && *system.ptr == ' ') {
            const auto timeline = std::from_chars(system.ptr + 1, end, fence.timeline);
            if (timeline.ec == std::errc{} && timeline.ptr + 1 == end) {
                return fence;
            }
        }
    }
    throw Error{
        TENON_CORRUPT,
        path.string() +
            ": expected \"tenon-fence 1 SYSTEM TIMELINE\"; see the newest timeline with "
            "pg_controldata on the primary and write it, or remove the file"};
}

}  // namespace

Fence FenceFile::load() const {
    const File file{path_, O_RDONLY | O_CLOEXEC};
    if (file.fd() < 0) {
        if (errno == ENOENT) {
            return {};
        }
        fail_with_errno("cannot open", path_);
    }
    std::array<char, 128> buffer{};
    const ::ssize_t size = ::read(file.fd(), buffer.data(), buffer.size());
    if (size < 0) {
        fail_with_errno("cannot read", path_);
    }
    return parse({buffer.data(), static_cast<std::size_t>(size)}, path_);
}

void FenceFile::store(const Fence& fence) const {
    const std::string text{
        std::string{k_head} + std::to_string(fence.system) + " " + std::to_string(fence.timeline) +
        "\n"};
    std::filesystem::path fresh = path_;
    fresh += ".new";
    {
        const File file{fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC};
        const auto size = static_cast<::ssize_t>(text.size());
        if (file.fd() < 0 || ::write(file.fd(), text.data(), text.size()) != size ||
            ::fsync(file.fd()) != 0) {
            fail_with_errno("cannot write", fresh);
        }
    }
    if (::rename(fresh.c_str(), path_.c_str()) != 0) {
        fail_with_errno("cannot replace", path_);
    }
    const std::filesystem::path folder = path_.parent_path();
    const File directory{folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC};
    if (directory.fd() < 0 || ::fsync(directory.fd()) != 0) {
        fail_with_errno("cannot sync", folder);
    }
}

}  // namespace tenon::postgres
