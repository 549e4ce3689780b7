// SPDX-License-Identifier: Apache-2.0
// Market data of the exchange as a feed: books from diffs and snapshots, trades without holes, best
// quotes. While a stream is away, books and trades are asked for over REST every poll_ns; older
// than that they are not shown to be right: the book says GAP when the stream breaks, and a polled
// one is a snapshot of its moment. All on reactor 0.
#pragma once

#include "plugins/venue/binance/book_sync.hpp"
#include "plugins/venue/binance/market_link.hpp"
#include "plugins/venue/binance/rest_client.hpp"
#include "plugins/venue/binance/trade_sync.hpp"

#include <tenon/metrics.hpp>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tenon::binance_venue {

struct FeedSymbol {
    std::uint32_t instrument = 0;
    std::string name;  // in capitals, as the exchange has it
    Scales scales;
};

struct FeedOptions {
    net::Url url;  // of the streams, without a path
    std::string depth_limit = "1000";
    std::uint64_t fill_max = 5000;  // trades of one hole that are asked for
    std::int64_t poll_ns = 2'000'000'000;
    std::int64_t age_max_ns = 82'800'000'000'000;
    std::size_t streams_max = 300;  // of one connection
    std::uint64_t seed = 0;
};

struct FeedMetrics {
    std::array<Counter, 6> events;  // by TENON_FEED_*
    Counter gaps, damaged, connects, missed_trades, filled_trades, polls;
};

class MarketFeed {
public:
    using Emit = BookSync::Emit;
    // The reason is empty when all streams are there.
    using Health = std::function<void(const std::string& reason)>;

    MarketFeed(
        const net::Network& network,
        RestClient& rest,
        FeedOptions options,
        std::vector<FeedSymbol> symbols,
        Emit emit
    );
    ~MarketFeed();
    MarketFeed(const MarketFeed&) = delete;
    MarketFeed& operator=(const MarketFeed&) = delete;

    void set_metrics(const FeedMetrics& metrics) { metrics_ = metrics; }

    void set_health(Health health) { health_ = std::move(health); }

    void open();
    // A snapshot of every book that there is.
    void snapshots(const Emit& to) const;
    // True when every symbol's book follows its stream.
    [[nodiscard]] bool is_following() const;

private:
    struct Symbol;
    class Link;

    [[nodiscard]] std::int64_t now_ns() const;
    [[nodiscard]] std::int64_t exchange_now_ns() const;
    void send(const tenon_feed_event& event);
    void link_up(Link& link);
    void link_broken(Link& link, const std::string& reason);
    void link_message(Link& link, std::string_view text);
    void poll(Link& link);
    void tell_health() const;
    void on_quote(Symbol& symbol, const BestQuote& quote);
    void on_trade(Symbol& symbol, const MarketTrade& trade);
    void ask_depth(Symbol& symbol);
    void poll_depth(Symbol& symbol);
    void depth_answered(Symbol& symbol, const RestReply& reply);
    void ask_trades(Symbol& symbol);
    void trades_answered(Symbol& symbol, std::uint64_t hole, const RestReply& reply);
    void poll_trades(Symbol& symbol);
    void count_trades(Symbol& symbol);
    void get(
        std::string path,
        std::string query,
        Lane lane,
        std::int64_t deadline_ns,
        RestClient::Done done
    );

    net::Network network_;
    RestClient& rest_;
    FeedOptions options_;
    Emit emit_;
    Health health_;
    FeedMetrics metrics_;
    std::vector<std::unique_ptr<Symbol>> symbols_;
    std::map<std::string, std::size_t, std::less<>> by_name_;  // in lower case
    std::vector<std::unique_ptr<Link>> links_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace tenon::binance_venue
