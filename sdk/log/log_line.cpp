// SPDX-License-Identifier: Apache-2.0
#include "sdk/log/log_line.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <ctime>

namespace tenon::log {

namespace {

constexpr std::array<std::string_view, 6>
    k_levels{"trace", "debug", "info", "warn", "error", "off"};

// Syslog priorities, which systemd-journald reads from the start of a line.
constexpr std::array<std::string_view, 5> k_priorities{"<7>", "<7>", "<6>", "<4>", "<3>"};

// A second line of defence: callers do not log secrets in the first place.
bool names_a_secret(std::string_view key) {
    constexpr std::array<std::string_view, 7> k_words{
        "secret", "password", "passphrase", "token", "signature", "private_key", "master_key"};
    std::string lower{key};
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return std::any_of(k_words.begin(), k_words.end(), [&](std::string_view word) {
        return lower.find(word) != std::string::npos;
    });
}

// Nobody reads more of one value, and the queue holds thousands of lines.
constexpr std::size_t k_max_value = 65536;
constexpr std::size_t k_max_fields = 256;

// What there is of the text: no more than a line may have, nothing when a plugin gave no pointer.
std::string_view bounded(tenon_str text) {
    return text.p == nullptr ? std::string_view{} : view(text).substr(0, k_max_value);
}

void append_quoted(std::string& out, std::string_view text) {
    out.push_back('"');
    while (!text.empty()) {
        const auto c = static_cast<unsigned char>(text[0]);
        std::size_t used = 1;
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(static_cast<char>(c));
        } else if (c == '\n') {
            out.append("\\n");
        } else if (c < 0x20 || c == 0x7F) {
            std::array<char, 8> escape{};
            (void)std::snprintf(escape.data(), escape.size(), "\\u%04x", unsigned{c});
            out.append(escape.data());
        } else if (c < 0x80) {
            out.push_back(static_cast<char>(c));
        } else if (const std::size_t length = utf8_sequence(text); length != 0) {
            out.append(text.substr(0, length));
            used = length;
        } else {
            out.append("\xEF\xBF\xBD");  // U+FFFD
        }
        text.remove_prefix(used);
    }
    out.push_back('"');
}

void append_text(std::string& out, std::string_view text) {
    const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c > 0x20 && c < 0x7F && c != '"' && c != '=' && c != '\\';
    });
    if (plain) {
        out.append(text);
    } else {
        append_quoted(out, text);
    }
}

// RFC 8259: what may stand unquoted.
bool is_number(std::string_view text) {
    if (text == "true" || text == "false") {
        return true;
    }
    const bool shape = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
    });
    const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
    return shape && !digits.empty() && digits[0] >= '0' && digits[0] <= '9' &&
           !(digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9');
}

void append_time(std::string& out, std::int64_t now_real_ns) {
    const std::time_t seconds = now_real_ns / 1'000'000'000;
    std::tm utc{};
    (void)::gmtime_r(&seconds, &utc);
    std::array<char, 48> text{};
    (void)std::snprintf(
        text.data(),
        text.size(),
        "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
        utc.tm_year + 1900,
        utc.tm_mon + 1,
        utc.tm_mday,
        utc.tm_hour,
        utc.tm_min,
        utc.tm_sec,
        static_cast<int>(now_real_ns % 1'000'000'000 / 1000)
    );
    out.append(text.data());
}

void append_fields(std::string& out, bool json, std::span<const tenon_log_field> fields) {
    for (const tenon_log_field& field : fields) {
        const std::string_view key = bounded(field.key);
        const std::string_view value =
            names_a_secret(key) ? std::string_view{"[redacted]"} : bounded(field.value);
        const bool bare = field.kind == TENON_FIELD_NUMBER && is_number(value);
        if (json) {
            out.push_back(',');
            append_quoted(out, key);
            out.push_back(':');
        } else {
            out.push_back(' ');
            append_text(out, key);
            out.push_back('=');
        }
        if (bare) {
            out.append(value);
        } else if (json) {
            append_quoted(out, value);
        } else {
            append_text(out, value);
        }
    }
}

}  // namespace

std::optional<std::int32_t> level_of(std::string_view name) {
    const auto found = std::find(k_levels.begin(), k_levels.end(), name);
    if (found == k_levels.end()) {
        return std::nullopt;
    }
    return static_cast<std::int32_t>(found - k_levels.begin());
}

std::string_view name_of(std::int32_t level) {
    return k_levels[static_cast<std::size_t>(std::clamp(level, 0, k_off))];
}

std::string format_line(
    Format format,
    std::int64_t now_real_ns,
    std::int32_t level,
    std::string_view source,
    std::string_view event,
    std::span<const tenon_log_field> fields
) {
    std::string out;
    out.reserve(160);
    event = event.substr(0, k_max_value);
    fields = fields.subspan(0, std::min<std::size_t>(fields.size(), k_max_fields));
    if (format == Format::json) {
        out.append("{\"time\":\"");
        append_time(out, now_real_ns);
        out.append("\",\"level\":\"").append(name_of(level)).append("\",\"plugin\":");
        append_quoted(out, source);
        out.append(",\"event\":");
        append_quoted(out, event);
        append_fields(out, true, fields);
        out.push_back('}');
        return out;
    }
    if (format == Format::journal) {
        out.append(k_priorities[static_cast<std::size_t>(std::clamp(level, 0, 4))]);
    } else {
        append_time(out, now_real_ns);
        out.push_back(' ');
    }
    out.append("level=").append(name_of(level)).append(" plugin=");
    append_text(out, source);
    out.append(" event=");
    append_text(out, event);
    append_fields(out, false, fields);
    return out;
}

}  // namespace tenon::log
