// SPDX-License-Identifier: Apache-2.0
// The last values of the series that rules look at, read from pages in Prometheus text format
// 0.0.4.
//
// Metrics are no money: values are double, as in Prometheus. Not thread-safe. Bounded: series
// beyond the maximum are left out and counted; values older than the span that was asked for are
// dropped, and so is a series that a page no longer has. Of what is older than an hour, some 500
// values are kept for the whole span; each says what a rate needs to know of those between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::series {

using Labels = std::map<std::string, std::string, std::less<>>;

// Of `a="x",b="y"`; quotes, backslashes and newlines of the values are escaped.
[[nodiscard]] Labels labels_of(std::string_view text);

struct Sample {
    std::int64_t at_ms;
    double value;
    double before = 0;  // of a counter: what it had counted before its restarts, since the first
    std::uint64_t index = 0;  // of all that the series had
};

struct Series {
    Labels labels;
    std::deque<Sample> samples;  // oldest first, never empty
    std::size_t coarse = 0;      // the first ones, from which others were taken out
};

class Samples {
public:
    static constexpr std::size_t k_series_max = 10'000;
    static constexpr std::int64_t k_fine_ms = 3'600'000;
    static constexpr std::int64_t k_coarse = 500;

    // Series of that name are kept, and their values for `span_ms` at least.
    void want(std::string_view name, std::int64_t span_ms);

    // Nothing is wanted any more. What is wanted again before the next page is kept as it is.
    void forget_wants();

    // A page as it was at that time, which must be later than the last one's. Lines that are no
    // samples are skipped.
    void add(std::string_view page, std::int64_t at_ms);

    // Those of the newest page.
    [[nodiscard]] std::vector<const Series*> of(std::string_view name) const;

    [[nodiscard]] std::int64_t at_ms() const noexcept { return at_ms_; }

    // Of the newest page, over the maximum.
    [[nodiscard]] std::size_t left_out() const noexcept { return left_out_; }

private:
    struct Family {
        std::int64_t span_ms = 0;
        bool wanted = true;
        std::map<std::string, Series, std::less<>> series;  // by the labels' text
    };

    static void push(Series& series, std::int64_t at_ms, double value);
    static void drop_old(Series& series, std::int64_t now_ms, std::int64_t span_ms);

    std::map<std::string, Family, std::less<>> families_;
    std::int64_t at_ms_ = 0;
    std::size_t count_ = 0, left_out_ = 0;
};

}  // namespace tenon::series
