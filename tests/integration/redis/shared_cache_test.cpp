// SPDX-License-Identifier: Apache-2.0
// Three servers as they are deployed, each a stack over a memory tier and the Redis tier, beside
// one Redis: what is acknowledged on one is not read old on another.
#include "tests/support/fake_host.hpp"
#include "tests/support/loaded_plugin.hpp"
#include "tests/support/redis_server.hpp"

#include <tenon/cache.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace tenon;
using test::FakeHost;
using test::LoadedPlugin;
using test::RedisServer;

namespace {

constexpr auto k_patience = std::chrono::seconds{30};
constexpr std::string_view k_memory =
    R"({"bytes_max":1048576,"shards":4,"sweep_interval_ms":300000})";
constexpr std::string_view k_stack = R"({
    "default_ttl_ms":300000,"default_negative_ttl_ms":5000,"refresh_timeout_ms":1000,
    "sweep_interval_ms":300000,
    "caches":[{"name":"balance","ttl_ms":60000,"consistency":"strict"},
              {"name":"config","ttl_ms":60000,"consistency":"pushed"}],
    "events":[{"event":"order_placed","caches":["balance"]}]})";

std::string redis_settings(const RedisServer& server) {
    return R"({"url":")" + server.url() + R"(","password":null,"namespace":"tenon",)" +
           R"("value_bytes_max":1048576,"command_timeout_ms":20000,"connect_timeout_ms":20000,)" +
           R"("ping_interval_ms":100,"dead_after_ms":20000,"reconnect_max_ms":50})";
}

struct Server {
    explicit Server(const RedisServer& redis)
        : memory{host, "cache-memory", k_memory},
          shared{host, "cache-redis", redis_settings(redis)} {
        host.bind("tenon.cache_tier/1", memory.query("tenon.cache_tier/1"), "memory");
        host.bind("tenon.cache_tier/1", shared.query("tenon.cache_tier/1"), "redis");
        stack = std::make_unique<LoadedPlugin>(host, "cache-stack", k_stack);
        host.bind("tenon.cache/1", stack->query("tenon.cache/1"), "cache");
        cache = std::make_unique<Cache>(Host{host.raw()});
    }

    ~Server() {
        cache.reset();
        stack->stop();
        shared.stop();
        memory.stop();
    }

    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    FakeHost host;
    LoadedPlugin memory, shared;
    std::unique_ptr<LoadedPlugin> stack;
    std::unique_ptr<Cache> cache;
};

// What a server reads of a user's account, through its cache.
std::int64_t read_through(
    const Server& server,
    const std::string& name,
    const std::string& user,
    const std::function<std::int64_t()>& load
) {
    const Keep keep{std::chrono::seconds{0}, {"user:" + user}};
    return cached(*server.cache, name, user, keep, load);
}

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

}  // namespace

TEST_CASE(
    "what one server loaded another finds, and what one invalidates all forget",
    "[cache][C3]"
) {
    RedisServer redis;
    Server a{redis};
    Server b{redis};
    int loads = 0;
    const auto load = [&] { return std::int64_t{++loads}; };
    CHECK(read_through(a, "balance", "1", load) == 1);
    CHECK(eventually([&] { return read_through(b, "balance", "1", load) <= loads; }));
    b.cache->event("order_placed", "user:1");
    const int before = loads;
    CHECK(read_through(a, "balance", "1", load) > before);
    CHECK(read_through(b, "balance", "1", load) > before);
}

TEST_CASE("after an acknowledged order no server reads the balance before it", "[cache][C1]") {
    constexpr std::size_t k_users = 6;
    constexpr std::size_t k_threads = 6;

    struct Account {
        std::mutex mutex;  // of orders
        std::atomic<std::int64_t> balance{0};
        std::atomic<std::int64_t> acknowledged{0};
    };

    // Of each thread; a long run takes 100,000 together.
    const char* const set = std::getenv("TENON_SHARED_CACHE_ROUNDS");
    const int rounds = set != nullptr ? std::atoi(set) : 1'500;
    RedisServer redis;
    const std::array<std::unique_ptr<Server>, 3> servers{
        std::make_unique<Server>(redis),
        std::make_unique<Server>(redis),
        std::make_unique<Server>(redis)};
    std::array<Account, k_users> accounts;
    std::atomic<int> stale{0};
    std::atomic<int> loads{0};
    std::atomic<int> reads{0};
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < k_threads; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937 random{seed + static_cast<unsigned>(t)};
            for (int i = 0; i < rounds; ++i) {
                const Server& server = *servers.at(random() % servers.size());
                const std::size_t at = random() % k_users;
                const std::string user = std::to_string(at);
                Account& account = accounts.at(at);
                if (random() % 10 == 0) {
                    const std::lock_guard lock{account.mutex};
                    const std::int64_t next = account.balance.load() + 1;
                    account.balance.store(next);
                    server.cache->event("order_placed", "user:" + user);
                    account.acknowledged.store(next);
                    continue;
                }
                const std::int64_t least = account.acknowledged.load();
                const std::int64_t seen = read_through(server, "balance", user, [&] {
                    ++loads;
                    return account.balance.load();
                });
                ++reads;
                stale += seen < least ? 1 : 0;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(stale == 0);
    CHECK(loads < reads);  // it is a cache
}

TEST_CASE("without Redis the servers go on, and share again when it is back", "[cache][C2]") {
    RedisServer redis;
    Server a{redis};
    Server b{redis};
    std::int64_t truth = 1;
    const auto load = [&] { return truth; };
    CHECK(read_through(a, "config", "1", load) == 1);
    CHECK(read_through(b, "config", "1", load) == 1);
    redis.kill_9();
    // A change that B cannot hear of: what it has in memory is not used while it is deaf.
    REQUIRE(eventually([&] { return b.host.health_of("redis") == TENON_DEGRADED; }));
    REQUIRE(eventually([&] { return a.host.health_of("redis") == TENON_DEGRADED; }));
    truth = 2;
    a.cache->invalidate("user:1");
    CHECK(read_through(a, "config", "1", load) == 2);
    CHECK(read_through(b, "config", "1", load) == 2);
    redis.start();
    REQUIRE(eventually([&] { return b.host.health_of("redis") == TENON_HEALTHY; }));
    REQUIRE(eventually([&] { return a.host.health_of("redis") == TENON_HEALTHY; }));
    CHECK(read_through(b, "config", "1", load) == 2);
    // A tier that failed is asked again after a while, of the server's own clock.
    constexpr std::int64_t k_while_ns = 40'000'000'000;
    a.host.reactor().advance(k_while_ns);
    b.host.reactor().advance(k_while_ns);
    truth = 3;
    b.cache->invalidate("user:1");
    CHECK(eventually([&] { return read_through(a, "config", "1", load) == 3; }));
    CHECK(read_through(b, "config", "1", load) == 3);
}
