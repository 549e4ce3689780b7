// SPDX-License-Identifier: Apache-2.0
// Reading the files of proc(5), whose lines are words between blanks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::machine {

// [io] Lines of words; empty when the file cannot be read.
using ProcLines = std::vector<std::vector<std::string>>;
[[nodiscard]] ProcLines read_lines(const std::filesystem::path& file);

// A whole decimal number and nothing behind it.
[[nodiscard]] std::optional<std::uint64_t> to_number(std::string_view word);
// The words from `first` on; 0 for what is no number.
[[nodiscard]] std::vector<std::uint64_t>
numbers(const std::vector<std::string>& words, std::size_t first);

}  // namespace tenon::machine
