// SPDX-License-Identifier: Apache-2.0
// What is done now and how far it is, for whoever asks. [any] thread.
#pragma once

#include <boost/json/object.hpp>

#include <mutex>
#include <string>
#include <string_view>

namespace tenon::backup_sqlite {

class WorkState {
public:
    // Work goes on while this lives; one at a time.
    class Doing {
    public:
        Doing(WorkState& state, std::string_view work) : state_{state} {
            const std::lock_guard lock{state_.mutex_};
            state_.work_ = work;
        }

        ~Doing() {
            const std::lock_guard lock{state_.mutex_};
            state_.work_.clear();
            state_.phase_.clear();
            state_.done_ = state_.total_ = 0;
        }

        Doing(const Doing&) = delete;
        Doing& operator=(const Doing&) = delete;

    private:
        WorkState& state_;
    };

    void say(std::string_view phase, std::uint64_t done, std::uint64_t total) {
        const std::lock_guard lock{mutex_};
        phase_ = phase;
        done_ = done;
        total_ = total;
    }

    // {"running","work","phase","done_bytes","total_bytes"}; a total of 0: not known.
    [[nodiscard]] boost::json::object told() const {
        const std::lock_guard lock{mutex_};
        return {
            {"running", !work_.empty()},
            {"work", work_},
            {"phase", phase_},
            {"done_bytes", done_},
            {"total_bytes", total_}};
    }

private:
    mutable std::mutex mutex_;
    std::string work_;
    std::string phase_;
    std::uint64_t done_ = 0;
    std::uint64_t total_ = 0;
};

}  // namespace tenon::backup_sqlite
