// SPDX-License-Identifier: Apache-2.0
// Clients of three servers over one Redis and one PostgreSQL place orders and read balances,
// positions and orders, all at once; what they were told is judged afterwards. TENON_SEED repeats
// who asked what; TENON_HISTORY_OPERATIONS makes it longer.
#include "tests/integration/servers/three_servers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <functional>
#include <mutex>
#include <random>
#include <thread>

using namespace tenon::test;

namespace {

constexpr std::size_t k_servers = 3;
constexpr std::size_t k_accounts = 8;
constexpr std::size_t k_clients = 12;

std::uint64_t number_or(const char* name, std::uint64_t fallback) {
    const char* const text = std::getenv(name);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

struct Deployment {
    explicit Deployment(const boost::json::object& stack)
        : database{database_with_accounts(postgres, k_accounts)} {
        for (auto& server : servers) {
            server = std::make_unique<TradingServer>(redis, postgres, database, stack);
        }
    }

    RedisServer redis;
    PostgresServer postgres;
    std::string database;
    std::array<std::unique_ptr<TradingServer>, k_servers> servers;
};

struct Run {
    History history;
    std::uint64_t failures = 0, loads = 0;
    std::string failure;
};

// One client: a tenth of what it does are orders, each at any server.
void trade(
    Deployment& deployment,
    std::uint64_t operations,
    std::uint64_t seed,
    std::atomic<std::uint64_t>& tick,
    History& mine
) {
    std::mt19937_64 random{seed};
    for (std::uint64_t i = 0; i < operations; ++i) {
        TradingServer& server = *deployment.servers.at(random() % k_servers);
        const std::size_t account = random() % k_accounts;
        const auto view = static_cast<View>(random() % 3);
        const bool order = random() % 10 == 0;
        const std::uint64_t began = ++tick;
        if (order) {
            const std::int64_t version = server.order(account);
            mine.orders.push_back({account, began, ++tick, version});
        } else {
            const auto [version, amount] = server.read(view, account);
            mine.reads.push_back({account, view, began, ++tick, version, amount});
        }
    }
}

Run run(Deployment& deployment, std::uint64_t operations, std::uint64_t seed) {
    std::atomic<std::uint64_t> tick{0};
    std::array<History, k_clients> histories;
    std::mutex mutex;
    Run out;
    std::vector<std::thread> clients;
    for (std::size_t client = 0; client < k_clients; ++client) {
        clients.emplace_back([&, client] {
            try {
                trade(
                    deployment,
                    operations / k_clients + 1,
                    seed * 1'000 + client,
                    tick,
                    histories.at(client)
                );
            } catch (const std::exception& error) {
                const std::lock_guard lock{mutex};
                ++out.failures;
                out.failure = error.what();
            }
        });
    }
    for (std::thread& client : clients) {
        client.join();
    }
    for (History& history : histories) {
        out.history.append(std::move(history));
    }
    for (const auto& server : deployment.servers) {
        out.loads += server->loads;
    }
    return out;
}

bool eventually(const std::function<bool()>& probe) {
    const auto until = std::chrono::steady_clock::now() + k_patience;
    while (!probe()) {
        if (std::chrono::steady_clock::now() > until) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

}  // namespace

TEST_CASE(
    "after an acknowledged order no reader on any server sees what was before it",
    "[servers][C1][C3]"
) {
    const std::uint64_t seed = number_or("TENON_SEED", std::random_device{}());
    const std::uint64_t operations = number_or("TENON_HISTORY_OPERATIONS", 6'000);
    INFO("TENON_SEED=" << seed);
    Deployment deployment{{}};
    const Run done = run(deployment, operations, seed);
    const Verdict verdict = judge(done.history, k_accounts);
    std::printf(
        "seed %llu: %zu orders, %zu reads, %llu of them from the database: %llu stale\n",
        static_cast<unsigned long long>(seed),
        done.history.orders.size(),
        done.history.reads.size(),
        static_cast<unsigned long long>(done.loads),
        static_cast<unsigned long long>(verdict.stale)
    );
    INFO(done.failure);
    INFO(verdict.first);
    CHECK(done.failures == 0);
    CHECK(verdict.stale == 0);
    CHECK(verdict.early == 0);
    CHECK(verdict.torn == 0);
    CHECK(verdict.doubled == 0);
    CHECK(done.history.orders.size() + done.history.reads.size() >= operations);
    CHECK(done.loads < done.history.reads.size());  // it is a cache all the same
}

namespace {

struct KilledRun {
    Run done;
    int kills = 0;
    bool told = true;  // every server noticed each time, and found it again
};

// The clients' work while Redis is killed and comes back, so many times at most.
KilledRun
run_killing(Deployment& deployment, std::uint64_t operations, std::uint64_t seed, int most) {
    KilledRun out;
    std::atomic<bool> over{false};
    std::thread clients{[&] {
        out.done = run(deployment, operations, seed);
        over = true;
    }};
    const auto all_are = [&](std::int32_t state) {
        return std::all_of(
            deployment.servers.begin(),
            deployment.servers.end(),
            [&](const auto& server) { return server->host.health_of("redis") == state; }
        );
    };
    while (!over && out.told && out.kills < most) {
        deployment.redis.kill_9();
        out.told = eventually([&] { return all_are(TENON_DEGRADED); });
        deployment.redis.start();
        out.told = out.told && eventually([&] { return all_are(TENON_HEALTHY); });
        out.kills += out.told ? 1 : 0;
    }
    clients.join();
    return out;
}

void check(const KilledRun& run, std::uint64_t seed) {
    const Verdict verdict = judge(run.done.history, k_accounts);
    std::printf(
        "seed %llu: %d kills, %zu reads, %llu stale\n",
        static_cast<unsigned long long>(seed),
        run.kills,
        run.done.history.reads.size(),
        static_cast<unsigned long long>(verdict.stale)
    );
    INFO("TENON_SEED=" << seed);
    INFO(run.done.failure);
    INFO(verdict.first);
    CHECK(run.told);
    CHECK(run.kills > 0);
    CHECK(run.done.failures == 0);
    CHECK(verdict.stale == 0);
    CHECK(verdict.early == 0);
    CHECK(verdict.torn == 0);
}

}  // namespace

// With time enough to find Redis again for machines that are busy with other tests.
TEST_CASE(
    "Redis is killed under orders: nobody is refused and nobody sees what was before one",
    "[servers][C2]"
) {
    const std::uint64_t seed = number_or("TENON_SEED", std::random_device{}());
    Deployment deployment{{{"rejoin_ms", 60'000}}};
    check(run_killing(deployment, 3'000, seed, 3), seed);
}

// With the manifest's settings: every server has to find Redis again within rejoin_ms of the first,
// which a machine that is busy with other tests need not keep.
TEST_CASE("Redis is killed under orders, again and again", "[.][servers][kills]") {
    const std::uint64_t seed = number_or("TENON_SEED", std::random_device{}());
    Deployment deployment{{}};
    check(
        run_killing(deployment, number_or("TENON_HISTORY_OPERATIONS", 6'000), seed, INT_MAX), seed
    );
}

TEST_CASE("the same clients see old balances where entries go by their time", "[servers][C3]") {
    const std::uint64_t seed = number_or("TENON_SEED", std::random_device{}());
    INFO("TENON_SEED=" << seed);
    boost::json::array caches;
    for (const char* const name : k_view_names) {
        caches.push_back({{"name", name}, {"ttl_ms", 600'000}, {"consistency", "timed"}});
    }
    // Events travel fast: one run may have no read in between.
    std::uint64_t stale = 0;
    for (std::uint64_t more = 0; stale == 0 && more < 10; ++more) {
        Deployment deployment{{{"caches", caches}}};
        const Run done = run(deployment, 3'000, seed + more);
        INFO(done.failure);
        CHECK(done.failures == 0);
        stale = judge(done.history, k_accounts).stale;
    }
    CHECK(stale > 0);
}

TEST_CASE("the judge finds an old, a future and a torn read, and allows the others", "[servers]") {
    const auto at = [](std::int64_t version) {
        std::int64_t sum = 0;
        for (std::int64_t i = 1; i <= version; ++i) {
            sum += quantity_of(0, i);
        }
        return sum;
    };
    const auto read = [&](std::uint64_t began, std::uint64_t ended, std::int64_t version) {
        return ReadDone{0, View::position, began, ended, version, at(version)};
    };
    History history;
    history.orders = {{0, 10, 20, 1}, {0, 30, 40, 2}};
    history.reads = {
        read(1, 5, 0), read(15, 35, 0), read(21, 29, 1), read(25, 45, 2), read(41, 50, 2)};
    CHECK(judge(history, 1).first.empty());
    SECTION("old") {
        history.reads.push_back(read(21, 50, 0));
        CHECK(judge(history, 1).stale == 1);
    }
    SECTION("future") {
        history.reads.push_back(read(21, 29, 2));
        CHECK(judge(history, 1).early == 1);
    }
    SECTION("torn") {
        history.reads.push_back({0, View::balance, 41, 50, 2, k_funds - k_price * at(1)});
        CHECK(judge(history, 1).torn == 1);
    }
    SECTION("two orders in one place") {
        history.orders.push_back({0, 41, 42, 2});
        CHECK(judge(history, 1).doubled == 1);
    }
}
