// SPDX-License-Identifier: Apache-2.0
// tenon.exec/1 and tenon.clock/1 of a simulation: one thread, time by hand, no waiting.
//
// What was posted, timers that are due and blocking jobs run when the simulation says so, so that a
// job can be held for as long as a seed wants. The pool refuses jobs on request. No descriptors and
// no turn hooks.
#pragma once

#include <tenon/plugin.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>

namespace tenon::test {

class SimulatedExec {
public:
    std::int64_t now_ns = 1'000'000'000;
    bool refuse_jobs = false;

    [[nodiscard]] Service<tenon_exec_1> exec() noexcept { return {this, &k_exec}; }

    [[nodiscard]] Service<tenon_clock_1> clock() noexcept { return {this, &k_clock}; }

    // What was posted, and the timers that are due.
    void turn() {
        for (auto tasks = std::exchange(posted_, {}); const Task& task : tasks) {
            task.fn(task.ctx);
        }
        while (!timers_.empty() && timers_.begin()->first.first <= now_ns) {
            const Task task = timers_.begin()->second;
            timers_.erase(timers_.begin());
            task.fn(task.ctx);
        }
    }

    void run_jobs() {
        for (auto tasks = std::exchange(blocking_, {}); const Task& task : tasks) {
            task.fn(task.ctx);
        }
    }

    // To the next timer, when there is one.
    void skip() {
        if (!timers_.empty()) {
            now_ns = std::max(now_ns, timers_.begin()->first.first);
        }
    }

    // Until only timers are left.
    void settle() {
        while (!posted_.empty() || !blocking_.empty()) {
            run_jobs();
            for (auto tasks = std::exchange(posted_, {}); const Task& task : tasks) {
                task.fn(task.ctx);
            }
        }
    }

private:
    struct Task {
        tenon_fn fn;
        void* ctx;
    };

    static SimulatedExec& of(void* self) noexcept { return *static_cast<SimulatedExec*>(self); }

    static const tenon_clock_1 k_clock;
    static const tenon_exec_1 k_exec;

    std::deque<Task> posted_, blocking_;
    std::map<std::pair<std::int64_t, std::uint64_t>, Task> timers_;
    std::uint64_t last_timer_ = 0;
};

inline const tenon_clock_1 SimulatedExec::k_clock{
    sizeof(tenon_clock_1),
    0,
    [](void* self) -> std::int64_t { return of(self).now_ns; },
    [](void* self) -> std::int64_t { return of(self).now_ns; },
};

inline const tenon_exec_1 SimulatedExec::k_exec{
    sizeof(tenon_exec_1),
    0,
    [](void*) -> std::uint32_t { return 1; },
    [](void*) -> std::int32_t { return 0; },
    [](void* self, std::uint32_t, tenon_fn fn, void* ctx) -> tenon_status {
        of(self).posted_.push_back({fn, ctx});
        return TENON_OK;
    },
    nullptr,
    nullptr,
    nullptr,
    [](void* self, std::int64_t deadline_ns, tenon_fn fn, void* ctx) -> std::uint64_t {
        const std::uint64_t id = ++of(self).last_timer_;
        of(self).timers_.emplace(std::pair{deadline_ns, id}, Task{fn, ctx});
        return id;
    },
    [](void* self, std::uint64_t id) {
        std::erase_if(of(self).timers_, [id](const auto& entry) {
            return entry.first.second == id;
        });
    },
    nullptr,
    nullptr,
    [](void* self) -> std::int64_t { return of(self).now_ns; },
    [](void* self, tenon_fn fn, void* ctx) -> tenon_status {
        if (of(self).refuse_jobs) {
            return TENON_UNAVAILABLE;
        }
        of(self).blocking_.push_back({fn, ctx});
        return TENON_OK;
    },
    [](void*, std::uint32_t, tenon_fn fn, void* ctx) -> tenon_status {
        fn(ctx);
        return TENON_OK;
    },
};

}  // namespace tenon::test
