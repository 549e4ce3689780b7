// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/stack/backlog.hpp"

#include <utility>

namespace tenon::cache_stack {

Backlog::Backlog(
    Service<tenon_exec_1> exec,
    Service<tenon_clock_1> clock,
    InFlight& in_flight,
    std::function<void()> after_refusal
)
    : exec_{exec}, clock_{clock}, in_flight_{in_flight}, after_refusal_{std::move(after_refusal)} {}

bool Backlog::add(std::function<void()> body) noexcept {
    const tenon_status added = guard(nullptr, [&] {
        auto ticket = std::make_shared<Ticket>(in_flight_);
        const std::lock_guard lock{mutex_};
        if (bodies_.size() >= k_most) {
            refused_ = true;
            return TENON_UNAVAILABLE;
        }
        ask_later();
        bodies_.push_back({std::move(ticket), std::move(body)});
        return TENON_OK;
    });
    return added == TENON_OK;
}

// Under the lock. Without a timer nothing is kept here: nobody might come for it.
void Backlog::ask_later() {
    if (asking_) {
        return;
    }
    auto retry = std::unique_ptr<Retry>{new Retry{this, Ticket{in_flight_}}};
    const std::uint64_t timer = exec_->timer(
        exec_.self,
        clock_->now_ns(clock_.self) + k_moment_ns,
        [](void* ctx) noexcept {
            const std::unique_ptr<Retry> mine{static_cast<Retry*>(ctx)};
            mine->backlog->ask_pool();
        },
        retry.get()
    );
    if (timer == 0) {
        throw Error{TENON_UNAVAILABLE, "the reactor has no more timers"};
    }
    (void)retry.release();
    asking_ = true;
}

void Backlog::ask_pool() noexcept {
    {
        const std::lock_guard lock{mutex_};
        asking_ = false;
        if (bodies_.empty()) {
            return;
        }
    }
    const tenon_status taken = guard(nullptr, [&] {
        const auto ticket = std::make_shared<Ticket>(in_flight_);
        run_blocking(exec_, [this, ticket] {
            run();
            ticket->leave();
        });
    });
    if (taken != TENON_OK) {
        const std::lock_guard lock{mutex_};
        // Should this fail, too, the next piece brings it about, or the next of the pool's.
        (void)guard(nullptr, [&] { ask_later(); });
    }
}

void Backlog::run() noexcept {
    for (;;) {
        Piece next;
        bool refused = false;
        {
            const std::lock_guard lock{mutex_};
            if (!bodies_.empty()) {
                next = std::move(bodies_.front());
                bodies_.pop_front();
            } else if (!std::exchange(refused_, false)) {
                return;
            } else {
                refused = true;
            }
        }
        (void)guard(nullptr, [&] { refused ? after_refusal_() : next.body(); });
    }
}

}  // namespace tenon::cache_stack
