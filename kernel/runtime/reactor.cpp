// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/reactor.hpp"

#include "kernel/runtime/clock.hpp"
#include "kernel/runtime/crash.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace tenon::runtime {

namespace {

thread_local Reactor* t_current = nullptr;

constexpr std::uint64_t k_wake_tag = std::numeric_limits<std::uint64_t>::max();
constexpr std::int64_t k_ms = 1'000'000;

std::uint32_t to_epoll(std::uint32_t events) {
    return ((events & TENON_FD_READ) != 0 ? std::uint32_t{EPOLLIN} : 0U) |
           ((events & TENON_FD_WRITE) != 0 ? std::uint32_t{EPOLLOUT} : 0U);
}

std::uint32_t from_epoll(std::uint32_t events) {
    return ((events & EPOLLIN) != 0 ? TENON_FD_READ : 0U) |
           ((events & EPOLLOUT) != 0 ? TENON_FD_WRITE : 0U) |
           ((events & (EPOLLERR | EPOLLHUP)) != 0 ? TENON_FD_ERROR : 0U);
}

std::uint64_t handle_of(std::uint32_t generation, std::size_t slot) {
    return (std::uint64_t{generation} << 32U) | (static_cast<std::uint64_t>(slot) + 1);
}

}  // namespace

Reactor::Reactor(std::uint32_t index, std::uint32_t spin_us)
    : index_{index}, spin_ns_{std::int64_t{spin_us} * 1000} {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = k_wake_tag;
    if (epoll_ < 0 || wake_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
        const std::string reason = std::strerror(errno);
        ::close(epoll_);
        ::close(wake_);
        throw Error{TENON_UNAVAILABLE, "epoll: " + reason};
    }
    now_ns_ = monotonic_ns();
}

Reactor::~Reactor() {
    stop();
    ::close(wake_);
    ::close(epoll_);
}

Reactor* Reactor::current() noexcept {
    return t_current;
}

void Reactor::start() {
    thread_ = std::thread{[this] { run(); }};
}

void Reactor::stop() {
    if (thread_.joinable()) {
        stopping_.store(true, std::memory_order_release);
        wake();
        thread_.join();
    }
}

void Reactor::wake() noexcept {
    const std::uint64_t one = 1;
    // A full counter means that the wake is on its way already.
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

bool Reactor::post(tenon_fn fn, void* ctx) {
    {
        const std::lock_guard lock{mutex_};
        if (closed_ || posted_.size() >= k_max_posted) {
            return false;
        }
        posted_.push_back({fn, ctx});
    }
    if (!pending_.exchange(true, std::memory_order_acq_rel) && t_current != this) {
        wake();
    }
    return true;
}

void Reactor::run() {
    give_crash_stack();
    t_current = this;
    while (!stopping_.load(std::memory_order_acquire)) {
        const int ready = wait();
        now_ns_ = monotonic_ns();
        dispatch(ready);
        run_posted();
        run_timers();
        run_hooks();
    }
    run_posted();
    {
        const std::lock_guard lock{mutex_};
        closed_ = true;
    }
    run_posted();  // what came in between
    run_hooks();
    t_current = nullptr;
}

int Reactor::timeout_ms() const {
    if (pending_.load(std::memory_order_acquire)) {
        return 0;
    }
    if (timers_.empty()) {
        return -1;
    }
    const std::int64_t left = timers_.begin()->first.first - monotonic_ns();
    if (left <= 0) {
        return 0;
    }
    return static_cast<int>(std::min<std::int64_t>((left + k_ms - 1) / k_ms, 3'600'000));
}

int Reactor::wait() {
    const auto poll = [this](int timeout) {
        return ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), timeout);
    };
    if (spin_ns_ > 0 && timeout_ms() != 0) {
        const std::int64_t until = monotonic_ns() + spin_ns_;
        do {
            const int ready = poll(0);
            if (ready != 0 || timeout_ms() == 0) {
                return ready;
            }
        } while (monotonic_ns() < until);
    }
    return poll(timeout_ms());
}

void Reactor::dispatch(int count) {
    for (int i = 0; i < count; ++i) {  // count is -1 after a signal
        const epoll_event& event = events_[static_cast<std::size_t>(i)];
        if (event.data.u64 == k_wake_tag) {
            std::uint64_t drained = 0;
            [[maybe_unused]] const auto got = ::read(wake_, &drained, sizeof drained);
            continue;
        }
        // Gone, or its slot was given to another fd, when an earlier callback removed it.
        if (const Watch* watch = find(event.data.u64); watch != nullptr) {
            if (watch->owner == nullptr || !watch->owner->fenced.load(std::memory_order_relaxed)) {
                const CallScope scope{watch->owner, "a socket's callback"};
                watch->fn(watch->ctx, from_epoll(event.events));
            } else {
                unwatch(event.data.u64);  // level-triggered: it would be ready for ever
            }
        }
    }
}

void Reactor::run_posted() {
    pending_.store(false, std::memory_order_release);
    {
        const std::lock_guard lock{mutex_};
        running_.swap(posted_);
    }
    for (const Task& task : running_) {
        task.run("a posted callback");
    }
    running_.clear();
}

void Reactor::run_timers() {
    const std::uint64_t made_in_this_turn = next_id_;
    while (!timers_.empty()) {
        const auto first = timers_.begin();
        const auto [deadline, id] = first->first;
        if (deadline > now_ns_ || id >= made_in_this_turn) {
            return;
        }
        const Task task = first->second;
        timer_deadlines_.erase(id);
        timers_.erase(first);
        task.run("a timer");
    }
}

void Reactor::run_hooks() {
    if (hooks_dirty_) {
        hooks_dirty_ = false;
        std::erase_if(hooks_, [](const Hook& hook) { return hook.task.fn == nullptr; });
        std::stable_sort(hooks_.begin(), hooks_.end(), [](const Hook& a, const Hook& b) {
            return a.phase < b.phase;
        });
    }
    // By index: a hook may add or remove hooks. One added here runs from the next turn on.
    const std::size_t count = hooks_.size();
    for (std::size_t i = 0; i < count; ++i) {
        const Task task = hooks_[i].task;
        if (task.fn != nullptr) {
            task.run("a turn hook");
        }
    }
}

Reactor::Watch* Reactor::find(std::uint64_t handle) {
    const std::uint64_t slot = (handle & 0xFFFF'FFFFU) - 1;
    if (slot >= watches_.size()) {
        return nullptr;
    }
    Watch& watch = watches_[slot];
    return watch.fn != nullptr && watch.generation == handle >> 32U ? &watch : nullptr;
}

tenon_status Reactor::control(int operation, const Watch& watch, std::uint64_t handle) {
    epoll_event event{};
    event.events = to_epoll(watch.events);
    event.data.u64 = handle;
    return ::epoll_ctl(epoll_, operation, watch.fd, &event) == 0 ? TENON_OK : TENON_INVALID;
}

tenon_status
Reactor::watch(int fd, std::uint32_t events, tenon_fd_fn fn, void* ctx, std::uint64_t* handle) {
    if (fd < 0 || fn == nullptr || handle == nullptr) {
        return TENON_INVALID;
    }
    std::uint32_t slot = 0;
    if (free_watches_.empty()) {
        slot = static_cast<std::uint32_t>(watches_.size());
        watches_.emplace_back();
    } else {
        slot = free_watches_.back();
        free_watches_.pop_back();
    }
    Watch& watch = watches_[slot];
    const std::uint64_t made = handle_of(watch.generation, slot);
    watch = {fd, watch.generation, events, fn, ctx, t_running.owner};
    // Without events the fd stays out of the set: epoll would report hang-ups all the same.
    if (events != 0 && control(EPOLL_CTL_ADD, watch, made) != TENON_OK) {
        watch.fn = nullptr;
        free_watches_.push_back(slot);
        return TENON_INVALID;
    }
    *handle = made;
    return TENON_OK;
}

tenon_status Reactor::rewatch(std::uint64_t handle, std::uint32_t events) {
    Watch* watch = find(handle);
    if (watch == nullptr) {
        return TENON_INVALID;
    }
    if (watch->events == events) {
        return TENON_OK;
    }
    const std::uint32_t before = watch->events;
    watch->events = events;
    if (before == 0) {
        return control(EPOLL_CTL_ADD, *watch, handle);
    }
    return control(events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, *watch, handle);
}

void Reactor::unwatch(std::uint64_t handle) {
    Watch* watch = find(handle);
    if (watch == nullptr) {
        return;
    }
    if (watch->events != 0) {
        (void)control(EPOLL_CTL_DEL, *watch, handle);
    }
    watch->fn = nullptr;
    ++watch->generation;
    free_watches_.push_back(static_cast<std::uint32_t>((handle & 0xFFFF'FFFFU) - 1));
}

std::uint64_t Reactor::timer(std::int64_t deadline_ns, tenon_fn fn, void* ctx) {
    const std::uint64_t id = next_id_++;
    timers_.emplace(TimerKey{deadline_ns, id}, Task{fn, ctx});
    timer_deadlines_.emplace(id, deadline_ns);
    return id;
}

void Reactor::cancel_timer(std::uint64_t id) {
    if (const auto found = timer_deadlines_.find(id); found != timer_deadlines_.end()) {
        timers_.erase({found->second, id});
        timer_deadlines_.erase(found);
    }
}

std::uint64_t Reactor::at_turn_end(std::int32_t phase, tenon_fn fn, void* ctx) {
    const std::uint64_t handle = next_id_++;
    hooks_.push_back({handle, phase, {fn, ctx}});
    hooks_dirty_ = true;
    return handle;
}

void Reactor::remove_turn_hook(std::uint64_t handle) {
    for (Hook& hook : hooks_) {
        if (hook.handle == handle) {
            hook.task.fn = nullptr;
            hooks_dirty_ = true;
        }
    }
}

}  // namespace tenon::runtime
