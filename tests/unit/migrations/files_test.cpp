// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/migrations/migrations_folder.hpp"

#include <catch2/catch.hpp>

using Catch::Contains;
using tenon::test::MigrationsFolder;
using tenon::test::put_three;

TEST_CASE("a folder in order is read, ascending", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    const auto found = folder.load();
    REQUIRE(found.size() == 3);
    CHECK(found[1].version == 2);
    CHECK(found[1].name == "two");
    CHECK(found[1].down.metadata.destructive);
    CHECK_FALSE(found[1].up.metadata.destructive);
}

TEST_CASE("dialects have files of their own where they differ", "[migrations][S12]") {
    MigrationsFolder folder;
    folder.put("0001_one.sqlite.up.sql", "A");
    folder.put("0001_one.postgres.up.sql", "B");
    folder.put("0001_one.down.sql", "C");
    folder.write_chain();
    CHECK(tenon::migrations::load_migrations(folder.path(), "sqlite").at(0).up.sql == "A");
    CHECK(tenon::migrations::load_migrations(folder.path(), "postgres").at(0).up.sql == "B");
    folder.put("0001_one.up.sql", "D");
    folder.write_chain();
    CHECK_THROWS_WITH(folder.load(), Contains("is the same for sqlite"));
}

TEST_CASE("a changed, added or removed file breaks the chain at its name", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    SECTION("changed") {
        folder.put("0002_two.up.sql", "CREATE TABLE other (id INTEGER);\n");
        CHECK_THROWS_WITH(
            folder.load(), Contains("chain.sums:4: 0002_two.up.sql differs from what the chain")
        );
    }
    SECTION("added") {
        folder.put_pair("0004_four", "", "");
        CHECK_THROWS_WITH(
            folder.load(), Contains("0004_four.down.sql is in the folder, but not in the chain")
        );
    }
    SECTION("added in the middle") {
        folder.put("0002_aaa.down.sql", "");
        CHECK_THROWS_WITH(
            folder.load(), Contains("0002_aaa.down.sql is in the folder, but not in the chain")
        );
    }
    SECTION("removed") {
        folder.remove("0003_three.down.sql");
        CHECK_THROWS_WITH(
            folder.load(), Contains("0003_three.down.sql is in the chain, but not in the folder")
        );
    }
    SECTION("no chain") {
        folder.remove("chain.sums");
        CHECK_THROWS_WITH(folder.load(), Contains("chain.sums is missing"));
    }
    SECTION("rubbish") {
        std::ofstream{folder.path() + "/chain.sums"} << "<<<<<<< ours\n";
        CHECK_THROWS_WITH(folder.load(), Contains("chain.sums:1: expected `HASH  NAME`"));
    }
}

TEST_CASE("every flipped byte of a file or of the chain is found", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    std::size_t flips = 0;
    for (const auto& entry : std::filesystem::directory_iterator{folder.path()}) {
        std::ifstream in{entry.path(), std::ios::binary};
        const std::string text{std::istreambuf_iterator<char>{in}, {}};
        for (std::size_t i = 0; i < text.size(); ++i) {
            std::string flipped = text;
            flipped[i] = static_cast<char>(flipped[i] ^ 1);
            std::ofstream{entry.path(), std::ios::binary} << flipped;
            CAPTURE(entry.path().string(), i);
            REQUIRE_THROWS_AS(folder.load(), tenon::Error);
            ++flips;
        }
        std::ofstream{entry.path(), std::ios::binary} << text;
    }
    CHECK(flips > 500);
    CHECK_NOTHROW(folder.load());
}

TEST_CASE("all faults of a folder come at once", "[migrations][S12]") {
    MigrationsFolder folder;
    folder.put_pair("0001_one", "-- tenon: colour=red\n", "");
    folder.put_pair("0003_three", "x\r\n", "");
    folder.put_pair("0004_four", "", "");
    folder.put_pair("0004_other", "", "");
    folder.put("0005_five.up.sql", "");
    folder.put("6_six.up.sql", "");
    folder.write_chain();
    CHECK_THROWS_WITH(
        folder.load(),
        Contains("unknown metadata `colour=red`") &&
            Contains("version 2 is missing before 3_three") && Contains("CR line ends") &&
            Contains("version 4 is taken by four: two heads") &&
            Contains("version 5 (five) has no down file for sqlite") &&
            Contains("6_six.up.sql: expected NNNN_name")
    );
}

TEST_CASE("a folder that is not there is named", "[migrations][S12]") {
    CHECK_THROWS_WITH(
        tenon::migrations::load_migrations("/nowhere/at/all", "sqlite"), Contains("/nowhere/at/all")
    );
}
