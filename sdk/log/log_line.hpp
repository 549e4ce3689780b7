// SPDX-License-Identifier: Apache-2.0
// What a line of the log looks like: one event, text or JSON, with its fields.
//
// Control characters and what is not UTF-8 never get into a line as they are; values and their
// number are bounded; the value of a field whose name says that it is secret is not written. It
// writes nothing anywhere. Thread-safe.
#pragma once

#include <tenon/abi/host.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tenon::log {

inline constexpr std::int32_t k_off = 5;

// "trace" … "error", "off".
[[nodiscard]] std::optional<std::int32_t> level_of(std::string_view name);
[[nodiscard]] std::string_view name_of(std::int32_t level);

enum class Format { text, json, journal };  // journal: text with a syslog priority, without time

[[nodiscard]] std::string format_line(
    Format format,
    std::int64_t now_real_ns,
    std::int32_t level,
    std::string_view source,
    std::string_view event,
    std::span<const tenon_log_field> fields
);

}  // namespace tenon::log
