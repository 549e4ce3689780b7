// SPDX-License-Identifier: Apache-2.0
// When a schedule runs: "every 300s", from the time it was made on; "daily 04:30", in UTC.
#pragma once

#include <cstdint>
#include <string_view>

namespace tenon::jobs {

class Rule {
public:
    // Throws Error TENON_INVALID with what is expected.
    explicit Rule(std::string_view text);

    // The first run after `after_real_ns`; `last_real_ns` is the run before it. Runs that were
    // missed are left out.
    [[nodiscard]] std::int64_t next(std::int64_t last_real_ns, std::int64_t after_real_ns)
        const noexcept;
    // The first run of a schedule that is made now.
    [[nodiscard]] std::int64_t first(std::int64_t now_real_ns) const noexcept;

private:
    bool daily_ = false;
    std::int64_t ns_ = 0;  // the interval, or the time after midnight
};

}  // namespace tenon::jobs
