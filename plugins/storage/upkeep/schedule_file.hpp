// SPDX-License-Identifier: Apache-2.0
// The text of a schedule (tenon/quiet_schedule.hpp) in a file, whole and on disk.
#pragma once

#include <string>
#include <string_view>

namespace tenon::upkeep {

// "" when there is no such file. Throws TENON_UNAVAILABLE.
[[nodiscard]] std::string read_schedule(const std::string& file);
// Throws TENON_UNAVAILABLE; what was there before stays then.
void save_schedule_file(const std::string& file, std::string_view text);

}  // namespace tenon::upkeep
