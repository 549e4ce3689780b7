// SPDX-License-Identifier: Apache-2.0
// A database moves to the other dialect while it is written to, and back.
#include "tests/integration/copy/databases.hpp"

#include <catch2/catch.hpp>

#include <condition_variable>
#include <mutex>
#include <thread>

using tenon::Session;
using tenon::copy::TableCheck;
using tenon::test::checks_of;
using tenon::test::make_copier;
using tenon::test::RandomWriter;
using tenon::test::server;
using tenon::test::ShippedPostgres;
using tenon::test::ShippedSqlite;

namespace {

template <class Database>
void fill(Database& database, RandomWriter& writer, int transactions) {
    auto storage = database.backend.storage();
    storage.write(database.backend.deadline(), [&](Session& s) { writer.begin(s); });
    for (int i = 0; i < transactions; ++i) {
        storage.write(database.backend.deadline(), [&](Session& s) { writer.transaction(s); });
    }
}

void require_equal(const std::vector<TableCheck>& checks) {
    REQUIRE(checks.size() > 20);
    for (const TableCheck& check : checks) {
        CAPTURE(check.table, check.differences);
        CHECK(check.different == 0);
        CHECK(check.source_digest == check.target_digest);
    }
}

// So many transactions for each part of the copy: a writer of a test has no other bound.
class Allowance {
public:
    void renew() {
        const std::lock_guard lock{mutex_};
        left_ = 20;
        changed_.notify_all();
    }

    void end() {
        const std::lock_guard lock{mutex_};
        ended_ = true;
        changed_.notify_all();
    }

    // False: it is over.
    bool take() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return ended_ || left_ > 0; });
        --left_;
        return !ended_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int left_ = 20;
    bool ended_ = false;
};

// Writes until the source is closed; gives back how many transactions were acknowledged.
template <class From>
int trade(From& from, RandomWriter& writer, Allowance& allowance) {
    auto storage = from.backend.storage();
    int written = 0;
    while (allowance.take()) {
        // A retry draws the same random numbers.
        auto attempt = writer;
        try {
            storage.write(from.backend.deadline(), [&](Session& s) {
                attempt = writer;
                attempt.transaction(s);
            });
        } catch (const tenon::Error&) {
            break;
        }
        writer = attempt;
        ++written;
    }
    return written;
}

// Copies while another thread writes, finishes, and compares; gives back the transactions written.
template <class From, class To>
int move(From& from, To& to, RandomWriter& writer) {
    Allowance allowance;
    auto options = tenon::test::small_steps();
    options.at = [&](std::string_view) { allowance.renew(); };
    auto copier = make_copier(from.side("old"), to.side("new"), from.backend, options);
    copier->begin();
    int written = 0;
    std::thread trading{[&] { written = trade(from, writer, allowance); }};
    std::string failure;
    try {
        while (copier->status().progress.tables_done() < copier->tables().size()) {
            (void)copier->advance();
        }
        copier->finish();
    } catch (const std::exception& e) {
        failure = e.what();
    }
    allowance.end();
    trading.join();
    REQUIRE(failure.empty());
    CHECK(copier->status().fenced);
    require_equal(checks_of(from, to));
    return written;
}

}  // namespace

TEST_CASE("a SQLite database moves to PostgreSQL while it is written to", "[copy][S12]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    RandomWriter writer{seed};
    ShippedSqlite sqlite;
    fill(sqlite, writer, 300);
    ShippedPostgres postgres{server().create_database()};
    CHECK(move(sqlite, postgres, writer) > 0);

    // The source is as it was, and refuses what the target would not get.
    CHECK_THROWS_WITH(
        sqlite.run("UPDATE users SET enabled = 0"), Catch::Matchers::Contains("has been copied")
    );
    // The target gives new rows numbers of its own, checks references and runs its triggers.
    postgres.run("INSERT INTO users (name, created_real_ns) VALUES ('new', 0)");
    CHECK(
        postgres.number("SELECT max(id) FROM users") ==
        sqlite.number("SELECT max(id) FROM users") + 1
    );
    CHECK_THROWS(postgres.run("DELETE FROM assets"));
}

TEST_CASE("and back to SQLite with what was written on PostgreSQL", "[copy][S12]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    RandomWriter writer{seed};
    ShippedPostgres postgres{server().create_database()};
    fill(postgres, writer, 150);
    ShippedSqlite sqlite;
    CHECK(move(postgres, sqlite, writer) > 0);
    CHECK_THROWS_WITH(
        postgres.run("UPDATE users SET enabled = 0"), Catch::Matchers::Contains("has been copied")
    );
    CHECK_THROWS(sqlite.run("DELETE FROM assets"));
}
