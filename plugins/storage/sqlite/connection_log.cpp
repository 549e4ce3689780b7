// SPDX-License-Identifier: Apache-2.0
// The connection beside SQL: the database's own file, and the index of its write-ahead log.
#include "plugins/storage/sqlite/connection.hpp"

#include <sqlite3.h>

#include <cstddef>

namespace tenon::sqlite {

void Connection::keep_wal_on_close(bool keep) noexcept {
    sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0, nullptr);
}

void Connection::read_file(std::uint64_t offset, unsigned char* to, std::uint32_t bytes) const {
    sqlite3_file* file = nullptr;
    int code = sqlite3_file_control(db_, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (code == SQLITE_OK && file != nullptr && file->pMethods != nullptr) {
        code = file->pMethods->xRead(
            file, to, static_cast<int>(bytes), static_cast<sqlite3_int64>(offset)
        );
    }
    if (code != SQLITE_OK) {
        throw describe(nullptr, code, "cannot read " + settings_.file);
    }
}

unsigned char volatile* Connection::log_index() const {
    constexpr int k_first_region = 32 * 1024;
    sqlite3_file* file = nullptr;
    void volatile* memory = nullptr;
    int code = sqlite3_file_control(db_, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (code == SQLITE_OK) {
        code = file->pMethods->xShmMap(file, 0, k_first_region, 0, &memory);
    }
    if (code != SQLITE_OK || memory == nullptr) {
        throw describe(nullptr, code, "cannot map the log's index of " + settings_.file);
    }
    return static_cast<unsigned char volatile*>(memory);
}

// Two copies of a header that do not match mean that the index has to be built from the log:
// https://www.sqlite.org/walformat.html, "recovery". Whoever reads next does it under the lock.
void Connection::rebuild_log_index() {
    constexpr std::size_t k_headers = 96;
    unsigned char volatile* const index = log_index();
    for (std::size_t i = 0; i < k_headers; ++i) {
        index[i] = 0;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    (void)pragma_value("SELECT count(*) FROM sqlite_schema");
}

std::uint32_t Connection::log_index_frames() const {
    constexpr std::size_t k_frames_at = 16;
    return __atomic_load_n(
        reinterpret_cast<const std::uint32_t volatile*>(log_index() + k_frames_at), __ATOMIC_ACQUIRE
    );
}

}  // namespace tenon::sqlite
