// SPDX-License-Identifier: Apache-2.0
// Strict JSON: what Boost.JSON checks (UTF-8, depth), and in addition no key twice in one object,
// because the parser would silently keep the last one.
#pragma once

#include "sdk/manifest/problem.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::manifest {

inline constexpr std::size_t k_max_json_depth = 32;
inline constexpr std::size_t k_max_manifest_bytes = 4U << 20U;

// Parses the text; reports M02 with line and column, M02 for each number beyond a double's range,
// or M10 for each key that appears twice.
[[nodiscard]] std::optional<boost::json::value> parse_json(std::string_view text, Report& report);

// The same for a file; a file that cannot be read is M09.
[[nodiscard]] std::optional<boost::json::value>
read_json_file(const std::filesystem::path& path, Report& report);

// The whole file, or nothing with `error` set to the reason.
[[nodiscard]] std::optional<std::string>
read_file(const std::filesystem::path& path, std::size_t max_bytes, std::string& error);

// The text at a key; empty when there is none.
[[nodiscard]] std::string text_at(const boost::json::object& object, std::string_view key);

// The whole number from 0 to `most`, at most 9 digits, at a key, also as a text; `fallback` when
// there is none. Throws Error TENON_INVALID for anything else.
[[nodiscard]] std::uint32_t number_at(
    const boost::json::object& object,
    std::string_view key,
    std::uint32_t fallback,
    std::uint32_t most
);

}  // namespace tenon::manifest
