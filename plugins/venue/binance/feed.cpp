// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/feed.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace tenon::binance_venue {
namespace {

constexpr std::int64_t k_ms_ns = 1'000'000;
constexpr std::int64_t k_get_ns = 10'000'000'000;
constexpr std::int64_t k_fill_ns = 30'000'000'000;
constexpr std::string_view k_poll_depth = "100";
constexpr std::uint64_t k_trades_page = 1000;
constexpr std::size_t k_streams_of_symbol = 3;
constexpr BackoffOptions k_ask_again{200'000'000, 4'000'000'000};

[[nodiscard]] std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return text;
}

// The request itself is wrong, and asking again would not help. Limits (429, 418, 403) pass.
[[nodiscard]] bool is_refusal(unsigned status) {
    return status / 100 == 4 && status != 429 && status != 418 && status != 403;
}

}  // namespace

struct MarketFeed::Symbol {
    FeedSymbol own;
    BookSync book;
    TradeSync trades;
    Backoff again, trades_again;
    net::Timer ask_timer, trades_timer;
    std::uint64_t last_quote = 0;
    std::uint64_t gaps = 0, missed = 0, filled = 0;  // as told
    std::uint64_t hole = 0;          // the first missing trade that is being asked for
    std::int64_t hole_until_ns = 0;  // monotonic: it is given up by then
    bool depth_asked = false, trades_asked = false, depth_polled = false, trades_polled = false;

    Symbol(MarketFeed& feed, FeedSymbol symbol, std::uint64_t seed)
        : own{std::move(symbol)},
          book{own.instrument, [&feed](const tenon_feed_event& event) { feed.send(event); }},
          trades{
              feed.options_.fill_max,
              [&feed, this](const MarketTrade& trade) {
                  tenon_feed_event event{};
                  event.kind = TENON_FEED_TRADE;
                  event.instrument = own.instrument;
                  event.event_real_ns = trade.real_ns;
                  event.trade_id = trade.id;
                  event.price = trade.price;
                  event.quantity = trade.quantity;
                  event.buyer_is_maker = trade.buyer_is_maker ? 1 : 0;
                  feed.send(event);
              }},
          again{k_ask_again, seed},
          trades_again{k_ask_again, seed + 1},
          ask_timer{feed.network_.exec, [&feed, this] { feed.ask_depth(*this); }},
          trades_timer{feed.network_.exec, [&feed, this] { feed.ask_trades(*this); }} {}
};

// One connection and its symbols.
class MarketFeed::Link final : public MarketLink::Events {
public:
    Link(MarketFeed& owner, std::vector<std::size_t> symbols, MarketLinkOptions options)
        : owner_{owner},
          symbols_{std::move(symbols)},
          poll_timer_{owner.network_.exec, [this] { owner_.poll(*this); }},
          link_{owner.network_, std::move(options), *this} {}

    virtual ~Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    void open() {
        link_.open();
        poll_later();
    }

    void link_up() override {
        poll_timer_.cancel();
        reason_.clear();
        owner_.link_up(*this);
    }

    void link_message(std::string_view text) override { owner_.link_message(*this, text); }

    void link_broken(const std::string& reason) override {
        reason_ = reason;
        poll_later();
        owner_.link_broken(*this, reason);
    }

    // Many symbols are asked for less often.
    void poll_later() {
        const auto tens = static_cast<std::int64_t>(symbols_.size() / 10 + 1);
        poll_timer_.at(owner_.now_ns() + owner_.options_.poll_ns * tens);
    }

    void replace() { link_.replace(); }

    [[nodiscard]] bool is_up() const noexcept { return link_.is_up(); }

    [[nodiscard]] const std::vector<std::size_t>& symbols() const noexcept { return symbols_; }

    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

    std::uint64_t connects_told = 0;

    [[nodiscard]] std::uint64_t connects() const noexcept { return link_.connects(); }

private:
    MarketFeed& owner_;
    std::vector<std::size_t> symbols_;
    std::string reason_ = "not connected yet";
    net::Timer poll_timer_;
    MarketLink link_;
};

MarketFeed::MarketFeed(
    const net::Network& network,
    RestClient& rest,
    FeedOptions options,
    std::vector<FeedSymbol> symbols,
    Emit emit
)
    : network_{network}, rest_{rest}, options_{std::move(options)}, emit_{std::move(emit)} {
    for (FeedSymbol& symbol : symbols) {
        by_name_.emplace(lower(symbol.name), symbols_.size());
        symbols_.push_back(
            std::make_unique<Symbol>(*this, std::move(symbol), options_.seed + symbols_.size())
        );
    }
    const std::size_t per_link =
        std::max<std::size_t>(options_.streams_max / k_streams_of_symbol, 1);
    for (std::size_t from = 0; from < symbols_.size(); from += per_link) {
        std::vector<std::size_t> mine;
        MarketLinkOptions link;
        link.url = options_.url;
        link.url.path = "/stream?streams=";
        for (std::size_t i = from; i < std::min(from + per_link, symbols_.size()); ++i) {
            const std::string name = lower(symbols_[i]->own.name);
            link.url.path.append(mine.empty() ? "" : "/").append(name).append("@depth@100ms/");
            link.url.path.append(name).append("@trade/").append(name).append("@bookTicker");
            mine.push_back(i);
        }
        link.age_max_ns = options_.age_max_ns;
        link.seed = options_.seed + 1000 + from;
        links_.push_back(std::make_unique<Link>(*this, std::move(mine), std::move(link)));
    }
}

MarketFeed::~MarketFeed() = default;

std::int64_t MarketFeed::now_ns() const {
    return network_.exec->turn_now_ns(network_.exec.self);
}

std::int64_t MarketFeed::exchange_now_ns() const {
    return rest_.exchange_now_ms() * k_ms_ns;
}

void MarketFeed::send(const tenon_feed_event& event) {
    metrics_.events.at(event.kind).add();
    emit_(event);
}

void MarketFeed::open() {
    for (const auto& link : links_) {
        link->open();
    }
    tell_health();
}

void MarketFeed::snapshots(const Emit& to) const {
    for (const auto& symbol : symbols_) {
        if (symbol->book.has_book()) {
            symbol->book.give_snapshot(to);
        }
    }
}

bool MarketFeed::is_following() const {
    return std::all_of(symbols_.begin(), symbols_.end(), [](const auto& symbol) {
        return symbol->book.is_following();
    });
}

void MarketFeed::tell_health() const {
    if (!health_) {
        return;
    }
    for (const auto& link : links_) {
        if (!link->is_up()) {
            health_("a market stream is away: " + link->reason());
            return;
        }
    }
    health_("");
}

void MarketFeed::link_up(Link& link) {
    metrics_.connects.add(link.connects() - std::exchange(link.connects_told, link.connects()));
    for (const std::size_t i : link.symbols()) {
        symbols_[i]->book.connected();
        ask_depth(*symbols_[i]);
    }
    tell_health();
}

void MarketFeed::link_broken(Link& link, const std::string& reason) {
    (void)reason;
    for (const std::size_t i : link.symbols()) {
        symbols_[i]->last_quote = 0;  // the exchange may come back with another count
        symbols_[i]->book.broken(exchange_now_ns());
        metrics_.gaps.add(
            symbols_[i]->book.gaps() - std::exchange(symbols_[i]->gaps, symbols_[i]->book.gaps())
        );
    }
    tell_health();
}

void MarketFeed::poll(Link& link) {
    link.poll_later();
    tell_health();
    for (const std::size_t i : link.symbols()) {
        poll_depth(*symbols_[i]);
        poll_trades(*symbols_[i]);
    }
}

void MarketFeed::link_message(Link& link, std::string_view text) {
    const auto find = [&](std::string_view name) -> std::optional<KnownSymbol> {
        const auto found = by_name_.find(name);
        return found == by_name_.end()
                   ? std::nullopt
                   : std::optional{KnownSymbol{found->second, symbols_[found->second]->own.scales}};
    };
    auto message = read_stream_message(text, find);
    if (!message) {
        metrics_.damaged.add();
        return;
    }
    if (std::holds_alternative<ServerShutdown>(message->data)) {
        link.replace();
        return;
    }
    Symbol& symbol = *symbols_[message->symbol];
    if (auto* const diff = std::get_if<DepthDiff>(&message->data)) {
        symbol.book.on_diff(std::move(*diff));
        metrics_.gaps.add(symbol.book.gaps() - std::exchange(symbol.gaps, symbol.book.gaps()));
        if (symbol.book.wants_snapshot() && !symbol.ask_timer.armed()) {
            ask_depth(symbol);
        }
    } else if (const auto* const trade = std::get_if<MarketTrade>(&message->data)) {
        on_trade(symbol, *trade);
    } else if (const auto* const quote = std::get_if<BestQuote>(&message->data)) {
        on_quote(symbol, *quote);
    }
}

void MarketFeed::on_quote(Symbol& symbol, const BestQuote& quote) {
    if (quote.update_id <= symbol.last_quote) {
        return;
    }
    symbol.last_quote = quote.update_id;
    tenon_feed_event event{};
    event.kind = TENON_FEED_BOOK_TICKER;
    event.instrument = symbol.own.instrument;
    event.event_real_ns = exchange_now_ns();
    event.last_update_id = quote.update_id;
    event.bids = &quote.bid;
    event.asks = &quote.ask;
    event.bid_count = quote.bid.quantity > 0 ? 1 : 0;
    event.ask_count = quote.ask.quantity > 0 ? 1 : 0;
    send(event);
}

void MarketFeed::on_trade(Symbol& symbol, const MarketTrade& trade) {
    symbol.trades.on_trade(trade);
    count_trades(symbol);
    ask_trades(symbol);
}

void MarketFeed::count_trades(Symbol& symbol) {
    metrics_.missed_trades.add(
        symbol.trades.missed() - std::exchange(symbol.missed, symbol.trades.missed())
    );
    metrics_.filled_trades.add(
        symbol.trades.filled() - std::exchange(symbol.filled, symbol.trades.filled())
    );
}

void MarketFeed::get(
    std::string path,
    std::string query,
    Lane lane,
    std::int64_t deadline_ns,
    RestClient::Done done
) {
    RestRequest request;
    request.path = std::move(path);
    request.query = std::move(query);
    request.lane = lane;
    request.deadline_ns = deadline_ns;
    request.client = "feed";
    rest_.send(
        std::move(request),
        [alive = std::weak_ptr<int>{alive_}, done = std::move(done)](RestReply reply) {
            if (!alive.expired()) {
                done(std::move(reply));
            }
        }
    );
}

void MarketFeed::ask_depth(Symbol& symbol) {
    if (symbol.depth_asked || !symbol.book.wants_snapshot()) {
        return;
    }
    symbol.depth_asked = true;
    get("/api/v3/depth",
        "symbol=" + symbol.own.name + "&limit=" + options_.depth_limit,
        Lane::query,
        now_ns() + k_get_ns,
        [this, &symbol](const RestReply& reply) {
            symbol.depth_asked = false;
            depth_answered(symbol, reply);
        });
}

// Shallow, and in the lowest lane: it must not take the budget that the way back needs.
void MarketFeed::poll_depth(Symbol& symbol) {
    if (symbol.depth_polled) {
        return;
    }
    symbol.depth_polled = true;
    metrics_.polls.add();
    get("/api/v3/depth",
        "symbol=" + symbol.own.name + "&limit=" + std::string{k_poll_depth},
        Lane::backfill,
        now_ns() + k_fill_ns,
        [this, &symbol](const RestReply& reply) {
            symbol.depth_polled = false;
            // When the stream is back meanwhile it is too shallow to go on with.
            if (!symbol.book.wants_snapshot()) {
                depth_answered(symbol, reply);
            }
        });
}

void MarketFeed::depth_answered(Symbol& symbol, const RestReply& reply) {
    const bool was_wanted = symbol.book.wants_snapshot();
    bool taken = false;
    if (reply.outcome == Outcome::answered && reply.status == 200) {
        if (const auto snapshot = read_depth(reply.body, symbol.own.scales)) {
            taken = symbol.book.on_snapshot(*snapshot, exchange_now_ns());
        } else {
            metrics_.damaged.add();
        }
    }
    if (taken) {
        symbol.again.reset();
    }
    if (was_wanted && symbol.book.wants_snapshot()) {
        const std::int64_t wait_ns = std::max(symbol.again.next(), reply.retry_after_ns);
        symbol.ask_timer.at(now_ns() + wait_ns);
    }
}

void MarketFeed::ask_trades(Symbol& symbol) {
    const auto from = symbol.trades.wanted();
    if (!from || symbol.trades_asked || symbol.trades_timer.armed()) {
        return;
    }
    if (symbol.hole != *from) {
        symbol.hole = *from;
        symbol.hole_until_ns = now_ns() + k_fill_ns;
    }
    symbol.trades_asked = true;
    get("/api/v3/historicalTrades",
        "symbol=" + symbol.own.name + "&fromId=" + std::to_string(*from) +
            "&limit=" + std::to_string(k_trades_page),
        Lane::backfill,
        symbol.hole_until_ns,
        [this, &symbol, hole = *from](const RestReply& reply) {
            symbol.trades_asked = false;
            trades_answered(symbol, hole, reply);
        });
}

// A hole is given up when the exchange refuses or no answer comes in time: until then a request
// that failed is made again.
void MarketFeed::trades_answered(Symbol& symbol, std::uint64_t hole, const RestReply& reply) {
    if (symbol.trades.wanted() == hole) {
        std::optional<std::vector<MarketTrade>> trades;
        if (reply.outcome == Outcome::answered && reply.status == 200) {
            trades = read_trades(reply.body, symbol.own.scales);
            metrics_.damaged.add(trades ? 0 : 1);
        }
        const bool refused = reply.outcome == Outcome::answered && is_refusal(reply.status);
        if (!trades && !refused) {
            const std::int64_t at =
                now_ns() + std::max(symbol.trades_again.next(), reply.retry_after_ns);
            if (at < symbol.hole_until_ns) {
                symbol.trades_timer.at(at);
                return;
            }
        }
        symbol.trades_again.reset();
        symbol.trades.on_fill(trades.value_or(std::vector<MarketTrade>{}));
        count_trades(symbol);
    }
    ask_trades(symbol);
}

void MarketFeed::poll_trades(Symbol& symbol) {
    if (symbol.trades_polled) {
        return;
    }
    symbol.trades_polled = true;
    get("/api/v3/trades",
        "symbol=" + symbol.own.name + "&limit=500",
        Lane::backfill,
        now_ns() + k_fill_ns,
        [this, &symbol](const RestReply& reply) {
            symbol.trades_polled = false;
            if (reply.outcome != Outcome::answered || reply.status != 200) {
                return;
            }
            const auto trades = read_trades(reply.body, symbol.own.scales);
            if (!trades) {
                metrics_.damaged.add();
                return;
            }
            for (const MarketTrade& trade : *trades) {
                symbol.trades.on_trade(trade);
            }
            count_trades(symbol);
            ask_trades(symbol);
        });
}

}  // namespace tenon::binance_venue
