// SPDX-License-Identifier: Apache-2.0
#include "sdk/metrics/histogram.hpp"

#include "sdk/metrics/line.hpp"

#include <algorithm>
#include <bit>

namespace tenon::metrics {

namespace {

// The first bucket that a duration of so many binary digits can fall into.
constexpr auto k_first_bucket = [] {
    std::array<std::uint8_t, 65> first{};
    for (unsigned bits = 0; bits <= 64; ++bits) {
        const std::uint64_t least = bits == 0 ? 0 : std::uint64_t{1} << (bits - 1);
        while (first[bits] < Histogram::k_bounds_ns.size() &&
               static_cast<std::uint64_t>(Histogram::k_bounds_ns[first[bits]]) < least) {
            ++first[bits];
        }
    }
    return first;
}();

}  // namespace

Histogram::Histogram(std::string_view name, const std::string& labels) {
    const std::string of{name};
    const std::string prefix = labels.empty() ? "" : labels + ",";
    for (std::size_t i = 0; i <= k_bounds_ns.size(); ++i) {
        const std::string bound = i < k_bounds_ns.size() ? seconds(k_bounds_ns[i]) : "+Inf";
        heads_.push_back(head_of(of + "_bucket", prefix + "le=\"" + bound + "\""));
    }
    heads_.push_back(head_of(of + "_sum", labels));
    heads_.push_back(head_of(of + "_count", labels));
}

void Histogram::observe(std::int64_t duration_ns) noexcept {
    const auto length = static_cast<std::uint64_t>(std::max<std::int64_t>(duration_ns, 0));
    std::size_t index = k_first_bucket[static_cast<std::size_t>(std::bit_width(length))];
    while (index < k_bounds_ns.size() && k_bounds_ns[index] < duration_ns) {
        ++index;
    }
    const std::size_t own = own_part();
    Part& part = parts_[own];
    auto& bucket = part.buckets[index];
    constexpr auto k_relaxed = std::memory_order_relaxed;
    if (own == 0) {
        bucket.fetch_add(1, k_relaxed);
        part.sum_ns.fetch_add(duration_ns, k_relaxed);
        return;
    }
    bucket.store(bucket.load(k_relaxed) + 1, k_relaxed);  // nobody else writes here
    part.sum_ns.store(part.sum_ns.load(k_relaxed) + duration_ns, k_relaxed);
}

void Histogram::append_to(std::string& out) const {
    std::array<std::uint64_t, k_bounds_ns.size() + 1> counts{};
    std::int64_t sum = 0;
    for (const Part& part : parts_) {
        for (std::size_t i = 0; i < counts.size(); ++i) {
            counts[i] += part.buckets[i].load(std::memory_order_relaxed);
        }
        sum += part.sum_ns.load(std::memory_order_relaxed);
    }
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        append_line(out, heads_[i], total += counts[i]);
    }
    out.append(heads_[counts.size()]).append(seconds(sum)).append("\n");
    append_line(out, heads_.back(), total);
}

}  // namespace tenon::metrics
