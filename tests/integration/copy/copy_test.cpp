// SPDX-License-Identifier: Apache-2.0
// A database moves to the other dialect while it is written to, and back.
#include "tests/integration/copy/databases.hpp"

#include <catch2/catch.hpp>

#include <atomic>
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

// Copies while another thread writes, finishes, and compares; gives back the transactions written.
template <class From, class To>
int move(From& from, To& to, RandomWriter& writer) {
    auto copier = make_copier(from.side("old"), to.side("new"), from.backend);
    copier->begin();
    std::atomic<bool> stop{false};
    std::atomic<int> written{0};
    std::thread trading{[&] {
        auto storage = from.backend.storage();
        while (!stop) {
            // A writer whose random numbers would be drawn anew by a retry: refused is refused.
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
    }};
    std::string failure;
    try {
        while (copier->status().progress.tables_done() < copier->tables().size()) {
            (void)copier->advance();
        }
        copier->finish();
    } catch (const std::exception& e) {
        failure = e.what();
    }
    stop = true;
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
