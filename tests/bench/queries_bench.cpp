// SPDX-License-Identifier: Apache-2.0
// The six warm queries over the schema filled by tools/generate-data, through tenon.storage/1 on
// SQLite, in the reader's own thread. Usage: queries_bench DATABASE [SEED]. Every round is printed:
// the median and the 95th percentile of single calls (transaction, bind, all rows read), in ms.
#include "plugins/storage/sqlite/database.hpp"
#include "tests/bench/warm_queries.hpp"

#include <tenon/storage.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using tenon::bench::WarmQuery;

constexpr int k_rounds = 5;
constexpr int k_calls = 20'000;

std::int64_t now_ns(void*) noexcept {
    return std::chrono::nanoseconds{Clock::now().time_since_epoch()}.count();
}

constexpr tenon_clock_1 k_clock{sizeof(tenon_clock_1), 0, &now_ns, &now_ns};

// One call; gives back the rows, all of whose columns were read.
std::size_t call(const tenon::Storage& storage, const WarmQuery& query, std::int64_t who) {
    std::size_t rows = 0;
    storage.read(tenon::k_no_deadline, [&](tenon::Session& session) {
        auto statement = session.prepare(query.sql);
        statement.bind(1, who);
        if (query.with_time) {
            statement.bind(2, tenon::bench::k_data_now_ns - tenon::bench::k_day_ns);
        }
        rows = 0;
        const std::uint32_t columns = statement.column_count();
        while (statement.step()) {
            for (std::uint32_t c = 0; c < columns; ++c) {
                rows += statement.value(c).kind == TENON_VALUE_BLOB ? 0U : 1U;
            }
        }
        rows /= columns;
    });
    return rows;
}

void round_of(
    const tenon::Storage& storage,
    const WarmQuery& query,
    std::uint64_t seed,
    std::int64_t users
) {
    tenon::bench::Callers callers{seed, users};
    std::vector<double> times;
    std::size_t rows = 0;
    for (int i = 0; i < k_calls; ++i) {
        const std::int64_t who = callers.next(query.by_instrument);
        const auto begin = Clock::now();
        rows += call(storage, query, who);
        times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    std::sort(times.begin(), times.end());
    const double median = times[times.size() / 2];
    std::printf(
        "%-20s %9.4f %9.4f %9.3f %6.2f %7.1f\n",
        std::string{query.name}.c_str(),
        median,
        times[times.size() * 95 / 100],
        query.target_ms,
        median / query.target_ms,
        static_cast<double>(rows) / k_calls
    );
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: queries_bench DATABASE [SEED]\n");
        return 2;
    }
    const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    tenon::sqlite::Settings settings;
    settings.file = argv[1];
    tenon::sqlite::Telemetry telemetry;
    telemetry.clock = {nullptr, &k_clock};
    tenon::sqlite::DatabaseHolder holder;
    holder.database = std::make_unique<tenon::sqlite::Database>(settings, telemetry);
    const tenon::Storage storage{{&holder, &tenon::sqlite::storage_table()}};
    std::int64_t users = 0;
    storage.read(tenon::k_no_deadline, [&](tenon::Session& session) {
        auto count = session.prepare("SELECT max(id) FROM users");
        users = count.step() && !count.is_null(0) ? count.integer(0) : 0;
    });
    if (users == 0) {
        std::fprintf(
            stderr, "queries_bench: %s has no users: fill it with tools/generate-data\n", argv[1]
        );
        return 1;
    }
    std::printf(
        "seed %llu, %lld users, %d calls a round\n%-20s %9s %9s %9s %6s %7s\n",
        static_cast<unsigned long long>(seed),
        static_cast<long long>(users),
        k_calls,
        "query",
        "p50 ms",
        "p95 ms",
        "target ms",
        "ratio",
        "rows"
    );
    for (int round = 0; round < k_rounds; ++round) {
        for (const WarmQuery& query : tenon::bench::k_warm_queries) {
            round_of(storage, query, seed, users);
        }
        std::printf("\n");
    }
    return 0;
}
