// SPDX-License-Identifier: Apache-2.0
// Whether the files at the database's path are still the ones that were opened.
//
// Looks by stat() only: opening and closing the file by path would drop SQLite's locks on it.
#pragma once

#include <cstdint>
#include <string>
#include <sys/stat.h>

namespace tenon::sqlite {

enum class FileState { same, missing, replaced };

class FileIdentity {
public:
    FileIdentity() = default;

    explicit FileIdentity(const std::string& file)
        : main_{of(file)}, wal_{of(file + "-wal")}, file_{file} {}

    [[nodiscard]] FileState look() {
        const Id main = of(file_);
        if (main.inode == 0) {
            return FileState::missing;
        }
        if (!(main == main_)) {
            return FileState::replaced;
        }
        // The WAL appears with the first write and then stays as long as a connection is open.
        const Id wal = of(file_ + "-wal");
        if (wal_.inode == 0) {
            wal_ = wal;
        }
        return wal == wal_      ? FileState::same
               : wal.inode == 0 ? FileState::missing
                                : FileState::replaced;
    }

    // The WAL at the path belongs to the database that was open.
    [[nodiscard]] bool wal_is_ours() const {
        const Id wal = of(file_ + "-wal");
        return wal.inode != 0 && wal == wal_;
    }

private:
    struct Id {
        std::uint64_t device = 0;
        std::uint64_t inode = 0;

        bool operator==(const Id&) const = default;
    };

    static Id of(const std::string& file) {
        struct stat found {};

        return ::stat(file.c_str(), &found) == 0 ? Id{found.st_dev, found.st_ino} : Id{};
    }

    Id main_;
    Id wal_;
    std::string file_;
};

}  // namespace tenon::sqlite
