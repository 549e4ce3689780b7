// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/response_writer.hpp"

#include <tenon/plugin.hpp>

#include <array>
#include <charconv>
#include <ctime>

namespace tenon::http {
namespace {

void append_number(std::string& out, std::uint64_t value) {
    std::array<char, 20> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out.append(text.data(), static_cast<std::size_t>(end - text.data()));
}

// A line break in a value would let it start a header of its own.
void append_clean(std::string& out, std::string_view value) {
    const std::size_t at = out.size();
    out.append(value);
    for (std::size_t i = at; i < out.size(); ++i) {
        if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') {
            out[i] = ' ';
        }
    }
}

void append_status_line(std::string& out, std::uint32_t status) {
    if (status == 200) {
        out.append("HTTP/1.1 200 OK\r\nDate: ");
        return;
    }
    out.append("HTTP/1.1 ");
    append_number(out, status);
    out.append(" ").append(reason_phrase(status)).append("\r\nDate: ");
}

}  // namespace

std::string_view DateCache::at(std::int64_t now_real_ns) {
    const std::int64_t second = now_real_ns / 1'000'000'000;
    if (second != second_) {
        static constexpr std::array k_days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static constexpr std::array k_months{
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        const std::time_t time = second;
        std::tm parts{};
        gmtime_r(&time, &parts);
        std::array<char, 64> text{};
        // strftime's names follow the locale; HTTP's do not.
        const int size = std::snprintf(
            text.data(),
            text.size(),
            "%s, %02d %s %04d %02d:%02d:%02d GMT",
            k_days[static_cast<std::size_t>(parts.tm_wday)],
            parts.tm_mday,
            k_months[static_cast<std::size_t>(parts.tm_mon)],
            parts.tm_year + 1900,
            parts.tm_hour,
            parts.tm_min,
            parts.tm_sec
        );
        text_.assign(text.data(), static_cast<std::size_t>(size));
        second_ = second;
    }
    return text_;
}

std::string_view reason_phrase(std::uint32_t status) noexcept {
    struct Phrase {
        std::uint32_t status;
        std::string_view text;
    };

    static constexpr Phrase k_phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {418, "I'm a teapot"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (const Phrase& phrase : k_phrases) {
        if (phrase.status == status) {
            return phrase.text;
        }
    }
    return "Status";
}

void append_response(
    std::string& out,
    const tenon_http_response& response,
    const Representation& chosen,
    const ResponseContext& context
) {
    const std::uint32_t status = chosen.status >= 200 && chosen.status <= 599 ? chosen.status : 500;
    const bool bodyless = status == 204 || status == 304;
    append_status_line(out, status);
    out.append(context.date);
    if (response.content_type.n != 0) {
        out.append("\r\nContent-Type: ");
        append_clean(out, view(response.content_type));
    }
    if (!bodyless) {
        out.append("\r\nContent-Length: ");
        append_number(out, chosen.body.size());
    }
    if (chosen.gzip) {
        out.append("\r\nContent-Encoding: gzip");
    }
    if (chosen.varies) {
        out.append("\r\nVary: Accept-Encoding");
    }
    if (!chosen.etag.empty()) {
        out.append("\r\nETag: ").append(chosen.etag);
    }
    for (std::uint32_t i = 0; i < response.header_count; ++i) {
        out.append("\r\n");
        append_clean(out, view(response.headers[i].name));
        out.append(": ");
        append_clean(out, view(response.headers[i].value));
    }
    if (!context.cors_origin.empty()) {
        out.append("\r\nAccess-Control-Allow-Origin: ").append(context.cors_origin);
        if (context.cors_origin != "*") {
            out.append("\r\nVary: Origin");
        }
    }
    if (context.close) {
        out.append("\r\nConnection: close");
    } else if (context.say_keep_alive) {
        out.append("\r\nConnection: keep-alive");
    }
    out.append("\r\n\r\n");
    if (!bodyless && !context.head) {
        out.append(chosen.body);
    }
}

std::string error_body(std::string_view code, std::string_view message) {
    std::string body{R"({"error":{"code":")"};
    body.append(code).append(R"(","message":")").append(message).append(R"("}})");
    return body;
}

}  // namespace tenon::http
