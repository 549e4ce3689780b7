// SPDX-License-Identifier: Apache-2.0
// Binance's error codes and messages (binance-spot-api-docs, errors.md), and what a refusal of the
// engine is called in them.
#pragma once

#include <tenon/plugin.hpp>

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace tenon::binance {

// A request is answered with this. what() is the message that the client gets.
class ApiError : public std::exception {
public:
    ApiError(std::uint32_t http_status, int code, std::string message)
        : http_status_{http_status}, code_{code}, message_{std::move(message)} {}

    ApiError(int code, std::string message) : ApiError{400, code, std::move(message)} {}

    [[nodiscard]] std::uint32_t http_status() const noexcept { return http_status_; }

    [[nodiscard]] int code() const noexcept { return code_; }

    [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

    [[nodiscard]] std::string_view message() const noexcept { return message_; }

    // 0: no Retry-After header.
    std::int64_t retry_after_s = 0;
    std::string data;  // JSON, beside code and message; empty: none

private:
    std::uint32_t http_status_;
    int code_;
    std::string message_;
};

// {"code":…,"msg":…}, and "data" where there is some.
void write_error(std::string& out, const ApiError& error);

namespace errors {

[[nodiscard]] ApiError unknown();                                                    // -1000, 500
[[nodiscard]] ApiError busy();                                                       // -1008, 503
[[nodiscard]] ApiError unavailable(std::string_view reason);                         // -1001, 503
[[nodiscard]] ApiError outcome_unknown();                                            // -1007, 504
[[nodiscard]] ApiError in_doubt();                                                   // -1006, 500
[[nodiscard]] ApiError filter(std::string_view name);                                // -1013
[[nodiscard]] ApiError unsupported(std::string_view what);                           // -1020
[[nodiscard]] ApiError outside_window();                                             // -1021
[[nodiscard]] ApiError ahead_of_server();                                            // -1021
[[nodiscard]] ApiError signature();                                                  // -1022
[[nodiscard]] ApiError illegal(std::string_view parameter, std::string_view range);  // -1100
[[nodiscard]] ApiError too_many(std::size_t expected, std::size_t received);         // -1101
[[nodiscard]] ApiError duplicate();                                                  // -1101
[[nodiscard]] ApiError mandatory(std::string_view parameter);                        // -1102
[[nodiscard]] ApiError either(std::string_view a, std::string_view b);               // -1102
[[nodiscard]] ApiError unread(std::size_t read, std::size_t sent);                   // -1104
[[nodiscard]] ApiError empty(std::string_view parameter);                            // -1105
[[nodiscard]] ApiError not_required(std::string_view parameter);                     // -1106
[[nodiscard]] ApiError overflow(std::string_view parameter);                         // -1108
[[nodiscard]] ApiError precision(std::string_view parameter);                        // -1111
[[nodiscard]] ApiError symbol();                                                     // -1121
[[nodiscard]] ApiError combination();                                                // -1128
[[nodiscard]] ApiError invalid(std::string_view parameter);                          // -1130
[[nodiscard]] ApiError key_format();                                                 // -2014, 401
[[nodiscard]] ApiError key_rejected();                                               // -2015, 401

}  // namespace errors

// What the command was: the same refusal has another code for each.
enum class CommandKind : std::uint8_t { new_order, cancel, amend };

// The error for a TENON_REJECT_*; a code that this version does not know is -2010/-2011/-2038 with
// its number.
[[nodiscard]] ApiError reject_error(std::uint32_t reject, CommandKind kind);

// The error for a call that failed without a reply (TENON_UNAVAILABLE, TENON_IN_DOUBT, …).
[[nodiscard]] ApiError status_error(tenon_status status, const tenon_err* err);

}  // namespace tenon::binance
