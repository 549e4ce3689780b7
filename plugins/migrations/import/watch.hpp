// SPDX-License-Identifier: Apache-2.0
// Ends a wait that cannot be asked to end: a thread that asks now and then whether to go on, and
// when not, does once what breaks the wait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace tenon::importer {

class Watch {
public:
    // Both are called by the watch's own thread, `breaks` once at most, and must not throw.
    Watch(std::function<bool()> stops, std::function<void()> breaks)
        : thread_{[this, stops = std::move(stops), breaks = std::move(breaks)] {
              constexpr std::chrono::milliseconds k_between{50};
              std::unique_lock lock{mutex_};
              while (!ended_.wait_for(lock, k_between, [this] { return ends_; })) {
                  if (stops()) {
                      breaks();
                      return;
                  }
              }
          }} {}

    ~Watch() {
        {
            const std::lock_guard lock{mutex_};
            ends_ = true;
        }
        ended_.notify_one();
        thread_.join();
    }

    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

private:
    std::mutex mutex_;
    std::condition_variable ended_;
    bool ends_ = false;
    std::thread thread_;  // last: it uses the others
};

}  // namespace tenon::importer
