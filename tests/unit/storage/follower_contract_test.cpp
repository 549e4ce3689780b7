// SPDX-License-Identifier: Apache-2.0
// What a follower says to writes, by every way that the contract has for them.
#include "tests/unit/storage/backend.hpp"

#include <catch2/catch.hpp>

using tenon::Session;
using tenon::StorageError;
using tenon::test::FollowedBackend;

TEST_CASE("a follower refuses every way to write, in the same words", "[follower][S6]") {
    FollowedBackend backend;
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT");
    });
    const tenon::Storage follower = backend.follower.storage();
    const std::string words = backend.follower.settings.file + " only reads: it follows " +
                              backend.database.settings.capture.folder;
    bool ran = false;
    const auto refused = [&](const std::function<void()>& body) {
        try {
            body();
        } catch (const StorageError& e) {
            CHECK(e.what() == words);
            CHECK(e.failure() == tenon::Failure::other_host);
            return e.code() == TENON_UNSUPPORTED;
        }
        return false;
    };
    const auto note = [&](Session&) { ran = true; };
    CHECK(refused([&] { follower.write(backend.deadline(), note); }));
    CHECK(refused([&] { (void)follower.lease(TENON_INTENT_WRITE, backend.deadline()); }));
    for (const std::uint32_t durability :
         {TENON_DURABILITY_DEFAULT, TENON_DURABILITY_LOCAL, TENON_DURABILITY_REPLICA}) {
        for (const char* key : {"", "key"}) {
            auto options = tenon::sized<tenon_transaction_options>();
            options.intent = TENON_INTENT_WRITE;
            options.deadline_ns = backend.deadline();
            options.key = tenon::str(key);
            options.durability = durability;
            CHECK(refused([&] { (void)follower.transact(options, note); }));
        }
    }
    CHECK_FALSE(ran);
    // A session that reads refuses by itself; nothing of it arrives anywhere.
    const tenon_str columns[]{tenon::str("id")};
    const tenon_value values[]{tenon::value_of(1)};
    const auto writes = {
        std::function<void(Session&)>{[](Session& s) { s.execute("INSERT INTO t VALUES (1)"); }},
        std::function<void(Session&)>{
            [](Session& s) { s.prepare("INSERT INTO t VALUES (1)").run(); }},
        std::function<void(Session&)>{[&](Session& s) { s.bulk_insert("t", columns, values); }},
        std::function<void(Session&)>{[](Session& s) { s.execute("DROP TABLE t"); }}};
    for (const auto& write : writes) {
        CHECK_THROWS_AS(follower.read(backend.deadline(), write), tenon::Error);
    }
    backend.storage().read(backend.deadline(), [](Session& s) {
        auto q = s.prepare("SELECT count(*) FROM t");
        REQUIRE(q.step());
        CHECK(q.integer(0) == 0);
    });
}

TEST_CASE("a follower answers queries with the rows of the newest commit", "[follower][S4][S6]") {
    FollowedBackend backend;
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT");
    });
    const tenon::Storage follower = backend.follower.storage();
    for (std::int64_t i = 1; i <= 20; ++i) {
        backend.storage().write(backend.deadline(), [&](Session& s) {
            s.prepare("INSERT INTO t VALUES (?)").bind(1, i).run();
        });
        std::int64_t seen = 0;
        follower.query(
            backend.deadline(),
            "SELECT count(*) FROM t",
            {},
            [&](std::span<const tenon_value> row) { seen = row[0].i; }
        );
        CHECK(seen == i);
    }
}
