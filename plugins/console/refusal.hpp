// SPDX-License-Identifier: Apache-2.0
// A request that the console does not fulfil: HTTP status, a code for programs, a text for people.
// The text never holds what a secret field had in it.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace tenon::console {

class Refusal : public std::exception {
public:
    Refusal(std::uint32_t status, std::string code, std::string message)
        : status_{status}, code_{std::move(code)}, message_{std::move(message)} {}

    [[nodiscard]] std::uint32_t status() const noexcept { return status_; }

    [[nodiscard]] const std::string& code() const noexcept { return code_; }

    [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

private:
    std::uint32_t status_;
    std::string code_;
    std::string message_;
};

[[nodiscard]] inline Refusal invalid(std::string message) {
    return {400, "invalid", std::move(message)};
}

[[nodiscard]] inline Refusal forbidden(std::string message) {
    return {403, "forbidden", std::move(message)};
}

[[nodiscard]] inline Refusal busy() {
    return {503, "busy", "too much is in work: try again in a moment"};
}

}  // namespace tenon::console
