// SPDX-License-Identifier: Apache-2.0
// Lines of a page in the Prometheus text format 0.0.4.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::metrics {

// `name{labels} `, what a line begins with; `labels` as a="1",b="2", or empty.
[[nodiscard]] std::string head_of(std::string_view name, std::string_view labels);

// In seconds, exactly, without zeros at the end.
[[nodiscard]] std::string seconds(std::int64_t ns);

template <class Number>
void append_line(std::string& out, const std::string& head, Number value) {
    std::array<char, 24> text;
    const char* const from = text.data();
    const char* const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out.append(head).append(from, end);
    out.push_back('\n');
}

}  // namespace tenon::metrics
