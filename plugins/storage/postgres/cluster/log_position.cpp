// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/log_position.hpp"

#include <array>
#include <charconv>

namespace tenon::postgres {
namespace {

template <class Number>
bool read_all(std::string_view text, Number& out, int base) noexcept {
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, out, base);
    return error == std::errc{} && stopped == end && !text.empty();
}

void append_hex(std::string& out, std::uint32_t value) {
    std::array<char, 8> digits{};
    const auto [end, error] =
        std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
    for (const char* digit = digits.data(); error == std::errc{} && digit != end; ++digit) {
        out.push_back(*digit >= 'a' ? static_cast<char>(*digit - 'a' + 'A') : *digit);
    }
}

}  // namespace

std::optional<std::uint64_t> parse_lsn(std::string_view text) noexcept {
    const std::size_t slash = text.find('/');
    std::uint32_t high = 0;
    std::uint32_t low = 0;
    if (slash == std::string_view::npos || !read_all(text.substr(0, slash), high, 16) ||
        !read_all(text.substr(slash + 1), low, 16)) {
        return std::nullopt;
    }
    return std::uint64_t{high} << 32U | low;
}

std::string lsn_to_text(std::uint64_t lsn) {
    std::string out;
    append_hex(out, static_cast<std::uint32_t>(lsn >> 32U));
    out.push_back('/');
    append_hex(out, static_cast<std::uint32_t>(lsn));
    return out;
}

std::optional<LogPosition> parse_position(std::string_view text) noexcept {
    const std::size_t colon = text.find(':');
    LogPosition position;
    if (colon == std::string_view::npos ||
        !read_all(text.substr(0, colon), position.timeline, 10) || position.timeline == 0) {
        return std::nullopt;
    }
    const std::optional<std::uint64_t> lsn = parse_lsn(text.substr(colon + 1));
    if (!lsn) {
        return std::nullopt;
    }
    position.lsn = *lsn;
    return position;
}

std::string to_text(const LogPosition& position) {
    return std::to_string(position.timeline) + ":" + lsn_to_text(position.lsn);
}

}  // namespace tenon::postgres
