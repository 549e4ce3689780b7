// SPDX-License-Identifier: Apache-2.0
// The room on a disk, and what is said about it.
#pragma once

#include <tenon/plugin.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

// Bytes that may be written by who is not root. Throws Error with the system's reason.
[[nodiscard]] inline std::int64_t free_bytes(const std::filesystem::path& folder) {
    std::error_code ec;
    const std::filesystem::space_info room = std::filesystem::space(folder, ec);
    if (ec) {
        throw tenon::Error{TENON_UNAVAILABLE, "the disk cannot be asked: " + ec.message()};
    }
    return static_cast<std::int64_t>(room.available);
}

// Throws Error when there is less than wanted.
inline void expect_room(std::int64_t free, std::int64_t wanted) {
    if (free < wanted) {
        throw tenon::Error{
            TENON_UNAVAILABLE,
            "the disk of the data folder has " + std::to_string(free >> 20) + " MiB left, wanted " +
                std::to_string(wanted >> 20)};
    }
}
