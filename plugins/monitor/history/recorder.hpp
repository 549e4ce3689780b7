// SPDX-License-Identifier: Apache-2.0
// The history of many series in a folder: values go in as they are measured, and are merged to
// coarser and coarser steps; trends come out.
//
// Every row but the finest is computed from the rows below it, and again with each value: nothing
// waits in memory, so that kill -9 loses nothing that was added and a loss of power what came since
// the last sync. A clock that was set back begins a new era: what is measured then takes the place
// of what an earlier era had written for the same step. Times later than now are neither told nor
// merged. Thread-safe. All calls block [io].
#pragma once

#include "plugins/monitor/history/columns.hpp"
#include "plugins/monitor/history/rows.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::history {

// 10 s for 2 h, 1 min for 24 h, 10 min for 30 days, 2 h for a year: 45 MB with 256 columns.
[[nodiscard]] Rows::Shape default_shape();

struct Point {
    std::int64_t at_s;
    Cell cell;
};

struct Span {
    std::int64_t from_s, to_s, step_s;  // steps that begin at from or later, before `to`
};

class Recorder {
public:
    using Values = std::vector<std::pair<std::string, double>>;  // by series

    explicit Recorder(Rows::Shape shape = default_shape()) : shape_{std::move(shape)} {}

    // Opens the folder's history, or begins one. A damaged one is put aside (`.damaged`, in place
    // of an older one), a new one begun, and why is given back; else "". Throws Error
    // TENON_UNAVAILABLE.
    [[nodiscard]] std::string open(const std::filesystem::path& folder, std::uint64_t fresh_id);

    // Values that are no numbers, or beyond what a float holds, are left out. Throws Error
    // TENON_UNAVAILABLE: what was written stays, and the next one tries again.
    void add(std::int64_t at_s, const Values& values);
    // To the disk, with the list of series.
    void sync();

    // The span that answers this question: steps of the finest tier that reaches back so far and
    // gives no more points than that, or the step that was asked for. Throws Error TENON_INVALID
    // that says what is kept.
    [[nodiscard]] Span span_of(
        std::int64_t from_s,
        std::int64_t to_s,
        std::optional<std::int64_t> step_s,
        std::int64_t now_s
    ) const;
    // For each series its points, oldest first; steps without a value are left out. A series that
    // is not known has none.
    [[nodiscard]] std::vector<std::vector<Point>>
    read(const std::vector<std::string>& series, const Span& span, std::int64_t now_s) const;

    [[nodiscard]] std::vector<std::pair<std::string, Column>> series() const;

    [[nodiscard]] const Rows::Shape& shape() const noexcept { return shape_; }

    struct Counts {
        std::size_t series = 0, left_out = 0;  // left out of the last values
        std::uint64_t damaged_rows = 0, steps_back = 0;
    };

    [[nodiscard]] Counts counts() const;

private:
    [[nodiscard]] std::size_t tier_of(std::int64_t step_s) const;
    void merge_up(std::int64_t at_s);
    void save_columns();

    const Rows::Shape shape_;
    mutable std::mutex mutex_;
    std::filesystem::path columns_file_;
    std::optional<Rows> rows_;
    Columns columns_{0};
    std::uint32_t era_ = 1;
    std::int64_t newest_s_ = 0;
    std::size_t left_out_ = 0;
    std::uint64_t steps_back_ = 0;
};

}  // namespace tenon::history
