// SPDX-License-Identifier: Apache-2.0
#include "sdk/machine/proc_files.hpp"

#include <charconv>
#include <fstream>
#include <sstream>

namespace tenon::machine {

ProcLines read_lines(const std::filesystem::path& file) {
    ProcLines lines;
    std::ifstream in{file};
    for (std::string line; std::getline(in, line);) {
        std::istringstream rest{line};
        auto& words = lines.emplace_back();
        for (std::string word; rest >> word;) {
            words.push_back(word);
        }
    }
    return lines;
}

std::optional<std::uint64_t> to_number(std::string_view word) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size() || word.empty()) {
        return std::nullopt;
    }
    return value;
}

std::vector<std::uint64_t> numbers(const std::vector<std::string>& words, std::size_t first) {
    std::vector<std::uint64_t> values;
    for (std::size_t i = first; i < words.size(); ++i) {
        values.push_back(to_number(words[i]).value_or(0));
    }
    return values;
}

}  // namespace tenon::machine
