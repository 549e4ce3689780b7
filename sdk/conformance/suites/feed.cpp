// SPDX-License-Identifier: Apache-2.0
// tenon.feed/1: events that a book can be kept from, on reactor 0, until unsubscribe.
#include "sdk/conformance/suites/suites.hpp"
#include "sdk/conformance/suites/venue_scene.hpp"

#include <tenon/abi/feed.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace tenon::suites {
namespace {

constexpr std::int64_t k_ms = 1'000'000;

enum class FeedRule : std::uint8_t { first, chain, levels, trades, times, reactor, count };

// One subscriber, who keeps a book of each instrument and notes what breaks a rule. Reactor 0's,
// but for events().
class Follower {
public:
    explicit Follower(std::thread::id reactor) : reactor_{reactor} {}

    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    static void on_event(void* ctx, const tenon_feed_event* event) {
        (void)guard(nullptr, [&] { static_cast<Follower*>(ctx)->judge(*event); });
    }

    [[nodiscard]] std::uint64_t events() const { return events_; }

    [[nodiscard]] std::uint64_t diffs() const { return diffs_; }

    // Empty, or the first breach.
    [[nodiscard]] std::string breach(FeedRule rule) const {
        const std::lock_guard lock{mutex_};
        return breaches_[static_cast<std::size_t>(rule)];
    }

    [[nodiscard]] std::vector<std::uint32_t> instruments() const {
        const std::lock_guard lock{mutex_};
        std::vector<std::uint32_t> all;
        for (const auto& [id, book] : books_) {
            all.push_back(id);
        }
        return all;
    }

private:
    using Side = std::map<std::int64_t, std::int64_t>;

    struct Book {
        bool trusted = false, gap = false, ever = false;
        Side bids, asks;
        std::uint64_t last_update = 0, last_trade = 0;
        std::array<std::int64_t, 6> times{};  // by kind
    };

    void broken(FeedRule rule, const tenon_feed_event& event, const std::string& why) {
        static constexpr const char* k_kinds[] = {
            "?", "SNAPSHOT", "DIFF", "TRADE", "BOOK_TICKER", "GAP"};
        std::string& first = breaches_[static_cast<std::size_t>(rule)];
        if (first.empty()) {
            first = text(
                "event ",
                events_.load(),
                ", ",
                k_kinds[std::min<std::uint32_t>(event.kind, 6) % 6],
                " of instrument ",
                event.instrument,
                ": ",
                why
            );
        }
    }

    void judge(const tenon_feed_event& event) {
        const std::lock_guard lock{mutex_};
        ++events_;
        if (std::this_thread::get_id() != reactor_) {
            broken(FeedRule::reactor, event, "comes on another thread than reactor 0");
        }
        if (event.size < sizeof(tenon_feed_event)) {
            broken(FeedRule::levels, event, text("its size is ", event.size));
        }
        Book& book = books_[event.instrument];
        switch (event.kind) {
            case TENON_FEED_SNAPSHOT:
                on_snapshot(book, event);
                break;
            case TENON_FEED_DIFF:
                on_diff(book, event);
                break;
            case TENON_FEED_TRADE:
                on_trade(book, event);
                break;
            case TENON_FEED_BOOK_TICKER:
                on_ticker(book, event);
                break;
            case TENON_FEED_GAP:
                book.gap = true;
                book.trusted = false;
                return;
            default:
                broken(FeedRule::levels, event, text("the kind ", event.kind));
                return;
        }
        std::int64_t& time = book.times[event.kind];
        if (event.event_real_ns < time) {
            broken(FeedRule::times, event, text("the time ", event.event_real_ns, " after ", time));
        }
        time = event.event_real_ns;
    }

    // Levels of one side: positive prices, in order, no price twice.
    void check_side(
        const tenon_feed_event& event,
        const tenon_level* levels,
        std::uint32_t count,
        bool descend
    ) {
        for (std::uint32_t i = 0; i < count; ++i) {
            if (levels[i].price <= 0 || levels[i].quantity < 0) {
                broken(FeedRule::levels, event, text(levels[i].quantity, " at ", levels[i].price));
            }
            const bool sorted = event.kind == TENON_FEED_DIFF || i == 0 ||
                                (descend ? levels[i].price < levels[i - 1].price
                                         : levels[i].price > levels[i - 1].price);
            if (!sorted) {
                broken(
                    FeedRule::levels,
                    event,
                    text(
                        descend ? "bids do not descend: " : "asks do not ascend: ",
                        levels[i].price,
                        " after ",
                        levels[i - 1].price
                    )
                );
            }
            if (event.kind != TENON_FEED_DIFF && levels[i].quantity == 0) {
                broken(FeedRule::levels, event, text("an empty level at ", levels[i].price));
            }
        }
    }

    static void put(Side& side, const tenon_level* levels, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            if (levels[i].quantity == 0) {
                side.erase(levels[i].price);
            } else {
                side[levels[i].price] = levels[i].quantity;
            }
        }
    }

    void check_book(const Book& book, const tenon_feed_event& event) {
        if (!book.bids.empty() && !book.asks.empty() &&
            book.bids.rbegin()->first >= book.asks.begin()->first) {
            broken(
                FeedRule::levels,
                event,
                text(
                    "the book is crossed: bid ",
                    book.bids.rbegin()->first,
                    ", ask ",
                    book.asks.begin()->first
                )
            );
        }
    }

    void on_snapshot(Book& book, const tenon_feed_event& event) {
        check_side(event, event.bids, event.bid_count, true);
        check_side(event, event.asks, event.ask_count, false);
        book.bids.clear();
        book.asks.clear();
        put(book.bids, event.bids, event.bid_count);
        put(book.asks, event.asks, event.ask_count);
        check_book(book, event);
        book.last_update = event.last_update_id;
        book.trusted = book.ever = true;
        book.gap = false;
    }

    void on_diff(Book& book, const tenon_feed_event& event) {
        ++diffs_;
        if (!book.ever) {
            broken(FeedRule::first, event, "comes before the first SNAPSHOT");
            return;
        }
        if (!book.trusted) {
            return;  // between GAP and SNAPSHOT nobody looks at diffs
        }
        if (event.first_update_id != book.last_update + 1 ||
            event.last_update_id < event.first_update_id) {
            broken(
                FeedRule::chain,
                event,
                text(
                    "updates ",
                    event.first_update_id,
                    " to ",
                    event.last_update_id,
                    " follow ",
                    book.last_update,
                    " without a GAP"
                )
            );
        }
        check_side(event, event.bids, event.bid_count, true);
        check_side(event, event.asks, event.ask_count, false);
        put(book.bids, event.bids, event.bid_count);
        put(book.asks, event.asks, event.ask_count);
        check_book(book, event);
        book.last_update = event.last_update_id;
    }

    void on_trade(Book& book, const tenon_feed_event& event) {
        if (event.price <= 0 || event.quantity <= 0 || event.buyer_is_maker > 1) {
            broken(
                FeedRule::trades,
                event,
                text(event.quantity, " at ", event.price, ", buyer_is_maker ", event.buyer_is_maker)
            );
        }
        if (event.trade_id <= book.last_trade) {
            broken(
                FeedRule::trades, event, text("id ", event.trade_id, " after ", book.last_trade)
            );
        }
        book.last_trade = event.trade_id;
    }

    void on_ticker(Book&, const tenon_feed_event& event) {
        if (event.bid_count > 1 || event.ask_count > 1) {
            broken(FeedRule::levels, event, "more than one level a side");
            return;
        }
        check_side(event, event.bids, event.bid_count, true);
        check_side(event, event.asks, event.ask_count, false);
        if (event.bid_count == 1 && event.ask_count == 1 &&
            event.bids[0].price >= event.asks[0].price) {
            broken(FeedRule::levels, event, "best bid and best ask are crossed");
        }
    }

    const std::thread::id reactor_;
    std::atomic<std::uint64_t> events_{0}, diffs_{0};
    mutable std::mutex mutex_;
    std::map<std::uint32_t, Book> books_;
    std::array<std::string, static_cast<std::size_t>(FeedRule::count)> breaches_;
};

// The plugin's feed, and what makes it speak: time, or orders when it is a venue as well.
class FeedScene {
public:
    explicit FeedScene(Bench& bench)
        : bench_{bench}, random_{bench.seed()}, instruments_{bench.instance_name()} {
        bench.on_reactor([&] { reactor_ = std::this_thread::get_id(); });
        if (bench.provides("tenon.venue/1")) {
            venue_.emplace(bench, VenueScene::Mode::live);
            feed_ = venue_->instance().service<tenon_feed_1>("tenon.feed/1");
        } else {
            bench.bind("tenon.instruments/1", instruments_.iface());
            instance_ = bench.open();
            feed_ = instance_->service<tenon_feed_1>("tenon.feed/1");
        }
    }

    [[nodiscard]] std::uint64_t subscribe(Follower& follower) {
        std::uint64_t handle = 0;
        expect_status(
            feed_->subscribe(feed_.self, &follower, &Follower::on_event, &handle),
            TENON_OK,
            "subscribe"
        );
        expect(handle > 0, "subscribe gives the handle 0");
        return handle;
    }

    void unsubscribe(std::uint64_t handle) { feed_->unsubscribe(feed_.self, handle); }

    // Until the follower has had so many more events; a Breach when it does not get them.
    void run(const Follower& follower, std::uint64_t events) {
        constexpr int k_rounds = 4'000;
        const std::uint64_t before = follower.events();
        for (int i = 0; i < k_rounds && follower.events() < before + events; ++i) {
            stir();
        }
        expect(
            follower.events() >= before + events,
            "the feed sent ",
            follower.events() - before,
            " events, expected at least ",
            events
        );
    }

    // Lets it speak for a while, whoever listens.
    void stir() {
        if (venue_) {
            venue_->play(random_, 4);
            return;
        }
        bench_.advance(20 * k_ms);
        bench_.settle(2);
        (void)bench_.wait([] { return false; }, k_ms);
    }

    [[nodiscard]] const Service<tenon_feed_1>& feed() const noexcept { return feed_; }

    [[nodiscard]] std::thread::id reactor() const noexcept { return reactor_; }

private:
    Bench& bench_;
    Random random_;
    FakeInstruments instruments_;
    std::thread::id reactor_;
    std::optional<VenueScene> venue_;
    std::unique_ptr<Instance> instance_;
    Service<tenon_feed_1> feed_;
};

template <FeedRule rule>
void follow(Bench& bench) {
    constexpr std::uint64_t k_events = 400;
    FeedScene scene{bench};
    Follower early{scene.reactor()}, late{scene.reactor()};
    const std::uint64_t first = scene.subscribe(early);
    scene.run(early, k_events);
    const std::uint64_t second = scene.subscribe(late);
    scene.run(late, k_events);
    scene.unsubscribe(first);
    scene.unsubscribe(second);
    for (const Follower* follower : {&early, &late}) {
        const std::string breach = follower->breach(rule);
        expect(breach.empty(), follower == &early ? "" : "a later subscriber: ", breach);
    }
}

void unsubscribe(Bench& bench) {
    std::array<std::size_t, 3> order{0, 1, 2};
    FeedScene scene{bench};
    do {
        std::array<Follower, 3> followers{
            Follower{scene.reactor()}, Follower{scene.reactor()}, Follower{scene.reactor()}};
        std::array<std::uint64_t, 3> handles{};
        for (std::size_t i = 0; i < 3; ++i) {
            handles[i] = scene.subscribe(followers[i]);
        }
        scene.run(followers[2], 20);
        for (std::size_t gone = 0; gone < 3; ++gone) {
            scene.unsubscribe(handles[order[gone]]);
            std::array<std::uint64_t, 3> before{};
            for (std::size_t i = 0; i <= gone; ++i) {
                before[i] = followers[order[i]].events();
            }
            if (gone < 2) {
                scene.run(followers[order[2]], 10);
            } else {
                for (int i = 0; i < 20; ++i) {
                    scene.stir();
                }
            }
            for (std::size_t i = 0; i <= gone; ++i) {
                expect(
                    followers[order[i]].events() == before[i],
                    "a subscriber got ",
                    followers[order[i]].events() - before[i],
                    " events after unsubscribe had returned"
                );
            }
        }
    } while (std::next_permutation(order.begin(), order.end()));
}

void unknown_handle(Bench& bench) {
    FeedScene scene{bench};
    Follower follower{scene.reactor()};
    const std::uint64_t handle = scene.subscribe(follower);
    scene.run(follower, 10);
    for (const std::uint64_t wrong : {handle + 1'000, UINT64_MAX, std::uint64_t{0}}) {
        scene.unsubscribe(wrong);
    }
    scene.run(follower, 20);
    scene.unsubscribe(handle);
    scene.unsubscribe(handle);
}

void serves(Bench& bench) {
    FeedScene scene{bench};
    Follower follower{scene.reactor()};
    const std::uint64_t handle = scene.subscribe(follower);
    scene.run(follower, 60);
    scene.unsubscribe(handle);
    for (const std::uint32_t id : follower.instruments()) {
        expect(
            scene.feed()->serves(scene.feed().self, id) == 1,
            "sent events of instrument ",
            id,
            ", serves says no"
        );
    }
    for (const std::uint32_t id : {2U, 100U, 0xffffffffU}) {
        expect(
            scene.feed()->serves(scene.feed().self, id) == 0,
            "serves instrument ",
            id,
            ", which is not listed"
        );
    }
}

constexpr std::string_view k_feed = "tenon.feed/1";

constexpr Check k_checks[] = {
    {"feed.first",
     "a subscriber's book begins with a snapshot",
     k_feed,
     &checked<&follow<FeedRule::first>>},
    {"feed.chain",
     "diffs follow each other, or a gap is told",
     k_feed,
     &checked<&follow<FeedRule::chain>>},
    {"feed.levels",
     "books are sorted, positive and not crossed",
     k_feed,
     &checked<&follow<FeedRule::levels>>},
    {"feed.trades",
     "trades are positive, their ids rise",
     k_feed,
     &checked<&follow<FeedRule::trades>>},
    {"feed.times",
     "time of one kind of event does not go back",
     k_feed,
     &checked<&follow<FeedRule::times>>},
    {"feed.reactor", "events come on reactor 0", k_feed, &checked<&follow<FeedRule::reactor>>},
    {"feed.unsubscribe",
     "nothing comes after unsubscribe, in any order",
     k_feed,
     &checked<&unsubscribe>},
    {"feed.unknown-handle", "an unknown handle disturbs nobody", k_feed, &checked<&unknown_handle>},
    {"feed.serves", "serves names what is sent, and nothing else", k_feed, &checked<&serves>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> feed_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
