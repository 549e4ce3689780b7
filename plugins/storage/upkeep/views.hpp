// SPDX-License-Identifier: Apache-2.0
// The daily summaries of migrations/0003_views against the rows that they are sums of.
//
// One step looks at one day of one summary, in one transaction: what is kept and what the rows give
// come from one snapshot, so writers neither wait nor show up as differences. A walk over all days
// is made of such steps, and days without rows on either side are skipped. Not thread-safe;
// functions block ([io]) and throw StorageError. Averages are made by readers and are not looked
// at.
#pragma once

#include <tenon/storage.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::upkeep {

inline constexpr std::int64_t k_day_ns = 86'400'000'000'000;

// A summary: sums of `sums` over the rows of the view `rows`, for each value of `keys` and each
// day.
struct View {
    std::string_view table, rows, source, time_column;
    std::span<const std::string_view> keys;  // without the day
    std::span<const std::string_view> sums;  // the first one counts
};

[[nodiscard]] std::span<const View> views();

// A key whose sums are not those of its rows.
struct Difference {
    std::string view, key;   // "user_id=7 day=19723 account_type=real …"; days since 1970
    std::string kept, rows;  // "trade_count=2 pnl_hi=0 …"
};

// What a walk has found so far.
struct Findings {
    static constexpr std::size_t k_told_max = 100;

    std::uint64_t days = 0, keys = 0, different = 0;
    std::vector<Difference> told;  // the first ones
};

// The first midnight from `from_ns` on, as a time, whose day has rows; nothing when there is none.
[[nodiscard]] std::optional<std::int64_t>
next_day(Session& session, const View& view, std::int64_t from_ns);

void compare_day(Session& session, const View& view, std::int64_t day_ns, Findings& findings);

// Puts the sums of the rows in the place of what is kept. In a write transaction that did nothing
// else yet: on PostgreSQL those who write to the summary wait until it ends.
void rebuild_day(Session& session, std::string_view dialect, const View& view, std::int64_t day_ns);

// Where a walk is. Steps over all days of all summaries, oldest first.
class Walk {
public:
    // The day that comes next, of view(); false at the end.
    [[nodiscard]] bool find(Session& session);

    [[nodiscard]] const View& view() const noexcept { return views()[view_]; }

    [[nodiscard]] std::int64_t day_ns() const noexcept { return day_ns_; }

    // Behind that day.
    void pass() noexcept;

private:
    std::size_t view_ = 0;
    std::int64_t from_ns_ = 0, day_ns_ = 0;
};

}  // namespace tenon::upkeep
