// SPDX-License-Identifier: Apache-2.0
// What the stack does on other threads: writes to tiers that block, answers on reactors.
#include "plugins/cache/stack/stack.hpp"

#include <chrono>
#include <condition_variable>

namespace tenon::cache_stack {

bool Stack::supersede(const std::string& tier_key, std::function<void()> body) {
    FlightPart& part = part_of(tier_key);
    const std::lock_guard lock{part.mutex};
    const auto [next, first] = part.blocking.try_emplace(tier_key);
    next->second = std::move(body);
    return first;
}

void Stack::settle(const std::string& tier_key) {
    FlightPart& part = part_of(tier_key);
    for (;;) {
        std::function<void()> body;
        {
            const std::lock_guard lock{part.mutex};
            const auto next = part.blocking.find(tier_key);
            if (!next->second) {
                part.blocking.erase(next);
                return;
            }
            body.swap(next->second);
        }
        (void)guard(nullptr, [&] { body(); });
    }
}

void Stack::settle_later(const std::string& tier_key, std::function<void()> body) {
    if (!supersede(tier_key, std::move(body))) {
        return;
    }
    bool taken = false;
    (void)guard(nullptr, [&] { taken = later([this, tier_key] { settle(tier_key); }); });
    if (!taken) {
        forgo();  // before the key is read there again, and for what came to it meanwhile
        {
            FlightPart& part = part_of(tier_key);
            const std::lock_guard lock{part.mutex};
            part.blocking.erase(tier_key);
        }
        forgo();
    }
}

bool Stack::later(std::function<void()> body) {
    const tenon_status begun = guard(nullptr, [&] {
        const auto ticket = std::make_shared<Ticket>(background_);
        run_blocking(services_.exec, [this, body, ticket] {
            (void)guard(nullptr, [&] { body(); });
            backlog_.run();
            ticket->leave();
        });
    });
    if (begun == TENON_OK) {
        return true;
    }
    if (on_reactor()) {
        return backlog_.add(std::move(body));
    }
    (void)guard(nullptr, [&] { body(); });
    return true;
}

void Stack::forgo() noexcept {
    for (const auto& tier : tiers_) {
        if (tier->blocking()) {
            tier->distrust();
        }
    }
}

void Stack::deliver(std::uint32_t reactor, std::function<void()> body) {
    const auto ticket = std::make_shared<Ticket>(background_);
    std::function<void()> counted = [body = std::move(body), ticket] {
        (void)guard(nullptr, [&] { body(); });
        ticket->leave();
    };
    const auto exec = services_.exec;
    int tries = 5000;
    if (exec->current_reactor(exec.self) == static_cast<std::int32_t>(reactor)) {
        // On its own reactor a timer has no queue that could be full.
        auto owned = std::make_unique<std::function<void()>>(std::move(counted));
        const std::uint64_t timer = exec->timer(
            exec.self,
            now_ns(),
            [](void* ctx) noexcept {
                const std::unique_ptr<std::function<void()>> mine{
                    static_cast<std::function<void()>*>(ctx)};
                (void)guard(nullptr, [&] { (*mine)(); });
            },
            owned.get()
        );
        if (timer != 0) {
            (void)owned.release();
            return;
        }
        counted = std::move(*owned);
        tries = 1;  // a reactor does not wait for itself
    }
    std::mutex mutex;
    std::condition_variable never;
    for (int i = 0; i < tries; ++i) {
        if (guard(nullptr, [&] { post(exec, reactor, counted); }) == TENON_OK) {
            return;
        }
        std::unique_lock lock{mutex};
        never.wait_for(lock, std::chrono::milliseconds{1});
    }
    services_.log.error("cache_answer_lost", {{"reason", "the reactor takes nothing"}});
    const std::lock_guard lock{lost_mutex_};
    lost_.push_back(std::move(counted));  // a timer of it may still be set
    ticket->leave();
}

}  // namespace tenon::cache_stack
