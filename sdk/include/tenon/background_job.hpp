// SPDX-License-Identifier: Apache-2.0
// Work that repeats on the blocking pool.
//
//   sweep_ = tenon::every(host(), "sweep", 5min, [this] { sweep(); });    // in start
//   sweep_.stop();                                                        // in stop
//
// A job never overlaps itself: a run that takes longer than the interval makes the next tick pass.
// Intervals vary by the jitter, so that jobs of many servers do not fall together. A run that
// throws is logged, and the wait before the next one grows by the factor 1.5 up to a limit; after
// `degraded_after` failures in a row the component "job-NAME" is degraded with the last reason, and
// healthy again after the next good run. stop() waits for a run in flight, and after it nothing
// runs. With `own_thread` it runs on a thread of its own, for work that waits long for others: it
// takes nothing from the pool's few threads. Nothing is kept over a restart: for work that must not
// be lost there is the job queue.
#pragma once

#include <tenon/in_flight.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace tenon {

struct JobOptions {
    std::chrono::nanoseconds first_after{-1};  // until the first run; below 0: one interval
    std::chrono::nanoseconds backoff_max{-1};  // longest wait after failures; below 0: 10 intervals
    double jitter = 0.1;                       // part of the interval, up and down
    std::uint32_t degraded_after = 3;          // failures in a row
    std::uint64_t seed = 0;                    // of the jitter; 0: from name and clock
    bool own_thread = false;
};

// The waits of a job: sans clock and sans threads. Not thread-safe.
class JobPace {
public:
    JobPace(std::chrono::nanoseconds interval, const JobOptions& options)
        : interval_ns_{std::max<std::int64_t>(interval.count(), 1)},
          longest_ns_{
              options.backoff_max.count() < 0
                  ? interval_ns_ * 10
                  : std::max<std::int64_t>(options.backoff_max.count(), interval_ns_)},
          jitter_{std::clamp(options.jitter, 0.0, 0.9)},
          state_{options.seed} {}

    // The wait before the next run, after `failures` failed ones in a row.
    [[nodiscard]] std::int64_t wait_ns(std::uint32_t failures) noexcept {
        double wait = static_cast<double>(interval_ns_);
        for (std::uint32_t i = 0; i < failures && wait < static_cast<double>(longest_ns_); ++i) {
            wait *= 1.5;
        }
        wait = std::min(wait, static_cast<double>(longest_ns_));
        return std::max<std::int64_t>(
            static_cast<std::int64_t>(wait * (1.0 + jitter_ * (2.0 * random() - 1.0))), 1
        );
    }

private:
    // SplitMix64 (Steele, Lea, Flood 2014), as a number in [0, 1).
    double random() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
    }

    std::int64_t interval_ns_, longest_ns_;
    double jitter_;
    std::uint64_t state_;
};

// A repeating job; stops when it goes. Made and stopped on the control thread.
class BackgroundJob {
public:
    BackgroundJob() = default;

    BackgroundJob(
        const Host& host,
        std::string name,
        std::chrono::nanoseconds interval,
        std::function<void()> body,
        JobOptions options = {}
    )
        : state_{std::make_unique<
              State>(host, std::move(name), interval, std::move(body), std::move(options))} {
        State& state = *state_;
        if (state.own_thread) {
            state.thread = std::thread{[&state] { state.work(); }};
        }
        call_on_reactor(state.exec, 0, [&state] { state.arm(state.first_ns); });
    }

    BackgroundJob(BackgroundJob&& other) noexcept = default;

    BackgroundJob& operator=(BackgroundJob&& other) noexcept {
        stop();
        state_ = std::move(other.state_);
        return *this;
    }

    BackgroundJob(const BackgroundJob&) = delete;
    BackgroundJob& operator=(const BackgroundJob&) = delete;

    ~BackgroundJob() { stop(); }

    // [control] After it returns nothing of the job runs. May be called again.
    void stop() noexcept {
        if (!state_) {
            return;
        }
        State& state = *state_;
        (void)guard(nullptr, [&state] {
            call_on_reactor(state.exec, 0, [&state] {
                if (state.timer != 0) {
                    state.exec->cancel_timer(state.exec.self, std::exchange(state.timer, 0));
                }
            });
        });
        state.in_flight.wait();
        state.end_thread();
        state_.reset();
    }

    // [any] Runs that have ended, and how many of the last ones failed in a row.
    [[nodiscard]] std::uint64_t runs() const noexcept { return state_ ? state_->runs.load() : 0; }

    [[nodiscard]] std::uint32_t failures() const noexcept {
        return state_ ? state_->failures.load() : 0;
    }

private:
    struct State {
        State(
            const Host& host,
            std::string job,
            std::chrono::nanoseconds interval,
            std::function<void()> work,
            JobOptions chosen
        )
            : exec{host.service<tenon_exec_1>("tenon.exec/1")},
              health{host.service<tenon_health_1>("tenon.health/1")},
              log{host.log()},
              name{std::move(job)},
              component{"job-" + name},
              body{std::move(work)},
              degraded_after{std::max<std::uint32_t>(chosen.degraded_after, 1)},
              own_thread{chosen.own_thread},
              pace{interval, seeded(chosen, host, name)},
              first_ns{
                  chosen.first_after.count() < 0 ? pace.wait_ns(0) : chosen.first_after.count()} {}

        static const JobOptions&
        seeded(JobOptions& options, const Host& host, const std::string& name) {
            if (options.seed == 0) {
                const auto clock = host.service<tenon_clock_1>("tenon.clock/1");
                options.seed = std::hash<std::string>{}(name) ^
                               static_cast<std::uint64_t>(clock->now_real_ns(clock.self));
            }
            return options;
        }

        // On the reactor.
        void arm(std::int64_t wait_ns) {
            timer = exec->timer(
                exec.self,
                exec->turn_now_ns(exec.self) + wait_ns,
                [](void* self) noexcept {
                    auto& state = *static_cast<State*>(self);
                    state.timer = 0;
                    state.tick();
                },
                this
            );
        }

        // On the reactor. The next tick is set before the run begins, so that no message from the
        // pool is needed, which a full queue could lose.
        void tick() noexcept {
            if (running.load(std::memory_order_acquire)) {
                arm(pace.wait_ns(0));
                return;
            }
            const std::int64_t since_ns = exec->turn_now_ns(exec.self) - begun_ns;
            const std::int64_t wait_ns = pace.wait_ns(failures.load());
            if (failures.load() != seen_failures && since_ns < wait_ns) {
                seen_failures = failures.load();  // it has failed since: wait for the rest
                arm(wait_ns - since_ns);
                return;
            }
            seen_failures = failures.load();
            begun_ns = exec->turn_now_ns(exec.self);
            arm(wait_ns);
            in_flight.enter();
            running.store(true, std::memory_order_relaxed);
            const tenon_status begun = guard(nullptr, [this] { hand_over(); });
            if (begun != TENON_OK) {
                running.store(false, std::memory_order_relaxed);
                in_flight.leave();
                log.warn("job_not_run", {{"job", name}, {"reason", "the blocking pool is full"}});
            }
        }

        void hand_over() {
            if (!own_thread) {
                run_blocking(exec, [this] { run(); });
                return;
            }
            {
                const std::lock_guard lock{mutex};
                is_due = true;
            }
            wake.notify_one();
        }

        // The body of the own thread.
        void work() noexcept {
            std::unique_lock lock{mutex};
            for (;;) {
                wake.wait(lock, [this] { return is_due || is_over; });
                if (is_over) {
                    return;
                }
                is_due = false;
                lock.unlock();
                run();
                lock.lock();
            }
        }

        void end_thread() noexcept {
            if (thread.joinable()) {
                {
                    const std::lock_guard lock{mutex};
                    is_over = true;
                }
                wake.notify_one();
                thread.join();
            }
        }

        // On the pool, or the own thread.
        void run() noexcept {
            ErrorBuffer err;
            const tenon_status status = guard(&err, [this] { body(); });
            (void)guard(nullptr, [&] { conclude(status, err); });
            runs.fetch_add(1);
            running.store(false, std::memory_order_release);
            in_flight.leave();
        }

        void conclude(tenon_status status, const ErrorBuffer& err) {
            if (status == TENON_OK) {
                if (failures.exchange(0) >= degraded_after) {
                    health->set(health.self, str(component), TENON_HEALTHY, str(""));
                }
                return;
            }
            const std::uint32_t in_a_row = failures.fetch_add(1) + 1;
            log.warn(
                "job_failed", {{"job", name}, {"reason", err.message()}, {"in_a_row", in_a_row}}
            );
            if (in_a_row >= degraded_after) {
                health->set(health.self, str(component), TENON_DEGRADED, str(err.message()));
            }
        }

        Service<tenon_exec_1> exec;
        Service<tenon_health_1> health;
        Log log;
        std::string name, component;
        std::function<void()> body;
        std::uint32_t degraded_after;
        bool own_thread;
        std::atomic<std::uint64_t> runs{0};
        std::atomic<std::uint32_t> failures{0};
        std::atomic<bool> running{false};
        InFlight in_flight;
        std::thread thread;
        std::mutex mutex;
        std::condition_variable wake;
        bool is_due = false, is_over = false;  // guarded by mutex
        // The reactor's from here on.
        JobPace pace;
        std::int64_t first_ns;
        std::int64_t begun_ns = 0;
        std::uint32_t seen_failures = 0;
        std::uint64_t timer = 0;
    };

    std::unique_ptr<State> state_;
};

// [control] Begins a repeating job. Keep what it returns; it is the job.
[[nodiscard]] inline BackgroundJob every(
    const Host& host,
    std::string name,
    std::chrono::nanoseconds interval,
    std::function<void()> body,
    JobOptions options = {}
) {
    return {host, std::move(name), interval, std::move(body), std::move(options)};
}

}  // namespace tenon
