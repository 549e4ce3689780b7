// SPDX-License-Identifier: Apache-2.0
// The file system as journal and snapshots use it: small, and replaceable, so that tests can make
// writes short, syncs fail and power go away.
//
// What is called for every batch returns an errno value; what is called at start or in the
// background throws tenon::Error. Objects are used by one thread at a time; different files by
// different threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tenon::journal {

class File {
public:
    File() = default;
    virtual ~File() = default;
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    // Bytes moved, which may be fewer than asked for (0 at the end of a file), or -errno.
    virtual std::int64_t write_at(std::span<const std::byte> data, std::uint64_t offset) = 0;
    virtual std::int64_t read_at(std::span<std::byte> data, std::uint64_t offset) = 0;
    // fdatasync. 0 or an errno value. After a failure nothing is known of what was written.
    virtual int sync() = 0;
    // 0 or an errno value.
    virtual int resize(std::uint64_t size) = 0;
    // Bytes, or -errno.
    virtual std::int64_t size() = 0;
};

enum class OpenMode {
    read,
    read_write,
    create,  // read and write; emptied when it exists
};

class Disk {
public:
    Disk() = default;
    virtual ~Disk() = default;
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;

    virtual std::unique_ptr<File> open(const std::string& path, OpenMode mode) = 0;
    virtual void rename(const std::string& from, const std::string& to) = 0;
    virtual void remove(const std::string& path) = 0;
    // Makes names in the folder durable.
    virtual void sync_folder(const std::string& path) = 0;
    virtual void make_folder(const std::string& path) = 0;
    // Names of the regular files of a folder, sorted.
    virtual std::vector<std::string> list(const std::string& path) = 0;
    // Bytes that this process may still write there.
    virtual std::uint64_t free_bytes(const std::string& path) = 0;
};

// The real one.
[[nodiscard]] std::unique_ptr<Disk> make_posix_disk();

// Writes everything: short writes go on, EINTR is tried again. 0 or an errno value.
[[nodiscard]] int write_all(File& file, std::span<const std::byte> data, std::uint64_t offset);

// Reads until the buffer is full or the file ends; bytes read. Throws Error.
[[nodiscard]] std::size_t
read_all(File& file, std::span<std::byte> data, std::uint64_t offset, const std::string& path);

// Throws Error{TENON_UNAVAILABLE, "WHAT PATH: text of errno"} unless error is 0.
void require_ok(int error, const char* what, const std::string& path);

}  // namespace tenon::journal
