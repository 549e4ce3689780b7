// SPDX-License-Identifier: Apache-2.0
// tenon.exec/1 in miniature: one reactor over epoll, in a thread of its own or turned by hand.
//
// The clock is the system's monotonic one plus what advance() added, so that tests of timeouts need
// not wait. There is no bound on the queues. The blocking pool is one thread.
#pragma once

#include <tenon/abi/host.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

namespace tenon::test {

class FakeReactor {
public:
    enum class Mode { threaded, manual };

    explicit FakeReactor(Mode mode);
    ~FakeReactor();
    FakeReactor(const FakeReactor&) = delete;
    FakeReactor& operator=(const FakeReactor&) = delete;

    // One turn on the calling thread; mode manual only. Waits at most wait_ms for an event.
    void turn(int wait_ms = 0);
    void advance(std::int64_t duration_ns);
    [[nodiscard]] std::int64_t now_ns() const;
    [[nodiscard]] tenon_iface iface() noexcept;

private:
    struct Watch {
        int fd;
        tenon_fd_fn fn;
        void* ctx;
    };

    struct Task {
        tenon_fn fn;
        void* ctx;
    };

    struct Hook {
        std::uint64_t handle;
        Task task;
    };

    static FakeReactor& of(void* self) noexcept { return *static_cast<FakeReactor*>(self); }

    static const tenon_exec_1 k_table;
    [[nodiscard]] bool on_reactor() const;
    void run_turn(int wait_ms);
    void run_events(int wait_ms);
    void run_posted();
    void run_timers();
    void run_pool();
    void wake();
    void post_task(Task task);
    void call_task(Task task);
    tenon_status watch(std::int32_t fd, std::uint32_t events, Watch watch, std::uint64_t* handle);
    tenon_status rewatch(std::uint64_t handle, std::uint32_t events);

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
    std::thread pool_;
    std::thread thread_;
};

}  // namespace tenon::test
