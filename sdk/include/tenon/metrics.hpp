// SPDX-License-Identifier: Apache-2.0
// C++ side of tenon.metrics/1: series as values. Make them in start, keep them, use them anywhere.
//
// A series that the host refused (bad name, too many of a family) does nothing. Series live as long
// as the host; copies are the same series.
#pragma once

#include <tenon/plugin.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon {

// [nonblock] all three.
class Counter {
public:
    Counter() = default;

    Counter(Service<tenon_metrics_1> metrics, std::uint64_t* cell) noexcept
        : cell_{cell}, metrics_{metrics} {
        if (metrics && TENON_HAS(metrics.table, tenon_metrics_1, join)) {
            thread_word_ = metrics->thread_word;
        }
    }

    // Where the host has a part for the thread, no line is taken from another one.
    void add(std::uint64_t amount = 1) const noexcept {
        if (cell_ == nullptr) {
            return;
        }
        if (const std::int64_t part = own_part(); part > k_shares) {
            const std::atomic_ref own{
                *reinterpret_cast<std::uint64_t*>(reinterpret_cast<char*>(cell_) + part)};
            own.store(own.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
        } else {
            std::atomic_ref{*cell_}.fetch_add(amount, std::memory_order_relaxed);
        }
    }

private:
    static constexpr std::int64_t k_shares = 1;

    [[nodiscard]] std::int64_t own_part() const noexcept {
#if __has_builtin(__builtin_thread_pointer)
        if (thread_word_ != 0) {
            const auto* const word = reinterpret_cast<const std::int64_t*>(
                static_cast<const char*>(__builtin_thread_pointer()) + thread_word_
            );
            if (*word == 0) {
                metrics_->join(metrics_.self);
            }
            return *word;
        }
#endif
        return k_shares;
    }

    std::uint64_t* cell_ = nullptr;
    std::int64_t thread_word_ = 0;
    Service<tenon_metrics_1> metrics_;
};

class Gauge {
public:
    Gauge() = default;

    explicit Gauge(std::int64_t* cell) noexcept : cell_{cell} {}

    void set(std::int64_t value) const noexcept {
        if (cell_ != nullptr) {
            std::atomic_ref{*cell_}.store(value, std::memory_order_relaxed);
        }
    }

    void add(std::int64_t amount) const noexcept {
        if (cell_ != nullptr) {
            std::atomic_ref{*cell_}.fetch_add(amount, std::memory_order_relaxed);
        }
    }

private:
    std::int64_t* cell_ = nullptr;
};

class Histogram {
public:
    Histogram() = default;

    Histogram(Service<tenon_metrics_1> metrics, tenon_histogram* histogram) noexcept
        : metrics_{metrics}, histogram_{histogram} {}

    void observe(std::chrono::nanoseconds duration) const noexcept {
        if (histogram_ != nullptr) {
            metrics_->observe(metrics_.self, histogram_, duration.count());
        }
    }

private:
    Service<tenon_metrics_1> metrics_;
    tenon_histogram* histogram_ = nullptr;
};

class Metrics {
public:
    using Label = std::pair<std::string_view, std::string_view>;

    Metrics() = default;

    explicit Metrics(Service<tenon_metrics_1> service) noexcept : service_{service} {}

    explicit Metrics(const Host& host)
        : service_{host.service<tenon_metrics_1>("tenon.metrics/1")} {}

    // Names: tenon_<area>_<what>_<unit>[_total]; labels of bounded sets only.
    [[nodiscard]] Counter counter(
        std::string_view name,
        std::string_view help,
        std::initializer_list<Label> labels = {}
    ) const {
        const std::vector<tenon_label> raw = raw_labels(labels);
        return Counter{
            service_,
            service_->counter(
                service_.self,
                str(name),
                str(help),
                raw.data(),
                static_cast<std::uint32_t>(raw.size())
            )};
    }

    [[nodiscard]] Gauge gauge(
        std::string_view name,
        std::string_view help,
        std::initializer_list<Label> labels = {}
    ) const {
        const std::vector<tenon_label> raw = raw_labels(labels);
        return Gauge{service_->gauge(
            service_.self, str(name), str(help), raw.data(), static_cast<std::uint32_t>(raw.size())
        )};
    }

    // Of durations, in seconds: the name ends in _seconds.
    [[nodiscard]] Histogram histogram(
        std::string_view name,
        std::string_view help,
        std::initializer_list<Label> labels = {}
    ) const {
        const std::vector<tenon_label> raw = raw_labels(labels);
        return Histogram{
            service_,
            service_->histogram(
                service_.self,
                str(name),
                str(help),
                raw.data(),
                static_cast<std::uint32_t>(raw.size())
            )};
    }

private:
    static std::vector<tenon_label> raw_labels(std::initializer_list<Label> labels) {
        std::vector<tenon_label> raw;
        raw.reserve(labels.size());
        for (const auto& [name, value] : labels) {
            raw.push_back({str(name), str(value)});
        }
        return raw;
    }

    Service<tenon_metrics_1> service_;
};

}  // namespace tenon
