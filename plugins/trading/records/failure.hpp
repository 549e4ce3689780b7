// SPDX-License-Identifier: Apache-2.0
// What the native API answers when it does not do what was asked:
// {"error":{"code":"…","message":"…","pointer":"…"}}. The code is for programs, the message for
// people. The pointer is a JSON pointer into the body ("/price") or names a parameter ("?limit").
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace tenon::records {

class ApiFailure : public std::exception {
public:
    ApiFailure(
        std::uint32_t http_status,
        std::string code,
        std::string message,
        std::string where = {}
    );

    [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

    [[nodiscard]] std::uint32_t http_status() const noexcept { return http_status_; }

    [[nodiscard]] const std::string& code() const noexcept { return code_; }

    // The whole answer.
    [[nodiscard]] std::string body() const;

private:
    std::uint32_t http_status_;
    std::string code_, message_, where_;
};

// 400: a value is not what it must be.
[[nodiscard]] ApiFailure invalid(std::string_view where, std::string message);
[[nodiscard]] ApiFailure not_found(std::string_view what);
// 409: the request is well formed, but the rows that are there do not allow it.
[[nodiscard]] ApiFailure conflict(std::string code, std::string message);

// What a failed transaction means to a client: a broken rule of the schema is 409 with the rule's
// name as far as the backend told it, a lost or busy database 503, and the rest 500. Nothing of
// the statement or its values comes out. Call it in a catch block.
[[nodiscard]] ApiFailure failure_of_storage(const std::exception& error);

}  // namespace tenon::records
