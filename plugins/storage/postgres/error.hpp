// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's errors in terms of the storage contract.
//
// Codes: PostgreSQL 15 manual, appendix A. Messages are the server's primary text, the name of a
// constraint, and the code; never its DETAIL or CONTEXT, and no quoted part of a data error, for
// those hold values. What a function RAISEs is anybody's text: it is kept when it is words alone,
// without a digit, a quote or a sign that a value may come with; else the function is named.
#pragma once

#include <tenon/storage.hpp>

#include <string>
#include <string_view>

struct pg_conn;
struct pg_result;

namespace tenon::postgres {

struct Meaning {
    tenon_status status;
    Failure failure;
};

// Of an SQLSTATE; "" is a connection that is gone.
[[nodiscard]] Meaning meaning_of(std::string_view sqlstate) noexcept;

// The session that said this must not be used any more, and its host is in question.
[[nodiscard]] bool ends_session(std::string_view sqlstate) noexcept;

// A failure with its SQLSTATE. "" is a connection that is gone, or a failure of our own.
class DatabaseError : public StorageError {
public:
    DatabaseError(tenon_status status, std::string message, Failure failure, std::string_view state)
        : StorageError{status, std::move(message), failure}, sqlstate_{state} {}

    [[nodiscard]] const std::string& sqlstate() const noexcept { return sqlstate_; }

private:
    std::string sqlstate_;
};

// `what` says what was being done.
[[nodiscard]] DatabaseError describe(const pg_result* result, std::string_view what);
[[nodiscard]] DatabaseError lost(const pg_conn* connection, std::string_view what);
// Our own refusal: INVALID, permanent.
[[nodiscard]] DatabaseError invalid(std::string message);

}  // namespace tenon::postgres
