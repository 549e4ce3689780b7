// SPDX-License-Identifier: Apache-2.0
// Rows kept, given, outdated by writes and by time, and bounded.
#include <tenon/query_cache.hpp>
#include <tenon/storage.hpp>

#include <catch2/catch.hpp>

#include <random>
#include <thread>

using tenon::CachedRows;
using tenon::QueryCache;
using tenon::RowCollector;
using tenon::value_of;
using tenon::WriteMarks;

namespace {

constexpr std::int64_t k_long = 1'000'000'000;

std::shared_ptr<const CachedRows> rows_of(std::int64_t number, std::string_view text = "text") {
    RowCollector collector{1U << 20U};
    const std::array<tenon_value, 3> row{value_of(number), value_of(text), tenon_value{}};
    collector.add(row);
    collector.add(row);
    return collector.take();
}

struct Fixture {
    QueryCache cache{QueryCache::Settings{}};
    std::vector<std::uint16_t> tables{QueryCache::slot_of("orders"), QueryCache::slot_of("users")};
    QueryCache::Key key = cache.key_of("select 1", {});

    void keep(std::int64_t now_ns = 0) {
        cache.insert(key, cache.depends_on(tables), rows_of(7), now_ns);
    }

    bool has(std::int64_t ttl_ns = k_long, std::int64_t now_ns = 0) {
        return cache.find(key, ttl_ns, now_ns) != nullptr;
    }

    void write(std::string_view table) {
        WriteMarks marks{&cache};
        marks.add(QueryCache::slot_of(table));
    }
};

}  // namespace

TEST_CASE("rows come back as they were", "[query-cache][S4]") {
    Fixture f;
    CHECK_FALSE(f.has());
    f.keep();
    const auto rows = f.cache.find(f.key, k_long, 0);
    REQUIRE(rows != nullptr);
    REQUIRE(rows->size() == 2);
    REQUIRE(rows->columns() == 3);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(rows->row(i)[0].i == 7);
        CHECK(tenon::view(rows->row(i)[1].b) == "text");
        CHECK(rows->row(i)[2].kind == TENON_VALUE_NULL);
    }
    const auto figures = f.cache.figures();
    CHECK(figures.hits == 1);
    CHECK(figures.misses == 1);
    CHECK(figures.entries == 1);
}

TEST_CASE("statement, kind, length and value are all of the key", "[query-cache][S4]") {
    QueryCache cache{QueryCache::Settings{}};
    const std::vector<std::vector<tenon_value>> sets{
        {},
        {value_of(1)},
        {value_of(1.0)},
        {value_of("1")},
        {value_of(tenon::bytes("1"))},
        {tenon_value{}},
        {value_of("a"), value_of("bc")},
        {value_of("ab"), value_of("c")},
        {value_of(0.0)},
        {value_of(-0.0)}};
    std::int64_t number = 0;
    for (const auto& values : sets) {
        for (const char* sql : {"select a", "select b"}) {
            cache.insert(cache.key_of(sql, values), cache.depends_on({}), rows_of(number++), 0);
        }
    }
    number = 0;
    for (const auto& values : sets) {
        for (const char* sql : {"select a", "select b"}) {
            const auto rows = cache.find(cache.key_of(sql, values), k_long, 0);
            REQUIRE(rows != nullptr);
            CHECK(rows->row(0)[0].i == number++);
        }
    }
}

TEST_CASE("a write outdates what came from its table, whatever its case", "[query-cache][S4]") {
    Fixture f;
    f.keep();
    f.write("trades");
    CHECK(f.has());
    f.write("USERS");
    CHECK_FALSE(f.has());
    f.keep();
    CHECK(f.has());
    f.cache.invalidate_all();
    CHECK_FALSE(f.has());
    CHECK(f.cache.figures().invalidations == 2);
}

TEST_CASE("rows read before or during a write are not kept", "[query-cache][S4]") {
    Fixture f;
    const auto before = f.cache.depends_on(f.tables);
    QueryCache::Dependencies during;
    {
        WriteMarks marks{&f.cache};
        marks.add(f.tables[0]);
        marks.add(f.tables[0]);
        during = f.cache.depends_on(f.tables);
        f.cache.insert(f.key, before, rows_of(1), 0);
        f.cache.insert(f.key, during, rows_of(1), 0);
        CHECK_FALSE(f.has());
    }
    f.cache.insert(f.key, before, rows_of(1), 0);
    f.cache.insert(f.key, during, rows_of(1), 0);
    CHECK_FALSE(f.has());
    f.keep();
    CHECK(f.has());
    // Kept before, the write under way hides them: what it may have committed is newer.
    WriteMarks marks{&f.cache};
    marks.add(f.tables[1]);
    CHECK_FALSE(f.has());
}

TEST_CASE("rows are as old as the asker allows and no older", "[query-cache][S4]") {
    Fixture f;
    f.keep(100);
    CHECK(f.has(50, 149));
    CHECK_FALSE(f.has(50, 150));
    f.keep(100);
    f.cache.set_ttl_ns(10);
    f.cache.sweep(109);
    CHECK(f.cache.figures().entries == 1);
    f.cache.sweep(110);
    CHECK(f.cache.figures().entries == 0);
    CHECK(f.cache.figures().bytes == 0);
}

TEST_CASE("memory is bounded and the least recently used go first", "[query-cache][S4]") {
    QueryCache cache{{.bytes_max = 1U << 20U, .ttl_ns = k_long}};
    const std::string text(1000, 'x');
    const auto hot = cache.key_of("hot", {});
    cache.insert(hot, cache.depends_on({}), rows_of(1), 0);
    for (std::int64_t i = 0; i < 5000; ++i) {
        const tenon_value value = value_of(i);
        cache.insert(cache.key_of("q", {&value, 1}), cache.depends_on({}), rows_of(i, text), 0);
        REQUIRE(cache.find(hot, k_long, 0) != nullptr);
        REQUIRE(cache.figures().bytes <= 1U << 20U);
    }
    CHECK(cache.figures().evictions + cache.figures().entries == 5001);
    CHECK(cache.figures().evictions > 4000);

    RowCollector small{100};
    const tenon_value value = value_of(text);
    small.add({&value, 1});
    CHECK(small.take() == nullptr);
    const std::string huge(cache.entry_bytes_max() * 3, 'y');
    const auto key = cache.key_of("huge", {});
    RowCollector large{SIZE_MAX};
    const tenon_value much = value_of(huge);
    large.add({&much, 1});
    cache.insert(key, cache.depends_on({}), large.take(), 0);
    CHECK(cache.find(key, k_long, 0) == nullptr);
}

TEST_CASE("no read after an acknowledged write is stale", "[query-cache][S4]") {
    // A database of two tables, each one number, committed at one store. Writers acknowledge a
    // number; whoever asks after that must get it or a later one, from the cache or not.
    constexpr std::size_t k_tables = 2;
    constexpr int k_writes = 20'000;
    QueryCache cache{QueryCache::Settings{}};
    std::array<std::atomic<std::int64_t>, k_tables> committed{};
    std::array<std::atomic<std::int64_t>, k_tables> acknowledged{};
    std::array<std::mutex, k_tables> writing;
    std::atomic<int> writers{3};
    std::atomic<std::uint64_t> stale{0};
    const std::array<std::uint16_t, k_tables> slots{
        QueryCache::slot_of("a"), QueryCache::slot_of("b")};
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);

    std::vector<std::thread> threads;
    for (int w = 0; w < 3; ++w) {
        threads.emplace_back([&, w] {
            std::mt19937 random{seed + static_cast<unsigned>(w)};
            for (int i = 0; i < k_writes; ++i) {
                const std::size_t table = random() % k_tables;
                const std::lock_guard lock{writing[table]};
                WriteMarks marks{&cache};
                marks.add(slots[table]);
                const std::int64_t next = committed[table].load() + 1;
                committed[table].store(next);
                marks.end();
                acknowledged[table].store(next);
                if (i % 16 == 0) {
                    std::this_thread::yield();
                }
            }
            writers.fetch_sub(1);
        });
    }
    for (int r = 0; r < 3; ++r) {
        threads.emplace_back([&] {
            const auto key = cache.key_of("both", {});
            while (writers.load() > 0) {
                const std::array<std::int64_t, k_tables> floor{
                    acknowledged[0].load(), acknowledged[1].load()};
                auto rows = cache.find(key, k_long, 0);
                if (rows == nullptr) {
                    auto before = cache.depends_on(slots);
                    RowCollector collector{1000};
                    const std::array<tenon_value, k_tables> row{
                        value_of(committed[0].load()), value_of(committed[1].load())};
                    std::this_thread::yield();
                    collector.add(row);
                    rows = collector.take();
                    cache.insert(key, std::move(before), rows, 0);
                }
                for (std::size_t t = 0; t < k_tables; ++t) {
                    stale.fetch_add(rows->row(0)[t].i < floor[t] ? 1U : 0U);
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(stale.load() == 0);
    CHECK(committed[0].load() + committed[1].load() == 3 * k_writes);
}

TEST_CASE(
    "a cache that does not serve gives nothing, and is as new when it does",
    "[query-cache][K8]"
) {
    Fixture f;
    f.keep();
    REQUIRE(f.has());
    const auto before = f.cache.depends_on(f.tables);  // of a query that is under way
    f.cache.serve(false);
    CHECK_FALSE(f.has());
    f.keep();
    f.write("orders");
    const std::uint64_t misses = f.cache.figures().misses;
    CHECK_FALSE(f.has());
    CHECK(f.cache.figures().misses == misses);
    f.cache.serve(true);
    CHECK_FALSE(f.has());  // what was kept before has gone
    f.cache.insert(f.key, before, rows_of(1), 0);
    CHECK_FALSE(f.has());  // it began before the write
    f.keep();
    CHECK(f.has());
}
