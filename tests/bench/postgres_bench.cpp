// SPDX-License-Identifier: Apache-2.0
// The PostgreSQL backend through tenon.storage/1, for tests/bench/postgres_side_by_side, which runs
// PostgreSQL's own programs beside it. Each call prints one JSON line.
//   postgres_bench CONNINFO one QUERY CALLS SEED        mean ms of a warm query by one caller
//   postgres_bench CONNINFO many THREADS CONNECTIONS SECONDS SEED     calls a second
//   postgres_bench CONNINFO bulk ROWS                   rows a second into bulk_rows, emptied first
#include "plugins/storage/postgres/database.hpp"
#include "tests/bench/warm_queries.hpp"

#include <tenon/storage.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using tenon::bench::WarmQuery;

std::int64_t now_ns(void*) noexcept {
    return std::chrono::nanoseconds{Clock::now().time_since_epoch()}.count();
}

constexpr tenon_clock_1 k_clock{sizeof(tenon_clock_1), 0, &now_ns, &now_ns};

double seconds_since(Clock::time_point began) {
    return std::chrono::duration<double>(Clock::now() - began).count();
}

class Bench {
public:
    Bench(const char* conninfo, std::uint32_t connections)
        : database_{settings(conninfo, connections), telemetry()} {}

    [[nodiscard]] tenon::Storage storage() {
        tenon::StorageProvider* const self = &database_;
        return tenon::Storage{tenon::Service<tenon_storage_1>{
            self, static_cast<const tenon_storage_1*>(tenon::StorageProvider::table(*self))}};
    }

    [[nodiscard]] std::int64_t users() {
        std::int64_t found = 0;
        storage().query(
            tenon::k_no_deadline,
            "SELECT max(id) FROM users",
            {},
            [&](std::span<const tenon_value> row) { found = row[0].i; }
        );
        return found;
    }

private:
    static tenon::postgres::Settings settings(const char* conninfo, std::uint32_t connections) {
        tenon::postgres::Settings s;
        s.conninfo = conninfo;
        s.pool_min = 0;
        s.pool_size = connections;
        s.query_cache_mb = 0;  // the server is to answer
        return s;
    }

    static tenon::postgres::Telemetry telemetry() {
        tenon::postgres::Telemetry t;
        t.clock = {nullptr, &k_clock};
        return t;
    }

    tenon::postgres::Database database_;
};

// All rows and columns are read.
void call(const tenon::Storage& storage, const WarmQuery& query, std::int64_t who) {
    const tenon_value values[]{
        tenon::value_of(who),
        tenon::value_of(tenon::bench::k_data_now_ns - tenon::bench::k_day_ns)};
    const std::span<const tenon_value> all{values};
    storage.query(
        tenon::k_no_deadline,
        query.sql,
        all.first(query.with_time ? 2 : 1),
        [](std::span<const tenon_value>) {}
    );
}

int run_one(const char* conninfo, std::string_view name, int calls, std::uint64_t seed) {
    Bench bench{conninfo, 1};
    tenon::bench::Callers callers{seed, bench.users()};
    const tenon::Storage storage = bench.storage();
    for (const WarmQuery& query : tenon::bench::k_warm_queries) {
        if (query.name != name) {
            continue;
        }
        for (int i = 0; i < calls / 10; ++i) {
            call(storage, query, callers.next(query.by_instrument));
        }
        const auto began = Clock::now();
        for (int i = 0; i < calls; ++i) {
            call(storage, query, callers.next(query.by_instrument));
        }
        std::printf("{\"mean_ms\": %.5f}\n", seconds_since(began) * 1000 / calls);
        return 0;
    }
    return 2;
}

int run_many(const char* conninfo, int threads, int connections, double time, std::uint64_t seed) {
    Bench bench{conninfo, static_cast<std::uint32_t>(connections)};
    const std::int64_t users = bench.users();
    const tenon::Storage storage = bench.storage();
    std::atomic<std::uint64_t> calls{0};
    std::vector<std::thread> workers;
    const auto began = Clock::now();
    for (int t = 0; t < threads; ++t) {
        workers.emplace_back([&, t] {
            tenon::bench::Callers callers{seed + static_cast<std::uint64_t>(t), users};
            std::uint64_t mine = 0;
            for (; seconds_since(began) < time; ++mine) {
                call(storage, tenon::bench::k_warm_queries[0], callers.next(false));
            }
            calls += mine;
        });
    }
    for (auto& worker : workers) {
        worker.join();
    }
    const double rate = static_cast<double>(calls) / seconds_since(began);
    std::printf("{\"calls_per_s\": %.0f}\n", rate);
    return 0;
}

int run_bulk(const char* conninfo, std::int64_t rows) {
    Bench bench{conninfo, 1};
    const tenon_str columns[]{
        tenon::str("id"),
        tenon::str("owner"),
        tenon::str("amount"),
        tenon::str("price"),
        tenon::str("name")};
    std::vector<tenon_value> values;
    values.reserve(static_cast<std::size_t>(rows) * std::size(columns));
    for (std::int64_t i = 0; i < rows; ++i) {
        values.push_back(tenon::value_of(i));
        values.push_back(tenon::value_of(i % 1000));
        values.push_back(tenon::value_of(i * 7919));
        values.push_back(tenon::value_of(static_cast<double>(i) / 8));
        values.push_back(tenon::value_of("instrument name"));
    }
    double spent = 0;
    bench.storage().write(tenon::k_no_deadline, [&](tenon::Session& s) {
        s.execute("TRUNCATE bulk_rows");
        const auto began = Clock::now();
        s.bulk_insert("bulk_rows", columns, values);
        spent = seconds_since(began);
    });
    std::printf("{\"rows_per_s\": %.0f}\n", static_cast<double>(rows) / spent);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view mode = argc > 2 ? argv[2] : "";
    if (mode == "one" && argc == 6) {
        return run_one(argv[1], argv[3], std::atoi(argv[4]), std::strtoull(argv[5], nullptr, 10));
    }
    if (mode == "many" && argc == 7) {
        return run_many(
            argv[1],
            std::atoi(argv[3]),
            std::atoi(argv[4]),
            std::atof(argv[5]),
            std::strtoull(argv[6], nullptr, 10)
        );
    }
    if (mode == "bulk" && argc == 4) {
        return run_bulk(argv[1], std::atoll(argv[3]));
    }
    std::fprintf(stderr, "usage: postgres_bench CONNINFO one|many|bulk …\n");
    return 2;
}
