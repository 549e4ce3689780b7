// SPDX-License-Identifier: Apache-2.0
#include "sdk/loading/control_thread.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace tenon::loader {

struct ControlThread::Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::function<void()> task;  // guarded by mutex
    bool busy = false;           // guarded by mutex
    bool ending = false;         // guarded by mutex
    std::thread thread;

    void work() {
        std::unique_lock lock{mutex};
        for (;;) {
            changed.wait(lock, [this] { return ending || task; });
            if (!task) {
                return;
            }
            const std::function<void()> mine = std::move(task);
            task = nullptr;
            lock.unlock();
            mine();
            lock.lock();
            busy = false;
            changed.notify_all();
        }
    }
};

ControlThread::ControlThread(std::function<void()> begin) : begin_{std::move(begin)} {
    spawn();
}

ControlThread::~ControlThread() {
    end();
}

void ControlThread::spawn() {
    shared_ = std::make_shared<Shared>();
    shared_->thread = std::thread{[shared = shared_, begin = begin_] {
        begin();
        shared->work();
    }};
}

void ControlThread::end() {
    {
        const std::lock_guard lock{shared_->mutex};
        shared_->ending = true;
    }
    shared_->changed.notify_all();
    shared_->thread.join();
}

bool ControlThread::run(std::function<void()> task, std::chrono::milliseconds limit) {
    {
        const std::lock_guard lock{shared_->mutex};
        shared_->task = std::move(task);
        shared_->busy = true;
    }
    shared_->changed.notify_all();
    std::unique_lock lock{shared_->mutex};
    if (shared_->changed.wait_for(lock, limit, [this] { return !shared_->busy; })) {
        return true;
    }
    shared_->ending = true;  // should it ever come back
    lock.unlock();
    shared_->thread.detach();
    lost_ = true;
    spawn();
    return false;
}

}  // namespace tenon::loader
