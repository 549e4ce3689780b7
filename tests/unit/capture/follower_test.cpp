// SPDX-License-Identifier: Apache-2.0
// A follower of a captured database: what readers of it see, and how it comes back.
#include "tests/unit/capture/captured.hpp"

#include <atomic>
#include <fstream>

using tenon::Session;
using tenon::StorageError;
using tenon::test::Captured;
using tenon::test::content_of;
using tenon::test::SqliteBackend;
namespace capture = tenon::capture;
namespace fs = std::filesystem;

namespace {

std::string read_all(SqliteBackend& backend, const tenon_transaction_options& options) {
    std::string text;
    (void)backend.storage().transact(options, [&](Session& s) {
        text.clear();
        auto q = s.prepare("SELECT id, x FROM t ORDER BY id");
        while (q.step()) {
            text += std::to_string(q.integer(0)) + "," + std::string{q.text(1)} + ",";
        }
    });
    return text;
}

// What the follower shows to a read that asks for this commit.
std::string read_after(SqliteBackend& follower, std::uint64_t txid) {
    const std::string after = std::to_string(txid);
    tenon_transaction_options options{};
    options.size = sizeof options;
    options.intent = TENON_INTENT_READ;
    options.deadline_ns = follower.deadline();
    options.after = tenon::str(after);
    const auto patience = follower.deadline();
    for (;;) {  // before the first base there is nothing to wait for
        try {
            return read_all(follower, options);
        } catch (const StorageError& e) {
            CAPTURE(e.what());
            REQUIRE(e.code() == TENON_UNAVAILABLE);
            REQUIRE(follower.host.reactor().now_ns() < patience);
            std::this_thread::yield();
        }
    }
}

SqliteBackend::Tweak following(const Captured& database) {
    return [folder = database.captures()](auto& s) {
        s.source = folder;
        s.wal_checkpoint_mb = 1;
    };
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

TEST_CASE("a follower shows each commit that it is asked for", "[follower][S6]") {
    Captured database{[](auto& s) { s.capture.segment_mb = 1; }};
    SqliteBackend follower{following(database)};
    std::string expected;
    for (int i = 1; i <= 300; ++i) {
        const std::string text(static_cast<std::size_t>(i * 37 % 5000), 'x');
        const std::uint64_t txid = database.put(i, text);
        expected += std::to_string(i) + "," + text + ",";
        if (i % 10 == 0) {
            CHECK(read_after(follower, txid) == expected);
        }
    }
    const std::uint64_t last = database.write([](Session& s) {
        s.execute("CREATE TABLE other (a INTEGER) STRICT; DELETE FROM t WHERE id > 1");
    });
    CHECK(read_after(follower, last) == "1," + std::string(37, 'x') + ",");
    CHECK_FALSE(has_log(follower, "is cut short"));
    follower.close();
    CHECK(content_of(follower.settings.file) == database.restored(last));
}

TEST_CASE("a reader of a follower never sees half of a commit", "[follower][S6]") {
    Captured database;
    SqliteBackend follower{following(database)};
    // Every commit gives all rows the same text.
    const auto give = [&](int round) {
        return database.write([&](Session& s) {
            for (int id = 1; id <= 40; ++id) {
                const std::string text = std::to_string(round) + std::string(300, '.');
                s.prepare("INSERT OR REPLACE INTO t VALUES (?, ?)").bind_all(id, text).run();
            }
        });
    };
    (void)read_after(follower, give(0));
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::atomic<int> seen{0};
    std::thread reader{[&] {
        while (!stop) {
            follower.storage().read(follower.deadline(), [&](Session& s) {
                auto q = s.prepare("SELECT count(DISTINCT x), count(*) FROM t");
                wrong += q.step() && q.integer(0) == 1 && q.integer(1) == 40 ? 0 : 1;
            });
            ++seen;
        }
    }};
    std::uint64_t last = 0;
    for (int round = 1; round <= 200; ++round) {
        last = give(round);
    }
    (void)read_after(follower, last);
    stop = true;
    reader.join();
    CHECK(wrong == 0);
    CHECK(seen > 0);
}

TEST_CASE("a follower refuses writes and says why", "[follower][S6]") {
    Captured database;
    SqliteBackend follower{following(database)};
    (void)read_after(follower, database.put(1, "one"));
    try {
        follower.storage().write(follower.deadline(), [](Session& s) {
            s.execute("DELETE FROM t");
        });
        FAIL("it wrote");
    } catch (const StorageError& e) {
        CHECK(e.code() == TENON_UNSUPPORTED);
        CHECK(e.failure() == tenon::Failure::other_host);
        CHECK(std::string{e.what()}.find("only reads: it follows") != std::string::npos);
    }
    CHECK_THROWS(follower.storage().read(follower.deadline(), [](Session& s) {
        s.execute("DELETE FROM t");
    }));
    CHECK(read_after(follower, 1) == "1,one,");
}

TEST_CASE("a follower keeps to the staleness that a read allows", "[follower][S6]") {
    Captured database;
    SqliteBackend follower{following(database)};
    (void)read_after(follower, database.put(1, "one"));
    tenon_transaction_options options{};
    options.size = sizeof options;
    options.intent = TENON_INTENT_READ;
    options.deadline_ns = follower.deadline();
    options.max_staleness_ns = 60'000'000'000;
    CHECK(read_all(follower, options) == "1,one,");
    database.backend.close();  // from now on its rows only grow older
    options.max_staleness_ns = 1;
    options.deadline_ns = follower.deadline(1'000'000);
    try {
        (void)read_all(follower, options);
        FAIL("it answered");
    } catch (const StorageError& e) {
        CHECK(e.code() == TENON_UNAVAILABLE);
        CHECK(e.failure() == tenon::Failure::other_host);
        CHECK(std::string{e.what()}.find("ms old, allowed: 0") != std::string::npos);
    }
    options.max_staleness_ns = 0;
    CHECK(read_all(follower, options) == "1,one,");
}

TEST_CASE("a follower that starts again goes on without a new base", "[follower][S6]") {
    Captured database;
    SqliteBackend follower{following(database)};
    (void)read_after(follower, database.put(1, "one"));
    follower.close();
    const std::uint64_t txid = database.put(2, "two");
    follower.open();
    CHECK(read_after(follower, txid) == "1,one,2,two,");
    int bases = 0;
    for (const auto& line : follower.host.log_lines()) {
        bases += line.find("database_follower_base") != std::string::npos ? 1 : 0;
    }
    CHECK(bases == 1);
}

TEST_CASE("a follower takes the base of a new epoch", "[follower][S6]") {
    Captured database;
    SqliteBackend follower{following(database)};
    (void)read_after(follower, database.put(1, "one"));
    database.backend.close();
    sqlite3* stranger = nullptr;
    REQUIRE(sqlite3_open(database.backend.settings.file.c_str(), &stranger) == SQLITE_OK);
    REQUIRE(
        sqlite3_exec(stranger, "UPDATE t SET x = 'changed'", nullptr, nullptr, nullptr) == SQLITE_OK
    );
    sqlite3_close(stranger);
    database.backend.open();
    CHECK(read_after(follower, database.put(2, "two")) == "1,changed,2,two,");
}

TEST_CASE("a follower names a damaged segment and heals by a base", "[follower][S6][S14]") {
    Captured database{[](auto& s) {
        s.capture.base_s = 1;
        s.capture.zstd_level = 0;
    }};
    SqliteBackend follower{following(database)};
    (void)read_after(follower, database.put(1, "one"));
    follower.close();
    const std::uint64_t damaged = database.put(2, "here is the damage");
    const std::string segment = capture::list(database.captures()).segments.back().file;
    {
        std::ifstream in{segment, std::ios::binary};
        std::string bytes{std::istreambuf_iterator<char>{in}, {}};
        const std::size_t at = bytes.find("here is the damage");
        REQUIRE(at != std::string::npos);
        std::fstream out{segment, std::ios::in | std::ios::out | std::ios::binary};
        out.seekp(static_cast<std::streamoff>(at));
        out.put('H');
    }
    follower.open();
    CHECK(read_after(follower, damaged).find("2,here is the damage,") != std::string::npos);
    CHECK((has_log(follower, segment) || has_log(follower, "database_follower_base")));
}
