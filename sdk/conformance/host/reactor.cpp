// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/host/reactor.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <future>
#include <pthread.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

namespace tenon::conformance {
namespace {

thread_local bool t_on_pool = false;

std::uint32_t to_epoll(std::uint32_t events) {
    return ((events & TENON_FD_READ) != 0 ? std::uint32_t{EPOLLIN} : 0U) |
           ((events & TENON_FD_WRITE) != 0 ? std::uint32_t{EPOLLOUT} : 0U);
}

std::uint32_t from_epoll(std::uint32_t events) {
    return ((events & EPOLLIN) != 0 ? TENON_FD_READ : 0U) |
           ((events & EPOLLOUT) != 0 ? TENON_FD_WRITE : 0U) |
           ((events & (EPOLLERR | EPOLLHUP)) != 0 ? TENON_FD_ERROR : 0U);
}

void run(const Reactor::Task& task) {
    const PluginScope scope;
    task.fn(task.ctx);
}

}  // namespace

Reactor::Reactor(Mode mode)
    : mode_{mode},
      epoll_{epoll_create1(EPOLL_CLOEXEC)},
      wake_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 0;
    if (epoll_ < 0 || wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
        throw std::runtime_error{"no epoll for the reactor"};
    }
    turn_now_ns_ = now_ns();
    reactor_thread_ = std::this_thread::get_id();
    for (std::thread& thread : pool_) {
        thread = std::thread{[this] { run_pool(); }};
        (void)pthread_setname_np(thread.native_handle(), "kit-pool");
    }
    if (mode == Mode::threaded) {
        std::promise<void> started;
        thread_ = std::thread{[this, &started] {
            reactor_thread_ = std::this_thread::get_id();
            started.set_value();
            while (running_) {
                run_turn(1000);
            }
        }};
        (void)pthread_setname_np(thread_.native_handle(), "kit-reactor");
        started.get_future().wait();
    }
}

Reactor::~Reactor() {
    {
        const std::lock_guard lock{mutex_};
        running_ = false;
    }
    wake();
    if (thread_.joinable()) {
        thread_.join();
    }
    pool_wake_.notify_all();
    for (std::thread& thread : pool_) {
        thread.join();
    }
    close(wake_);
    close(epoll_);
}

void Reactor::turn(int wait_ms) {
    if (mode_ != Mode::manual) {
        throw std::logic_error{"the reactor turns by itself"};
    }
    run_turn(wait_ms);
}

void Reactor::advance(std::int64_t duration_ns) {
    offset_ns_ += duration_ns;
    wake();
}

std::int64_t Reactor::now_ns() const {
    return std::chrono::steady_clock::now().time_since_epoch().count() + offset_ns_;
}

bool Reactor::on_reactor() const {
    return std::this_thread::get_id() == reactor_thread_;
}

bool Reactor::on_pool() noexcept {
    return t_on_pool;
}

void Reactor::run_turn(int wait_ms) {
    run_events(wait_ms);
    run_posted();
    run_timers();
    run_hooks();
}

void Reactor::run_events(int wait_ms) {
    if (!timers_.empty()) {
        const std::int64_t left_ms = (timers_.begin()->first.first - now_ns()) / 1'000'000 + 1;
        wait_ms = static_cast<int>(std::clamp<std::int64_t>(left_ms, 0, wait_ms));
    }
    std::array<epoll_event, 256> events{};
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
    turn_now_ns_ = now_ns();
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        const std::uint64_t handle = event.data.u64;  // by value: the struct is packed
        if (handle == 0) {
            std::uint64_t ignored = 0;
            (void)!read(wake_, &ignored, sizeof ignored);
            continue;
        }
        const auto found = watches_.find(handle);
        if (found != watches_.end()) {
            const Watch watch = found->second;
            const PluginScope scope;
            watch.fn(watch.ctx, from_epoll(event.events));
        }
    }
}

void Reactor::run_posted() {
    std::deque<Task> tasks;
    {
        const std::lock_guard lock{mutex_};
        tasks.swap(posted_);
    }
    for (const Task& task : tasks) {
        run(task);
        --task.account->posts;
    }
}

// A timer set in this turn waits for the next one, as in tenond: one without a delay that sets
// itself again must not hold the reactor.
void Reactor::run_timers() {
    const std::uint64_t made_in_this_turn = next_handle_;
    while (!timers_.empty()) {
        const auto first = timers_.begin();
        if (first->first.first > turn_now_ns_ || first->first.second >= made_in_this_turn) {
            return;
        }
        const Task task = first->second;
        timers_.erase(first);
        --task.account->timers;
        run(task);
    }
}

// A hook may remove itself and others: each is looked up again before its turn.
void Reactor::run_hooks() {
    std::vector<std::uint64_t> handles;
    handles.reserve(hooks_.size());
    for (const auto& [phase, hook] : hooks_) {
        handles.push_back(hook.handle);
    }
    for (const std::uint64_t handle : handles) {
        const auto found = std::find_if(hooks_.begin(), hooks_.end(), [handle](const auto& entry) {
            return entry.second.handle == handle;
        });
        if (found != hooks_.end()) {
            const Task task = found->second.task;
            run(task);
        }
    }
}

void Reactor::run_pool() {
    t_on_pool = true;
    std::unique_lock lock{mutex_};
    while (running_ || !blocking_.empty()) {
        if (blocking_.empty()) {
            pool_wake_.wait(lock);
            continue;
        }
        const Task task = blocking_.front();
        blocking_.pop_front();
        lock.unlock();
        run(task);
        --task.account->blocking;
        lock.lock();
    }
}

void Reactor::wake() {
    const std::uint64_t one = 1;
    (void)!write(wake_, &one, sizeof one);
}

void Reactor::post(Task task) {
    ++task.account->posts;
    {
        const std::lock_guard lock{mutex_};
        posted_.push_back(task);
    }
    wake();
}

void Reactor::run_blocking(Task task) {
    ++task.account->blocking;
    {
        const std::lock_guard lock{mutex_};
        blocking_.push_back(task);
    }
    pool_wake_.notify_one();
}

void Reactor::call(Task task) {
    if (mode_ == Mode::manual || on_reactor()) {
        run(task);
        return;
    }

    struct Call {
        Task task;
        std::promise<void> finished;
    } call{task, {}};

    const auto run_call = [](void* ctx) {
        auto& mine = *static_cast<Call*>(ctx);
        mine.task.fn(mine.task.ctx);
        mine.finished.set_value();
    };
    auto finished = call.finished.get_future();
    post({task.account, run_call, &call});
    finished.wait();
}

tenon_status Reactor::watch(Watch watch, std::uint32_t events, std::uint64_t* handle) {
    const std::uint64_t made = next_handle_++;
    epoll_event event{};
    event.events = to_epoll(events);
    event.data.u64 = made;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, watch.fd, &event) != 0) {
        return TENON_INVALID;
    }
    watches_.emplace(made, watch);
    ++watch.account->watches;
    *handle = made;
    return TENON_OK;
}

tenon_status Reactor::rewatch(std::uint64_t handle, std::uint32_t events) {
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

bool Reactor::unwatch(std::uint64_t handle) {
    const auto found = watches_.find(handle);
    if (found == watches_.end()) {
        return false;
    }
    epoll_ctl(epoll_, EPOLL_CTL_DEL, found->second.fd, nullptr);
    --found->second.account->watches;
    watches_.erase(found);
    return true;
}

std::uint64_t Reactor::timer(std::int64_t deadline_ns, Task task) {
    const std::uint64_t id = next_handle_++;
    timers_.emplace(std::pair{deadline_ns, id}, task);
    ++task.account->timers;
    return id;
}

void Reactor::cancel_timer(std::uint64_t id) {
    const auto found = std::find_if(timers_.begin(), timers_.end(), [id](const auto& entry) {
        return entry.first.second == id;
    });
    if (found != timers_.end()) {
        --found->second.account->timers;
        timers_.erase(found);
    }
}

std::uint64_t Reactor::at_turn_end(std::int32_t phase, Task task) {
    const std::uint64_t handle = next_handle_++;
    hooks_.emplace(phase, Hook{handle, task});
    ++task.account->hooks;
    return handle;
}

bool Reactor::remove_turn_hook(std::uint64_t handle) {
    const auto found = std::find_if(hooks_.begin(), hooks_.end(), [handle](const auto& entry) {
        return entry.second.handle == handle;
    });
    if (found == hooks_.end()) {
        return false;
    }
    --found->second.task.account->hooks;
    hooks_.erase(found);
    return true;
}

}  // namespace tenon::conformance
