// SPDX-License-Identifier: Apache-2.0
// A call that is counted, timed and, when slow, logged.
//
//   load_ = tenon::Monitored{host(), "tenon_example_load", 100ms};        // in start
//   auto rows = load_([&] { return read_rows(); });                       // anywhere, any thread
//
// One name gives three series, to be listed in the manifest's "metrics":
//   NAME_seconds        histogram of the duration, failures included
//   NAME_calls_total    calls
//   NAME_errors_total   calls that threw, or returned a negative tenon_status
// A call of at least `slow` is logged as "slow_call"; at most one line a second, with the number of
// those that were left out. It changes nothing of the call: value and exception come through.
#pragma once

#include <tenon/metrics.hpp>
#include <tenon/plugin.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace tenon {

class Monitored {
public:
    // Runs calls and watches nothing.
    Monitored() = default;

    // slow 0: nothing is logged.
    Monitored(const Host& host, std::string name, std::chrono::nanoseconds slow = {})
        : state_{std::make_shared<State>()} {
        const Metrics metrics{host};
        state_->duration = metrics.histogram(name + "_seconds", "Duration of " + name);
        state_->calls = metrics.counter(name + "_calls_total", "Calls of " + name);
        state_->errors = metrics.counter(name + "_errors_total", "Failed calls of " + name);
        state_->clock = host.service<tenon_clock_1>("tenon.clock/1");
        state_->log = host.log();
        state_->slow_ns = slow.count();
        state_->name = std::move(name);
    }

    // [any] What the call itself allows; adds two clock reads and no lock.
    template <class Body>
    std::invoke_result_t<Body> operator()(Body&& body) const {
        if (!state_) {
            return std::forward<Body>(body)();
        }
        Watch watch{*state_};
        if constexpr (std::is_void_v<std::invoke_result_t<Body>>) {
            std::forward<Body>(body)();
            watch.failed = false;
        } else if constexpr (std::is_same_v<std::invoke_result_t<Body>, tenon_status>) {
            const tenon_status status = std::forward<Body>(body)();
            watch.failed = status < 0;
            return status;
        } else {
            decltype(auto) value = std::forward<Body>(body)();
            watch.failed = false;
            return static_cast<std::invoke_result_t<Body>>(std::forward<decltype(value)>(value));
        }
    }

private:
    static constexpr std::int64_t k_quiet_ns = 1'000'000'000;

    struct State {
        Histogram duration;
        Counter calls, errors;
        Service<tenon_clock_1> clock;
        Log log;
        std::int64_t slow_ns = 0;
        std::string name;
        std::atomic<std::int64_t> said_ns{INT64_MIN / 2};
        std::atomic<std::uint64_t> unsaid{0};

        [[nodiscard]] std::int64_t now_ns() const noexcept { return clock->now_ns(clock.self); }

        void slow_call(std::int64_t now, std::int64_t duration_ns, bool failed) noexcept {
            std::int64_t said = said_ns.load(std::memory_order_relaxed);
            if (now - said < k_quiet_ns || !said_ns.compare_exchange_strong(said, now)) {
                unsaid.fetch_add(1, std::memory_order_relaxed);
                return;
            }
            (void)guard(nullptr, [&] {
                log.warn(
                    "slow_call",
                    {{"call", name},
                     {"duration_ms", duration_ns / 1'000'000},
                     {"failed", failed},
                     {"left_out", unsaid.exchange(0, std::memory_order_relaxed)}}
                );
            });
        }
    };

    // Counts at the end of the call, however it ends.
    struct Watch {
        explicit Watch(State& of) noexcept : state{of}, begin_ns{of.now_ns()} {}

        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;

        ~Watch() {
            const std::int64_t now = state.now_ns();
            state.duration.observe(std::chrono::nanoseconds{now - begin_ns});
            state.calls.add();
            if (failed) {
                state.errors.add();
            }
            if (state.slow_ns > 0 && now - begin_ns >= state.slow_ns) {
                state.slow_call(now, now - begin_ns, failed);
            }
        }

        State& state;
        std::int64_t begin_ns;
        bool failed = true;
    };

    std::shared_ptr<State> state_;
};

}  // namespace tenon
