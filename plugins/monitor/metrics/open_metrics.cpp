// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/metrics/open_metrics.hpp"

#include <algorithm>
#include <vector>

namespace tenon::monitor {
namespace {

constexpr std::string_view k_help = "# HELP ";
constexpr std::string_view k_type = "# TYPE ";
constexpr std::string_view k_total = "_total";

std::string_view next_line(std::string_view& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

std::string with_quotes_escaped(std::string_view help) {
    std::string out;
    for (const char c : help) {
        if (c == '"') {
            out.push_back('\\');
        }
        out.push_back(c);
    }
    return out;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
    const std::size_t end = text.find_last_not_of(" \t");
    return end == std::string_view::npos ? std::string_view{} : text.substr(begin, end + 1 - begin);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t end = text.find(separator);
        parts.push_back(trimmed(text.substr(0, end)));
        if (end == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(end + 1);
    }
}

// "q=0", "q=0.0" and so on.
bool refuses(std::string_view parameter) {
    return (parameter.starts_with("q=") || parameter.starts_with("Q=")) &&
           parameter.find_first_not_of("0.", 2) == std::string_view::npos;
}

}  // namespace

std::string to_open_metrics(std::string_view text_format) {
    std::string out;
    out.reserve(text_format.size() + 8);
    std::string_view help;  // stands before the line that tells the type
    while (!text_format.empty()) {
        const std::string_view line = next_line(text_format);
        if (line.starts_with(k_help)) {
            help = line.substr(k_help.size());
            continue;
        }
        if (!line.starts_with(k_type)) {
            out.append(line).append("\n");
            continue;
        }
        const std::size_t space = line.find(' ', k_type.size());
        std::string_view name = line.substr(k_type.size(), space - k_type.size());
        std::string_view type = line.substr(std::min(space + 1, line.size()));
        const std::string_view told = help.starts_with(name) ? help.substr(name.size()) : "";
        if (type == "counter" && name.ends_with(k_total)) {
            name.remove_suffix(k_total.size());
        } else if (type == "counter") {
            type = "unknown";
        }
        if (!told.empty()) {
            out.append(k_help).append(name).append(with_quotes_escaped(told)).append("\n");
        }
        out.append(k_type).append(name).append(" ").append(type).append("\n");
    }
    return out.append("# EOF\n");
}

bool wants_open_metrics(std::string_view accept) {
    const auto kinds = split(accept, ',');
    return std::any_of(kinds.begin(), kinds.end(), [](std::string_view kind) {
        const auto parts = split(kind, ';');
        if (parts[0] != "application/openmetrics-text") {
            return false;
        }
        return std::all_of(parts.begin() + 1, parts.end(), [](std::string_view parameter) {
            return !refuses(parameter) &&
                   (!parameter.starts_with("version=") || parameter == "version=1.0.0");
        });
    });
}

}  // namespace tenon::monitor
