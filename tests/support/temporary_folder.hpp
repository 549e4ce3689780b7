// SPDX-License-Identifier: Apache-2.0
// A folder that is there for the length of a test.
#pragma once

#include <cerrno>
#include <filesystem>
#include <stdlib.h>
#include <string>
#include <system_error>

namespace tenon::test {

class TemporaryFolder {
public:
    TemporaryFolder() {
        // mkdtemp(3) puts six characters of its own in the place of the last six.
        std::string name = (std::filesystem::temp_directory_path() / "tenon-").string();
        name.append(6, 'X');
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::system_error{errno, std::generic_category(), "cannot make " + name};
        }
        path_ = name;
    }

    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace tenon::test
