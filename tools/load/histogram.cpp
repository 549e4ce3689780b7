// SPDX-License-Identifier: Apache-2.0
#include "tools/load/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tenon::load {

namespace {

// Values below 2 * k_half have a bucket each; each power of two above has k_half of them.
constexpr std::uint64_t k_half = 1024;
constexpr unsigned k_exact_bits = 11;

std::size_t bucket_of(std::int64_t duration_ns) noexcept {
    const auto value = static_cast<std::uint64_t>(duration_ns);
    if (value < 2 * k_half) {
        return value;
    }
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - k_exact_bits;
    return shift * k_half + (value >> shift);
}

// The longest duration that falls into the bucket.
std::int64_t top_of(std::size_t bucket) noexcept {
    if (bucket < 2 * k_half) {
        return static_cast<std::int64_t>(bucket);
    }
    const std::size_t shift = bucket / k_half - 1;
    const std::uint64_t part = bucket - shift * k_half;
    return static_cast<std::int64_t>(((part + 1) << shift) - 1);
}

}  // namespace

void Histogram::record(std::int64_t duration_ns, std::uint64_t times) {
    if (times == 0) {
        return;
    }
    duration_ns = std::clamp<std::int64_t>(duration_ns, 0, k_longest_ns);
    const std::size_t bucket = bucket_of(duration_ns);
    if (bucket >= buckets_.size()) {
        buckets_.resize(bucket + 1);
    }
    buckets_[bucket] += times;
    count_ += times;
    min_ns_ = std::min(min_ns_, duration_ns);
    max_ns_ = std::max(max_ns_, duration_ns);
    sum_ns_ += static_cast<double>(duration_ns) * static_cast<double>(times);
}

void Histogram::add(const Histogram& other) {
    buckets_.resize(std::max(buckets_.size(), other.buckets_.size()));
    for (std::size_t i = 0; i < other.buckets_.size(); ++i) {
        buckets_[i] += other.buckets_[i];
    }
    count_ += other.count_;
    min_ns_ = std::min(min_ns_, other.min_ns_);
    max_ns_ = std::max(max_ns_, other.max_ns_);
    sum_ns_ += other.sum_ns_;
}

double Histogram::mean_ns() const noexcept {
    return count_ == 0 ? 0 : sum_ns_ / static_cast<double>(count_);
}

std::int64_t Histogram::quantile_ns(double share) const noexcept {
    if (count_ == 0) {
        return 0;
    }
    const double wanted = std::clamp(share, 0.0, 1.0) * static_cast<double>(count_);
    // A hair below, so that 0.9 of 10 is 9 whatever the product's last bit is.
    const auto rank = static_cast<std::uint64_t>(std::max(1.0, std::ceil(wanted - 1e-6)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        seen += buckets_[i];
        if (seen >= rank) {
            return std::min(top_of(i), max_ns_);
        }
    }
    return max_ns_;
}

std::uint64_t Histogram::above(std::int64_t duration_ns) const noexcept {
    std::uint64_t sum = 0;
    const std::size_t last = bucket_of(std::clamp<std::int64_t>(duration_ns, 0, k_longest_ns));
    for (std::size_t i = last + 1; i < buckets_.size(); ++i) {
        sum += buckets_[i];
    }
    return sum;
}

void Histogram::each(const std::function<void(std::int64_t, std::uint64_t)>& tell) const {
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        if (buckets_[i] != 0) {
            tell(std::min(top_of(i), max_ns_), buckets_[i]);
        }
    }
}

}  // namespace tenon::load
