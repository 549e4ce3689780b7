// SPDX-License-Identifier: Apache-2.0
// The Redis tier on three servers beside a real Redis: what one does, the others hear; what is old
// is refused; a Redis that is killed, frozen or emptied gives no wrong answer.
#include "plugins/cache/redis/redis_tier.hpp"
#include "tests/support/redis_server.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace tenon;
using namespace std::chrono_literals;
using redis_cache::RedisTier;
using redis_cache::TierOptions;
using test::RedisServer;

namespace {

constexpr auto k_patience = 30s;
constexpr std::int64_t k_hour = 3'600'000'000'000;

// One server of a deployment: its tier, and what the tier tells it.
class Node {
public:
    explicit Node(const RedisServer& server, const std::function<void(TierOptions&)>& change = {}) {
        TierOptions options;
        options.client.address = server.address();
        options.client.command_timeout = 20s;
        options.client.dead_after = 20s;
        options.client.connect_timeout = 20s;
        options.client.backoff_max = 50ms;
        if (change) {
            change(options);
        }
        tier = std::make_unique<RedisTier>(options, [](const std::string&) {});
        tier->start();
        REQUIRE(tier->wait_up(k_patience));
        tier->watch(this, &Node::heard, 0);  // silent, since all is well
    }

    ~Node() {
        tier->watch(nullptr, nullptr, 0);
        tier->stop();
    }

    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    [[nodiscard]] std::optional<std::string> get(const std::string& key) const {
        std::optional<std::string> value;
        (void)tier->get(key, 0, [&](std::string_view found) { value = found; });
        return value;
    }

    [[nodiscard]] bool hears(const std::string& event, std::size_t times = 1) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, k_patience, [&] { return count(event) >= times; });
    }

    [[nodiscard]] std::size_t heard_of(const std::string& event) {
        const std::lock_guard lock{mutex_};
        return count(event);
    }

    void forget() {
        const std::lock_guard lock{mutex_};
        events_.clear();
    }

    std::unique_ptr<RedisTier> tier;

private:
    static void heard(void* ctx, const tenon_cache_tier_event* event) {
        static constexpr std::array k_names{"", "key ", "tag ", "suspect", "trusted"};
        Node& self = *static_cast<Node*>(ctx);
        const std::lock_guard lock{self.mutex_};
        self.events_.push_back(k_names.at(event->kind) + std::string{view(event->subject)});
        self.changed_.notify_all();
    }

    [[nodiscard]] std::size_t count(const std::string& event) const {
        return static_cast<std::size_t>(std::count(events_.begin(), events_.end(), event));
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> events_;
};

tenon_status status_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& fault) {
        return fault.code();
    }
    return TENON_OK;
}

}  // namespace

TEST_CASE("what one server puts or erases, the others hear and see", "[cache][C3]") {
    RedisServer server;
    Node a{server};
    Node b{server};
    Node c{server};
    a.tier->put("balance:1", "100", k_hour);
    CHECK(b.hears("key balance:1"));
    CHECK(c.hears("key balance:1"));
    CHECK(b.get("balance:1") == "100");
    b.forget();
    b.tier->put("balance:1", "90", k_hour);
    CHECK(a.hears("key balance:1"));
    CHECK(a.get("balance:1") == "90");
    CHECK(c.tier->erase("balance:1"));
    CHECK(b.hears("key balance:1"));
    CHECK_FALSE(a.get("balance:1"));
}

TEST_CASE("a server is not told of its own puts, but of who put after it", "[cache][C3]") {
    RedisServer server;
    Node a{server};
    Node b{server};
    for (int i = 0; i < 20; ++i) {
        a.tier->put("key", std::to_string(i), k_hour);
        const std::uint64_t token = a.tier->token("key");
        CHECK(a.tier->put_if("key", "loaded", k_hour, token));
    }
    // What was pushed before this answer has been heard, and what it asked, too.
    (void)a.get("key");
    (void)a.get("key");
    CHECK(a.heard_of("key key") == 0);
    b.tier->put("key", "theirs", k_hour);
    CHECK(a.hears("key key"));
}

TEST_CASE("an entry loaded before its key was erased anywhere is refused", "[cache][C1]") {
    RedisServer server;
    Node a{server};
    Node b{server};
    const std::uint64_t before = a.tier->token("order:7");
    CHECK_FALSE(b.tier->erase("order:7"));
    CHECK_FALSE(a.tier->put_if("order:7", "old", k_hour, before));
    CHECK_FALSE(a.get("order:7"));
    const std::uint64_t after = a.tier->token("order:7");
    CHECK(a.tier->put_if("order:7", "new", k_hour, after));
    CHECK(b.get("order:7") == "new");

    SECTION("nor one that was loaded before another server put") {
        b.tier->put("order:7", "newer", k_hour);
        CHECK_FALSE(a.tier->put_if("order:7", "new", k_hour, after));
        CHECK(a.get("order:7") == "newer");
    }
    SECTION("nor before everything was cleared") {
        b.tier->clear({});
        CHECK_FALSE(a.tier->put_if("order:7", "new", k_hour, after));
        CHECK_FALSE(a.get("order:7"));
    }
    SECTION("nor before the server lost everything") {
        server.kill_9();
        server.start();
        REQUIRE(a.hears("trusted"));
        CHECK_FALSE(a.tier->put_if("order:7", "new", k_hour, after));
    }
}

TEST_CASE("a clear reaches every server at once, a prefix's only its keys", "[cache][C3]") {
    RedisServer server;
    Node a{server};
    Node b{server};
    a.tier->put("user:1:a", "x", k_hour);
    a.tier->put("user:10", "x", k_hour);
    a.tier->put("order:1", "x", k_hour);
    REQUIRE(b.get("user:1:a"));
    a.tier->clear("user:1:");
    CHECK_FALSE(b.get("user:1:a"));
    CHECK(b.get("user:10"));
    CHECK(b.get("order:1"));
    CHECK(b.hears("key "));
    b.tier->clear({});
    CHECK_FALSE(a.get("user:10"));
    CHECK_FALSE(a.get("order:1"));
    a.tier->put("order:1", "y", k_hour);
    CHECK(b.get("order:1") == "y");
}

TEST_CASE("many cleared prefixes are forgotten rather than remembered without end", "[cache][C3]") {
    RedisServer server;
    Node a{server};
    a.tier->put("kept", "x", k_hour);
    a.tier->put("p199:", "x", k_hour);
    for (int i = 0; i < 200; ++i) {
        a.tier->clear("p" + std::to_string(i) + ":");
    }
    CHECK_FALSE(a.get("p199:"));
    redis::Client client{{.address = server.address()}};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    CHECK(client.call({"HLEN", "tenon:clears"}).reply().integer() <= 66);
}

TEST_CASE("what is announced reaches the others alone, in order", "[cache][C3]") {
    RedisServer server;
    Node a{server};
    Node b{server};
    for (int i = 0; i < 100; ++i) {
        a.tier->announce("user:" + std::to_string(i));
    }
    CHECK(b.hears("tag user:99"));
    CHECK(b.heard_of("tag user:0") == 1);
    CHECK(b.heard_of("suspect") == 0);
    a.tier->announce("with space and \r\n");
    CHECK(b.hears("tag with space and \r\n"));
    CHECK(a.heard_of("tag user:99") == 0);
}

TEST_CASE("an announcement that was missed makes everything suspect", "[cache][C3]") {
    RedisServer server;
    Node a{server};
    Node b{server};
    a.tier->announce("one");
    REQUIRE(b.hears("tag one"));
    redis::Client stranger{{.address = server.address()}};
    stranger.start();
    REQUIRE(stranger.wait_up(k_patience));
    (void)stranger.call({"INCR", "tenon:announced"});
    a.tier->announce("three");
    CHECK(b.hears("tag three"));
    CHECK(b.heard_of("suspect") == 1);
}

TEST_CASE("an entry is gone when its time is over by the server's clock", "[cache][C2]") {
    RedisServer server;
    Node a{server};
    a.tier->put("short", "x", 1'500'000);
    a.tier->put("none", "x", k_hour);
    a.tier->put("none", "y", 999'999);
    CHECK_FALSE(a.get("none"));
    const auto deadline = std::chrono::steady_clock::now() + k_patience;
    while (a.get("short") && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    CHECK_FALSE(a.get("short"));
    a.tier->put("long", "x", k_hour);
    const auto expiry = a.tier->get("long", 1'000, [](std::string_view) {});
    REQUIRE(expiry);
    CHECK(*expiry <= 1'000 + k_hour);
    CHECK(*expiry > 1'000 + k_hour - 60'000'000'000);
}

TEST_CASE("killed and started empty: suspect, then trusted, and nothing of before", "[cache][C2]") {
    RedisServer server;
    Node a{server};
    a.tier->put("key", "old", k_hour);
    server.kill_9();
    REQUIRE(a.hears("suspect"));
    CHECK(status_of([&] { (void)a.get("key"); }) == TENON_UNAVAILABLE);
    CHECK(status_of([&] { a.tier->put("key", "x", k_hour); }) == TENON_UNAVAILABLE);
    server.start();
    REQUIRE(a.hears("trusted"));
    REQUIRE(a.tier->wait_up(k_patience));
    CHECK_FALSE(a.get("key"));
    a.tier->put("key", "new", k_hour);
    CHECK(a.get("key") == "new");
}

TEST_CASE(
    "frozen: calls end by their timeout, silence is told, thawed it is trusted",
    "[cache][C2]"
) {
    RedisServer server;
    Node a{server, [](TierOptions& options) {
               options.client.command_timeout = 100ms;
               options.client.dead_after = 300ms;
               options.client.ping_interval = 50ms;
               options.client.connect_timeout = 300ms;
           }};
    server.pause();
    const tenon_status status = status_of([&] { (void)a.get("key"); });
    CHECK((status == TENON_TIMEOUT || status == TENON_UNAVAILABLE));
    REQUIRE(a.hears("suspect"));
    CHECK(status_of([&] { (void)a.get("key"); }) == TENON_UNAVAILABLE);
    server.resume();
    REQUIRE(a.hears("trusted"));
}

TEST_CASE("who begins to watch without a server is told so at once", "[cache][C3]") {
    RedisServer server;
    Node a{server};
    server.kill_9();
    REQUIRE(a.hears("suspect"));

    struct Seen {
        std::vector<std::uint32_t> kinds;
    } seen;

    a.tier->watch(
        &seen,
        [](void* ctx, const tenon_cache_tier_event* event) {
            static_cast<Seen*>(ctx)->kinds.push_back(event->kind);
        },
        0
    );
    a.tier->watch(nullptr, nullptr, 0);
    CHECK(seen.kinds == std::vector<std::uint32_t>{TENON_CACHE_TIER_SUSPECT});
}

TEST_CASE(
    "three servers, one full of evictions: never an older value than was acknowledged",
    "[cache][C1]"
) {
    RedisServer server{{"--maxmemory", "6mb", "--maxmemory-policy", "allkeys-lru"}};
    Node a{server};
    Node b{server};
    Node c{server};
    const std::vector<Node*> nodes{&a, &b, &c};
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    // A source of truth that changes, then erases; readers load through it with tokens.
    constexpr std::size_t k_keys = 8;

    struct Truth {
        std::mutex mutex;
        std::atomic<int> acknowledged{0};  // no reader may see less once its erase has returned
        std::atomic<int> value{0};
    };

    std::array<Truth, k_keys> truths;
    std::atomic<int> stale{0};
    std::atomic<int> hits{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 6; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937 random{seed + static_cast<unsigned>(t)};
            RedisTier& tier = *nodes[t % 3]->tier;
            const std::string filler(4096, 'f');
            for (int i = 0; i < 600; ++i) {
                const std::size_t at = random() % k_keys;
                const std::string key = "k" + std::to_string(at);
                Truth& truth = truths[at];
                switch (random() % 6) {
                    case 0: {
                        const std::lock_guard lock{truth.mutex};
                        const int next = truth.value.load() + 1;
                        truth.value.store(next);
                        (void)tier.erase(key);
                        truth.acknowledged.store(next);
                        break;
                    }
                    case 1:
                        tier.put("filler" + std::to_string(random() % 4000), filler, k_hour);
                        break;
                    default: {
                        const int least = truth.acknowledged.load();
                        std::optional<int> seen;
                        (void)tier.get(key, 0, [&](std::string_view found) {
                            seen = std::stoi(std::string{found});
                        });
                        if (seen) {
                            ++hits;
                            stale += *seen < least ? 1 : 0;
                        } else {
                            const std::uint64_t token = tier.token(key);
                            const int loaded = truth.value.load();
                            std::this_thread::yield();
                            (void)tier.put_if(key, std::to_string(loaded), k_hour, token);
                        }
                    }
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(stale == 0);
    CHECK(hits > 0);
}

TEST_CASE("the state of a key that was not found is known without asking again", "[cache][C4]") {
    RedisServer server;
    Node a{server};
    Node b{server};
    (void)a.tier->token("key");  // the first of its group makes it
    CHECK_FALSE(a.get("key"));
    const std::uint64_t asked = a.tier->client().stats().commands;
    const std::uint64_t before = a.tier->token("key");
    CHECK(a.tier->client().stats().commands == asked);
    SECTION("and is that of then, not of now") {
        (void)b.tier->erase("key");
        CHECK_FALSE(a.tier->put_if("key", "old", k_hour, before));
    }
    SECTION("and good for one load") {
        CHECK(a.tier->put_if("key", "loaded", k_hour, before));
        CHECK(b.tier->erase("key"));
        const std::uint64_t after = a.tier->token("key");
        CHECK(after != before);
        CHECK(a.tier->put_if("key", "loaded", k_hour, after));
    }
}
