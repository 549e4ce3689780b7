// SPDX-License-Identifier: Apache-2.0
#include "sdk/vault/folder_place.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::vault {
namespace {

namespace fs = std::filesystem;

// No name has a part that begins with a dot.
constexpr std::string_view k_unfinished = "/.unfinished-";

// Makes the folder and those above it, synced, so that a file in it does not get lost with them.
void make_folders(const std::string& folder) {
    if (folder.empty() || ::access(folder.c_str(), F_OK) == 0) {
        return;
    }
    const std::string above = folder.substr(0, folder.rfind('/'));
    make_folders(above);
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
        throw capture::file_error("make the folder", folder);
    }
    capture::sync_folder(above.empty() ? "/" : above);
}

// False where somebody else has it, or the file system knows no locks.
bool lock(const capture::Descriptor& fd, int how) noexcept {
    while (::flock(fd.get(), how) != 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

// A file of its own for each writer. The lock says to a sweep of any thread, process or host that
// the writer lives; the kernel takes it back when it does not.
class Unfinished {
public:
    explicit Unfinished(const std::string& folder) {
        struct stat found {};

        do {
            path_ = folder + std::string{k_unfinished} + std::string(6, 'X');  // mkostemp's
            fd_ = capture::Descriptor{::mkostemp(path_.data(), O_CLOEXEC)};
            if (!fd_.is_open()) {
                throw capture::file_error("create", path_);
            }
            (void)lock(fd_, LOCK_EX);
            if (::fstat(fd_.get(), &found) != 0) {
                throw capture::file_error("look at", path_);
            }
        } while (found.st_nlink == 0);  // a sweep was faster than the lock
    }

    ~Unfinished() {
        if (!path_.empty()) {
            ::unlink(path_.c_str());
        }
    }

    Unfinished(const Unfinished&) = delete;
    Unfinished& operator=(const Unfinished&) = delete;

    void write(View bytes) {
        capture::write_all(fd_.get(), bytes, path_);
        if (::fsync(fd_.get()) != 0) {
            throw capture::file_error("sync", path_);
        }
    }

    void become(const std::string& file) {
        if (::rename(path_.c_str(), file.c_str()) != 0) {
            throw capture::file_error("rename", path_);
        }
        path_.clear();
    }

private:
    std::string path_;
    capture::Descriptor fd_;
};

}  // namespace

std::string FolderPlace::where(const std::string& name) const {
    return folder_ + "/" + name;
}

void FolderPlace::put(const std::string& name, View bytes) {
    require_going_on();
    require_name(name);
    require_size(name, bytes.size());
    const std::string file = where(name);
    const std::string folder = file.substr(0, file.rfind('/'));
    make_folders(folder);
    Unfinished part{folder};
    part.write(bytes);
    part.become(file);
    capture::sync_folder(folder);
}

Bytes FolderPlace::get(const std::string& name) {
    require_going_on();
    require_name(name);
    const std::string file = where(name);
    const capture::Descriptor fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};

    struct stat found {};

    if (!fd.is_open() || ::fstat(fd.get(), &found) != 0) {
        if (errno == ENOENT) {
            throw Error{TENON_NOT_FOUND, file + " is missing"};
        }
        throw capture::file_error("open", file);
    }
    // One byte more shows a file that is longer than any piece.
    Bytes bytes(
        std::min<std::size_t>(static_cast<std::size_t>(found.st_size), k_object_bytes_max + 1)
    );
    bytes.resize(capture::read_at(fd.get(), bytes.data(), bytes.size(), 0, file));
    return bytes;
}

std::vector<Object> FolderPlace::list(const std::string& prefix) {
    require_going_on();
    std::vector<Object> all;
    const std::string top = folder_ + "/" + prefix;
    std::error_code error;
    fs::recursive_directory_iterator it{top, error};
    if (error == std::errc::no_such_file_or_directory) {
        return all;
    }
    for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
        if (it->path().filename().string().front() == '.') {
            it.disable_recursion_pending();
            continue;
        }
        std::error_code gone;  // removed meanwhile
        if (it->is_regular_file(gone) && !gone) {
            const std::uint64_t bytes = it->file_size(gone);
            const std::string name = it->path().string().substr(folder_.size() + 1);
            if (!gone) {
                all.push_back({name, bytes});
            }
        }
    }
    if (error) {
        throw Error{TENON_UNAVAILABLE, "cannot read the folder " + top + ": " + error.message()};
    }
    std::sort(all.begin(), all.end(), [](const Object& a, const Object& b) {
        return a.name < b.name;
    });
    return all;
}

std::optional<std::uint64_t> FolderPlace::size(const std::string& name) {
    require_name(name);

    struct stat found {};

    if (::stat(where(name).c_str(), &found) == 0) {
        return static_cast<std::uint64_t>(found.st_size);
    }
    if (errno != ENOENT && errno != ENOTDIR) {
        throw capture::file_error("look at", where(name));
    }
    return std::nullopt;
}

void FolderPlace::remove(const std::string& name) {
    require_going_on();
    require_name(name);
    if (::unlink(where(name).c_str()) != 0 && errno != ENOENT) {
        throw capture::file_error("remove", where(name));
    }
}

void FolderPlace::sweep() {
    std::error_code error;
    fs::recursive_directory_iterator it{folder_, error};
    std::vector<fs::path> left;
    for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
        const std::string name = "/" + it->path().filename().string();
        if (name.starts_with(k_unfinished)) {
            left.push_back(it->path());
        }
    }
    for (const fs::path& file : left) {
        const capture::Descriptor fd{::open(file.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW)};
        if (fd.is_open() && lock(fd, LOCK_EX | LOCK_NB)) {
            ::unlink(file.c_str());
        }
    }
}

}  // namespace tenon::vault
