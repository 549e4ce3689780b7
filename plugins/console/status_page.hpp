// SPDX-License-Identifier: Apache-2.0
// The status page: HTML and CSS without scripts, from the report of tenon.health/1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::console {

// Text that stands in HTML as it is.
[[nodiscard]] std::string escape_html(std::string_view text);

// Throws when the report is not one. `now_real_ms` tells how long a state has lasted.
[[nodiscard]] std::string
status_page(std::string_view report, std::string_view version, std::int64_t now_real_ms);

[[nodiscard]] std::string_view style_sheet() noexcept;
[[nodiscard]] std::string_view icon_svg() noexcept;

}  // namespace tenon::console
