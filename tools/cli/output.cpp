// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/output.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <vector>

namespace tenon::cli {

namespace json = boost::json;

namespace {

constexpr std::size_t k_cell_max = 72;  // characters of a table's cell

std::string shortest(double number) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(
        text.data(), text.data() + text.size(), number, std::chars_format::general, 6
    );
    return {text.data(), end.ptr};
}

std::string cell(const json::value& value);

std::string joined(const json::array& list) {
    std::string out;
    for (const json::value& item : list) {
        out.append(out.empty() ? "" : ", ").append(cell(item));
    }
    return out.empty() ? "none" : out;
}

// Control characters of stored text must not reach a terminal.
std::string cell(const json::value& value) {
    if (value.is_double()) {
        return shortest(value.get_double());
    }
    if (value.is_array()) {
        return joined(value.get_array());
    }
    if (!value.is_string()) {
        return value.is_null() ? "-" : json::serialize(value);
    }
    std::string text{value.get_string()};
    std::replace_if(
        text.begin(),
        text.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; },
        ' '
    );
    return text;
}

bool continues(char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

// Characters of UTF-8.
std::size_t width_of(std::string_view text) {
    return text.size() -
           static_cast<std::size_t>(std::count_if(text.begin(), text.end(), continues));
}

// A statement or a plan would push every other column off the screen; --json has it whole.
std::string cut(std::string text) {
    std::size_t end = 0;
    for (std::size_t seen = 0; end < text.size(); ++end) {
        if (!continues(text[end]) && ++seen > k_cell_max) {
            break;
        }
    }
    if (end == text.size()) {
        return text;
    }
    do {
        --end;
    } while (continues(text[end]));
    return text.substr(0, end) + "…";
}

bool is_table(const json::value& value) {
    return value.is_array() && !value.get_array().empty() &&
           std::all_of(
               value.get_array().begin(),
               value.get_array().end(),
               [](const json::value& row) { return row.is_object(); }
           );
}

std::string table(const json::array& rows, const std::string& indent) {
    std::vector<std::string> columns;
    for (const json::value& row : rows) {
        for (const auto& entry : row.get_object()) {
            const std::string key{entry.key()};
            if (std::find(columns.begin(), columns.end(), key) == columns.end()) {
                columns.push_back(key);
            }
        }
    }
    std::vector<std::vector<std::string>> lines{columns};
    for (const json::value& row : rows) {
        std::vector<std::string>& line = lines.emplace_back();
        for (const std::string& column : columns) {
            const json::value* value = row.get_object().if_contains(column);
            line.push_back(value == nullptr ? "" : cut(cell(*value)));
        }
    }
    std::vector<std::size_t> widths(columns.size());
    for (const auto& line : lines) {
        for (std::size_t i = 0; i < columns.size(); ++i) {
            widths[i] = std::max(widths[i], width_of(line[i]));
        }
    }
    std::string out;
    for (const auto& line : lines) {
        std::string text = indent;
        for (std::size_t i = 0; i < columns.size(); ++i) {
            text.append(line[i]).append(widths[i] - width_of(line[i]) + 2, ' ');
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out.append(text).append("\n");
    }
    return out;
}

std::string block(const json::object& object, const std::string& indent) {
    std::size_t width = 0;
    for (const auto& entry : object) {
        width = std::max(width, entry.key().size());
    }
    std::string out;
    for (const auto& entry : object) {
        out.append(indent).append(entry.key());
        if (is_table(entry.value())) {
            out.append("\n").append(table(entry.value().get_array(), indent + "  "));
        } else if (entry.value().is_object() && !entry.value().get_object().empty()) {
            out.append("\n").append(block(entry.value().get_object(), indent + "  "));
        } else {
            out.append(width - entry.key().size() + 2, ' ').append(cell(entry.value()));
            out.append("\n");
        }
    }
    return out;
}

}  // namespace

std::string readable(const json::value& value) {
    if (is_table(value)) {
        return table(value.get_array(), "");
    }
    if (value.is_object()) {
        return block(value.get_object(), "");
    }
    if (value.is_array()) {
        std::string out;
        for (const json::value& item : value.get_array()) {
            out.append(cell(item)).append("\n");
        }
        return out.empty() ? "none\n" : out;
    }
    return cell(value) + "\n";
}

}  // namespace tenon::cli
