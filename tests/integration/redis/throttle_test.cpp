// SPDX-License-Identifier: Apache-2.0
// Three servers' throttles beside one real Redis, judged by every request that any of them let
// through.
#include "plugins/throttle/redis/shared_limits.hpp"
#include "tests/support/redis_server.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <poll.h>
#include <string>
#include <thread>
#include <vector>

using namespace tenon;
using namespace std::chrono_literals;
using redis_throttle::k_second_ns;
using redis_throttle::Leases;
using redis_throttle::LimitSettings;
using redis_throttle::SharedLimits;
using test::RedisServer;

namespace {

constexpr auto k_patience = 30s;
constexpr std::int64_t k_servers = 3;

std::int64_t now_ns() {
    return redis::Client::now_ns();
}

LimitSettings limit_of(std::int64_t per_second, std::int64_t burst) {
    LimitSettings limit;
    limit.name = "weight";
    limit.level = "custom";
    limit.custom_count = per_second;
    limit.custom_period_ns = k_second_ns;
    limit.custom_burst = burst;
    limit.keys_max = 64;
    limit.servers = k_servers;
    return limit;
}

class Node {
public:
    Node(
        const RedisServer& server,
        const LimitSettings& limit,
        std::chrono::milliseconds dead_after = 1s,
        bool shares = true
    ) {
        limits.apply({limit});
        redis::ClientOptions options;
        options.address = server.address();
        options.backoff_max = 100ms;
        options.connect_timeout = 400ms;
        options.command_timeout = 20s;
        options.dead_after = dead_after;
        options.ping_interval = 100ms;
        leases = std::make_unique<Leases>(
            redis_throttle::LeaseOptions{options, "tenon", k_servers, 100ms},
            redis_throttle::LeaseOwner{
                [this](std::size_t i) { return limits.at(i); },
                [](const std::string&) {},
                [this](std::string_view name, std::string_view level) {
                    limits.set_level(name, level);
                },
                &now_ns}
        );
        leases->start();
        limits.lease(leases.get());
        if (shares) {
            REQUIRE(leases->wait_up(k_patience));
        }
    }

    ~Node() {
        leases->stop();
        limits.lease(nullptr);
    }

    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    [[nodiscard]] bool take(std::string_view key, std::uint32_t cost = 1) {
        return retry_of(key, cost) == 0;
    }

    // 0: taken.
    [[nodiscard]] std::int64_t retry_of(std::string_view key, std::uint32_t cost = 1) {
        const tenon_throttle_claim claim{0, cost, str(key)};
        std::int64_t retry = 0;
        return limits.take({&claim, 1}, now_ns(), retry) == TENON_OK ? 0 : retry;
    }

    // As throttle.level does.
    void set_level(std::string_view level) {
        limits.set_level("weight", level);
        leases->tell_level("weight", level);
    }

    SharedLimits limits;
    std::unique_ptr<Leases> leases;
};

// The answer to one command of somebody else's.
redis::Answer ask(const RedisServer& server, const redis::Words& words) {
    redis::ClientOptions options;
    options.address = server.address();
    options.command_timeout = 20s;
    redis::Client client{options};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    return client.call(words);
}

// Redis as if it had been there for years: buckets that it does not know are full.
void grow_old(const RedisServer& server) {
    REQUIRE(ask(server, {"SET", "tenon:born", "1"}).reply().text() == "OK");
}

// How many commands the throttles have sent, by the server's own count: what scripts call is not
// asked for by anybody.
std::uint64_t commands_of(const RedisServer& server) {
    const redis::Answer answer = ask(server, {"INFO", "commandstats"});
    const std::string_view text = answer.reply().text();
    std::uint64_t calls = 0;
    for (const std::string_view name : {"eval", "evalsha", "ping", "hello", "subscribe", "zrem"}) {
        const std::string begin = "cmdstat_" + std::string{name} + ":calls=";
        if (const std::size_t at = text.find(begin); at != std::string_view::npos) {
            calls += std::stoull(std::string{text.substr(at + begin.size(), 20)});
        }
    }
    REQUIRE(calls > 0);
    return calls;
}

// Runs body until it gives true; false when it never does.
bool eventually(const std::function<bool()>& body) {
    const auto deadline = std::chrono::steady_clock::now() + k_patience;
    while (!body()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

constexpr std::size_t k_threads_each = 2;

// All servers ask for as much as they get, until `end` returns. When each was let through, by time.
std::vector<std::int64_t>
demand(std::vector<std::unique_ptr<Node>>& nodes, const std::function<void()>& until) {
    std::atomic<bool> over{false};
    std::vector<std::vector<std::int64_t>> times(nodes.size() * k_threads_each);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < times.size(); ++t) {
        threads.emplace_back([&, t] {
            Node& node = *nodes[t / k_threads_each];
            while (!over.load()) {
                const std::int64_t now = now_ns();
                if (node.take("upstream")) {
                    times[t].push_back(now);
                } else {
                    std::this_thread::yield();
                }
            }
        });
    }
    until();
    over.store(true);
    for (std::thread& thread : threads) {
        thread.join();
    }
    std::vector<std::int64_t> all;
    for (const auto& of_thread : times) {
        all.insert(all.end(), of_thread.begin(), of_thread.end());
    }
    std::sort(all.begin(), all.end());
    return all;
}

// The most that any span let through beyond rate * span, for spans from one request to the next.
std::int64_t most_at_once(const std::vector<std::int64_t>& times, std::int64_t per_second) {
    const double rate = static_cast<double>(per_second) / static_cast<double>(k_second_ns);
    double least = 0;
    double most = 0;
    for (std::size_t i = 0; i < times.size(); ++i) {
        // Requests 0 .. i less what the rate allows until then, against the lowest before it.
        const double level =
            static_cast<double>(i) - rate * static_cast<double>(times[i] - times[0]);
        least = i == 0 ? level : std::min(least, level);
        most = std::max(most, level - least + 1);
    }
    return static_cast<std::int64_t>(most);
}

// The most that were let through in any second.
std::size_t most_in_a_second(const std::vector<std::int64_t>& times) {
    std::size_t most = 0;
    std::size_t begin = 0;
    for (std::size_t end = 0; end < times.size(); ++end) {
        while (times[end] - times[begin] > k_second_ns) {
            ++begin;
        }
        most = std::max(most, end - begin + 1);
    }
    return most;
}

// A thread may have read the clock long before it took: one request of each is off.
constexpr auto k_slack = static_cast<std::int64_t>(k_servers * k_threads_each);

}  // namespace

TEST_CASE("no span lets through more than burst + rate * t on three servers", "[throttle][H6]") {
    constexpr std::int64_t k_rate = 20'000;
    constexpr std::int64_t k_burst = 6'000;
    RedisServer server;
    std::vector<std::unique_ptr<Node>> nodes;
    for (int i = 0; i < k_servers; ++i) {
        nodes.push_back(std::make_unique<Node>(server, limit_of(k_rate, k_burst)));
    }
    const auto times = demand(nodes, [] { ::poll(nullptr, 0, 2'000); });
    CHECK(most_at_once(times, k_rate) <= k_burst + k_slack);
    CHECK(times.size() >= k_burst);
    CHECK(most_in_a_second(times) <= (k_rate + k_burst) * 101 / 100);
    CHECK(commands_of(server) * 50 <= times.size());
    std::uint64_t refills = 0;
    for (const auto& node : nodes) {
        refills += node->leases->counts().refills.load();
        CHECK(node->leases->counts().tokens.load() > 0);
    }
    CHECK(refills * 50 <= times.size());
}

TEST_CASE("a new Redis gives no burst: who came before may have used it", "[throttle][H6]") {
    RedisServer server;
    LimitSettings limit = limit_of(1, 60);
    limit.custom_period_ns = 3'600 * k_second_ns;
    Node a{server, limit};
    std::int64_t taken = 0;
    REQUIRE(eventually([&] {
        taken += a.take("key") ? 1 : 0;
        return a.leases->counts().refills.load() != 0 && !a.take("key");
    }));
    CHECK(taken <= a.limits.at(0)->plan().own);
}

TEST_CASE("a small burst is kept to the unit, too", "[throttle][H6]") {
    RedisServer server;
    std::vector<std::unique_ptr<Node>> nodes;
    for (int i = 0; i < k_servers; ++i) {
        nodes.push_back(std::make_unique<Node>(server, limit_of(50, 4)));
    }
    const auto times = demand(nodes, [] { ::poll(nullptr, 0, 1'000); });
    CHECK(most_at_once(times, 50) <= 4 + k_slack);
    CHECK(times.size() >= 4);
}

TEST_CASE("killed and come back empty: still no span beyond burst + rate * t", "[throttle][H6]") {
    constexpr std::int64_t k_rate = 5'000;
    constexpr std::int64_t k_burst = 1'500;
    RedisServer server;
    std::vector<std::unique_ptr<Node>> nodes;
    for (int i = 0; i < k_servers; ++i) {
        nodes.push_back(std::make_unique<Node>(server, limit_of(k_rate, k_burst)));
    }
    const auto all = [&](bool leased) {
        return eventually([&] {
            return std::all_of(nodes.begin(), nodes.end(), [&](const auto& node) {
                return node->leases->mode().leased == leased;
            });
        });
    };
    const auto times = demand(nodes, [&] {
        ::poll(nullptr, 0, 500);
        server.kill_9();
        CHECK(all(false));
        ::poll(nullptr, 0, 500);
        server.start();
        CHECK(all(true));
        ::poll(nullptr, 0, 500);
    });
    // Without Redis each server's part may be rounded up by one.
    CHECK(most_at_once(times, k_rate) <= k_burst + k_slack + k_servers);
}

TEST_CASE("what one server has used up the others cannot spend", "[throttle][H6]") {
    RedisServer server;
    grow_old(server);
    LimitSettings limit = limit_of(1, 60);
    limit.custom_period_ns = 3'600 * k_second_ns;  // nothing comes back while the test runs
    Node a{server, limit};
    Node b{server, limit};
    int taken = 0;
    // Until Redis says that there is nothing for an hour.
    REQUIRE(eventually([&] {
        const tenon_throttle_claim claim{0, 1, str("key")};
        std::int64_t retry = 0;
        taken += a.limits.take({&claim, 1}, now_ns(), retry) == TENON_OK ? 1 : 0;
        return retry > 60 * k_second_ns;
    }));
    const auto plan = a.limits.at(0)->plan();
    CHECK(taken == plan.most);
    int left = 0;
    while (b.take("key")) {
        ++left;
    }
    CHECK(left == plan.own);
    CHECK(b.take("another key"));
}

TEST_CASE("claims on several limits are taken together or not at all", "[throttle][H6]") {
    RedisServer server;
    grow_old(server);
    Node a{server, limit_of(1'000, 600)};
    LimitSettings rare = limit_of(1, 6);
    rare.name = "orders";
    rare.custom_period_ns = 3'600 * k_second_ns;
    a.limits.apply({limit_of(1'000, 600), rare});
    const tenon_throttle_claim claims[]{{0, 1, str("k")}, {1, 1, str("k")}};
    std::int64_t retry = 0;
    int taken = 0;
    REQUIRE(eventually([&] {
        taken += a.limits.take(claims, now_ns(), retry) == TENON_OK ? 1 : 0;
        return retry > 60 * k_second_ns;
    }));
    CHECK(taken == a.limits.at(1)->plan().most);
    // As many of the first limit are gone as were taken together.
    CHECK(a.limits.at(0)->taken() == static_cast<std::uint64_t>(taken));
    CHECK(a.limits.at(1)->taken() == static_cast<std::uint64_t>(taken));
}

TEST_CASE(
    "a request may cost more than a server holds, but not more than it can have",
    "[throttle][H6]"
) {
    RedisServer server;
    grow_old(server);
    Node a{server, limit_of(1'000, 60)};
    const auto plan = a.limits.at(0)->plan();
    CHECK(plan.own < plan.most);
    const auto cost = static_cast<std::uint32_t>(plan.most);
    CHECK(eventually([&] { return a.take("key", cost); }));
    const tenon_throttle_claim claim{0, cost + 1, str("key")};
    std::int64_t retry = 0;
    CHECK(a.limits.take({&claim, 1}, now_ns(), retry) == TENON_INVALID);
}

TEST_CASE("what nobody took is given back", "[throttle][H6]") {
    RedisServer server;
    grow_old(server);
    LimitSettings limit = limit_of(1, 60);
    limit.custom_period_ns = 3'600 * k_second_ns;
    // A connection that a busy machine loses takes its tokens with it, and none are given back.
    Node a{server, limit, 60s};
    const auto cost = static_cast<std::uint32_t>(a.limits.at(0)->plan().most);
    CHECK_FALSE(a.take("key", cost));
    CHECK(eventually([&] { return a.leases->counts().returned.load() > 0; }));
    // Then another server can have it.
    Node b{server, limit};
    CHECK(eventually([&] { return b.take("key", cost); }));
}

TEST_CASE("each server knows how many share, and takes its part without Redis", "[throttle][H6]") {
    RedisServer server;
    const LimitSettings limit = limit_of(6'000, 600);
    Node a{server, limit};
    CHECK(eventually([&] { return a.leases->servers() == 1; }));
    auto b = std::make_unique<Node>(server, limit);
    {
        const Node c{server, limit};
        CHECK(eventually([&] { return a.leases->servers() == 3 && b->leases->servers() == 3; }));
    }
    // It has said goodbye. One that was killed is found to be silent.
    CHECK(eventually([&] { return a.leases->servers() == 2; }));
    REQUIRE(ask(server, {"ZADD", "tenon:servers", "9e15", "ghost"}).reply().integer() == 1);
    CHECK(eventually([&] { return a.leases->servers() == 3; }));
    REQUIRE(ask(server, {"ZADD", "tenon:servers", "1", "ghost"}).reply().integer() == 0);
    CHECK(eventually([&] { return a.leases->servers() == 2 && b->leases->servers() == 2; }));
    server.kill_9();
    CHECK(eventually([&] { return !a.leases->mode().leased && !b->leases->mode().leased; }));
    for (const auto* const of : {a.limits.at(0), b->limits.at(0)}) {
        CHECK(of->alone() == redis_throttle::part_of(of->plan().rate, 2));
        CHECK(of->alone().burst == 300);
    }
}

TEST_CASE("more servers than are planned for are told of", "[throttle][H6]") {
    RedisServer server;
    Node a{server, limit_of(6'000, 600)};
    for (const char* const ghost : {"1", "2", "3"}) {
        REQUIRE(ask(server, {"ZADD", "tenon:servers", "9e15", ghost}).reply().integer() == 1);
    }
    CHECK(eventually([&] {
        return a.leases->reason() == "4 servers share limits that are set for 3";
    }));
    CHECK(a.leases->mode().leased);
}

TEST_CASE("an upstream's block that one server gets reaches the others", "[throttle][H6]") {
    RedisServer server;
    grow_old(server);
    const LimitSettings limit = limit_of(1'000, 600);
    Node a{server, limit};
    Node b{server, limit};
    CHECK(b.take("upstream"));
    auto feedback = sized<tenon_throttle_feedback>();
    feedback.outcome = TENON_UPSTREAM_LIMITED;
    feedback.retry_after_ns = 3'600 * k_second_ns;
    a.limits.observe(0, "upstream", feedback, now_ns());
    const auto blocked = [](Node& node) {
        const std::int64_t retry = node.retry_of("upstream");
        return retry > 3'000 * k_second_ns && retry < 3'700 * k_second_ns;
    };
    CHECK(blocked(a));
    CHECK(eventually([&] { return blocked(b); }));
    CHECK(b.take("another upstream"));
    Node late{server, limit};
    CHECK(eventually([&] { return blocked(late); }));
}

TEST_CASE("a level that is set on one server is in force on all", "[throttle][H1][H6]") {
    RedisServer server;
    LimitSettings limit = limit_of(1'000, 600);
    limit.level = "conservative";
    Node a{server, limit};
    Node b{server, limit};
    a.set_level("aggressive");
    const auto has = [](const Node& node, std::string_view level) {
        return eventually([&] { return node.limits.level("weight") == level; });
    };
    CHECK(has(b, "aggressive"));
    CHECK(b.limits.at(0)->plan().per_second == 50);
    {
        const Node late{server, limit};
        CHECK(has(late, "aggressive"));
    }
    b.set_level("moderate");
    b.set_level("unlimited");
    CHECK(has(a, "unlimited"));
    CHECK(has(b, "unlimited"));
    // Set while there is no Redis: told when it is back, although it has forgotten the rest.
    server.kill_9();
    REQUIRE(eventually([&] { return !a.leases->mode().leased; }));
    a.set_level("moderate");
    server.start();
    CHECK(has(b, "moderate"));
    CHECK(has(a, "moderate"));
}

TEST_CASE("limits are not shared through a Redis that drops keys", "[throttle][H6]") {
    RedisServer server{{"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}};
    Node a{server, limit_of(6'000, 600), 1s, false};
    CHECK(eventually([&] {
        return a.leases->reason().find("maxmemory-policy allkeys-lru") != std::string::npos;
    }));
    CHECK_FALSE(a.leases->wait_up(0s));
    CHECK(a.take("upstream"));  // of its part
    CHECK(a.leases->counts().refills.load() == 0);
    const auto set = [&](std::string_view policy) {
        return ask(server, {"CONFIG", "SET", "maxmemory-policy", policy}).reply().text() == "OK";
    };
    REQUIRE(set("noeviction"));
    CHECK(eventually([&] { return a.leases->mode().leased && a.leases->reason().empty(); }));
    REQUIRE(set("volatile-ttl"));
    CHECK(eventually([&] { return !a.leases->mode().leased; }));
    REQUIRE(set("noeviction"));
    CHECK(eventually([&] { return a.leases->mode().leased; }));
}

TEST_CASE("keys that are not used any more make room", "[throttle][H6]") {
    LimitSettings settings = limit_of(1'000, 2'000);
    settings.keys_max = 100;
    redis_throttle::SharedLimit limit{
        settings, redis_throttle::make_plan(1'000, k_second_ns, 2'000, 3)};
    REQUIRE(limit.plan().own >= 3);
    const redis_throttle::Mode leased{true, 0};
    const std::int64_t now = limit.advance(1);
    const auto key_of = [](int i) {
        return redis_throttle::SharedLimit::key_of("key " + std::to_string(i));
    };
    for (int i = 0; i < 100; ++i) {
        REQUIRE(limit.take(limit.place(key_of(i)), 1, now, leased));
    }
    REQUIRE(limit.keys() > 3);
    limit.sweep(true);  // in use since the sweep before
    limit.sweep(true);
    std::uint64_t filled = 0;
    limit.each_marked([&](redis_throttle::Place& place) {
        CHECK(place.wanted.load() == limit.plan().own);
        place.tokens.store(limit.plan().own);  // as the leases do
        ++filled;
    });
    CHECK(filled >= limit.keys());
    limit.sweep(true);
    CHECK(limit.keys() == 0);
    limit.sweep(true);
    CHECK(limit.find(key_of(1)) == nullptr);
}

TEST_CASE("dear claims on two limits are granted when both are there", "[throttle][H6]") {
    RedisServer server;
    grow_old(server);
    LimitSettings other = limit_of(1'000, 60);
    other.name = "other";
    Node a{server, limit_of(1'000, 60)};
    a.limits.apply({limit_of(1'000, 60), other});
    const auto most = static_cast<std::uint32_t>(a.limits.at(0)->plan().most);
    const tenon_throttle_claim claims[]{{0, most, str("k")}, {1, most, str("k")}};
    std::int64_t retry = 0;
    CHECK(eventually([&] { return a.limits.take(claims, now_ns(), retry) == TENON_OK; }));
}

TEST_CASE("news that make no sense change nothing", "[throttle][H6]") {
    RedisServer server;
    grow_old(server);
    LimitSettings limit = limit_of(1'000, 600);
    limit.level = "moderate";
    Node a{server, limit};
    for (const char* const text :
         {"",
          "block",
          "block 1",
          "block x 1 weight",
          "block -5 1 weight",
          "block 1 x weight",
          "block 99999999999999999999 1 weight",
          "level",
          "level aggressive",
          "level aggressive x",
          "other aggressive weight"}) {
        REQUIRE(ask(server, {"PUBLISH", "tenon:news", text}).reply().integer() == 1);
    }
    REQUIRE(ask(server, {"HSET", "tenon:blocks", "x", "9e15"}).reply().integer() == 1);
    REQUIRE(ask(server, {"HSET", "tenon:levels", "no such limit", "wild"}).reply().integer() == 1);
    // Later news are heard after those.
    REQUIRE(
        ask(server, {"PUBLISH", "tenon:news", "level aggressive weight"}).reply().integer() == 1
    );
    CHECK(eventually([&] { return a.limits.level("weight") == "aggressive"; }));
    CHECK(a.take("upstream"));
}
