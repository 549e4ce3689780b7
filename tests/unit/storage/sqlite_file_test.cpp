// SPDX-License-Identifier: Apache-2.0
// What happens to the SQLite backend when its file is locked, deleted, replaced, damaged or full.
#include "tests/unit/storage/backend.hpp"

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include <fstream>
#include <thread>

using tenon::Session;
using tenon::StorageError;
using tenon::test::SqliteBackend;
namespace fs = std::filesystem;

namespace {

// A connection of somebody else. In this process, which is sound with the same SQLite library.
class Stranger {
public:
    explicit Stranger(const std::string& file) { REQUIRE(sqlite3_open(file.c_str(), &db_) == 0); }

    ~Stranger() { sqlite3_close(db_); }

    void run(const char* sql) {
        CAPTURE(sql, sqlite3_errmsg(db_));
        REQUIRE(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    }

private:
    sqlite3* db_ = nullptr;
};

void make_table(SqliteBackend& backend) {
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT) STRICT");
    });
}

void insert(SqliteBackend& backend, std::int64_t id, std::string_view text = "") {
    backend.storage().write(backend.deadline(), [&](Session& s) {
        s.prepare("INSERT INTO t VALUES (?, ?)").bind_all(id, text).run();
    });
}

std::int64_t rows(SqliteBackend& backend) {
    std::int64_t count = -1;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare("SELECT count(*) FROM t");
        REQUIRE(q.step());
        count = q.integer(0);
    });
    return count;
}

template <class Condition>
bool eventually(SqliteBackend& backend, Condition condition) {
    const auto patience = backend.deadline();
    while (!condition()) {
        if (backend.host.reactor().now_ns() > patience) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

bool has_log(SqliteBackend& backend, std::string_view text) {
    for (const auto& line : backend.host.log_lines()) {
        if (line.find(text) != std::string::npos) {
            return true;
        }
    }
    return false;
}

}  // namespace

TEST_CASE("a stranger's lock is named, degrades, and goes over by itself", "[sqlite][S1][T5]") {
    SqliteBackend backend{[](auto& s) { s.busy_timeout_ms = 300; }};
    make_table(backend);
    {
        Stranger stranger{backend.settings.file};
        stranger.run("BEGIN IMMEDIATE");
        try {
            insert(backend, 1);
            FAIL("no error");
        } catch (const StorageError& e) {
            CHECK(e.code() == TENON_UNAVAILABLE);
            CHECK(e.retryable());
            CHECK_THAT(e.what(), Catch::Contains("another process holds the write lock"));
        }
        CHECK(backend.host.health_of("database") == TENON_DEGRADED);
        CHECK(rows(backend) == 0);  // reading goes on
        stranger.run("COMMIT");
    }
    CHECK(eventually(backend, [&] { return backend.host.health_of("database") == TENON_HEALTHY; }));
    insert(backend, 1);
    CHECK(rows(backend) == 1);
}

TEST_CASE("a deleted file is written anew with everything in it", "[sqlite][S1][T5]") {
    const bool with_wal = GENERATE(true, false);
    SqliteBackend backend;
    make_table(backend);
    for (int i = 0; i < 100; ++i) {
        insert(backend, i, "before");
    }
    CHECK(rows(backend) == 100);
    fs::remove(backend.settings.file);
    if (with_wal) {
        fs::remove(backend.settings.file + "-wal");
        fs::remove(backend.settings.file + "-shm");
    }
    insert(backend, 100, "after");
    CHECK(backend.host.health_of("database") == TENON_DEGRADED);
    CHECK(has_log(backend, "database_file_deleted"));
    CHECK(rows(backend) == 101);
    for (int i = 200; i < 210; ++i) {
        insert(backend, i, "after");
    }
    backend.close();
    CHECK_FALSE(fs::exists(backend.settings.file + ".rescue"));
    backend.open();
    CHECK(rows(backend) == 111);
    backend.storage().read(backend.deadline(), [](Session& s) {
        auto q = s.prepare("PRAGMA integrity_check");
        REQUIRE(q.step());
        CHECK(q.text(0) == "ok");
    });
}

TEST_CASE("a file that comes back by rename is taken as what it is", "[sqlite][S1]") {
    SqliteBackend backend;
    make_table(backend);
    insert(backend, 1);
    const std::string other = backend.settings.file + ".other";
    {
        Stranger stranger{other};
        stranger.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT) STRICT");
        stranger.run("INSERT INTO t VALUES (1, ''), (2, ''), (3, '')");
    }
    fs::rename(other, backend.settings.file);
    REQUIRE(eventually(backend, [&] { return has_log(backend, "database_file_replaced"); }));
    REQUIRE(eventually(backend, [&] { return rows(backend) == 3; }));
    insert(backend, 4);
    CHECK(rows(backend) == 4);
}

TEST_CASE("an empty file in place of the database is refused by name", "[sqlite][S1]") {
    SqliteBackend backend;
    make_table(backend);
    const std::string kept = backend.settings.file + ".kept";
    backend.close();
    fs::copy(backend.settings.file, kept);
    backend.open();
    const std::string empty = backend.settings.file + ".empty";
    std::ofstream{empty}.close();
    fs::rename(empty, backend.settings.file);
    CHECK_THROWS_WITH(insert(backend, 1), Catch::Contains("empty file"));
    CHECK(backend.host.health_of("database") == TENON_DEGRADED);
    fs::rename(kept, backend.settings.file);
    CHECK(eventually(backend, [&] { return backend.host.health_of("database") == TENON_HEALTHY; }));
    insert(backend, 1);
    CHECK(rows(backend) == 1);
}

TEST_CASE("a full database refuses, keeps what it had and takes more again", "[sqlite][S1]") {
    SqliteBackend backend{[](auto& s) { s.max_page_count = 40; }};
    make_table(backend);
    insert(backend, 0, "small");
    std::int64_t id = 1;
    tenon_status status = TENON_OK;
    while (status == TENON_OK && id < 1000) {
        try {
            insert(backend, id, std::string(8000, 'x'));
            ++id;
        } catch (const StorageError& e) {
            status = e.code();
            CHECK_THAT(e.what(), Catch::Contains("full"));
        }
    }
    CHECK(status == TENON_UNAVAILABLE);
    CHECK(rows(backend) == id);
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("DELETE FROM t WHERE id > 0");
    });
    insert(backend, 1, std::string(8000, 'x'));
    CHECK(rows(backend) == 2);
}

TEST_CASE("a file that is no database is refused with its name", "[sqlite][S1]") {
    SqliteBackend backend;
    backend.close();
    std::ofstream{backend.settings.file} << std::string(10'000, 'z');
    try {
        backend.open();
        FAIL("no error");
    } catch (const tenon::Error& e) {
        CHECK(e.code() == TENON_CORRUPT);
        CHECK_THAT(e.what(), Catch::Contains(backend.settings.file));
    }
    backend.settings.file = (backend.folder.path() / "nowhere" / "x.db").string();
    try {
        backend.open();
        FAIL("no error");
    } catch (const tenon::Error& e) {
        CHECK(e.code() == TENON_UNAVAILABLE);
        CHECK_THAT(e.what(), Catch::Contains("No such file"));
    }
}

TEST_CASE("the probe tells a damaged page", "[sqlite][S1]") {
    SqliteBackend backend;
    make_table(backend);
    for (int i = 0; i < 200; ++i) {
        insert(backend, i, std::string(1000, 'x'));
    }
    CHECK_NOTHROW(backend.holder.database->check(true, backend.deadline()));
    backend.close();
    {
        std::fstream file{backend.settings.file, std::ios::in | std::ios::out | std::ios::binary};
        file.seekp(8192 * 3);
        file << std::string(8192, '\xff');
    }
    backend.open();
    CHECK_NOTHROW(backend.holder.database->check(false, backend.deadline()));
    try {
        backend.holder.database->check(true, backend.deadline());
        FAIL("no error");
    } catch (const tenon::Error& e) {
        CHECK(e.code() == TENON_CORRUPT);
    }
}
