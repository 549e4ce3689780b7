// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/kept_snapshot.hpp"

#include "plugins/storage/sqlite/connection.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace tenon::sqlite {
namespace {

// Ended then even where one caller follows the other: other processes find a moment to empty the
// log.
constexpr std::int64_t k_kept_ns = 10'000'000;

}  // namespace

bool WalHeader::attach(sqlite3* db) noexcept {
    constexpr int k_first_region = 32 * 1024;
    sqlite3_file* file = nullptr;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2) {
        return false;
    }
    void volatile* memory = nullptr;
    if (file->pMethods->xShmMap(file, 0, k_first_region, 0, &memory) != SQLITE_OK) {
        return false;
    }
    shared_ = static_cast<const std::uint64_t*>(const_cast<void*>(memory));
    return shared_ != nullptr;
}

// Other threads and processes write it by memcpy. A header that is half written differs from the
// one before, and its commit is not acknowledged yet.
#if defined(__SANITIZE_THREAD__)
__attribute__((no_sanitize("thread")))
#endif
WalHeader::Words
WalHeader::now() const noexcept {
    Words words{};
    for (std::size_t i = 0; i < words.size(); ++i) {
        words[i] = __atomic_load_n(shared_ + i, __ATOMIC_ACQUIRE);
    }
    return words;
}

void KeptSnapshots::add(Connection& reader) {
    const std::lock_guard lock{mutex_};
    readers_.push_back(&reader);
}

void KeptSnapshots::remove(Connection& reader) noexcept {
    const std::lock_guard lock{mutex_};
    std::erase(readers_, &reader);
}

void KeptSnapshots::end_all() noexcept {
    const std::lock_guard lock{mutex_};
    for (Connection* reader : readers_) {
        reader->end_unused_snapshot();
    }
}

// Called last, by the constructor.
void Connection::attach_header() {
    if (telemetry_.snapshots == nullptr) {
        return;
    }
    sqlite3_stmt* mode = nullptr;
    bool is_wal = false;
    if (sqlite3_prepare_v2(db_, "PRAGMA journal_mode", -1, &mode, nullptr) == SQLITE_OK &&
        sqlite3_step(mode) == SQLITE_ROW) {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(mode, 0));
        is_wal = text != nullptr && std::string_view{text} == "wal";
    }
    sqlite3_finalize(mode);
    // Asking for the memory would make the file of a database that has none.
    if (is_wal && header_.attach(db_)) {
        telemetry_.snapshots->add(*this);
    }
}

void Connection::take() noexcept {
    const std::lock_guard lock{unused_mutex_};
    is_unused_ = false;
}

// The snapshot is the header's of the time of the first read. While the header is what it was
// before the transaction began, the snapshot is that one, and there is nothing newer.
bool Connection::begin_current() {
    const WalHeader::Words now = header_.is_attached() ? header_.now() : WalHeader::Words{};
    if (in_transaction()) {
        if (snapshot_ != Snapshot::none && now == seen_) {
            snapshot_ = Snapshot::open;
            return true;
        }
        end_snapshot();
    }
    begin();
    seen_ = now;
    snapshot_ = Snapshot::open;
    snapshot_began_ns_ = telemetry_.now_ns();
    return false;
}

void Connection::finish_current() {
    reset_statements();
    if (in_transaction() && snapshot_ == Snapshot::open && header_.is_attached() &&
        header_.now() == seen_ && telemetry_.now_ns() - snapshot_began_ns_ < k_kept_ns) {
        snapshot_ = Snapshot::finished;
        return;
    }
    snapshot_ = Snapshot::none;
    control(control_commit, "cannot commit");
}

void Connection::end_snapshot() {
    snapshot_ = Snapshot::none;
    rollback();
}

void Connection::end_unused_snapshot() noexcept {
    const std::lock_guard lock{unused_mutex_};
    if (std::exchange(is_unused_, false)) {
        // One that cannot end fails whoever comes next in begin_current().
        (void)guard(nullptr, [&] { end_snapshot(); });
    }
}

// The last that its user does with a connection that goes back to the pool.
bool Connection::keep_snapshot() noexcept {
    reset_statements();
    const std::lock_guard lock{unused_mutex_};
    is_unused_ = telemetry_.snapshots->are_allowed() && in_transaction() &&
                 !cancelled_.load(std::memory_order_relaxed);
    return is_unused_;
}

}  // namespace tenon::sqlite
