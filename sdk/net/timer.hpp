// SPDX-License-Identifier: Apache-2.0
// One timer of a reactor that can be set again and again. All on that reactor.
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

    [[nodiscard]] bool armed() const noexcept { return id_ != 0; }

private:
    static void fire(void* ctx) noexcept;

    Exec exec_;
    std::shared_ptr<std::function<void()>> fn_;
    std::uint64_t id_ = 0;
};

}  // namespace tenon::net
