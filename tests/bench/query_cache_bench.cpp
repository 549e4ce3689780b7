// SPDX-License-Identifier: Apache-2.0
// What a hit of the query cache costs through the storage contract, beside the same statement read
// from SQLite, and what the log of statements adds to each run.
//
//   query_cache_bench DIR     prints ns per operation, the best of five rounds
#include "plugins/storage/sqlite/database.hpp"
#include "tests/support/fake_host.hpp"

#include <tenon/storage.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

namespace {

constexpr int k_operations = 100'000;
constexpr int k_rounds = 5;

template <class Body>
double best_ns(Body&& body) {
    double best = 1e18;
    for (int round = 0; round < k_rounds; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < k_operations; ++i) {
            body(i);
        }
        const std::chrono::duration<double, std::nano> spent =
            std::chrono::steady_clock::now() - begin;
        best = std::min(best, spent.count() / k_operations);
    }
    return best;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string folder = argc > 1 ? argv[1] : ".";
    tenon::test::FakeHost host;
    const tenon::Host plugin_host{host.raw()};
    tenon::sqlite::Telemetry telemetry;
    telemetry.log = plugin_host.log();
    telemetry.clock = plugin_host.service<tenon_clock_1>("tenon.clock/1");
    tenon::sqlite::Settings settings;
    settings.file = folder + "/query_cache.db";
    tenon::sqlite::DatabaseHolder holder;
    holder.database = std::make_unique<tenon::sqlite::Database>(settings, telemetry);
    const tenon::Storage storage{
        tenon::Service<tenon_storage_1>{&holder, &tenon::sqlite::storage_table()}};
    storage.write(tenon::k_no_deadline, [](tenon::Session& s) {
        s.execute(
            "CREATE TABLE settings (user INTEGER PRIMARY KEY, name TEXT, value TEXT) STRICT;"
            "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 1000) "
            "INSERT INTO settings SELECT i, 'name' || i, 'value' || i FROM r"
        );
    });
    const auto ask = [&](int i, std::int64_t ttl_ms) {
        const tenon_value user = tenon::value_of(i % 1000 + 1);
        storage.query(
            tenon::k_no_deadline,
            "SELECT user, name, value FROM settings WHERE user = ?",
            {&user, 1},
            [](std::span<const tenon_value>) {},
            ttl_ms
        );
    };
    const double hit = best_ns([&](int i) { ask(i, -1); });
    const double read = best_ns([&](int i) { ask(i, 0); });
    const auto stats = storage.stats();
    tenon::StatementLog log{0};
    auto handle = log.open("SELECT 1", false, {});
    const double record = best_ns([&](int i) {
        handle.record({.duration_ns = i, .rows = 1, .work = 7, .real_ns = i});
    });
    std::printf("hit of the query cache      %8.0f ns\n", hit);
    std::printf("the same read from SQLite   %8.0f ns\n", read);
    std::printf("record of a statement       %8.0f ns\n", record);
    std::printf(
        "hits %llu, misses %llu\n",
        static_cast<unsigned long long>(stats.query_hits),
        static_cast<unsigned long long>(stats.query_misses)
    );
    return 0;
}
