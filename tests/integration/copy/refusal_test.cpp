// SPDX-License-Identifier: Apache-2.0
// What a copy refuses, and by which words; what verification finds; ways out.
#include "tests/integration/copy/databases.hpp"

#include <catch2/catch.hpp>

using Catch::Matchers::Contains;
using tenon::Session;
using tenon::Storage;
using tenon::copy::Kind;
using tenon::test::checks_of;
using tenon::test::make_copier;
using tenon::test::PostgresBackend;
using tenon::test::RandomWriter;
using tenon::test::server;
using tenon::test::ShippedPostgres;
using tenon::test::ShippedSqlite;
using tenon::test::SqliteBackend;

namespace {

template <class Database>
void fill(Database& database) {
    RandomWriter writer{7};
    database.backend.storage().write(database.backend.deadline(), [&](Session& s) {
        writer.begin(s);
        for (int i = 0; i < 60; ++i) {
            writer.transaction(s);
        }
    });
}

template <class Backend>
void run(Backend& backend, std::string_view sql) {
    backend.storage().write(backend.deadline(), [&](Session& session) { session.execute(sql); });
}

void copy_all(tenon::copy::Copier& copier) {
    copier.begin();
    while (copier.advance()) {}
}

}  // namespace

TEST_CASE("a row that differs is found by table, key and column", "[copy][S12]") {
    ShippedSqlite sqlite;
    fill(sqlite);
    ShippedPostgres postgres{server().create_database()};
    auto copier = make_copier(sqlite.side("old"), postgres.side("new"), sqlite.backend);
    copy_all(*copier);
    postgres.run(
        "UPDATE orders SET price = price # 1 WHERE order_id = 5; DELETE FROM users WHERE id = 3;"
        "INSERT INTO assets (id, name, scale) VALUES (99, 'ETH', 8)"
    );
    std::string found;
    for (const auto& check : copier->verify()) {
        CHECK((check.different == 0) == (check.source_digest == check.target_digest));
        for (const std::string& difference : check.differences) {
            found.append(difference).append("; ");
        }
    }
    CHECK_THAT(found, Contains("orders (5) differs in price;"));
    CHECK_THAT(found, Contains("users (3) is not in new;"));
    CHECK_THAT(found, Contains("assets (99) is not in old;"));
    // Nothing was closed: the source takes writes, and finishing is refused with the same words.
    CHECK_THROWS_WITH(copier->finish(), Contains("orders (5) differs in price"));
    sqlite.run("UPDATE users SET enabled = 0 WHERE id = 1");
    CHECK_FALSE(copier->status().fenced);
}

TEST_CASE("databases that do not fit are refused, each fault by name", "[copy][S12]") {
    SqliteBackend sqlite;
    PostgresBackend postgres{server().create_database()};
    const auto faults = [&]() -> std::string {
        try {
            (void)make_copier({sqlite.storage(), "old"}, {postgres.storage(), "new"}, sqlite);
        } catch (const tenon::Error& e) {
            return e.what();
        }
        return "none";
    };
    run(sqlite,
        "CREATE TABLE one (id INTEGER PRIMARY KEY, a TEXT, b REAL) STRICT;"
        "CREATE TABLE two (a INTEGER) STRICT; CREATE TABLE three (id BLOB PRIMARY KEY) STRICT");
    run(postgres,
        "CREATE TABLE one (id BIGINT PRIMARY KEY, a BIGINT, c TIMESTAMPTZ);"
        "CREATE TABLE two (a BIGINT); CREATE TABLE four (id BIGINT PRIMARY KEY)");
    const std::string all = faults();
    CHECK_THAT(all, Contains("column one.a is text in old and integer in new"));
    CHECK_THAT(all, Contains("column one.b is not in new"));
    CHECK_THAT(all, Contains("column one.c is not in old"));
    CHECK_THAT(all, Contains("table two has no primary key"));
    CHECK_THAT(all, Contains("table three is not in new"));
    CHECK_THAT(all, Contains("table four is not in old"));
    run(sqlite,
        "CREATE TABLE schema_history (version INTEGER PRIMARY KEY, name TEXT);"
        "INSERT INTO schema_history VALUES (1, 'first')");
    CHECK_THAT(faults(), Contains("old has version 1 first, new has no version"));
}

TEST_CASE("a target with rows of its own is not touched", "[copy][S12]") {
    ShippedSqlite sqlite;
    fill(sqlite);
    ShippedPostgres postgres{server().create_database()};
    postgres.run("INSERT INTO users (id, name, created_real_ns) VALUES (1, 'somebody', 0)");
    auto copier = make_copier(sqlite.side("old"), postgres.side("new"), sqlite.backend);
    CHECK_THROWS_WITH(copier->begin(), Contains("new is not empty") && Contains("users (1)"));
    CHECK(postgres.number("SELECT count(*) FROM users") == 1);
    CHECK(sqlite.number("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tenon_copy%'") == 0);
    CHECK_FALSE(copier->status().exists);
}

TEST_CASE("a second run takes a copy over, and the first one stops", "[copy][S12]") {
    ShippedSqlite sqlite;
    fill(sqlite);
    ShippedPostgres postgres{server().create_database()};
    auto first = make_copier(sqlite.side("old"), postgres.side("new"), sqlite.backend);
    first->begin();
    CHECK(first->advance());
    auto second = make_copier(sqlite.side("old"), postgres.side("new"), sqlite.backend);
    second->begin();
    CHECK_THROWS_WITH(first->advance(), Contains("another run"));
    while (second->advance()) {}
    second->finish();
    // To a third database only when that is given up.
    ShippedPostgres other{server().create_database()};
    auto third = make_copier(sqlite.side("old"), other.side("other"), sqlite.backend);
    CHECK_THROWS_WITH(third->begin(), Contains("already copied to another target"));
}

TEST_CASE("a copy that is abandoned leaves nothing behind at its source", "[copy][S12]") {
    ShippedSqlite sqlite;
    fill(sqlite);
    const std::string count = "SELECT count(*) FROM sqlite_schema";
    const std::int64_t objects = sqlite.number(count);
    ShippedPostgres postgres{server().create_database()};
    auto copier = make_copier(sqlite.side("old"), postgres.side("new"), sqlite.backend);
    copier->begin();
    for (int i = 0; i < 10; ++i) {
        CHECK(copier->advance());
    }
    CHECK(sqlite.number(count) > objects);
    copier->abandon();
    CHECK(sqlite.number(count) == objects);
    CHECK(postgres.number("SELECT count(*) FROM users") == 0);
    CHECK_THROWS(postgres.run("INSERT INTO orders (order_id, account) VALUES (1, 1)"));
    // And may begin anew.
    copy_all(*copier);
    copier->finish();
    for (const auto& check : checks_of(sqlite, postgres)) {
        CHECK(check.different == 0);
    }
}

TEST_CASE("a target that is given up has what its migrations made", "[copy][S12]") {
    const auto requires_seeds = [](auto& source, auto& target, auto& fresh) {
        fill(source);
        source.run("UPDATE accounts SET name = name || ' renamed' WHERE id = 2");
        auto copier = make_copier(source.side("old"), target.side("new"), source.backend);
        // As somebody had it before: with all kinds of values.
        target.run("UPDATE accounts SET name = 'it''s \\ \"2\" ? Ä' WHERE id = 2");
        fresh.run("UPDATE accounts SET name = 'it''s \\ \"2\" ? Ä' WHERE id = 2");
        CHECK_THROWS_WITH(copier->begin(), Contains("is not empty"));
        source.run("UPDATE accounts SET name = 'it''s \\ \"2\" ? Ä' WHERE id = 2");
        copy_all(*copier);
        source.run("UPDATE accounts SET name = 'changed' WHERE id = 2");
        while (copier->advance()) {}
        CHECK(target.number("SELECT count(*) FROM users") > 0);
        copier->abandon();
        std::int64_t rows = 0;
        for (const auto& check : checks_of(fresh, target)) {
            CAPTURE(check.table);
            CHECK(check.different == 0);
            CHECK(check.source_digest == check.target_digest);
            rows += check.rows;
        }
        CHECK(rows > 0);
    };
    ShippedSqlite sqlite;
    ShippedPostgres postgres{server().create_database()};
    ShippedPostgres fresh{server().create_database()};
    requires_seeds(sqlite, postgres, fresh);
    ShippedPostgres from{server().create_database()};
    ShippedSqlite to;
    ShippedSqlite fresh_file;
    requires_seeds(from, to, fresh_file);
}

TEST_CASE("a copy whose target is lost is ended at its source, by its name", "[copy][S12]") {
    const auto forgets = [](auto& source, auto& target, const std::string& note) {
        fill(source);
        const auto forget = [&](const std::string& id) {
            tenon::copy::forget_copy(source.side("old"), id, source.backend.deadline());
        };
        CHECK_THROWS_WITH(forget("x"), Contains("old is not being copied"));
        auto copier = make_copier(source.side("old"), target.side("new"), source.backend);
        copy_all(*copier);
        const std::string id = copier->status().progress.copy_id;
        CHECK_THROWS_WITH(forget("finished"), Contains("--forget " + id));
        CHECK(source.number("SELECT count(*) FROM tenon_copy_source") == 1);
        forget(id);
        CHECK(source.number(note) == 0);
        CHECK_THROWS_WITH(copier->begin(), Contains("the capture in old was removed"));
    };
    const std::string postgres_note =
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'tenon_copy_%'";
    const std::string sqlite_note =
        "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tenon_copy_%'";
    ShippedSqlite sqlite;
    ShippedPostgres postgres{server().create_database()};
    forgets(sqlite, postgres, sqlite_note);
    ShippedPostgres from{server().create_database()};
    ShippedSqlite to;
    forgets(from, to, postgres_note);

    // And a source that was closed for its copy takes writes again.
    ShippedPostgres other{server().create_database()};
    auto copier = make_copier(sqlite.side("old"), other.side("other"), sqlite.backend);
    copy_all(*copier);
    CHECK(copier->finish());
    const auto forget = [&](const std::string& id) {
        tenon::copy::forget_copy(sqlite.side("old"), id, sqlite.backend.deadline());
    };
    CHECK_THROWS_WITH(forget("x"), Contains("takes no writes") && Contains("--forget finished"));
    CHECK_THROWS_WITH(sqlite.run("UPDATE users SET enabled = 0"), Contains("has been copied"));
    forget("finished");
    sqlite.run("UPDATE users SET enabled = 0");
    CHECK(sqlite.number(sqlite_note) == 0);
}

TEST_CASE("a key that is not compared by its bytes is refused by name", "[copy][S12]") {
    ShippedSqlite sqlite;
    ShippedPostgres postgres{server().create_database()};
    sqlite.run(
        "CREATE TABLE words (word TEXT COLLATE NOCASE PRIMARY KEY) STRICT;"
        "CREATE TABLE pairs (a TEXT, b TEXT, PRIMARY KEY (a, b COLLATE RTRIM)) WITHOUT ROWID;"
        "CREATE TABLE flags (flag INTEGER PRIMARY KEY)"
    );
    postgres.run(
        "CREATE TABLE words (word TEXT PRIMARY KEY);"
        "CREATE TABLE pairs (a TEXT, b TEXT, PRIMARY KEY (a, b));"
        "CREATE TABLE flags (flag BOOLEAN PRIMARY KEY)"
    );
    CHECK_THROWS_WITH(
        make_copier(sqlite.side("old"), postgres.side("new"), sqlite.backend),
        Contains("words.word of the primary key has a collation in old") &&
            Contains("pairs.b of the primary key has a collation in old") && !Contains("pairs.a") &&
            Contains("flags.flag of the primary key is boolean in new")
    );
}

TEST_CASE("a copy to another target is not abandoned", "[copy][S12]") {
    ShippedSqlite sqlite;
    fill(sqlite);
    ShippedPostgres postgres{server().create_database()};
    ShippedPostgres other{server().create_database()};
    auto copier = make_copier(sqlite.side("old"), postgres.side("new"), sqlite.backend);
    auto wrong = make_copier(sqlite.side("old"), other.side("other"), sqlite.backend);
    const auto is_refused = [&] {
        CHECK_THROWS_WITH(wrong->abandon(), Contains("another target than other"));
    };
    copier->begin();
    is_refused();
    while (copier->advance()) {}
    CHECK(copier->finish());
    is_refused();
    CHECK(wrong->status().fenced);
    CHECK_THROWS_WITH(sqlite.run("UPDATE users SET enabled = 0"), Contains("has been copied"));

    // Nor by a target that holds the copy of another source.
    ShippedSqlite second;
    fill(second);
    auto of_second = make_copier(second.side("second"), other.side("other"), second.backend);
    of_second->begin();
    is_refused();
    CHECK(wrong->status().fenced);
    CHECK(of_second->advance());  // and that one goes on
}

TEST_CASE("a fence that is seen late does not stop the copy", "[copy][S12]") {
    ShippedSqlite sqlite;
    fill(sqlite);
    ShippedPostgres postgres{server().create_database()};
    auto options = tenon::test::small_steps();
    options.at = [](std::string_view point) {
        if (point == "source_fenced") {
            throw tenon::Error{TENON_UNAVAILABLE, "ended"};
        }
    };
    auto first = make_copier(sqlite.side("old"), postgres.side("new"), sqlite.backend, options);
    copy_all(*first);
    CHECK_THROWS_WITH(first->finish(), Contains("ended"));
    // As a run leaves it that looked for the fence before it was there.
    postgres.run("UPDATE tenon_copy SET phase = 'copying'");
    auto next = make_copier(sqlite.side("old"), postgres.side("new"), sqlite.backend);
    next->begin();
    CHECK(next->finish());
    for (const auto& check : checks_of(sqlite, postgres)) {
        CHECK(check.different == 0);
    }
}

TEST_CASE("a source that was closed can be opened again", "[copy][S12]") {
    ShippedSqlite sqlite;
    fill(sqlite);
    ShippedPostgres postgres{server().create_database()};
    auto copier = make_copier(sqlite.side("old"), postgres.side("new"), sqlite.backend);
    copy_all(*copier);
    copier->finish();
    CHECK_THROWS(sqlite.run("UPDATE users SET enabled = 0"));
    copier->reopen();
    sqlite.run("UPDATE users SET enabled = 0");
    CHECK(sqlite.number("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tenon_copy%'") == 0);
}

TEST_CASE("extremes, decimals, booleans and bytes are the same on both sides", "[copy][S12]") {
    SqliteBackend sqlite;
    PostgresBackend postgres{server().create_database()};
    run(sqlite,
        "CREATE TABLE v (a TEXT NOT NULL, b INTEGER NOT NULL, i INTEGER, r REAL, t TEXT, y BLOB, d "
        "TEXT, "
        "f INTEGER, \"Order\" TEXT, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID;"
        "INSERT INTO v VALUES ('é', -9223372036854775808, 9223372036854775807, 1e308, '', x'', "
        "'1.50', 1,"
        "'x'), ('Z', 0, NULL, -0.0, NULL, NULL, '-0.10', 0, NULL), ('a', 1, -1, 5e-324, 'a''\\\t', "
        "x'00ff', '12345678901234567890.123456789', 1, ''), ('', 2, 0, 0.1, '北', x'5c78', '7', 0, "
        "'\n')");
    run(postgres,
        "CREATE TABLE v (a TEXT, b BIGINT, i BIGINT, r FLOAT8, t TEXT, y BYTEA, d NUMERIC(40, 12), "
        "f BOOLEAN, \"Order\" TEXT, PRIMARY KEY (a, b))");
    auto copier = make_copier({sqlite.storage(), "old"}, {postgres.storage(), "new"}, sqlite);
    copy_all(*copier);
    run(sqlite, "UPDATE v SET d = '-1.250', f = 1 WHERE a = ''; DELETE FROM v WHERE a = 'Z'");
    copier->finish();
    for (const auto& check : copier->verify()) {
        CAPTURE(check.differences);
        CHECK(check.rows == 3);
        CHECK(check.source_digest == check.target_digest);
    }
    SqliteBackend again;
    run(again,
        "CREATE TABLE v (a TEXT NOT NULL, b INTEGER NOT NULL, i INTEGER, r REAL, t TEXT, y BLOB, d "
        "TEXT, "
        "f INTEGER, \"Order\" TEXT, PRIMARY KEY (a, b)) STRICT");
    auto back = make_copier({postgres.storage(), "new"}, {again.storage(), "again"}, sqlite);
    copy_all(*back);
    const auto checks = back->verify();
    REQUIRE(checks.size() == 1);
    CHECK(checks[0].rows == 3);
    CHECK(checks[0].source_digest == checks[0].target_digest);
}

TEST_CASE("a text that PostgreSQL cannot hold is told by its rows", "[copy][S12]") {
    SqliteBackend sqlite;
    PostgresBackend postgres{server().create_database()};
    run(sqlite,
        "CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT) STRICT; "
        "INSERT INTO v VALUES (41, 'a'), (42, 'a' || char(0) || 'b')");
    run(postgres, "CREATE TABLE v (id BIGINT PRIMARY KEY, t TEXT)");
    auto copier = make_copier({sqlite.storage(), "old"}, {postgres.storage(), "new"}, sqlite);
    copier->begin();
    CHECK_THROWS_WITH(
        copier->advance(),
        Contains("v (41) to v (42)") && Contains("zero byte") && Contains("column t")
    );
    run(sqlite, "UPDATE v SET t = 'b' WHERE id = 42");
    while (copier->advance()) {}
    CHECK(copier->verify()[0].different == 0);
}
