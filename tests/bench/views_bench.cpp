// SPDX-License-Identifier: Apache-2.0
// What the daily summaries cost a writer: trade logs written with the triggers and without them, in
// turn, and what it takes to fill, check and rebuild them. Usage: views_bench, with
// TENON_SOURCE_DIR set; PostgreSQL is a server of its own with fsync on. Every round is printed, in
// rows or transactions a second.
#include "plugins/storage/upkeep/rounds.hpp"
#include "tests/integration/storage/postgres_backend.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"
#include "tests/unit/upkeep/summaries.hpp"

#include <chrono>
#include <cstdio>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;
using tenon::Session;

constexpr int k_rounds = 3;
constexpr std::int64_t k_day = tenon::upkeep::k_day_ns;

template <class Body>
double seconds(Body&& body) {
    const auto begin = Clock::now();
    body();
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

void insert_one(Session& s, std::int64_t user, std::int64_t n) {
    s.prepare(
         "INSERT INTO trade_logs (user_id, exchange, account_type, instrument, side, quantity, "
         "entry_price, entry_real_ns, exit_price, exit_real_ns, pnl, exit_reason) VALUES "
         "(?, 'x', 'real', ?, 0, 5, 100, 0, 110, ?, 3, 'signal')"
    )
        .bind_all(user, n % 2, (n % 365) * k_day + n)
        .run();
}

void insert_bulk(Session& s, std::int64_t rows) {
    static constexpr std::array<std::string_view, 12> k_names{
        "user_id",
        "exchange",
        "account_type",
        "instrument",
        "side",
        "quantity",
        "entry_price",
        "entry_real_ns",
        "exit_price",
        "exit_real_ns",
        "pnl",
        "exit_reason"};
    std::vector<tenon_str> columns;
    for (const std::string_view name : k_names) {
        columns.push_back(tenon::str(name));
    }
    std::vector<tenon_value> values;
    values.reserve(static_cast<std::size_t>(rows) * k_names.size());
    for (std::int64_t n = 0; n < rows; ++n) {
        for (const tenon_value& value :
             {tenon::value_of(1 + n % 3),
              tenon::value_of("x"),
              tenon::value_of("real"),
              tenon::value_of(n % 2),
              tenon::value_of(0),
              tenon::value_of(5),
              tenon::value_of(100),
              tenon::value_of(0),
              tenon::value_of(110),
              tenon::value_of((n % 365) * k_day + n),
              tenon::value_of(3),
              tenon::value_of("signal")}) {
            values.push_back(value);
        }
    }
    s.bulk_insert("trade_logs", columns, values);
}

// Both summaries' triggers, away and back; as the migration made them.
template <class Backend>
class Triggers {
public:
    explicit Triggers(Backend& backend) : backend_{backend} {
        if (backend.storage().dialect() != "sqlite") {
            return;
        }
        off_.clear();
        on_.clear();
        backend.storage().read(backend.deadline(), [&](Session& s) {
            auto rows = s.prepare(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND "
                "tbl_name IN ('trade_logs', 'news_items')"
            );
            while (rows.step()) {
                off_ += "DROP TRIGGER " + std::string{rows.text(0)} + ";";
                on_ += std::string{rows.text(1)} + ";";
            }
        });
    }

    void set(bool on) {
        if (on == is_on_) {
            return;
        }
        is_on_ = on;
        backend_.storage().write(backend_.deadline(), [&](Session& s) {
            s.execute(on ? on_ : off_);
        });
    }

private:
    Backend& backend_;
    std::string off_{"ALTER TABLE trade_logs DISABLE TRIGGER USER"};
    std::string on_{"ALTER TABLE trade_logs ENABLE TRIGGER USER"};
    bool is_on_ = true;
};

template <class Backend>
void print(Backend& backend, const char* what, bool on, double count, double time) {
    std::printf(
        "%-9s %-34s %-8s %10.0f /s\n",
        std::string{backend.storage().dialect()}.c_str(),
        what,
        on ? "with" : "without",
        count / time
    );
    (void)std::fflush(stdout);
}

template <class Backend>
double writers(Backend& backend, int threads, int each) {
    return seconds([&] {
        std::vector<std::thread> all;
        for (int t = 0; t < threads; ++t) {
            all.emplace_back([&] {
                for (int i = 0; i < each; ++i) {
                    backend.storage().write(backend.deadline(), [](Session& s) {
                        insert_one(s, 1, 0);
                    });
                }
            });
        }
        for (std::thread& one : all) {
            one.join();
        }
    });
}

template <class Backend>
void bench(Backend& backend) {
    tenon::test::shipped_schema(backend)->up();
    backend.storage().write(backend.deadline(), tenon::test::SummaryModel::prepare);
    Triggers<Backend> triggers{backend};
    constexpr int k_batch = 100, k_batches = 50, k_bulk = 50'000, k_threads = 8, k_each = 100;
    for (int round = 0; round < k_rounds; ++round) {
        for (const bool on : {false, true}) {
            triggers.set(on);
            double time = seconds([&] {
                for (int b = 0; b < k_batches; ++b) {
                    backend.storage().write(backend.deadline(), [&](Session& s) {
                        for (int i = 0; i < k_batch; ++i) {
                            insert_one(s, 1 + i % 3, b * k_batch + i);
                        }
                    });
                }
            });
            print(backend, "rows, 100 a transaction", on, k_batch * k_batches, time);
            time = seconds([&] {
                backend.storage().write(backend.deadline(), [](Session& s) {
                    insert_bulk(s, k_bulk);
                });
            });
            print(backend, "rows of a bulk insert of 50000", on, k_bulk, time);
            time = writers(backend, k_threads, k_each);
            print(backend, "transactions, 8 writers of one key", on, k_threads * k_each, time);
        }
    }
    triggers.set(true);
    double rows = 0;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        auto count = s.prepare("SELECT count(*) FROM trade_logs");
        while (count.step()) {
            rows = static_cast<double>(count.integer(0));
        }
    });
    const tenon::upkeep::RoundContext context{
        backend.storage(), [&backend] { return backend.host.reactor().now_ns(); }};
    print(backend, "rows rebuilt, a day at a time", true, rows, seconds([&] {
              (void)tenon::upkeep::rebuild_views(context, [] { return false; });
          }));
    print(backend, "rows checked, a day at a time", true, rows, seconds([&] {
              tenon::upkeep::ViewsRound check{context};
              while (check.step()) {}
              if (!check.is_ok()) {
                  std::printf("WRONG: %s\n", check.json().c_str());
              }
          }));
    auto migrator = tenon::test::shipped_schema(backend);
    migrator->down(2, true);
    print(backend, "rows filled in by the migration", true, rows, seconds([&] { migrator->up(); }));
}

}  // namespace

int main() {
    try {
        {
            tenon::test::SqliteBackend sqlite;
            bench(sqlite);
        }
        tenon::test::PostgresBackend postgres;
        bench(postgres);
    } catch (const std::exception& e) {
        (void)std::fprintf(stderr, "views_bench: %s\n", e.what());
        return 1;
    }
    return 0;
}
