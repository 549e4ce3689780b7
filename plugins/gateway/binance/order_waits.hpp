// SPDX-License-Identifier: Apache-2.0
// Requests whose answer must wait for the venue: an exchange says later what became of an order.
//
// The engine's reply says that the command is on disk; an order that is PENDING_NEW then, or still
// open after its cancel, is answered by the events that follow, or at the deadline with -1007: the
// outcome is unknown, and the order can be asked about. Nothing is ever made up. Reactor 0.
#pragma once

#include "plugins/gateway/binance/api.hpp"

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

namespace tenon::binance {

class OrderWaits {
public:
    // Most requests that wait; the next ones are answered at once, as unknown.
    static constexpr std::size_t k_waits_max = 10'000;

    // True when the answer has to wait; then `pending` is kept and released with it.
    [[nodiscard]] bool placed(Pending& pending, const tenon_trading_reply& reply);
    [[nodiscard]] bool canceled(Pending& pending, const tenon_trading_reply& reply);

    // Follows the orders that are waited for; answers those whose wait is over.
    void on_execution(const tenon_execution_event* events, std::uint32_t count);
    // Answers what has waited too long, by the monotonic clock; with `all` everything.
    void give_up(std::int64_t now_ns, bool all);

    [[nodiscard]] std::size_t size() const noexcept { return waits_.size(); }

private:
    struct Wait {
        Pending* pending = nullptr;
        std::int64_t deadline_ns = 0;  // monotonic: the clock may be set meanwhile
        std::size_t open = 0;          // orders that are waited for
        std::int64_t time_real_ns = 0;
        std::vector<tenon_order> orders;
        std::vector<tenon_trade> trades;
    };

    using Place = std::list<Wait>::iterator;

    Wait* keep(Pending& pending, const tenon_trading_reply& reply);
    void follow(Wait& wait, const tenon_execution_event& event);
    void answer(Place place);

    std::list<Wait> waits_;                                 // oldest first
    std::unordered_multimap<std::uint64_t, Place> orders_;  // who waits for an order
};

}  // namespace tenon::binance
