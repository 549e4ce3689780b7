// SPDX-License-Identifier: Apache-2.0
// Metrics of the engine. Cells are the host's; adding is relaxed and cheap. Any thread.
#pragma once

#include <tenon/abi/host.h>
#include <tenon/abi/trading.h>
#include <tenon/plugin.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace tenon::engine {

// Behind the last TENON_REJECT_*.
inline constexpr std::uint32_t k_reject_end = TENON_REJECT_RISK_ORDER_RATE + 1;

// A word for a TENON_REJECT_* value; "unknown" for others.
[[nodiscard]] std::string_view reject_name(std::uint32_t reject) noexcept;

class Instrumentation {
public:
    explicit Instrumentation(Service<tenon_metrics_1> metrics);

    void command(std::uint32_t reject) const noexcept;

    void refused() const noexcept { add(refused_, 1); }

    void batch(std::int64_t duration_ns, std::uint64_t bytes) const noexcept;

    struct Gauges {
        std::int64_t open_orders = 0, accounts = 0, history_orders = 0;
        std::int64_t projection_lag = 0, projection_queued = 0, spool_bytes = 0;
        std::uint64_t projection_failures = 0;
    };

    void set(const Gauges& gauges) const noexcept;

private:
    static void add(std::uint64_t* cell, std::uint64_t value) noexcept {
        if (cell != nullptr) {
            std::atomic_ref<std::uint64_t>{*cell}.fetch_add(value, std::memory_order_relaxed);
        }
    }

    template <class Value>
    static void store(Value* cell, Value value) noexcept {
        if (cell != nullptr) {
            std::atomic_ref<Value>{*cell}.store(value, std::memory_order_relaxed);
        }
    }

    [[nodiscard]] std::uint64_t* counter(std::string_view name, std::string_view help) const;
    [[nodiscard]] std::int64_t* gauge(std::string_view name, std::string_view help) const;

    Service<tenon_metrics_1> metrics_;
    tenon_histogram* fsync_ = nullptr;
    std::uint64_t *bytes_ = nullptr, *batches_ = nullptr, *commands_ = nullptr;
    std::uint64_t *refused_ = nullptr, *projection_failures_ = nullptr;
    std::array<std::uint64_t*, k_reject_end> rejects_{};
    std::int64_t *open_orders_ = nullptr, *accounts_ = nullptr, *history_orders_ = nullptr;
    std::int64_t *lag_ = nullptr, *queued_ = nullptr, *spool_ = nullptr;
};

}  // namespace tenon::engine
