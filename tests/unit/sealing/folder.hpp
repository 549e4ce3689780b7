// SPDX-License-Identifier: Apache-2.0
// A data folder, files in it, and the credentials of systemd for the length of a test.
#pragma once

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <sys/stat.h>

namespace tenon::test {

class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "tenon-seal-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }

    ~Folder() {
        std::error_code ec;
        std::filesystem::remove_all(path_, ec);
    }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
        return path_ / name;
    }

    void write(std::string_view name, std::string_view text, mode_t mode = 0600) const {
        const std::filesystem::path file = path_ / name;
        { std::ofstream{file, std::ios::binary} << text; }
        REQUIRE(::chmod(file.c_str(), mode) == 0);
    }

    [[nodiscard]] std::string read(std::string_view name) const {
        std::ifstream in{path_ / name, std::ios::binary};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

private:
    std::filesystem::path path_;
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
