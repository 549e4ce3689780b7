// SPDX-License-Identifier: Apache-2.0
// A saved schedule (tenon/quiet_schedule.hpp) as if time had gone by since it was written.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>

namespace tenon::test {

// Throws where the file is not there.
inline void let_time_pass(const std::string& schedule, std::int64_t seconds) {
    constexpr std::string_view k_due{"due "};
    std::ifstream in{schedule};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    const std::size_t end = text.find('\n');
    const std::int64_t due_real_ns = std::stoll(text.substr(k_due.size(), end - k_due.size()));
    std::ofstream{schedule} << k_due << due_real_ns - seconds * 1'000'000'000 << text.substr(end);
}

}  // namespace tenon::test
