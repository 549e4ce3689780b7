// SPDX-License-Identifier: Apache-2.0
// One reactor over epoll, in a thread of its own or turned by hand, and a blocking pool of two
// threads: what the kit's host builds tenon.exec/1 on.
//
// The clock is the system's monotonic one plus what advance() added, so that checks of timeouts
// need not wait. The queues have no bound. What is marked [reactor] checks nothing: the host does.
#pragma once

#include "sdk/conformance/host/account.hpp"

#include <tenon/abi/host.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

namespace tenon::conformance {

class Reactor {
public:
    enum class Mode { threaded, manual };

    // A callback and the one who pays for it.
    struct Task {
        Account* account;
        tenon_fn fn;
        void* ctx;
    };

    struct Watch {
        Account* account;
        int fd;
        tenon_fd_fn fn;
        void* ctx;
    };

    explicit Reactor(Mode mode);
    ~Reactor();
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    // One turn on the calling thread; mode manual only. Waits at most wait_ms for an event.
    void turn(int wait_ms = 0);
    // Moves the clock; timers that become due fire on the reactor.
    void advance(std::int64_t duration_ns);
    [[nodiscard]] std::int64_t now_ns() const;

    [[nodiscard]] Mode mode() const noexcept { return mode_; }

    [[nodiscard]] bool on_reactor() const;
    [[nodiscard]] static bool on_pool() noexcept;

    // [any]
    void post(Task task);
    void run_blocking(Task task);
    // Not on the reactor in mode threaded, where it waits until the task ran.
    void call(Task task);

    // [reactor]
    tenon_status watch(Watch watch, std::uint32_t events, std::uint64_t* handle);
    tenon_status rewatch(std::uint64_t handle, std::uint32_t events);
    bool unwatch(std::uint64_t handle);
    std::uint64_t timer(std::int64_t deadline_ns, Task task);
    void cancel_timer(std::uint64_t id);
    std::uint64_t at_turn_end(std::int32_t phase, Task task);
    bool remove_turn_hook(std::uint64_t handle);

    [[nodiscard]] std::int64_t turn_now_ns() const noexcept { return turn_now_ns_; }

private:
    struct Hook {
        std::uint64_t handle;
        Task task;
    };

    void run_turn(int wait_ms);
    void run_events(int wait_ms);
    void run_posted();
    void run_timers();
    void run_hooks();
    void run_pool();
    void wake();

    const Mode mode_;
    int epoll_;
    int wake_;
    std::atomic<std::int64_t> offset_ns_{0};
    std::atomic<bool> running_{true};
    std::int64_t turn_now_ns_ = 0;
    std::uint64_t next_handle_ = 1;
    std::unordered_map<std::uint64_t, Watch> watches_;
    std::map<std::pair<std::int64_t, std::uint64_t>, Task> timers_;
    std::multimap<std::int32_t, Hook> hooks_;
    std::mutex mutex_;  // of what is below
    std::condition_variable pool_wake_;
    std::deque<Task> posted_;
    std::deque<Task> blocking_;
    std::thread::id reactor_thread_;
    std::array<std::thread, 2> pool_;
    std::thread thread_;
};

}  // namespace tenon::conformance
