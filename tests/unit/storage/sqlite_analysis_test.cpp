// SPDX-License-Identifier: Apache-2.0
// What SQLite tells of its statements, plans in the one shape, the query cache, copies for trials.
#include "tests/unit/storage/backend.hpp"

#include <tenon/json.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <fstream>
#include <thread>

using tenon::Json;
using tenon::Session;
using tenon::Storage;
using tenon::value_of;
using tenon::test::SqliteBackend;

namespace {

constexpr auto k_schema =
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT) STRICT;"
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, user INTEGER REFERENCES users(id) ON DELETE "
    "CASCADE, status TEXT, price INTEGER) STRICT;"
    "CREATE TABLE log (line TEXT) STRICT;"
    "CREATE TRIGGER orders_log AFTER INSERT ON orders BEGIN INSERT INTO log VALUES (new.status); "
    "END;"
    "CREATE VIEW open_orders AS SELECT * FROM orders WHERE status = 'open';";

struct Fixture : SqliteBackend {
    explicit Fixture(const Tweak& tweak = {}) : SqliteBackend{tweak} {
        storage().write(deadline(), [](Session& s) { s.execute(k_schema); });
    }

    void run(std::string_view sql) {
        storage().write(deadline(), [&](Session& s) { s.execute(sql); });
    }

    std::int64_t ask(std::string_view sql, std::int64_t ttl_ms = -1) {
        std::int64_t found = -1;
        storage().query(
            deadline(), sql, {}, [&](std::span<const tenon_value> row) { found = row[0].i; }, ttl_ms
        );
        return found;
    }

    // The captured statement of this normalised text.
    Json captured(std::string_view sql) {
        const Json all = Json::parse(storage().statements());
        for (const Json& one : all.find("statements")->items()) {
            if (one.find("sql")->text() == sql) {
                return one;
            }
        }
        return {};
    }

    Json plan_of(std::string_view sql) {
        Json plan;
        storage().read(deadline(), [&](Session& s) { plan = Json::parse(s.plan(sql)); });
        return plan;
    }
};

std::string text(const Json& node, std::string_view key) {
    const Json* value = node.find(key);
    REQUIRE(value != nullptr);
    return value->is(Json::Kind::text) ? value->text() : "";
}

}  // namespace

TEST_CASE("what ran is told with calls, rows, errors and tables", "[sqlite][statements][S9]") {
    Fixture f;
    f.storage().write(f.deadline(), [](Session& s) {
        for (int i = 1; i <= 3; ++i) {
            s.prepare("INSERT INTO users(id, name) VALUES (?, ?)").bind_all(i, "n").run();
        }
    });
    f.storage().read(f.deadline(), [](Session& s) {
        s.prepare("SELECT name FROM users WHERE id > ?").bind_all(1).run();
    });
    CHECK_THROWS(f.storage().write(f.deadline(), [](Session& s) {
        s.prepare("INSERT INTO users(id, name) VALUES (?, ?)").bind_all(1, "twice").run();
    }));
    const Json insert = f.captured("INSERT INTO users(id, name) VALUES (?, ?)");
    CHECK(insert.find("calls")->integer<int>() == 4);
    CHECK(insert.find("rows")->integer<int>() == 3);
    CHECK(insert.find("errors")->integer<int>() == 1);
    CHECK(insert.find("writes")->boolean());
    const Json select = f.captured("SELECT name FROM users WHERE id > ?");
    CHECK(select.find("calls")->integer<int>() == 1);
    CHECK(select.find("rows")->integer<int>() == 2);
    CHECK_FALSE(select.find("writes")->boolean());
    REQUIRE(select.find("tables")->items().size() == 1);
    CHECK(select.find("tables")->items()[0].text() == "users");
    CHECK(select.find("total_ns")->integer<std::int64_t>() > 0);
}

TEST_CASE("rows in bulk are one call, and those after a bad one do not run", "[sqlite][S5][S9]") {
    Fixture f;
    const std::array columns{tenon::str("id"), tenon::str("name")};
    const auto insert = [&](std::int64_t first, std::int64_t second) {
        std::vector<tenon_value> values;
        for (const std::int64_t id : {first, second, std::int64_t{9}}) {
            values.push_back(value_of(id));
            values.push_back(value_of("n"));
        }
        f.storage().write(f.deadline(), [&](Session& s) {
            s.bulk_insert("users", columns, values);
        });
    };
    insert(1, 2);
    CHECK_THROWS_AS(insert(3, 3), tenon::Error);
    CHECK(f.ask("SELECT count(*) FROM users") == 3);
    const Json bulk = f.captured("INSERT INTO \"users\" (\"id\", \"name\") VALUES (?, ?)");
    CHECK(bulk.find("calls")->integer<int>() == 2);
    CHECK(bulk.find("rows")->integer<int>() == 4);  // three, and the one before the bad one
    CHECK(bulk.find("errors")->integer<int>() == 1);
}

TEST_CASE("a slow statement is logged without its values and with its plan", "[sqlite][S9]") {
    Fixture f{[](auto& s) { s.slow_query_ms = 1; }};
    f.run("INSERT INTO users VALUES (17, 'a')");
    f.storage().read(f.deadline(), [](Session& s) {
        s.prepare(
             "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < "
             "200000) SELECT count(*), 'hunter2' FROM c, users WHERE users.id = 17"
        )
            .run();
    });
    std::string all;
    for (const auto& line : f.host.log_lines()) {
        all += line + "\n";
    }
    CHECK_THAT(all, Catch::Contains("slow_query") && Catch::Contains("SEARCH users"));
    CHECK_THAT(all, !Catch::Contains("hunter2"));
    const Json statements = Json::parse(f.storage().statements());
    REQUIRE_FALSE(statements.find("slow")->items().empty());
    CHECK(statements.find("slow")->items()[0].find("duration_ns")->integer<std::int64_t>() > 0);
}

TEST_CASE("a plan has operation, table, index, cover and condition", "[sqlite][plan][S9]") {
    Fixture f;
    f.run("CREATE INDEX orders_user ON orders(user, price)");
    const Json plan =
        f.plan_of("SELECT o.price FROM orders AS o WHERE o.user = ? AND o.price > ? ORDER BY o.id");
    CHECK(text(plan, "dialect") == "sqlite");
    CHECK(text(plan, "hash").size() == 16);
    const auto& nodes = plan.find("nodes")->items();
    REQUIRE(nodes.size() == 2);
    CHECK(text(nodes[0], "operation") == "search");
    CHECK(text(nodes[0], "table") == "orders");
    CHECK(text(nodes[0], "index") == "orders_user");
    CHECK(nodes[0].find("covering")->boolean());
    CHECK(text(nodes[0], "condition") == "user=? AND price>?");
    CHECK(nodes[0].find("rows")->is(Json::Kind::null));
    CHECK(text(nodes[1], "operation") == "sort");

    const Json scan = f.plan_of("SELECT * FROM orders WHERE status = 'x'");
    CHECK(text(scan.find("nodes")->items().at(0), "operation") == "scan");
    CHECK(text(scan, "hash") != text(plan, "hash"));
    CHECK(text(f.plan_of("SELECT * FROM orders WHERE status = 'y'"), "hash") == text(scan, "hash"));

    const Json update = f.plan_of("UPDATE users SET name = 'x' WHERE id = 1");
    CHECK(text(update.find("nodes")->items().at(0), "operation") == "update");
    CHECK(text(update.find("nodes")->items().at(0), "table") == "users");
    CHECK(text(update.find("nodes")->items().at(1), "index") == "(primary key)");
    CHECK_THROWS_AS(f.plan_of("SELECT nonsense FROM orders"), tenon::Error);
    CHECK_THROWS_AS(f.plan_of(""), tenon::Error);
}

TEST_CASE("a plan that changes with an index is told once", "[sqlite][plan][S9]") {
    Fixture f;
    const auto sql = "SELECT id FROM orders WHERE status = ?";
    const auto ask = [&] {
        f.storage().read(f.deadline(), [&](Session& s) { s.prepare(sql).bind_all("a").run(); });
    };
    ask();
    ask();
    CHECK(f.captured(sql).find("plan_changes")->integer<int>() == 0);
    f.run("CREATE INDEX orders_status ON orders(status)");
    ask();
    ask();
    const Json after = f.captured(sql);
    CHECK(after.find("plan_changes")->integer<int>() == 1);
    CHECK(text(after.find("plan")->find("nodes")->items().at(0), "index") == "orders_status");
    CHECK(text(after.find("plan_before")->find("nodes")->items().at(0), "operation") == "scan");
    std::string all;
    for (const auto& line : f.host.log_lines()) {
        all += line + "\n";
    }
    CHECK_THAT(all, Catch::Contains("plan_changed") && Catch::Contains("orders_status"));
}

TEST_CASE("a query is answered by the cache until its tables are written", "[sqlite][S4]") {
    Fixture f;
    f.run("INSERT INTO users VALUES (1, 'a'); INSERT INTO orders VALUES (1, 1, 'open', 5)");
    const auto hits = [&] { return f.storage().stats().query_hits; };
    const auto orders = "SELECT count(*) FROM open_orders";
    CHECK(f.ask(orders) == 1);
    CHECK(f.ask(orders) == 1);
    CHECK(hits() == 1);
    f.run("INSERT INTO users VALUES (2, 'b')");
    CHECK(f.ask(orders) == 1);
    CHECK(hits() == 2);
    f.run("INSERT INTO orders VALUES (2, 1, 'open', 5)");
    CHECK(f.ask(orders) == 2);
    CHECK(hits() == 2);
    CHECK(f.ask(orders, 0) == 2);
    CHECK(hits() == 2);
    CHECK(f.storage().stats().query_misses == 2);
}

TEST_CASE("triggers, cascades and DDL outdate what they touch", "[sqlite][S4]") {
    Fixture f;
    f.run("INSERT INTO users VALUES (1, 'a'); INSERT INTO orders VALUES (1, 1, 'open', 5)");
    CHECK(f.ask("SELECT count(*) FROM log") == 1);
    f.run("INSERT INTO orders VALUES (2, 1, 'open', 5)");  // the trigger writes to log
    CHECK(f.ask("SELECT count(*) FROM log") == 2);
    CHECK(f.ask("SELECT count(*) FROM orders") == 2);
    f.run("DELETE FROM users");  // cascades to orders
    CHECK(f.ask("SELECT count(*) FROM orders") == 0);

    // A prepared write learns of a trigger that is made later.
    const auto insert = [&] {
        f.storage().write(f.deadline(), [](Session& s) {
            s.prepare("INSERT INTO users(name) VALUES (?)").bind_all("x").run();
        });
    };
    insert();
    f.run("CREATE TRIGGER users_log AFTER INSERT ON users BEGIN INSERT INTO log VALUES ('u'); END");
    CHECK(f.ask("SELECT count(*) FROM log") == 2);
    insert();
    CHECK(f.ask("SELECT count(*) FROM log") == 3);
    f.run("DROP VIEW open_orders");
    f.run("CREATE VIEW open_orders AS SELECT 7 AS n FROM users LIMIT 1");
    CHECK(f.ask("SELECT * FROM open_orders") == 7);

    // A lease without a transaction commits with each statement.
    auto lease = f.storage().lease(TENON_INTENT_WRITE, f.deadline());
    CHECK(f.ask("SELECT count(*) FROM log") == 3);
    lease->execute("DELETE FROM log");
    CHECK(f.ask("SELECT count(*) FROM log") == 0);
}

TEST_CASE("a write that still returns rows is not over for the cache", "[sqlite][S4]") {
    Fixture f;
    f.run("INSERT INTO users VALUES (1, 'a'), (2, 'b')");
    auto lease = f.storage().lease(TENON_INTENT_WRITE, f.deadline());
    {
        auto returning = lease->prepare("DELETE FROM users RETURNING id");
        REQUIRE(returning.step());
        lease->prepare("SELECT 1").run();  // ends while the write is open
        CHECK(f.ask("SELECT count(*) FROM users") == 2);
        while (returning.step()) {}
    }
    CHECK(f.ask("SELECT count(*) FROM users") == 0);
}

TEST_CASE("a lease that writes has no limit of time but the stop", "[sqlite][S1]") {
    Fixture f{[](auto& settings) { settings.query_timeout_ms = 100; }};
    const auto slow =
        "INSERT INTO log WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < "
        "3000000) SELECT count(*) FROM r";
    CHECK_THROWS_AS(f.run(slow), tenon::StorageError);
    f.storage().lease(TENON_INTENT_WRITE, f.deadline())->execute(slow);
    CHECK(f.ask("SELECT count(*) FROM log") == 1);

    std::thread stopper;
    {
        auto lease = f.storage().lease(TENON_INTENT_WRITE, f.deadline());
        stopper = std::thread{[&] { (void)f.holder.database->stop(); }};
        CHECK_THROWS_AS(
            lease->execute("INSERT INTO log WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + "
                           "1 FROM r) SELECT i FROM r WHERE i < 0"),
            tenon::StorageError
        );
    }
    stopper.join();
}

TEST_CASE("rows that do not depend on tables alone are not kept", "[sqlite][S4]") {
    Fixture f;
    f.run("INSERT INTO users VALUES (1, 'a')");
    for (const char* sql :
         {"SELECT random() FROM users",
          "SELECT unixepoch() FROM users",
          "SELECT 1",
          "SELECT count(*) FROM users, pragma_table_info('users')",
          "SELECT CURRENT_TIMESTAMP FROM users"}) {
        (void)f.ask(sql);
        (void)f.ask(sql);
    }
    CHECK(f.storage().stats().query_hits == 0);
}

TEST_CASE("threads never read rows older than an acknowledged write", "[sqlite][S4]") {
    Fixture f;
    f.run("INSERT INTO users VALUES (1, 'a'); INSERT INTO orders VALUES (1, 1, 'open', 0)");
    constexpr int k_writes = 400;
    std::atomic<std::int64_t> acknowledged{0};
    std::atomic<bool> over{false};
    std::atomic<int> stale{0};
    std::vector<std::thread> readers;
    for (int r = 0; r < 3; ++r) {
        readers.emplace_back([&] {
            while (!over.load()) {
                const std::int64_t floor = acknowledged.load();
                if (f.ask("SELECT price FROM orders WHERE id = 1") < floor) {
                    stale.fetch_add(1);
                }
            }
        });
    }
    for (int i = 1; i <= k_writes; ++i) {
        f.storage().write(f.deadline(), [&](Session& s) {
            s.prepare("UPDATE orders SET price = ? WHERE id = 1").bind_all(i).run();
        });
        acknowledged.store(i);
    }
    over.store(true);
    for (auto& reader : readers) {
        reader.join();
    }
    CHECK(stale.load() == 0);
    CHECK(f.ask("SELECT price FROM orders WHERE id = 1") == k_writes);
    CHECK(f.storage().stats().query_hits > 0);
}

TEST_CASE("a copy is a database of its own and goes without a trace", "[sqlite][clone][S9]") {
    Fixture f;
    f.run("INSERT INTO users VALUES (1, 'a'); CREATE INDEX users_name ON users(name); ANALYZE");
    const auto count = [&](const Storage& storage, std::string_view sql) {
        std::int64_t found = -1;
        storage.read(f.deadline(), [&](Session& s) {
            auto q = s.prepare(sql);
            REQUIRE(q.step());
            found = q.integer(0);
        });
        return found;
    };
    {
        const auto full = f.storage().clone(true, f.deadline());
        CHECK(count(*full, "SELECT count(*) FROM users") == 1);
        full->write(f.deadline(), [](Session& s) { s.execute("DELETE FROM users"); });
        CHECK(count(f.storage(), "SELECT count(*) FROM users") == 1);
        const auto bare = f.storage().clone(false, f.deadline());
        CHECK(count(*bare, "SELECT count(*) FROM users") == 0);
        CHECK(
            count(*bare, "SELECT count(*) FROM sqlite_stat1") ==
            count(f.storage(), "SELECT count(*) FROM sqlite_stat1")
        );
        CHECK(
            count(*bare, "SELECT count(*) FROM sqlite_schema") ==
            count(f.storage(), "SELECT count(*) FROM sqlite_schema")
        );
    }
    for (const auto& entry : std::filesystem::directory_iterator{f.folder.path()}) {
        CHECK(entry.path().string().find("clone") == std::string::npos);
    }
}

TEST_CASE("a copy in use outlives the stop of its database", "[sqlite][clone][S9]") {
    Fixture f;
    {
        const auto copy = f.storage().clone(true, f.deadline());
        const auto begin = [&] { copy->read(f.deadline(), [](Session&) {}); };
        CHECK_NOTHROW(begin());
        f.close();
        CHECK_THROWS_AS(begin(), tenon::StorageError);
    }
    for (const auto& entry : std::filesystem::directory_iterator{f.folder.path()}) {
        CHECK(entry.path().string().find("clone") == std::string::npos);
    }
}

TEST_CASE("a start removes the copies that it knows and no other file", "[sqlite][clone][S9]") {
    Fixture f;
    f.close();
    const auto path = [&](const char* ending) {
        return f.settings.file + ".clone-" + std::string{ending};
    };
    for (const char* ending : {"12", "12-wal", "mine", "12.bak", ""}) {
        std::ofstream{path(ending)} << "x";
    }
    f.open();
    CHECK_FALSE(std::filesystem::exists(path("12")));
    CHECK_FALSE(std::filesystem::exists(path("12-wal")));
    CHECK(std::filesystem::exists(path("mine")));
    CHECK(std::filesystem::exists(path("12.bak")));
    CHECK(std::filesystem::exists(path("")));
}

TEST_CASE("a copy that has no time leaves nothing", "[sqlite][clone][S9]") {
    Fixture f;
    CHECK_THROWS_AS(f.storage().clone(true, f.deadline(-1)), tenon::StorageError);
    for (const auto& entry : std::filesystem::directory_iterator{f.folder.path()}) {
        CHECK(entry.path().string().find("clone") == std::string::npos);
    }
}
