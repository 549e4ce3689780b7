// SPDX-License-Identifier: Apache-2.0
// One timer of a reactor that can be set again and again. All on that reactor; only the destructor
// may come elsewhere (the last owner of a connection may be a blocking thread whose post was
// refused): then what was set fires into nothing.
#pragma once

#include <tenon/abi/host.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace tenon::net {

using Exec = Service<tenon_exec_1>;

class Timer {
public:
    // `fn` may destroy the timer.
    Timer(Exec exec, std::function<void()> fn);

    ~Timer() { cancel(); }

    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    // Replaces the time that was set. Throws Error when the reactor takes no more timers.
    void at(std::int64_t deadline_ns);
    void cancel() noexcept;

    [[nodiscard]] bool armed() const noexcept { return state_->shot != nullptr; }

private:
    struct Shot;

    struct State {
        std::function<void()> fn;
        Shot* shot = nullptr;  // what is set; owned by the reactor
    };

    // One setting of the timer.
    struct Shot {
        std::weak_ptr<State> state;
    };

    static void fire(void* ctx) noexcept;

    Exec exec_;
    std::shared_ptr<State> state_;
    std::uint64_t id_ = 0;
};

}  // namespace tenon::net
