// SPDX-License-Identifier: Apache-2.0
// One combined stream of the exchange that stays: it comes back after a break, with growing spread
// waits, and is replaced before the exchange closes it for its age. While it is replaced, what the
// new connection says is held until the old one has had time to say what came before; the readers
// see what they know twice and nothing too few. All on one reactor.
#pragma once

#include "sdk/net/ws_client.hpp"

#include <tenon/backoff.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::binance_venue {

struct MarketLinkOptions {
    net::Url url;  // with all its streams
    std::int64_t age_max_ns = 82'800'000'000'000;
    std::int64_t overlap_ns = 2'000'000'000;
    std::size_t held_bytes_max = 8'388'608;  // beyond it the old connection is not waited for
    std::int64_t silence_ns = 30'000'000'000;
    BackoffOptions backoff{500'000'000, 3'000'000'000};  // below 300 connections in 5 minutes
    std::uint64_t seed = 0;
};

class MarketLink {
public:
    // Not called inside a call of the link.
    class Events {
    public:
        virtual void link_up() = 0;
        virtual void link_message(std::string_view text) = 0;
        // Messages may be missing until the next link_up.
        virtual void link_broken(const std::string& reason) = 0;

    protected:
        ~Events() = default;
    };

    MarketLink(const net::Network& network, MarketLinkOptions options, Events& events);
    ~MarketLink();
    MarketLink(const MarketLink&) = delete;
    MarketLink& operator=(const MarketLink&) = delete;

    void open();
    // Another connection, before this one is closed by the exchange.
    void replace();

    [[nodiscard]] bool is_up() const noexcept { return up_; }

    [[nodiscard]] std::uint64_t connects() const noexcept { return connects_; }

private:
    class Leg;

    [[nodiscard]] std::unique_ptr<Leg> make_leg();
    void leg_open(const Leg& leg);
    void leg_text(const Leg& leg, std::string_view text);
    void leg_closed(const Leg& leg, const std::string& reason);
    void change_over();
    void connect();

    net::Network network_;
    MarketLinkOptions options_;
    Events& events_;
    Backoff backoff_;
    std::unique_ptr<Leg> now_, next_;
    std::deque<std::string> held_;
    std::size_t held_bytes_ = 0;
    bool up_ = false;
    std::uint64_t connects_ = 0;
    net::Timer connect_timer_, age_timer_, change_timer_;
};

}  // namespace tenon::binance_venue
