// SPDX-License-Identifier: Apache-2.0
// The follower's files: its copy, what it knows of it, and a new base in its place.
#include "plugins/storage/sqlite/follower.hpp"

#include <fcntl.h>
#include <random>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::sqlite {
namespace {

constexpr std::string_view k_state_magic = "TNNFOLL1";
constexpr std::size_t k_state_bytes = 8 + 16 + 24 + 32 + 8 + 24;

std::string folder_of(const std::string& file) {
    return file.substr(0, file.rfind('/') + 1);
}

}  // namespace

capture::FileStamp Follower::stamp() const {
    struct stat found {};

    if (::stat(settings_.file.c_str(), &found) != 0) {
        return {};
    }
    return {
        found.st_ino,
        static_cast<std::uint64_t>(found.st_size),
        std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
}

void Follower::save(bool durable) const {
    capture::Bytes bytes{k_state_magic.begin(), k_state_magic.end()};
    bytes.insert(bytes.end(), state_.uuid.begin(), state_.uuid.end());
    for (const std::uint64_t word : {state_.epoch, state_.log_txid, state_.last_txid}) {
        capture::put_u64(bytes, word);
    }
    bytes.insert(bytes.end(), state_.last_hash.begin(), state_.last_hash.end());
    capture::put_u32(bytes, state_.salt1);
    capture::put_u32(bytes, state_.salt2);
    capture::put_u64(bytes, state_.stamp.inode);
    capture::put_u64(bytes, state_.stamp.bytes);
    capture::put_u64(bytes, static_cast<std::uint64_t>(state_.stamp.mtime_ns));
    const capture::Hash hash = capture::hash_of(bytes);
    bytes.insert(bytes.end(), hash.begin(), hash.end());
    const std::string next = state_file_ + ".next";
    {
        const capture::Descriptor fd{
            ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
        if (!fd.is_open()) {
            throw capture::file_error("create", next);
        }
        capture::write_all(fd.get(), bytes, next);
        if (durable && ::fsync(fd.get()) != 0) {
            throw capture::file_error("sync", next);
        }
    }
    if (::rename(next.c_str(), state_file_.c_str()) != 0) {
        throw capture::file_error("rename", next);
    }
    if (durable) {
        capture::sync_folder(folder_of(state_file_));
    }
}

// Opens the copy of an earlier run. False: there is none, or it is not certain what it holds.
bool Follower::load() {
    capture::Bytes bytes(k_state_bytes + sizeof(capture::Hash) + 1);
    {
        const capture::Descriptor fd{::open(state_file_.c_str(), O_RDONLY | O_CLOEXEC)};
        if (!fd.is_open()) {
            return false;
        }
        bytes.resize(capture::read_at(fd.get(), bytes.data(), bytes.size(), 0, state_file_));
    }
    if (bytes.size() != k_state_bytes + sizeof(capture::Hash)) {
        return false;
    }
    const capture::View body = capture::View{bytes}.first(k_state_bytes);
    const capture::Hash hash = capture::hash_of(body);
    if (!std::equal(hash.begin(), hash.end(), bytes.begin() + k_state_bytes) ||
        !std::equal(k_state_magic.begin(), k_state_magic.end(), bytes.begin())) {
        return false;
    }
    std::copy_n(body.begin() + 8, 16, state_.uuid.begin());
    state_.epoch = capture::get_u64(body, 24);
    state_.log_txid = capture::get_u64(body, 32);
    state_.last_txid = capture::get_u64(body, 40);
    std::copy_n(body.begin() + 48, 32, state_.last_hash.begin());
    state_.salt1 = capture::get_u32(body, 80);
    state_.salt2 = capture::get_u32(body, 84);
    state_.stamp = {
        capture::get_u64(body, 88),
        capture::get_u64(body, 96),
        static_cast<std::int64_t>(capture::get_u64(body, 104))};
    const capture::FileStamp now = stamp();
    if (now.inode == 0) {
        return false;
    }
    // Before SQLite opens it, since only then an empty log is known to have been empty.
    const std::string log = settings_.file + "-wal";
    capture::WalScan scan;
    if (::access(log.c_str(), F_OK) == 0) {
        wal_ = std::make_unique<capture::WalFile>(settings_.file, true);
        scan = wal_->scan({});
    }
    const bool is_ours = scan.has_header && state_.salt1 != 0 && scan.start.salt1 == state_.salt1 &&
                         scan.start.salt2 == state_.salt2;
    // No commit of the log counts that is not after its beginning; none at all: the file alone.
    if (!is_ours && (scan.has_header || !(now == state_.stamp))) {
        telemetry_.log.warn("database_follower_unknown", {{"file", settings_.file}});
        wal_.reset();
        return false;
    }
    open_files();
    std::uint64_t txid = state_.log_txid;
    place_ = {};
    if (is_ours) {
        txid += scan.commits.size();
        place_ = scan.commits.empty() ? scan.start : scan.commits.back().place;
        wal_->cut(place_, page_size_);
    }
    if (txid < state_.last_txid) {  // the machine lost what had not been synced
        state_.last_txid = state_.log_txid;
        telemetry_.log.warn("database_follower_unknown", {{"file", settings_.file}});
        connection_.reset();
        wal_.reset();
        return false;
    }
    txid_.store(txid, std::memory_order_release);
    return true;
}

void Follower::open_files() {
    connection_ = std::make_unique<Connection>(settings_, telemetry_, Role::writer);
    page_size_ = connection_->page_size();
    wal_ = std::make_unique<capture::WalFile>(settings_.file, true);
}

// The log is empty: the next commits are its first.
void Follower::restart_log() {
    std::random_device random;
    do {
        state_.salt1 = random();
        state_.salt2 = random();
    } while (state_.salt1 == 0);
    state_.log_txid = state_.last_txid;
    save(true);
    place_ = wal_->restart(page_size_, state_.salt1, state_.salt2);
}

// Takes the newest base when it is of another folder or epoch, or newer than what is here.
bool Follower::take_newer_base() {
    const capture::Listing all = capture::list(settings_.source);
    if (all.bases.empty()) {
        return false;
    }
    const capture::Piece& newest = all.bases.back();
    const bool is_known = connection_ && newest.epoch == state_.epoch &&
                          newest.txid <= txid_.load(std::memory_order_relaxed) &&
                          capture::read_base_header(newest.file).uuid == state_.uuid;
    if (is_known) {
        return false;
    }
    take_base(newest.file);
    return true;
}

void Follower::take_base(const std::string& file) {
    const std::string next = settings_.file + ".next";
    ::unlink(next.c_str());
    const capture::BaseHeader header = capture::unpack_base(file, next, [this](auto, auto) {
        const std::lock_guard lock{mutex_};
        return !stopping_;
    });
    walker_.reset();
    wal_.reset();
    connection_.reset();
    // Without the state nobody takes the files for anything; an old log beside the new file would
    // be played into it.
    ::unlink(state_file_.c_str());
    capture::sync_folder(folder_of(settings_.file));
    ::unlink((settings_.file + "-wal").c_str());
    ::unlink((settings_.file + "-shm").c_str());
    {
        const capture::Descriptor fd{::open(next.c_str(), O_RDWR | O_CLOEXEC)};
        if (!fd.is_open() || ::fsync(fd.get()) != 0) {
            throw capture::file_error("sync", next);
        }
    }
    if (::rename(next.c_str(), settings_.file.c_str()) != 0) {
        throw capture::file_error("rename", next);
    }
    capture::sync_folder(folder_of(settings_.file));
    open_files();
    if (page_size_ != header.page_size) {
        throw Error{TENON_CORRUPT, file + " holds pages of another size than it says"};
    }
    state_ = {};
    state_.uuid = header.uuid;
    state_.epoch = header.epoch;
    state_.log_txid = state_.last_txid = header.txid;
    state_.last_hash = header.chain;
    state_.stamp = stamp();
    place_ = {};
    save(true);
    hooks_.reopened();
    bases_.fetch_add(1, std::memory_order_relaxed);
    txid_.store(header.txid, std::memory_order_release);
    telemetry_.log.info("database_follower_base", {{"file", file}, {"txid", header.txid}});
    const std::lock_guard lock{mutex_};
    moved_.notify_all();
}

}  // namespace tenon::sqlite
