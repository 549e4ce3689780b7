// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_reactor.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <future>
#include <iterator>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

namespace tenon::test {
namespace {

std::uint32_t to_epoll(std::uint32_t events) {
    return ((events & TENON_FD_READ) != 0 ? std::uint32_t{EPOLLIN} : 0U) |
           ((events & TENON_FD_WRITE) != 0 ? std::uint32_t{EPOLLOUT} : 0U);
}

std::uint32_t from_epoll(std::uint32_t events) {
    return ((events & EPOLLIN) != 0 ? TENON_FD_READ : 0U) |
           ((events & EPOLLOUT) != 0 ? TENON_FD_WRITE : 0U) |
           ((events & (EPOLLERR | EPOLLHUP)) != 0 ? TENON_FD_ERROR : 0U);
}

}  // namespace

const tenon_exec_1 FakeReactor::k_table{
    sizeof(tenon_exec_1),
    0,
    [](void*) -> std::uint32_t { return 1; },
    [](void* self) -> std::int32_t { return of(self).on_reactor() ? 0 : -1; },
    [](void* self, std::uint32_t reactor, tenon_fn fn, void* ctx) -> tenon_status {
        if (reactor != 0) {
            return TENON_INVALID;
        }
        of(self).post_task({fn, ctx});
        return TENON_OK;
    },
    [](void* self,
       std::int32_t fd,
       std::uint32_t events,
       tenon_fd_fn fn,
       void* ctx,
       std::uint64_t* handle) -> tenon_status {
        return of(self).watch(fd, events, {fd, fn, ctx}, handle);
    },
    [](void* self, std::uint64_t handle, std::uint32_t events) -> tenon_status {
        return of(self).rewatch(handle, events);
    },
    [](void* self, std::uint64_t handle) {
        const auto found = of(self).watches_.find(handle);
        if (found != of(self).watches_.end()) {
            epoll_ctl(of(self).epoll_, EPOLL_CTL_DEL, found->second.fd, nullptr);
            of(self).watches_.erase(found);
        }
    },
    [](void* self, std::int64_t deadline_ns, tenon_fn fn, void* ctx) -> std::uint64_t {
        const std::uint64_t id = of(self).next_handle_++;
        of(self).timers_.emplace(std::pair{deadline_ns, id}, Task{fn, ctx});
        return id;
    },
    [](void* self, std::uint64_t id) {
        std::erase_if(of(self).timers_, [id](const auto& entry) {
            return entry.first.second == id;
        });
    },
    [](void* self, std::int32_t phase, tenon_fn fn, void* ctx) -> std::uint64_t {
        const std::uint64_t handle = of(self).next_handle_++;
        of(self).hooks_.emplace(phase, Hook{handle, {fn, ctx}});
        return handle;
    },
    [](void* self, std::uint64_t handle) {
        std::erase_if(of(self).hooks_, [handle](const auto& entry) {
            return entry.second.handle == handle;
        });
    },
    [](void* self) -> std::int64_t { return of(self).turn_now_ns_; },
    [](void* self, tenon_fn fn, void* ctx) -> tenon_status {
        {
            const std::lock_guard lock{of(self).mutex_};
            of(self).blocking_.push_back({fn, ctx});
        }
        of(self).pool_wake_.notify_one();
        return TENON_OK;
    },
    [](void* self, std::uint32_t reactor, tenon_fn fn, void* ctx) -> tenon_status {
        if (reactor != 0) {
            return TENON_INVALID;
        }
        of(self).call_task({fn, ctx});
        return TENON_OK;
    },
};

FakeReactor::FakeReactor(Mode mode)
    : mode_{mode},
      epoll_{epoll_create1(EPOLL_CLOEXEC)},
      wake_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 0;
    if (epoll_ < 0 || wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
        throw std::runtime_error{"no epoll for the fake reactor"};
    }
    turn_now_ns_ = now_ns();
    reactor_thread_ = std::this_thread::get_id();
    pool_ = std::thread{[this] { run_pool(); }};
    if (mode == Mode::threaded) {
        std::promise<void> started;
        thread_ = std::thread{[this, &started] {
            reactor_thread_ = std::this_thread::get_id();
            started.set_value();
            while (running_) {
                run_turn(1000);
            }
        }};
        started.get_future().wait();
    }
}

FakeReactor::~FakeReactor() {
    running_ = false;
    wake();
    if (thread_.joinable()) {
        thread_.join();
    }
    pool_wake_.notify_all();
    pool_.join();
    close(wake_);
    close(epoll_);
}

void FakeReactor::turn(int wait_ms) {
    if (mode_ != Mode::manual) {
        throw std::logic_error{"the reactor turns by itself"};
    }
    run_turn(wait_ms);
}

void FakeReactor::advance(std::int64_t duration_ns) {
    offset_ns_ += duration_ns;
    wake();
}

std::int64_t FakeReactor::now_ns() const {
    return std::chrono::steady_clock::now().time_since_epoch().count() + offset_ns_;
}

tenon_iface FakeReactor::iface() noexcept {
    return {this, &k_table};
}

bool FakeReactor::on_reactor() const {
    return std::this_thread::get_id() == reactor_thread_;
}

void FakeReactor::run_turn(int wait_ms) {
    run_events(wait_ms);
    run_posted();
    run_timers();
    std::vector<Task> due;
    std::transform(hooks_.begin(), hooks_.end(), std::back_inserter(due), [](const auto& entry) {
        return entry.second.task;
    });
    for (const Task& task : due) {
        task.fn(task.ctx);
    }
}

void FakeReactor::run_events(int wait_ms) {
    if (!timers_.empty()) {
        const std::int64_t left_ms = (timers_.begin()->first.first - now_ns()) / 1'000'000 + 1;
        wait_ms = static_cast<int>(std::clamp<std::int64_t>(left_ms, 0, wait_ms));
    }
    std::array<epoll_event, 256> events{};
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
    turn_now_ns_ = now_ns();
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.u64 == 0) {
            std::uint64_t ignored = 0;
            (void)!read(wake_, &ignored, sizeof ignored);
            continue;
        }
        const auto found = watches_.find(event.data.u64);
        if (found != watches_.end()) {
            const Watch watch = found->second;
            watch.fn(watch.ctx, from_epoll(event.events));
        }
    }
}

void FakeReactor::run_posted() {
    std::deque<Task> tasks;
    {
        const std::lock_guard lock{mutex_};
        tasks.swap(posted_);
    }
    for (const Task& task : tasks) {
        task.fn(task.ctx);
    }
}

// A timer set in this turn waits for the next one, as in tenond.
void FakeReactor::run_timers() {
    const std::uint64_t made_in_this_turn = next_handle_;
    while (!timers_.empty()) {
        const auto first = timers_.begin();
        if (first->first.first > turn_now_ns_ || first->first.second >= made_in_this_turn) {
            return;
        }
        const Task task = first->second;
        timers_.erase(first);
        task.fn(task.ctx);
    }
}

void FakeReactor::run_pool() {
    std::unique_lock lock{mutex_};
    while (running_ || !blocking_.empty()) {
        if (blocking_.empty()) {
            pool_wake_.wait_for(lock, std::chrono::milliseconds{50});
            continue;
        }
        const Task task = blocking_.front();
        blocking_.pop_front();
        lock.unlock();
        task.fn(task.ctx);
        lock.lock();
    }
}

void FakeReactor::wake() {
    const std::uint64_t one = 1;
    (void)!write(wake_, &one, sizeof one);
}

void FakeReactor::post_task(Task task) {
    {
        const std::lock_guard lock{mutex_};
        posted_.push_back(task);
    }
    wake();
}

void FakeReactor::call_task(Task task) {
    if (mode_ == Mode::manual || on_reactor()) {
        task.fn(task.ctx);
        return;
    }

    struct Call {
        Task task;
        std::promise<void> finished;
    } call{task, {}};

    const auto run = [](void* ctx) {
        auto& mine = *static_cast<Call*>(ctx);
        mine.task.fn(mine.task.ctx);
        mine.finished.set_value();
    };
    auto finished = call.finished.get_future();
    post_task({run, &call});
    finished.wait();
}

tenon_status
FakeReactor::watch(std::int32_t fd, std::uint32_t events, Watch watch, std::uint64_t* handle) {
    *handle = next_handle_++;
    epoll_event event{};
    event.events = to_epoll(events);
    event.data.u64 = *handle;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
        return TENON_INVALID;
    }
    watches_.emplace(*handle, watch);
    return TENON_OK;
}

tenon_status FakeReactor::rewatch(std::uint64_t handle, std::uint32_t events) {
    const auto found = watches_.find(handle);
    if (found == watches_.end()) {
        return TENON_NOT_FOUND;
    }
    epoll_event event{};
    event.events = to_epoll(events);
    event.data.u64 = handle;
    return epoll_ctl(epoll_, EPOLL_CTL_MOD, found->second.fd, &event) == 0 ? TENON_OK
                                                                           : TENON_INTERNAL;
}

}  // namespace tenon::test
