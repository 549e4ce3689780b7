// SPDX-License-Identifier: Apache-2.0
// Lines of CSV as RFC 4180 has them: fields between commas, lines end with CR LF.
#pragma once

#include <string>
#include <string_view>

namespace tenon {

inline constexpr std::string_view k_csv_line_end = "\r\n";

// A text as a field: in quotes, each quote in it twice.
inline void append_csv_text(std::string& out, std::string_view text) {
    out.push_back('"');
    for (const char c : text) {
        out.append(c == '"' ? 2 : 1, c);
    }
    out.push_back('"');
}

}  // namespace tenon
