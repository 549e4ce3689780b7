// SPDX-License-Identifier: Apache-2.0
// The plugin's settings, as its manifest describes them.
#pragma once

#include "plugins/gateway/binance/limits.hpp"

#include <string>
#include <string_view>

namespace tenon::binance {

struct StreamSettings {
    std::uint32_t streams_max = 1'024;  // by connection
    std::uint32_t connection_hours_max = 24;
    std::uint32_t conflate_above_bytes = 65'536;  // queued for a connection; the most: never
};

struct Settings {
    LimitSettings limits;
    StreamSettings streams;
    std::uint32_t cdn_seconds = 0;
    bool hot_answers = true;
    std::uint32_t stale_book_ms = 5'000;
    std::uint32_t shutdown_notice_ms = 250;
    std::string key_limit;     // of the bound throttle; empty: none
    std::string weights_file;  // empty: the built-in table
};

// `json` has been validated against the manifest's schema and has all defaults.
[[nodiscard]] Settings read_settings(std::string_view json);

}  // namespace tenon::binance
