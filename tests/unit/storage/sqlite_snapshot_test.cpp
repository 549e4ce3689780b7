// SPDX-License-Identifier: Apache-2.0
// Reads that go on in a snapshot kept from an earlier one: never outdated, never in the way.
#include "tests/unit/storage/backend.hpp"

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

using tenon::Session;
using tenon::test::SqliteBackend;

namespace {

// Another connection, as another process would have it: nothing in here marks its writes.
class Stranger {
public:
    explicit Stranger(const std::string& file) {
        REQUIRE(sqlite3_open(file.c_str(), &db_) == SQLITE_OK);
        sqlite3_busy_timeout(db_, 10'000);
    }

    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;

    ~Stranger() { sqlite3_close(db_); }

    void run(const char* sql) {
        CAPTURE(sql, sqlite3_errmsg(db_));
        REQUIRE(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    }

    // Nothing is left in the log, and nobody reads in it.
    [[nodiscard]] bool checkpoint() {
        return sqlite3_wal_checkpoint_v2(
                   db_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr
               ) == SQLITE_OK;
    }

private:
    sqlite3* db_ = nullptr;
};

struct Fixture : SqliteBackend {
    explicit Fixture(const Tweak& tweak = {}) : SqliteBackend{tweak} {
        storage().write(deadline(), [](Session& s) {
            s.execute(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER) STRICT;"
                "INSERT INTO t VALUES (1, 0)"
            );
        });
    }

    std::int64_t read(std::string_view sql = "SELECT x FROM t WHERE id = 1") {
        std::int64_t found = -1;
        storage().read(deadline(), [&](Session& s) {
            auto statement = s.prepare(sql);
            found = statement.step() ? statement.integer(0) : -1;
        });
        return found;
    }

    std::int64_t query(std::string_view sql = "SELECT x FROM t WHERE id = 1") {
        std::int64_t found = -1;
        const auto take = [&](std::span<const tenon_value> row) { found = row[0].i; };
        storage().query(deadline(), sql, {}, take, 0);
        return found;
    }
};

}  // namespace

TEST_CASE("every read sees what was committed before it, by whomever", "[sqlite][S4][S6]") {
    Fixture f;
    Stranger stranger{f.settings.file};
    for (std::int64_t i = 1; i <= 200; ++i) {
        if (i % 2 == 0) {
            stranger.run("UPDATE t SET x = x + 1");
        } else {
            f.storage().write(f.deadline(), [](Session& s) {
                s.execute("UPDATE t SET x = x + 1");
            });
        }
        CHECK(f.read() == i);
        CHECK(f.read() == i);
        CHECK(f.query() == i);
    }
}

TEST_CASE("a table made by another process is there for the next read", "[sqlite][S4]") {
    Fixture f;
    CHECK(f.read() == 0);
    Stranger stranger{f.settings.file};
    stranger.run("CREATE TABLE fresh (x INTEGER); INSERT INTO fresh VALUES (7)");
    CHECK(f.query("SELECT x FROM fresh") == 7);
    stranger.run("DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, y TEXT, x INTEGER)");
    stranger.run("INSERT INTO t VALUES (1, 'y', 8)");
    CHECK(f.read() == 8);
    CHECK(f.query() == 8);
}

TEST_CASE("a session of one's own begins without a snapshot", "[sqlite][S4]") {
    Fixture f;
    CHECK(f.read() == 0);
    tenon::Lease lease = f.storage().lease(TENON_INTENT_READ, f.deadline());
    lease->begin();  // refused inside of a transaction
    auto statement = lease->prepare("SELECT x FROM t");
    REQUIRE(statement.step());
    CHECK(statement.integer(0) == 0);
    f.storage().write(f.deadline(), [](Session& s) { s.execute("UPDATE t SET x = 5"); });
    auto again = lease->prepare("SELECT x FROM t WHERE id = 1");
    REQUIRE(again.step());
    CHECK(again.integer(0) == 0);  // its snapshot
    lease->commit();
    CHECK(f.read() == 5);
}

TEST_CASE("a snapshot that nobody uses holds no checkpoint up", "[sqlite][S1][S4]") {
    Fixture f;
    CHECK(f.read() == 0);
    f.storage().write(f.deadline(), [](Session& s) { s.execute("UPDATE t SET x = 1"); });
    CHECK(f.read() == 1);
    Stranger stranger{f.settings.file};
    CHECK(stranger.checkpoint());  // waits at most until the writer's next look
}

// How large it grows in between is a matter of the machine's pace.
TEST_CASE("the log is emptied again and again while readers never pause", "[sqlite][S1][S4]") {
    Fixture f{[](auto& s) { s.wal_checkpoint_mb = 1; }};
    f.storage().write(f.deadline(), [](Session& s) { s.execute("CREATE TABLE big (b BLOB)"); });
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> failures{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) {
        readers.emplace_back([&] {
            while (!stop) {
                try {
                    f.storage().read(f.deadline(), [](Session& s) {
                        s.prepare("SELECT x FROM t").run();
                    });
                } catch (const std::exception&) {
                    ++failures;
                }
            }
        });
    }
    std::uintmax_t before = 0;
    int emptied = 0;
    for (int i = 0; i < 3000 && emptied < 10; ++i) {  // 240 MB at most
        f.storage().write(f.deadline(), [](Session& s) {
            s.execute("INSERT INTO big VALUES (zeroblob(80000))");
        });
        const std::uintmax_t now = std::filesystem::file_size(f.settings.file + "-wal");
        emptied += now < before ? 1 : 0;
        before = now;
    }
    stop = true;
    for (auto& reader : readers) {
        reader.join();
    }
    CHECK(failures == 0);
    CHECK(emptied == 10);
}

TEST_CASE("an interrupted read leaves no snapshot behind", "[sqlite][S4]") {
    Fixture f{[](auto& s) { s.query_timeout_ms = 20; }};
    const auto endless =
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
        "SELECT count(*) FROM c, t";
    CHECK_THROWS(f.read(endless));
    CHECK_THROWS(f.query(endless));
    f.storage().write(f.deadline(), [](Session& s) { s.execute("UPDATE t SET x = 3"); });
    CHECK(f.read() == 3);
    CHECK(f.query() == 3);
}
