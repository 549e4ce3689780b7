// SPDX-License-Identifier: Apache-2.0
// When a schedule runs: "every 300s", from the time it was made on; "daily 04:30"; or "cron 30 4 *
// * 1-5", five fields as crontab of POSIX.1-2017 has them: minute, hour, day of the month, month,
// day of the week (0 or 7: Sunday), each *, or a list of numbers and ranges, which may have a step
// ("*/15", "8-18/2"); where both days are given, either is enough. All in UTC.
#pragma once

#include <bitset>
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
    struct Fields {
        std::bitset<60> minutes, hours, month_days, months, week_days;
        bool any_month_day = false, any_week_day = false;
    };

    [[nodiscard]] static Fields fields_of(std::string_view text);
    [[nodiscard]] bool runs_on(std::int64_t day) const noexcept;
    [[nodiscard]] std::int64_t next_by_fields(std::int64_t after_real_ns) const noexcept;

    Fields fields_;
    std::int64_t interval_ns_ = 0;  // 0: by the fields
};

}  // namespace tenon::jobs
