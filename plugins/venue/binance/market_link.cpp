// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/market_link.hpp"

#include <utility>

namespace tenon::binance_venue {

// A connection of the link.
class MarketLink::Leg final : public net::WsClient::Events {
public:
    Leg(MarketLink& owner, net::WsClientOptions options)
        : owner_{owner}, client_{owner.network_, std::move(options), *this} {}

    virtual ~Leg() = default;
    Leg(const Leg&) = delete;
    Leg& operator=(const Leg&) = delete;

    void ws_open() override { owner_.leg_open(*this); }

    void ws_text(std::string_view text) override { owner_.leg_text(*this, text); }

    void ws_closed(const std::string& reason) override { owner_.leg_closed(*this, reason); }

    [[nodiscard]] bool is_open() const noexcept { return client_.is_open(); }

private:
    MarketLink& owner_;
    net::WsClient client_;
};

MarketLink::MarketLink(const net::Network& network, MarketLinkOptions options, Events& events)
    : network_{network},
      options_{std::move(options)},
      events_{events},
      backoff_{options_.backoff, options_.seed},
      connect_timer_{network.exec, [this] { connect(); }},
      age_timer_{network.exec, [this] { replace(); }},
      change_timer_{network.exec, [this] { change_over(); }} {}

MarketLink::~MarketLink() = default;

std::unique_ptr<MarketLink::Leg> MarketLink::make_leg() {
    ++connects_;
    net::WsClientOptions options;
    options.url = options_.url;
    options.silence_ns = options_.silence_ns;
    return std::make_unique<Leg>(*this, std::move(options));
}

void MarketLink::open() {
    connect();
}

void MarketLink::connect() {
    if (!now_) {
        now_ = make_leg();
    }
}

void MarketLink::replace() {
    if (up_ && !next_) {
        next_ = make_leg();
    }
}

void MarketLink::leg_open(const Leg& leg) {
    const std::int64_t now = network_.exec->turn_now_ns(network_.exec.self);
    backoff_.reset();
    if (&leg == now_.get()) {
        up_ = true;
        age_timer_.at(now + options_.age_max_ns);
        events_.link_up();
    } else {
        change_timer_.at(now + options_.overlap_ns);
    }
}

void MarketLink::leg_text(const Leg& leg, std::string_view text) {
    if (&leg == now_.get()) {
        events_.link_message(text);
        return;
    }
    held_.emplace_back(text);
    held_bytes_ += text.size();
    if (held_bytes_ > options_.held_bytes_max) {
        // Not inside an event of the one that goes.
        change_timer_.at(network_.exec->turn_now_ns(network_.exec.self));
    }
}

void MarketLink::change_over() {
    if (!next_) {
        return;
    }
    change_timer_.cancel();
    now_ = std::move(next_);
    age_timer_.at(network_.exec->turn_now_ns(network_.exec.self) + options_.age_max_ns);
    held_bytes_ = 0;
    for (const std::string& text : std::exchange(held_, {})) {
        events_.link_message(text);
    }
}

void MarketLink::leg_closed(const Leg& leg, const std::string& reason) {
    const std::int64_t now = network_.exec->turn_now_ns(network_.exec.self);
    if (&leg == next_.get()) {
        next_.reset();
        change_timer_.cancel();
        held_.clear();
        held_bytes_ = 0;
        age_timer_.at(now + backoff_.next());  // another try
        return;
    }
    if (next_ && next_->is_open()) {
        change_over();
        return;
    }
    age_timer_.cancel();
    now_ = std::move(next_);  // on its way already, or nothing
    const bool was_up = std::exchange(up_, false);
    if (!now_) {
        connect_timer_.at(now + backoff_.next());
    }
    if (was_up) {
        events_.link_broken(reason);
    }
}

}  // namespace tenon::binance_venue
