// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/monitor.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace tenon::postgres {

Monitor::Monitor(
    std::vector<std::string> conninfos,
    MonitorSettings settings,
    FenceFile file,
    Clock clock
)
    : settings_{settings},
      file_{std::move(file)},
      clock_{std::move(clock)},
      topology_{conninfos.size(), settings.topology, file_.load()},
      view_{std::make_shared<TopologyView>(topology_.view())} {
    for (std::size_t i = 0; i < conninfos.size(); ++i) {
        watched_.push_back(std::make_unique<Watched>(i, std::move(conninfos[i]), clock_));
    }
}

Monitor::~Monitor() {
    stop();
}

void Monitor::start() {
    for (std::size_t i = 0; i < watched_.size(); ++i) {
        watched_[i]->thread = std::thread{[this, i] { watch(i); }};
    }
}

void Monitor::stop() noexcept {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_all();
    changed_.notify_all();
    for (const auto& watched : watched_) {
        if (watched->thread.joinable()) {
            watched->thread.join();
        }
    }
}

Monitor::View Monitor::view() const {
    const std::lock_guard lock{mutex_};
    return view_;
}

void Monitor::probe_soon(std::size_t host) {
    {
        const std::lock_guard lock{mutex_};
        watched_[host]->due = true;
    }
    wake_.notify_all();
}

void Monitor::probe_all_soon() {
    for (std::size_t i = 0; i < watched_.size(); ++i) {
        probe_soon(i);
    }
}

Monitor::View Monitor::wait_for_change(const View& seen, std::int64_t deadline_ns) {
    // In slices, so that a deadline without end does not overflow the clock of the condition.
    constexpr std::int64_t k_slice_ns = 1'000'000'000;
    std::unique_lock lock{mutex_};
    for (;;) {
        const std::int64_t left_ns = deadline_ns - clock_();
        if (view_ != seen || stopping_ || left_ns <= 0) {
            return view_;
        }
        changed_.wait_for(lock, std::chrono::nanoseconds{std::min(left_ns, k_slice_ns)});
    }
}

void Monitor::watch(std::size_t index) {
    Watched& mine = *watched_[index];
    for (;;) {
        {
            const std::lock_guard lock{mutex_};
            if (stopping_) {
                return;
            }
            mine.due = false;
        }
        const std::int64_t began_ns = clock_();
        take_in(mine.probe.observe(settings_.probe_timeout_ns), began_ns);
        // A server that is down is asked more often: it may be the one that everybody waits for.
        std::unique_lock lock{mutex_};
        const bool down = view_->hosts[index].health != Health::up;
        const auto interval = std::chrono::nanoseconds{
            settings_.probe_interval_ns / (down || !view_->primary ? 4 : 1)};
        wake_.wait_for(lock, interval, [&] { return mine.due || stopping_; });
    }
}

void Monitor::take_in(Observation seen, std::int64_t began_ns) {
    const std::lock_guard step_lock{step_mutex_};
    const View before = view();
    if (seen.answered && before->primary == seen.host) {
        freshness_.add(seen.position, began_ns);
    } else if (seen.answered && seen.in_recovery) {
        seen.fresh_as_of_ns = freshness_.as_of(seen.position);
    }
    topology_.step({&seen, 1}, clock_());
    if (topology_.fence_to_store()) {
        store_fence();
        topology_.step({}, clock_());
    }
    const auto after = std::make_shared<const TopologyView>(topology_.view());
    // Who writes must be stopped by the callback before anybody can see, and use, the new one.
    if (on_change_) {
        on_change_(*before, *after);
    }
    {
        const std::lock_guard lock{mutex_};
        view_ = after;
    }
    changed_.notify_all();
}

void Monitor::store_fence() {
    const Fence fence = *topology_.fence_to_store();
    try {
        file_.store(fence);
        topology_.fence_stored(fence);
        fence_failure_.clear();
    } catch (const Error& e) {
        if (fence_failure_ != e.what() && on_failure_) {
            on_failure_(e.what());
        }
        fence_failure_ = e.what();
    }
}

}  // namespace tenon::postgres
