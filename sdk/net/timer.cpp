// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/timer.hpp"

namespace tenon::net {

Timer::Timer(Exec exec, std::function<void()> fn)
    : exec_{exec}, fn_{std::make_shared<std::function<void()>>(std::move(fn))} {}

void Timer::at(std::int64_t deadline_ns) {
    cancel();
    id_ = exec_->timer(exec_.self, deadline_ns, &fire, this);
    if (id_ == 0) {
        throw Error{TENON_UNAVAILABLE, "the reactor takes no more timers"};
    }
}

void Timer::cancel() noexcept {
    if (id_ != 0) {
        exec_->cancel_timer(exec_.self, id_);
        id_ = 0;
    }
}

void Timer::fire(void* ctx) noexcept {
    auto& mine = *static_cast<Timer*>(ctx);
    mine.id_ = 0;
    const auto fn = mine.fn_;  // outlives the timer
    (void)guard(nullptr, [&] { (*fn)(); });
}

}  // namespace tenon::net
