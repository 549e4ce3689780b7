// SPDX-License-Identifier: Apache-2.0
// The six warm queries over the schema filled by tools/generate-data, through tenon.storage/1 on
// SQLite, in the reader's own thread, beside a plain loop over sqlite3 with the statement prepared
// once. Usage: queries_bench DATABASE [SEED]. Every round is printed, the ways one after the other:
// the median and the 95th percentile of single calls (bind, all rows read), in ms; the target, the
// median's share of it and of the plain loop's.
//
//   transaction  transact, prepare, step and column, as any caller does
//   query        the slot `query` without the cache
//   cached       the same with it; mostly hits
#include "plugins/storage/sqlite/database.hpp"
#include "tests/bench/warm_queries.hpp"

#include <tenon/storage.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using tenon::bench::WarmQuery;

constexpr int k_rounds = 3;
constexpr int k_calls = 20'000;

std::int64_t now_ns(void*) noexcept {
    return std::chrono::nanoseconds{Clock::now().time_since_epoch()}.count();
}

constexpr tenon_clock_1 k_clock{sizeof(tenon_clock_1), 0, &now_ns, &now_ns};

// One call; gives back how many rows it got, all of whose columns were read.
using Way = std::function<std::size_t(const WarmQuery&, std::int64_t who)>;

constexpr std::int64_t k_since_ns = tenon::bench::k_data_now_ns - tenon::bench::k_day_ns;

Way by_transaction(const tenon::Storage& storage) {
    return [&storage](const WarmQuery& query, std::int64_t who) {
        std::size_t rows = 0;
        storage.read(tenon::k_no_deadline, [&](tenon::Session& session) {
            auto statement = session.prepare(query.sql);
            statement.bind(1, who);
            if (query.with_time) {
                statement.bind(2, k_since_ns);
            }
            std::size_t values = 0;
            const std::uint32_t columns = statement.column_count();
            while (statement.step()) {
                for (std::uint32_t c = 0; c < columns; ++c) {
                    values += statement.value(c).kind == TENON_VALUE_BLOB ? 0U : 1U;
                }
            }
            rows = values / columns;
        });
        return rows;
    };
}

Way by_query(const tenon::Storage& storage, std::int64_t ttl_ms) {
    return [&storage, ttl_ms](const WarmQuery& query, std::int64_t who) {
        const std::array values{tenon::value_of(who), tenon::value_of(k_since_ns)};
        const std::size_t count = query.with_time ? 2 : 1;
        std::size_t rows = 0;
        std::size_t blobs = 0;
        storage.query(
            tenon::k_no_deadline,
            query.sql,
            std::span{values.data(), count},
            [&](std::span<const tenon_value> row) {
                ++rows;
                for (const tenon_value& value : row) {
                    blobs += value.kind == TENON_VALUE_BLOB ? 1U : 0U;
                }
            },
            ttl_ms
        );
        return rows + blobs;
    };
}

// What SQLite itself takes: no contract, no lease, no capture.
class Plain {
public:
    explicit Plain(const std::string& file) {
        sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
        sqlite3_exec(
            db_, "PRAGMA cache_size=-16384; PRAGMA mmap_size=536870912", nullptr, nullptr, nullptr
        );
        for (const WarmQuery& query : tenon::bench::k_warm_queries) {
            sqlite3_stmt*& statement = statements_[&query];
            const int size = static_cast<int>(query.sql.size());
            if (sqlite3_prepare_v2(db_, query.sql.data(), size, &statement, nullptr) != SQLITE_OK) {
                std::fprintf(stderr, "queries_bench: %s\n", sqlite3_errmsg(db_));
                std::exit(1);
            }
        }
    }

    Plain(const Plain&) = delete;
    Plain& operator=(const Plain&) = delete;

    ~Plain() {
        for (const auto& [query, statement] : statements_) {
            sqlite3_finalize(statement);
        }
        sqlite3_close(db_);
    }

    [[nodiscard]] std::size_t call(const WarmQuery& query, std::int64_t who) {
        sqlite3_stmt* const statement = statements_.at(&query);
        sqlite3_bind_int64(statement, 1, who);
        if (query.with_time) {
            sqlite3_bind_int64(statement, 2, k_since_ns);
        }
        std::size_t values = 0;
        const int columns = sqlite3_column_count(statement);
        while (sqlite3_step(statement) == SQLITE_ROW) {
            for (int c = 0; c < columns; ++c) {
                switch (sqlite3_column_type(statement, c)) {
                    case SQLITE_INTEGER:
                        values += sqlite3_column_int64(statement, c) == INT64_MIN ? 2U : 1U;
                        break;
                    case SQLITE_TEXT:
                        values += sqlite3_column_text(statement, c) == nullptr ? 2U : 1U;
                        values += sqlite3_column_bytes(statement, c) < 0 ? 1U : 0U;
                        break;
                    default:
                        ++values;
                }
            }
        }
        sqlite3_reset(statement);
        return values / static_cast<std::size_t>(columns);
    }

private:
    sqlite3* db_ = nullptr;
    std::map<const WarmQuery*, sqlite3_stmt*> statements_;
};

struct Outcome {
    double p50_ms = 0;
    double p95_ms = 0;
    double rows = 0;
};

Outcome measure(const Way& way, const WarmQuery& query, std::uint64_t seed, std::int64_t users) {
    tenon::bench::Callers callers{seed, users};
    std::vector<double> times;
    times.reserve(k_calls);
    std::size_t rows = 0;
    for (int i = 0; i < k_calls; ++i) {
        const std::int64_t who = callers.next(query.by_instrument);
        const auto begin = Clock::now();
        rows += way(query, who);
        times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    std::sort(times.begin(), times.end());
    return {
        times[times.size() / 2],
        times[times.size() * 95 / 100],
        static_cast<double>(rows) / k_calls};
}

void print(
    const WarmQuery& query,
    std::string_view way,
    const Outcome& seen,
    const Outcome& plain
) {
    std::printf(
        "%-20s %-12s %8.4f %8.4f %9.3f %9.2f %8.2f %6.1f\n",
        std::string{query.name}.c_str(),
        std::string{way}.c_str(),
        seen.p50_ms,
        seen.p95_ms,
        query.target_ms,
        seen.p50_ms / query.target_ms,
        seen.p50_ms / plain.p50_ms,
        seen.rows
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
        "seed %llu, %lld users, %d calls a round\n%-20s %-12s %8s %8s %9s %9s %8s %6s\n",
        static_cast<unsigned long long>(seed),
        static_cast<long long>(users),
        k_calls,
        "query",
        "way",
        "p50 ms",
        "p95 ms",
        "target ms",
        "of target",
        "of plain",
        "rows"
    );
    Plain loop{argv[1]};
    const Way plain = [&](const WarmQuery& query, std::int64_t who) {
        return loop.call(query, who);
    };
    const std::array<std::pair<std::string_view, Way>, 3> ways{
        {{"transaction", by_transaction(storage)},
         {"query", by_query(storage, 0)},
         {"cached", by_query(storage, -1)}}};
    for (int round = 0; round < k_rounds; ++round) {
        for (const WarmQuery& query : tenon::bench::k_warm_queries) {
            const Outcome reference = measure(plain, query, seed, users);
            print(query, "plain", reference, reference);
            for (const auto& [name, way] : ways) {
                print(query, name, measure(way, query, seed, users), reference);
            }
        }
        std::printf("\n");
    }
    return 0;
}
