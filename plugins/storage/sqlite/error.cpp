// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/error.hpp"

#include <sqlite3.h>

#include <cstring>

namespace tenon::sqlite {
namespace {

struct Meaning {
    tenon_status status;
    Failure failure;
};

Meaning meaning_of(int extended) noexcept {
    switch (extended & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_PROTOCOL:  // the WAL index was contended for too long
            return {TENON_UNAVAILABLE, Failure::retry_transaction};
        case SQLITE_SCHEMA:
            return {TENON_CONFLICT, Failure::retry_transaction};
        case SQLITE_CONSTRAINT:
            return {TENON_CONFLICT, Failure::constraint};
        case SQLITE_FULL:
        case SQLITE_READONLY:
        case SQLITE_CANTOPEN:
        case SQLITE_IOERR:
        case SQLITE_NOMEM:
            return {TENON_UNAVAILABLE, Failure::permanent};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_FORMAT:
            return {TENON_CORRUPT, Failure::permanent};
        case SQLITE_INTERRUPT:
            return {TENON_TIMEOUT, Failure::timeout};
        case SQLITE_AUTH:
        case SQLITE_PERM:
            return {TENON_DENIED, Failure::permanent};
        case SQLITE_ERROR:
        case SQLITE_MISMATCH:
        case SQLITE_RANGE:
        case SQLITE_TOOBIG:
            return {TENON_INVALID, Failure::permanent};
        default:
            return {TENON_INTERNAL, Failure::permanent};
    }
}

bool names_a_file_problem(int extended) noexcept {
    const int primary = extended & 0xff;
    return primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR || primary == SQLITE_READONLY ||
           primary == SQLITE_PERM;
}

}  // namespace

DatabaseError describe(sqlite3* db, int code, std::string_view what) {
    // errmsg belongs to the newest call on the connection: only trust it for this very code.
    const int extended = db != nullptr && (sqlite3_errcode(db) & 0xff) == (code & 0xff)
                             ? sqlite3_extended_errcode(db)
                             : code;
    std::string message{what};
    message.append(": ");
    message.append(
        extended != code || (db != nullptr && sqlite3_errcode(db) == code) ? sqlite3_errmsg(db)
                                                                           : sqlite3_errstr(code)
    );
    if (db != nullptr && names_a_file_problem(extended) && sqlite3_system_errno(db) != 0) {
        message.append(" (").append(std::strerror(sqlite3_system_errno(db))).append(")");
    }
    message.append(" [sqlite ").append(std::to_string(extended)).append("]");
    const Meaning meaning = meaning_of(extended);
    return DatabaseError{meaning.status, std::move(message), meaning.failure, extended};
}

bool is_io_error(int extended) noexcept {
    return (extended & 0xff) == SQLITE_IOERR;
}

}  // namespace tenon::sqlite
