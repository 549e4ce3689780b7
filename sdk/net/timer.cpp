// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/timer.hpp"

#include <utility>

namespace tenon::net {

Timer::Timer(Exec exec, std::function<void()> fn)
    : exec_{exec}, state_{std::make_shared<State>(State{std::move(fn)})} {}

void Timer::at(std::int64_t deadline_ns) {
    cancel();
    auto shot = std::make_unique<Shot>(Shot{state_});
    id_ = exec_->timer(exec_.self, deadline_ns, &fire, shot.get());
    if (id_ == 0) {
        throw Error{TENON_UNAVAILABLE, "the reactor takes no more timers"};
    }
    state_->shot = shot.release();
}

void Timer::cancel() noexcept {
    Shot* const shot = std::exchange(state_->shot, nullptr);
    if (shot != nullptr && exec_->current_reactor(exec_.self) >= 0) {
        exec_->cancel_timer(exec_.self, id_);
        delete shot;
    }
}

void Timer::fire(void* ctx) noexcept {
    const std::unique_ptr<Shot> shot{static_cast<Shot*>(ctx)};
    const auto state = shot->state.lock();
    if (!state || state->shot != shot.get()) {
        return;
    }
    state->shot = nullptr;
    (void)guard(nullptr, [&] { state->fn(); });  // which may destroy the timer
}

}  // namespace tenon::net
