// SPDX-License-Identifier: Apache-2.0
// The thread that calls plugins' control functions, one at a time, with a time limit. A call that
// does not return in time is left behind with its thread, and a new thread takes over.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace tenon::loader {

class ControlThread {
public:
    // Each of its threads begins with this.
    explicit ControlThread(std::function<void()> begin);
    // Joins the thread, unless it was left behind.
    ~ControlThread();
    ControlThread(const ControlThread&) = delete;
    ControlThread& operator=(const ControlThread&) = delete;

    // Runs the task and waits. False when the time is over: the task goes on, on a thread that is
    // lost, so it must own all that it touches. The task does not throw.
    [[nodiscard]] bool run(std::function<void()> task, std::chrono::milliseconds limit);

    // True when a task was left behind: the process must then end without unwinding.
    [[nodiscard]] bool lost() const { return lost_; }

private:
    struct Shared;

    void spawn();
    void end();

    std::shared_ptr<Shared> shared_;
    const std::function<void()> begin_;
    bool lost_ = false;
};

}  // namespace tenon::loader
