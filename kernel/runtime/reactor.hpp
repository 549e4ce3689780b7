// SPDX-License-Identifier: Apache-2.0
// One thread, one epoll set. A turn: wait, callbacks of what is ready, what was posted, due timers,
// turn hooks by phase. See sdk/include/tenon/abi/host.h (tenon.exec/1) for the contract.
//
// post() may be called from any thread; everything else by the reactor's own thread alone.
// Callbacks do not throw.
#pragma once

#include "kernel/runtime/owner.hpp"

#include <tenon/abi/host.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <sys/epoll.h>
#include <thread>
#include <unordered_map>
#include <vector>

namespace tenon::runtime {

class Reactor {
public:
    static constexpr std::size_t k_max_posted = 65536;

    Reactor(std::uint32_t index, std::uint32_t spin_us);
    ~Reactor();
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    void start();
    // Runs what was posted before, then ends the thread. Later posts are refused. Not on the
    // reactor.
    void stop();

    // The reactor of the calling thread, or nullptr.
    [[nodiscard]] static Reactor* current() noexcept;

    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }

    // False when the queue is full or the reactor has stopped.
    [[nodiscard]] bool post(tenon_fn fn, void* ctx);

    [[nodiscard]] tenon_status
    watch(int fd, std::uint32_t events, tenon_fd_fn fn, void* ctx, std::uint64_t* handle);
    [[nodiscard]] tenon_status rewatch(std::uint64_t handle, std::uint32_t events);
    void unwatch(std::uint64_t handle);
    [[nodiscard]] std::uint64_t timer(std::int64_t deadline_ns, tenon_fn fn, void* ctx);
    void cancel_timer(std::uint64_t id);
    [[nodiscard]] std::uint64_t at_turn_end(std::int32_t phase, tenon_fn fn, void* ctx);
    void remove_turn_hook(std::uint64_t handle);

    [[nodiscard]] std::int64_t turn_now_ns() const noexcept { return now_ns_; }

private:
    struct Watch {
        int fd = -1;
        std::uint32_t generation = 0;
        std::uint32_t events = 0;
        tenon_fd_fn fn = nullptr;
        void* ctx = nullptr;
        const Owner* owner = nullptr;
    };

    struct Hook {
        std::uint64_t handle;
        std::int32_t phase;
        Task task;  // fn is null once removed
    };

    using TimerKey = std::pair<std::int64_t, std::uint64_t>;  // deadline, id

    void run();
    [[nodiscard]] int wait();
    [[nodiscard]] int timeout_ms() const;
    void dispatch(int count);
    void run_posted();
    void run_timers();
    void run_hooks();
    [[nodiscard]] Watch* find(std::uint64_t handle);
    [[nodiscard]] tenon_status control(int operation, const Watch& watch, std::uint64_t handle);
    void wake() noexcept;

    const std::uint32_t index_;
    const std::int64_t spin_ns_;
    int epoll_ = -1;
    int wake_ = -1;
    std::thread thread_;
    std::int64_t now_ns_ = 0;

    std::mutex mutex_;
    std::vector<Task> posted_;  // guarded by mutex_
    bool closed_ = false;       // guarded by mutex_
    std::atomic<bool> stopping_{false};
    std::atomic<bool> pending_{false};  // something was posted since the last look

    std::array<epoll_event, 256> events_{};
    std::vector<Task> running_;
    std::vector<Watch> watches_;
    std::vector<std::uint32_t> free_watches_;
    std::map<TimerKey, Task> timers_;
    std::unordered_map<std::uint64_t, std::int64_t> timer_deadlines_;
    std::uint64_t next_id_ = 1;
    std::vector<Hook> hooks_;
    bool hooks_dirty_ = false;
};

}  // namespace tenon::runtime
