// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/output.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <vector>

namespace tenon::cli {

namespace json = boost::json;

namespace {

// Control characters of stored text must not reach a terminal.
std::string cell(const json::value& value) {
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
            line.push_back(value == nullptr ? "" : cell(*value));
        }
    }
    std::string out;
    for (const auto& line : lines) {
        std::string text = indent;
        for (std::size_t i = 0; i < columns.size(); ++i) {
            std::size_t width = 0;
            for (const auto& other : lines) {
                width = std::max(width, other[i].size());
            }
            text.append(line[i]).append(width - line[i].size() + 2, ' ');
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
