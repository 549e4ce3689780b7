// SPDX-License-Identifier: Apache-2.0
// Which of the server's commands the console may run, for whom, and with which arguments. What is
// not in the list does not exist for a browser.
#pragma once

#include "plugins/console/roles.hpp"

#include <tenon/json.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tenon::console {

struct Operation {
    std::string_view name;     // in the path: /api/console/operations/NAME
    std::string_view command;  // of the admin socket
    std::uint32_t right;
    bool writes;                              // POST, audited; else GET without arguments
    std::span<const std::string_view> texts;  // arguments that may be given, each a text
    std::int64_t timeout_ms;
    // Given with it, as members of a JSON object.
    std::string_view fixed = {};
    bool is_signed = false;      // it is told who does it, as "by"
    bool asks_reason = false;    // "reason" has to be given, and goes with it
    bool takes_changes = false;  // of settings: "changes", and "dry_run"
};

[[nodiscard]] std::span<const Operation> operations() noexcept;
// NULL when there is none.
[[nodiscard]] const Operation* find_operation(std::string_view name) noexcept;

// The arguments as a JSON object, from the members of a body; `actor` is who asks. Throws Refusal
// 400 for what the operation does not take.
[[nodiscard]] std::string
arguments_of(const Operation& operation, const Json& body, std::string_view actor = {});
// The line for the admin socket.
[[nodiscard]] std::string line_of(const Operation& operation, std::string_view arguments);

}  // namespace tenon::console
