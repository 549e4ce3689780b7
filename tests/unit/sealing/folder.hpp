// SPDX-License-Identifier: Apache-2.0
// A data folder, files in it, and the credentials of systemd for the length of a test.
#pragma once

#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <sys/stat.h>

namespace tenon::test {

class Folder : public TemporaryFolder {
public:
    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
        return path() / name;
    }

    void write(std::string_view name, std::string_view text, mode_t mode = 0600) const {
        const std::filesystem::path file = path() / name;
        { std::ofstream{file, std::ios::binary} << text; }
        REQUIRE(::chmod(file.c_str(), mode) == 0);
    }

    [[nodiscard]] std::string read(std::string_view name) const {
        std::ifstream in{path() / name, std::ios::binary};
        return {std::istreambuf_iterator<char>{in}, {}};
    }
};

class Credentials {
public:
    explicit Credentials(const std::filesystem::path& folder) {
        ::setenv("CREDENTIALS_DIRECTORY", folder.c_str(), 1);
    }

    ~Credentials() { ::unsetenv("CREDENTIALS_DIRECTORY"); }

    Credentials(const Credentials&) = delete;
    Credentials& operator=(const Credentials&) = delete;
};

}  // namespace tenon::test
