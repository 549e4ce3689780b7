// SPDX-License-Identifier: Apache-2.0
// The steps of the schema: append, never change one that was released. SQL that every dialect of
// the deployment understands; money is an integer.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

struct Step {
    std::string_view name;
    std::string_view sql;
};

inline constexpr std::array k_steps{
    Step{"notes", "CREATE TABLE @identifier@_notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)"},
    Step{"notes_written_at", "ALTER TABLE @identifier@_notes ADD COLUMN written_at INTEGER"},
};

// FNV-1a, 64 bits (Fowler, Noll, Vo), in hex: tells that a released step was edited.
[[nodiscard]] inline std::string checksum(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    std::string hex(16, '0');
    for (std::size_t i = hex.size(); i-- > 0; hash >>= 4) {
        hex[i] = "0123456789abcdef"[hash & 15];
    }
    return hex;
}
