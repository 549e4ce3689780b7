// SPDX-License-Identifier: Apache-2.0
// Reads a recording one batch ahead, so that the thread that plays it never touches a file.
#pragma once

#include "plugins/venue/replay/recording.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>

namespace tenon::replay {

// Runs a function somewhere, now or later; false when it will not run.
using Runner = std::function<bool(std::function<void()>)>;

class Prefetch {
public:
    Prefetch(Recording recording, Runner runner)
        : recording_{std::move(recording)}, runner_{std::move(runner)} {}

    ~Prefetch() { finish(); }

    Prefetch(const Prefetch&) = delete;
    Prefetch& operator=(const Prefetch&) = delete;

    // Swaps the batch that is ready into `out` and has the next one read. False: none is ready yet.
    // Does not block. One caller at a time.
    [[nodiscard]] bool take(Batch& out) {
        if (swap_ready(out)) {
            fill_next();
            return true;
        }
        if (!fill_next() || !swap_ready(out)) {
            return false;
        }
        fill_next();  // the runner did it at once
        return true;
    }

    // Waits for a read in flight. Nothing may be taken afterwards.
    void finish() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return state_ != State::filling; });
    }

    [[nodiscard]] const std::string& file() const noexcept { return recording_.file(); }

private:
    enum class State : std::uint8_t { idle, filling, ready };

    [[nodiscard]] bool swap_ready(Batch& out) {
        const std::scoped_lock lock{mutex_};
        if (state_ != State::ready) {
            return false;
        }
        std::swap(out, batch_);
        state_ = State::idle;
        return true;
    }

    // False when a read is in flight already or will not run.
    bool fill_next() {
        {
            const std::scoped_lock lock{mutex_};
            if (state_ != State::idle) {
                return false;
            }
            state_ = State::filling;
        }
        if (runner_([this] { fill(); })) {
            return true;
        }
        const std::scoped_lock lock{mutex_};
        state_ = State::idle;
        return false;
    }

    void fill() {
        recording_.next(batch_);
        const std::scoped_lock lock{mutex_};
        state_ = State::ready;
        changed_.notify_all();
    }

    Recording recording_;
    Runner runner_;
    std::mutex mutex_;
    std::condition_variable changed_;
    State state_ = State::idle;
    Batch batch_;  // the filler's while filling, else guarded by mutex_
};

}  // namespace tenon::replay
