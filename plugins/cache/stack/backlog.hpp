// SPDX-License-Identifier: Apache-2.0
// Work of reactors that the pool was too full to take.
//
// A reactor neither waits for the pool nor does work that blocks: what the pool refuses is kept
// here, so many pieces at most, until some thread of the pool has a moment: after a piece of the
// same owner's that it did take, or when a timer of the reactor has asked it again.
#pragma once

#include <tenon/in_flight.hpp>
#include <tenon/plugin.hpp>

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace tenon::cache_stack {

// One thing in flight: entered when it is made, left once, at the latest when it goes.
class Ticket {
public:
    explicit Ticket(InFlight& of) : of_{&of} { of.enter(); }

    ~Ticket() { leave(); }

    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    void leave() noexcept {
        if (InFlight* const of = of_.exchange(nullptr)) {
            of->leave();
        }
    }

private:
    std::atomic<InFlight*> of_;
};

class Backlog {
public:
    static constexpr std::size_t k_most = 4096;

    // What is kept here, and its timer, is in flight. after_refusal: called once after work was
    // refused here, on the pool, by whoever does what there is.
    Backlog(
        Service<tenon_exec_1> exec,
        Service<tenon_clock_1> clock,
        InFlight& in_flight,
        std::function<void()> after_refusal
    );

    // [reactor] False: refused, there is too much already.
    [[nodiscard]] bool add(std::function<void()> body) noexcept;
    // [io] Does what there is.
    void run() noexcept;

private:
    struct Piece {
        std::shared_ptr<Ticket> ticket;  // left after the body is gone
        std::function<void()> body;
    };

    struct Retry {
        Backlog* backlog;
        Ticket ticket;
    };

    // [reactor] Once more the pool is asked, in a moment.
    void ask_later();
    void ask_pool() noexcept;

    static constexpr std::int64_t k_moment_ns = 2'000'000;

    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    InFlight& in_flight_;
    std::function<void()> after_refusal_;
    std::mutex mutex_;  // of what follows
    std::deque<Piece> bodies_;
    bool asking_ = false;  // a timer is set
    bool refused_ = false;
};

}  // namespace tenon::cache_stack
