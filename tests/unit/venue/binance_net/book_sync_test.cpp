// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/book_sync.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <vector>

using namespace tenon::binance_venue;

namespace {

// What a listener that trusts the contract makes of the events.
struct Follower {
    tenon::DepthBook book;
    std::uint64_t last = 0;
    bool trusted = false;
    std::vector<std::uint32_t> kinds;
    bool broke_contract = false;

    void operator()(const tenon_feed_event& event) {
        kinds.push_back(event.kind);
        if (event.kind == TENON_FEED_SNAPSHOT) {
            book.assign({event.bids, event.bid_count}, {event.asks, event.ask_count});
            last = event.last_update_id;
            trusted = true;
        } else if (event.kind == TENON_FEED_DIFF) {
            broke_contract = broke_contract || !trusted || event.first_update_id != last + 1;
            book.apply({event.bids, event.bid_count}, {event.asks, event.ask_count});
            last = event.last_update_id;
        } else {
            trusted = false;
        }
    }
};

DepthDiff diff(std::uint64_t first, std::uint64_t last, std::int64_t price = 10) {
    DepthDiff out;
    out.first_id = first;
    out.last_id = last;
    out.real_ns = static_cast<std::int64_t>(last);
    out.bids = {{price, static_cast<std::int64_t>(last)}};
    return out;
}

DepthSnapshot snapshot(std::uint64_t last) {
    return {last, {{10, 1}, {9, 1}}, {{11, 1}}};
}

}  // namespace

TEST_CASE(
    "diffs before the snapshot are dropped and the one that spans it is clipped",
    "[binance][T4]"
) {
    Follower follower;
    BookSync sync{3, std::ref(follower)};
    sync.connected();
    sync.on_diff(diff(98, 100));
    sync.on_diff(diff(101, 105));
    sync.on_diff(diff(106, 107));
    CHECK(sync.wants_snapshot());
    CHECK(sync.on_snapshot(snapshot(103), 1));
    CHECK(sync.is_following());
    CHECK(follower.last == 107);
    CHECK(
        follower.kinds ==
        std::vector<std::uint32_t>{TENON_FEED_SNAPSHOT, TENON_FEED_DIFF, TENON_FEED_DIFF}
    );
    CHECK(follower.book.best_bid().quantity == 107);
    CHECK_FALSE(follower.broke_contract);
}

TEST_CASE("a snapshot that is older than the diffs is not taken", "[binance][T4]") {
    Follower follower;
    BookSync sync{3, std::ref(follower)};
    sync.connected();
    sync.on_diff(diff(101, 105));
    CHECK_FALSE(sync.on_snapshot(snapshot(99), 1));
    CHECK(sync.wants_snapshot());
    CHECK(follower.kinds.empty());
    CHECK(sync.on_snapshot(snapshot(100), 1));
    CHECK(follower.last == 105);
}

TEST_CASE("a hole between diffs is a gap until the next snapshot", "[binance][T4]") {
    Follower follower;
    BookSync sync{3, std::ref(follower)};
    sync.connected();
    CHECK(sync.on_snapshot(snapshot(100), 1));
    sync.on_diff(diff(101, 101));
    sync.on_diff(diff(101, 101));  // twice, as when connections change
    sync.on_diff(diff(103, 104));
    CHECK_FALSE(follower.trusted);
    CHECK(sync.gaps() == 1);
    CHECK_FALSE(sync.has_book());
    CHECK(sync.wants_snapshot());
    CHECK(sync.on_snapshot(snapshot(103), 1));
    CHECK(follower.trusted);
    CHECK(follower.last == 104);
    CHECK_FALSE(follower.broke_contract);
}

TEST_CASE("without a stream a snapshot is shown and diffs are not followed", "[binance][T4]") {
    Follower follower;
    BookSync sync{3, std::ref(follower)};
    sync.connected();
    (void)sync.on_snapshot(snapshot(100), 1);
    sync.broken(5);
    sync.broken(6);
    CHECK(follower.kinds.back() == TENON_FEED_GAP);
    CHECK(sync.gaps() == 1);
    CHECK(sync.on_snapshot(snapshot(110), 7));
    CHECK(follower.trusted);
    CHECK_FALSE(sync.is_following());
    sync.on_diff(diff(111, 111));
    CHECK(follower.last == 110);
    sync.connected();
    CHECK(sync.wants_snapshot());
}

TEST_CASE(
    "whatever the network does to the messages, a trusted book is the right one",
    "[binance][T4]"
) {
    const auto seed = GENERATE(take(60, random(1U, 1'000'000U)));
    CAPTURE(seed);
    std::mt19937 random{seed};
    std::map<std::uint64_t, std::map<std::int64_t, std::int64_t>> truth;  // bids after each id
    std::map<std::int64_t, std::int64_t> bids{{10, 1}};
    std::uint64_t id = 100;
    truth[id] = bids;
    Follower follower;
    BookSync sync{3, std::ref(follower)};
    std::uint64_t trusted_moves = 0;
    for (int step = 0; step < 400; ++step) {
        DepthDiff next;
        next.first_id = id + 1;
        for (auto n = 1 + random() % 3; n > 0; --n) {
            const std::int64_t price = 1 + static_cast<std::int64_t>(random() % 20);
            const auto quantity = static_cast<std::int64_t>(random() % 4);
            ++id;
            quantity == 0 ? (void)bids.erase(price) : (void)(bids[price] = quantity);
            next.bids.push_back({price, quantity});
            truth[id] = bids;
        }
        next.last_id = id;
        const auto fate = random() % 20;
        if (fate == 0) {
            sync.broken(0);
            sync.connected();
        } else if (fate != 1) {  // 1: lost
            sync.on_diff(next);
        }
        if (fate == 2) {
            sync.on_diff(next);
        }
        if (random() % 4 == 0) {  // an answer, fresh or stale
            auto at = truth.end();
            std::advance(
                at, -static_cast<int>(1U + random() % std::min<std::size_t>(truth.size(), 9))
            );
            DepthSnapshot answer{at->first, {}, {}};
            for (auto level = at->second.rbegin(); level != at->second.rend(); ++level) {
                answer.bids.push_back({level->first, level->second});
            }
            (void)sync.on_snapshot(answer, 0);
        }
        REQUIRE_FALSE(follower.broke_contract);
        if (follower.trusted) {
            ++trusted_moves;
            std::map<std::int64_t, std::int64_t> seen;
            for (const tenon_level& level : follower.book.bids()) {
                seen[level.price] = level.quantity;
            }
            REQUIRE(seen == truth.at(follower.last));
        }
    }
    CHECK(trusted_moves > 50);
}
