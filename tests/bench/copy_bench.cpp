// SPDX-License-Identifier: Apache-2.0
// What `tenon migrate copy` costs the database that it copies while that is written to: orders a
// second before the copy and while it is followed, and how long no write came through at the end,
// when writers are held for the last changes. Usage: copy_bench [ROWS]; a round each way.
#include "tests/integration/copy/databases.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;
using tenon::Session;
using tenon::test::server;
using tenon::test::ShippedPostgres;
using tenon::test::ShippedSqlite;

constexpr auto k_part = std::chrono::seconds{3};

template <class Database>
void add_news(Database& database, std::int64_t first, std::int64_t rows) {
    database.backend.storage().write(database.backend.deadline(), [&](Session& session) {
        for (std::int64_t id = first; id < first + rows; ++id) {
            session
                .prepare(
                    "INSERT INTO news_items (id, source, external_id, title, summary, "
                    "sentiment_score, published_real_ns, fetched_real_ns) "
                    "VALUES (?, 'wire', ?, 'A title', 'A summary', 1, 0, 0)"
                )
                .bind_all(id, std::to_string(id))
                .run();
        }
    });
}

// Writes one row a transaction until the source refuses; knows when the last came through.
template <class Database>
class Writer {
public:
    Writer(Database& database, std::int64_t first)
        : thread_{[this, &database, first] {
              try {
                  for (std::int64_t id = first; !ends_; ++id) {
                      add_news(database, id, 1);
                      ++written_;
                      last_ = Clock::now().time_since_epoch().count();
                  }
              } catch (const std::exception&) {
                  // Fenced: what is expected in the end.
              }
          }} {}

    ~Writer() {
        ends_ = true;
        thread_.join();
    }

    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    [[nodiscard]] double rate_of_part() const {
        const auto before = written_.load();
        std::mutex mutex;
        std::unique_lock lock{mutex};
        std::condition_variable never;
        (void)never.wait_for(lock, k_part, [] { return false; });
        return static_cast<double>(written_ - before) /
               std::chrono::duration<double>(k_part).count();
    }

    [[nodiscard]] double ms_since_last() const {
        const Clock::duration since =
            Clock::now().time_since_epoch() - Clock::duration{last_.load()};
        return std::chrono::duration<double, std::milli>(since).count();
    }

private:
    std::atomic<bool> ends_{false};
    std::atomic<std::int64_t> written_{0};
    std::atomic<Clock::rep> last_{0};
    std::thread thread_;  // last: it uses the others
};

template <class From, class To>
void round_of(const char* name, From& from, To& to, std::int64_t rows) {
    constexpr std::int64_t k_batch = 10'000;
    for (std::int64_t id = 1; id <= rows; id += k_batch) {
        add_news(from, id, std::min(k_batch, rows - id + 1));
    }
    double paused_ms = 0;
    tenon::copy::CopyOptions options;
    const auto began = Clock::now();
    Writer writer{from, rows + 1};
    options.at = [&](std::string_view point) {
        if (point == "target_bound") {
            paused_ms = writer.ms_since_last();
        }
    };
    const double before = writer.rate_of_part();
    auto copier = tenon::test::make_copier(from.side("old"), to.side("new"), from.backend, options);
    copier->begin();
    const double captured = writer.rate_of_part();
    const auto copies = Clock::now();
    while (copier->status().progress.tables_done() < copier->tables().size()) {
        (void)copier->advance();
    }
    const std::chrono::duration<double> copied = Clock::now() - copies;
    const bool is_clean = copier->finish();
    const std::chrono::duration<double> all = Clock::now() - began;
    std::printf(
        "%-20s writes/s before %7.0f, captured %7.0f (%.2f); %lld rows copied in %.1f s; no writes "
        "for %.0f ms at the end; %.1f s in all%s\n",
        name,
        before,
        captured,
        captured / before,
        static_cast<long long>(rows),
        copied.count(),
        paused_ms,
        all.count(),
        is_clean ? "" : ", capture left behind"
    );
    (void)std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const std::int64_t rows = argc > 1 ? std::atoll(argv[1]) : 200'000;
    for (int round = 0; round < 3; ++round) {
        ShippedSqlite sqlite;
        ShippedPostgres postgres{server().create_database()};
        round_of("SQLite to PostgreSQL", sqlite, postgres, rows);
        ShippedPostgres from{server().create_database()};
        ShippedSqlite to;
        round_of("PostgreSQL to SQLite", from, to, rows);
    }
    return 0;
}
