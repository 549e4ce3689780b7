// SPDX-License-Identifier: Apache-2.0
// A place in PostgreSQL's write-ahead log: the timeline, which every promotion raises, and the log
// sequence number in it. As text it is TIMELINE:HIGH/LOW, the last two in hexadecimal as PostgreSQL
// prints pg_lsn ("2:16/B374D848"). Callers pass it on unread, from a write to their later reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::postgres {

struct LogPosition {
    std::uint32_t timeline = 0;  // 0: none
    std::uint64_t lsn = 0;

    friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

[[nodiscard]] std::string to_text(const LogPosition& position);
// Nothing when the text is not such a position.
[[nodiscard]] std::optional<LogPosition> parse_position(std::string_view text) noexcept;
// "16/B374D848" as PostgreSQL prints it.
[[nodiscard]] std::optional<std::uint64_t> parse_lsn(std::string_view text) noexcept;
[[nodiscard]] std::string lsn_to_text(std::uint64_t lsn);

}  // namespace tenon::postgres
