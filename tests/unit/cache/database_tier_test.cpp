// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/database/database_tier.hpp"

#include "tests/support/loaded_plugin.hpp"
#include "tests/unit/storage/backend.hpp"

#include <tenon/cache.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <thread>
#include <vector>

using tenon::database_cache::DatabaseTier;
using tenon::database_cache::TierOptions;

namespace {

// The storage's monotonic clock, and a real time that the test moves.
struct Clock {
    explicit Clock(tenon::test::FakeHost& host)
        : base{tenon::Host{host.raw()}.service<tenon_clock_1>("tenon.clock/1")} {}

    [[nodiscard]] tenon::Service<tenon_clock_1> service() { return {this, &k_table}; }

    tenon::Service<tenon_clock_1> base;
    std::atomic<std::int64_t> real_ns{1'000'000'000'000};

    static constexpr tenon_clock_1 k_table{
        sizeof(tenon_clock_1),
        0,
        [](void* self) noexcept -> std::int64_t {
            const auto& base = static_cast<Clock*>(self)->base;
            return base->now_ns(base.self);
        },
        [](void* self) noexcept -> std::int64_t { return static_cast<Clock*>(self)->real_ns; }};
};

TierOptions patient() {
    TierOptions options;
    options.timeout = std::chrono::minutes{1};
    options.batch = 7;
    options.entries_max = 50;
    options.value_bytes_max = 1000;
    return options;
}

std::string read(DatabaseTier& tier, std::string_view key) {
    std::string out = "-";
    (void)tier.get(key, 0, [&](std::string_view value) { out = value; });
    return out;
}

}  // namespace

TEMPLATE_TEST_CASE(
    "the database keeps an entry for its time, for every server of it",
    "[cache][C2]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    Clock clock{backend.host};
    DatabaseTier one{backend.storage(), clock.service(), patient()};
    DatabaseTier two{backend.storage(), clock.service(), patient()};
    CHECK(read(one, "k") == "-");
    const std::string value("a\0b\xff", 4);
    one.put("k", value, 0, 100);
    CHECK(read(two, "k") == value);
    CHECK(two.get("k", 5000, [](std::string_view) {}) == 5100);
    clock.real_ns += 60;
    CHECK(two.get("k", 5000, [](std::string_view) {}) == 5040);
    two.put("k", "new", 0, 100);
    CHECK(read(one, "k") == "new");
    clock.real_ns += 100;
    CHECK(read(one, "k") == "-");
    one.put("k", "again", 0, INT64_MAX);
    CHECK(two.erase("k"));
    CHECK_FALSE(one.erase("k"));
    CHECK(read(one, "k") == "-");
    one.put("empty", "", 0, 100);
    CHECK(read(two, "empty").empty());
    one.put("k", "kept", 0, 100);
    CHECK_THROWS_AS(one.put("k", std::string(1001, 'v'), 0, 100), tenon::Error);
    CHECK(read(one, "k") == "kept");
}

TEMPLATE_TEST_CASE(
    "a clear takes the keys with the prefix and no others",
    "[cache][C3]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    Clock clock{backend.host};
    DatabaseTier tier{backend.storage(), clock.service(), patient()};
    for (int i = 0; i < 20; ++i) {
        tier.put("a:" + std::to_string(i), "v", 0, 1000);
    }
    tier.put("a;", "v", 0, 1000);
    tier.put("\xff\xff", "v", 0, 1000);
    tier.put("\xff\xff\x01", "v", 0, 1000);
    tier.clear("a:");
    CHECK(tier.counters().erased == 20);
    CHECK(read(tier, "a;") == "v");
    tier.clear("\xff\xff");
    CHECK(read(tier, "\xff\xff") == "-");
    CHECK(read(tier, "\xff\xff\x01") == "-");
    CHECK(read(tier, "a;") == "v");
    tier.clear("");
    CHECK(read(tier, "a;") == "-");
}

TEMPLATE_TEST_CASE(
    "a sweep deletes what is expired, and over the limit what expires first",
    "[cache][C4]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    Clock clock{backend.host};
    DatabaseTier tier{backend.storage(), clock.service(), patient()};
    for (int i = 0; i < 100; ++i) {
        tier.put("k" + std::to_string(i), "v", 0, 100 + i);
    }
    clock.real_ns += 130;
    tier.sweep();
    CHECK(tier.counters().expired == 31);
    CHECK(tier.counters().evicted == 19);
    CHECK(tier.counters().entries == 50);
    CHECK(read(tier, "k49") == "-");
    CHECK(read(tier, "k50") == "v");
}

TEMPLATE_TEST_CASE(
    "many threads put, read and erase in the database without a failure",
    "[cache][C2]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    Clock clock{backend.host};
    DatabaseTier tier{backend.storage(), clock.service(), patient()};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 60; ++i) {
                const std::string key = "k" + std::to_string((i * 7 + t) % 10);
                const auto status = tenon::guard(nullptr, [&] {
                    tier.put(key, key, 0, 1'000'000);
                    const std::string value = read(tier, key);
                    wrong += value != key && value != "-" ? 1 : 0;
                    if (i % 5 == 0) {
                        (void)tier.erase(key);
                    }
                });
                wrong += status == TENON_OK ? 0 : 1;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(wrong == 0);
}

namespace {

// A server: a stack over memory and the database.
struct Server {
    explicit Server(tenon::Storage storage) {
        const auto service = storage.service();
        host.bind("tenon.storage/1", {service.self, service.table});
        memory = std::make_unique<tenon::test::LoadedPlugin>(
            host, "cache-memory", R"({"bytes_max":1048576,"shards":4,"sweep_interval_ms":300000})"
        );
        database = std::make_unique<tenon::test::LoadedPlugin>(
            host,
            "cache-database",
            R"({"timeout_ms":60000,"entries_max":1000,"value_bytes_max":10000,
                "sweep_interval_ms":300000})"
        );
        host.bind("tenon.cache_tier/1", memory->query("tenon.cache_tier/1"), "l1");
        host.bind("tenon.cache_tier/1", database->query("tenon.cache_tier/1"), "l3");
        stack = std::make_unique<tenon::test::LoadedPlugin>(
            host,
            "cache-stack",
            R"({"default_ttl_ms":300000,"default_negative_ttl_ms":5000,"refresh_timeout_ms":1000,
                "sweep_interval_ms":300000,"caches":[
                {"name":"balance","ttl_ms":15000,"consistency":"strict"},
                {"name":"symbol_info","ttl_ms":60000}],
                "events":[{"event":"order_placed","caches":["balance"]}]})"
        );
        host.bind("tenon.cache/1", stack->query("tenon.cache/1"), "cache");
    }

    std::string fetch(std::string_view name, std::string value) {
        const tenon::Cache cache{tenon::Host{host.raw()}};
        const tenon::Keep keep{std::chrono::seconds{0}, {"user:1"}};
        return tenon::cached(cache, name, "k", keep, [&] {
            ++loads;
            return value;
        });
    }

    tenon::test::FakeHost host;
    std::unique_ptr<tenon::test::LoadedPlugin> memory, database, stack;
    int loads = 0;
};

}  // namespace

TEMPLATE_TEST_CASE(
    "servers of one database read what another loaded until another invalidates it",
    "[cache][C2][C3]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    Server one{backend.storage()};
    const tenon::Cache cache{tenon::Host{one.host.raw()}};
    for (const std::string_view name : {"balance", "symbol_info"}) {
        CHECK(one.fetch(name, "first") == "first");
        if (backend.storage().dialect() == "postgres") {
            Server two{backend.storage()};
            CHECK(two.fetch(name, "x") == "first");
            CHECK(two.fetch(name, "x") == "first");
            CHECK(two.loads == 0);
            cache.invalidate("user:1");
            CHECK(two.fetch(name, "second") == "second");
            CHECK(one.fetch(name, "x") == "second");
            cache.event("order_placed", "user:1");
            CHECK(two.fetch(name, "third") == (name == "balance" ? "third" : "second"));
            tenon::Cache{tenon::Host{two.host.raw()}}.erase(name, "k");
        } else {
            cache.erase(name, "k");
        }
        CHECK(one.fetch(name, "fourth") == "fourth");
        CHECK(one.fetch(name, "x") == "fourth");
    }
}
