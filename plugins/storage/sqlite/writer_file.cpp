// SPDX-License-Identifier: Apache-2.0
// The writer's care for its file: deleted, replaced, and back again.
#include "plugins/storage/sqlite/writer.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::sqlite {
namespace {

// Somebody should look who deletes databases: monitors must have the time to see it.
constexpr std::int64_t k_hold_ns = 60'000 * k_ms;

void sync_folder_of(const std::string& file) {
    const std::string folder = file.substr(0, file.rfind('/') + 1);
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        ::fsync(fd);
        ::close(fd);
    }
}

void remove_wal(const std::string& file) {
    ::unlink((file + "-wal").c_str());
    ::unlink((file + "-shm").c_str());
}

}  // namespace

void Writer::require_file() {
    const FileState state = identity_.look();
    if (state != FileState::same) {
        recover_file(state);
    }
}

void Writer::recover_file(FileState state) {
    if (state == FileState::missing) {
        rescue();
    } else {
        // A WAL of the old database beside the new file would be played into it.
        telemetry_.log.warn("database_file_replaced", {{"file", settings_.file}});
        reopen(identity_.wal_is_ours());
    }
}

// The deleted file lives on as long as it is open: its content goes back to where it was.
void Writer::rescue() {
    telemetry_.log.error("database_file_deleted", {{"file", settings_.file}});
    const std::string copy = settings_.file + ".rescue";
    remove_wal(copy);
    ::unlink(copy.c_str());
    connection_->copy_to(copy);
    remove_wal(copy);
    remove_wal(settings_.file);
    if (::rename(copy.c_str(), settings_.file.c_str()) != 0) {
        throw DatabaseError{
            TENON_UNAVAILABLE,
            "cannot put " + copy + " in place of the deleted " + settings_.file + ": " +
                std::strerror(errno),
            Failure::permanent};
    }
    sync_folder_of(settings_.file);
    reopen(false);
    telemetry_.log.warn("database_file_rewritten", {{"file", settings_.file}});
    health(
        TENON_DEGRADED,
        settings_.file + " was deleted while open; it has been written anew, nothing is lost"
    );
    held_until_ns_ = telemetry_.now_ns() + k_hold_ns;
}

void Writer::reopen(bool drop_wal) {
    struct stat found {};

    if (::stat(settings_.file.c_str(), &found) != 0) {
        throw DatabaseError{
            TENON_UNAVAILABLE, settings_.file + ": " + std::strerror(errno), Failure::permanent};
    }
    // Opening it would make a database without tables of it.
    if (found.st_size == 0) {
        throw DatabaseError{
            TENON_UNAVAILABLE,
            settings_.file + " was replaced by an empty file",
            Failure::permanent};
    }
    if (drop_wal) {
        remove_wal(settings_.file);
    }
    auto fresh = std::make_unique<Connection>(settings_, telemetry_, Role::writer);
    // The old connection takes nothing along that is at the path now (keep_wal_on_close).
    if (capture_) {
        capture_->detach();
    }
    connection_ = std::move(fresh);
    keys_.forget();
    identity_ = FileIdentity{settings_.file};
    if (capture_) {
        capture_->attach(*connection_);
    }
    hooks_.reopened();
}

}  // namespace tenon::sqlite
