// SPDX-License-Identifier: Apache-2.0
// An input as a file, for readers that take a name. It is in memory and gone with the object.
#pragma once

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

namespace tenon::fuzz {

class InputFile {
public:
    explicit InputFile(std::string_view content) : fd_{::memfd_create("input", MFD_CLOEXEC)} {
        if (fd_ < 0 ||
            ::write(fd_, content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
            throw std::system_error{errno, std::generic_category(), "cannot make a file in memory"};
        }
    }

    ~InputFile() { (void)::close(fd_); }

    InputFile(const InputFile&) = delete;
    InputFile& operator=(const InputFile&) = delete;

    [[nodiscard]] std::string name() const { return "/proc/self/fd/" + std::to_string(fd_); }

private:
    int fd_;
};

}  // namespace tenon::fuzz
