// SPDX-License-Identifier: Apache-2.0
// The live half of the paper venue: looks at the market and writes down what paper orders meet.
//
// It reads the venue's state and never changes it: what it finds goes out as evidence, with an
// order or as a command. Nothing is sent that cannot concern a resting order. Commands that the
// engine does not take at the moment are kept, up to a bound. Reactor 0.
#pragma once

#include "plugins/venue/paper/paper.hpp"

#include <tenon/abi/market_data.h>
#include <tenon/plugin.hpp>

#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>

namespace tenon::paper {

struct LiveSettings {
    std::int64_t latency_ns = 0;    // an order is under way for so long
    std::size_t depth_max = 1'000;  // levels that one order can take, at most k_levels_max
};

class PaperLive {
public:
    // Journals a command: TENON_OK, TENON_UNAVAILABLE (again later), or it is refused for good.
    using Send = std::function<tenon_status(std::string_view)>;

    static constexpr std::int64_t k_never = std::numeric_limits<std::int64_t>::max();
    static constexpr std::size_t k_outbox_max = 4'096;

    PaperLive(
        const PaperVenue& venue,
        Service<tenon_market_data_1> market,
        PaperVenue::RulesOf rules_of,
        LiveSettings settings,
        Send send
    );

    // What travels with the order.
    [[nodiscard]] std::string evidence(const tenon_venue_order& order, std::int64_t now_real_ns)
        const;

    // A BOOK, BEST or TRADE of tenon.market_data/1. A trade also triggers conditional orders; for
    // one of those that is lost the next trade does, if the price is still there.
    void on_market(const tenon_md_event& event);

    // Lets orders that are due meet the market; returns when the next one is due (real time). For
    // what is lost, as it is here when the outbox is full, the next call does.
    [[nodiscard]] std::int64_t deliver(std::int64_t now_real_ns);

    // Tries again what was not taken; true when nothing is kept any more.
    bool flush();

    [[nodiscard]] std::uint64_t commands() const noexcept { return commands_; }

    // Commands lost because the outbox was full, or refused.
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

private:
    struct Best {
        tenon_level bid{}, ask{};
    };

    [[nodiscard]] Look look(const tenon_venue_order& order) const;
    void add_levels(const tenon_venue_order& order, const tenon_book& book, Look& look) const;
    [[nodiscard]] std::int64_t reference(std::uint32_t instrument) const;
    void on_book(const tenon_md_event& event, MarketNews& news) const;
    void on_best(const tenon_md_event& event, MarketNews& news);
    void on_trade(const tenon_md_event& event, MarketNews& news) const;
    void trigger(const tenon_public_trade& trade, std::uint32_t instrument);
    void trigger_due(std::uint32_t instrument);
    void send_triggered(const std::vector<std::uint64_t>& ids);
    // What a trade does to trailing stops is decided where it is replayed.
    void follow(const tenon_public_trade& trade, std::uint32_t instrument);
    [[nodiscard]] bool reaches(std::uint32_t instrument, std::uint8_t side, std::int64_t price)
        const;
    // False: there is no room for it, it is lost.
    bool send(std::string bytes);

    const PaperVenue& venue_;
    Service<tenon_market_data_1> market_;
    PaperVenue::RulesOf rules_of_;
    LiveSettings settings_;
    Send send_;
    std::map<std::uint32_t, Best> best_;
    std::set<std::uint64_t> delivered_;  // arrivals sent and not applied yet
    std::set<std::uint64_t> triggered_;  // conditional orders, likewise
    std::deque<std::string> outbox_;
    std::uint64_t commands_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace tenon::paper
