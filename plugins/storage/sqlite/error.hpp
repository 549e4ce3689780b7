// SPDX-License-Identifier: Apache-2.0
// SQLite's extended result codes in terms of the storage contract.
#pragma once

#include <tenon/storage.hpp>

#include <string>
#include <string_view>

struct sqlite3;

namespace tenon::sqlite {

// A failure of the database. what() holds SQLite's message and no bound value.
class DatabaseError : public StorageError {
public:
    DatabaseError(tenon_status status, std::string message, Failure failure, int extended = 0)
        : StorageError{status, std::move(message), failure}, extended_{extended} {}

    // SQLite's extended result code; 0 when the failure is not SQLite's.
    [[nodiscard]] int extended() const noexcept { return extended_; }

private:
    int extended_;
};

// `what` says what was being done. `db` may be null: then only the code speaks.
[[nodiscard]] DatabaseError describe(sqlite3* db, int code, std::string_view what);

// The stream of bytes on disk can no longer be trusted through this connection.
[[nodiscard]] bool is_io_error(int extended) noexcept;

}  // namespace tenon::sqlite
