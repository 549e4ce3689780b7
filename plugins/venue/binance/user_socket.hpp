// SPDX-License-Identifier: Apache-2.0
// The account's events over the exchange's WebSocket API: a connection that subscribes with a
// signature, comes back after a break, and is replaced before it is too old. While it is replaced
// some events are told twice, none too few. All on reactor 0.
#pragma once

#include "plugins/venue/binance/rest_client.hpp"
#include "plugins/venue/binance/signer.hpp"
#include "sdk/net/ws_client.hpp"

#include <tenon/backoff.hpp>

#include <functional>
#include <memory>

namespace tenon::binance_venue {

struct UserSocketOptions {
    net::Url url;  // of the WebSocket API, with its path
    std::int64_t age_max_ns = 82'800'000'000'000;
    std::int64_t answer_timeout_ns = 10'000'000'000;
    std::int64_t window_ms = 5000;
    BackoffOptions backoff{500'000'000, 3'000'000'000};  // as the market's streams have it
    std::uint64_t seed = 0;
};

class UserSocket final : public UserStream {
public:
    // now_ms: by the exchange's clock.
    UserSocket(
        const net::Network& network,
        UserSocketOptions options,
        std::shared_ptr<const Signer> signer,  // may be empty
        std::function<std::int64_t()> now_ms
    );
    ~UserSocket() override;

    void open(UserStreamListener& listener) override;
    void close() override;
    // Subscribes with that from now on, anew where it is subscribed; empty: it is away until there
    // is one.
    void set_signer(std::shared_ptr<const Signer> signer);

private:
    class Leg;

    void connect();
    void replace();
    void leg_subscribed(const Leg& leg);
    void leg_event(const Leg& leg, std::string_view json);
    void leg_closed(const Leg& leg, const std::string& reason);
    [[nodiscard]] std::string subscription() const;
    [[nodiscard]] std::int64_t now_ns() const;

    net::Network network_;
    UserSocketOptions options_;
    std::shared_ptr<const Signer> signer_;
    std::function<std::int64_t()> now_ms_;
    UserStreamListener* listener_ = nullptr;
    Backoff backoff_;
    std::unique_ptr<Leg> now_, next_;
    bool up_ = false;
    net::Timer connect_timer_, age_timer_;
};

}  // namespace tenon::binance_venue
