// SPDX-License-Identifier: Apache-2.0
// The page's files, made from web/ at build time (web/build.mjs) and built in: a server needs no
// Node and no folder.
#pragma once

#include <span>
#include <string_view>

namespace tenon::console {

struct Asset {
    std::string_view path;  // "/assets/app-1A2B3C4D.js"; "/": the page itself
    std::string_view type;
    std::string_view plain, gzip;  // gzip is empty where it would not be shorter
};

[[nodiscard]] std::span<const Asset> assets() noexcept;

}  // namespace tenon::console
