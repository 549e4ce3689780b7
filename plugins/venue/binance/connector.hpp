// SPDX-License-Identifier: Apache-2.0
// Everything of the plugin that runs on reactor 0, in one object: network, REST, market data, the
// account's stream. The plugin makes it in start and destroys it in stop, on the reactor.
#pragma once

#include "plugins/venue/binance/market_history.hpp"
#include "plugins/venue/binance/settings.hpp"
#include "plugins/venue/binance/user_socket.hpp"

#include <tenon/upstream_gate.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tenon::binance_venue {

class Connector {
public:
    using SetHealth =
        std::function<void(std::string_view component, bool well, const std::string& reason)>;

    struct Parts {
        net::Exec exec;
        Service<tenon_clock_1> clock;
        std::shared_ptr<const net::TlsContext> tls;
        RequestWeights weights;
        std::vector<FeedSymbol> symbols;
        MarketFeed::Emit emit;
        SetHealth health;
        RestMetrics rest_metrics;
        FeedMetrics feed_metrics;
        UpstreamGate* gate = nullptr;
        std::uint64_t seed = 0;
    };

    Connector(const BinanceSettings& settings, Parts parts);
    ~Connector();
    Connector(const Connector&) = delete;
    Connector& operator=(const Connector&) = delete;

    void open();

    [[nodiscard]] ExchangeRest& rest() noexcept { return rest_; }

    [[nodiscard]] const MarketFeed& feed() const noexcept { return feed_; }

    [[nodiscard]] MarketHistory& history() noexcept { return history_; }

    // Replaces the credential; empty: nothing is signed until there is another one. Only when the
    // settings name one.
    void set_signer(const std::shared_ptr<const Signer>& signer);

    // NULL when no credential is set or named.
    [[nodiscard]] UserStream* user_stream() noexcept { return user_.get(); }

private:
    void ask_info();
    void info_answered(const RestReply& reply);

    std::vector<FeedSymbol> symbols_;
    SetHealth health_;
    net::Resolver resolver_;
    net::Network network_;
    ExchangeRest rest_;
    MarketFeed feed_;
    MarketHistory history_;
    std::unique_ptr<UserSocket> user_;
    net::Timer info_timer_;
};

}  // namespace tenon::binance_venue
