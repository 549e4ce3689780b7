// SPDX-License-Identifier: Apache-2.0
// What PostgreSQL's backend tells of its statements and their plans.
#include "tests/integration/storage/postgres_backend.hpp"

#include <tenon/json.hpp>

#include <catch2/catch.hpp>

#include <thread>

using tenon::Json;
using tenon::Session;
using tenon::Storage;
using tenon::test::PostgresBackend;

namespace {

constexpr auto k_schema =
    "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT);"
    "CREATE TABLE orders (id BIGINT PRIMARY KEY, owner BIGINT REFERENCES users(id) ON DELETE "
    "CASCADE, status TEXT, price BIGINT);"
    "INSERT INTO users SELECT i, 'n' || i FROM generate_series(1, 3) AS i;"
    "INSERT INTO orders SELECT i, 1 + i % 3, 's' || i, i FROM generate_series(1, 3000) AS i;"
    "ANALYZE";

struct Fixture : PostgresBackend {
    explicit Fixture(const Tweak& tweak = {}) : PostgresBackend{tweak} {
        storage().write(deadline(), [](Session& s) { s.execute(k_schema); });
    }

    void run(std::string_view sql) {
        storage().write(deadline(), [&](Session& s) { s.execute(sql); });
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

    std::string log() {
        std::string all;
        for (const auto& line : host.log_lines()) {
            all += line + "\n";
        }
        return all;
    }

    // What another thread is about to do is done, before the test's patience ends.
    [[nodiscard]] bool comes(const std::function<bool()>& is_there) {
        const std::int64_t until_ns = deadline();
        while (!is_there()) {
            if (host.reactor().now_ns() > until_ns) {
                return false;
            }
            std::this_thread::yield();
        }
        return true;
    }
};

}  // namespace

TEST_CASE("what ran on PostgreSQL is told with calls, rows and errors", "[postgres][S9]") {
    Fixture f;
    f.storage().write(f.deadline(), [](Session& s) {
        for (int i = 11; i <= 13; ++i) {
            s.prepare("INSERT INTO users(id, name) VALUES (?, ?)").bind_all(i, "hunter2").run();
        }
        s.execute("INSERT INTO users(id, name) VALUES (14, 'hunter2'), (15, 'hunter2')");
    });
    f.storage().read(f.deadline(), [](Session& s) {
        s.prepare("SELECT name FROM users WHERE id > ?").bind_all(13).run();
    });
    CHECK_THROWS(f.storage().write(f.deadline(), [](Session& s) {
        s.prepare("INSERT INTO users(id, name) VALUES (?, ?)").bind_all(11, "hunter2").run();
    }));
    const Json insert = f.captured("INSERT INTO users(id, name) VALUES (?, ?)");
    REQUIRE(insert.find("calls") != nullptr);
    CHECK(insert.find("calls")->integer<int>() == 5);
    CHECK(insert.find("rows")->integer<int>() == 5);
    CHECK(insert.find("errors")->integer<int>() == 1);
    CHECK(insert.find("writes")->boolean());
    const Json select = f.captured("SELECT name FROM users WHERE id > ?");
    CHECK(select.find("calls")->integer<int>() == 1);
    CHECK(select.find("rows")->integer<int>() == 2);
    CHECK_FALSE(select.find("writes")->boolean());
    CHECK(select.find("total_ns")->integer<std::int64_t>() > 0);
    CHECK_THAT(f.storage().statements(), !Catch::Contains("hunter2"));
}

TEST_CASE("many rows at once count as an INSERT of so many", "[postgres][S9]") {
    Fixture f;
    f.storage().write(f.deadline(), [](Session& s) {
        const std::vector<tenon_str> columns{tenon::str("id"), tenon::str("name")};
        std::vector<tenon_value> values;
        for (int i = 100; i < 150; ++i) {
            values.push_back(tenon::value_of(i));
            values.push_back(tenon::value_of(std::string_view{"x"}));
        }
        s.bulk_insert("users", columns, values);
    });
    CHECK(
        f.captured("INSERT INTO users(id, name) VALUES (?, ?)").find("rows")->integer<int>() == 50
    );
}

TEST_CASE("a slow statement is logged without its values and with its plan", "[postgres][S9]") {
    Fixture f{[](auto& s) { s.slow_query_ms = 1; }};
    f.storage().read(f.deadline(), [](Session& s) {
        s.prepare("SELECT count(*), 'hunter2' FROM orders, generate_series(1, 1000) WHERE price > ?"
        )
            .bind_all(1)
            .run();
    });
    REQUIRE(f.comes([&] { return f.log().find("Seq Scan on orders") != std::string::npos; }));
    CHECK_THAT(f.log(), Catch::Contains("slow_query") && !Catch::Contains("hunter2"));
    const Json statements = Json::parse(f.storage().statements());
    REQUIRE_FALSE(statements.find("slow")->items().empty());
    CHECK(statements.find("slow")->items()[0].find("duration_ns")->integer<std::int64_t>() > 0);
}

TEST_CASE("a plan that changes with an index is told once", "[postgres][plan][S9]") {
    Fixture f;
    const auto sql = "SELECT id FROM orders WHERE status = ?";
    const auto ask = [&] {
        f.storage().read(f.deadline(), [&](Session& s) { s.prepare(sql).bind_all("s7").run(); });
    };
    ask();
    REQUIRE(f.comes([&] {
        const Json one = f.captured(sql);
        return one.find("plan")->is(Json::Kind::object);
    }));
    CHECK(f.captured(sql).find("plan_changes")->integer<int>() == 0);
    f.run("CREATE INDEX orders_status ON orders(status)");
    REQUIRE(f.comes([&] { return f.captured(sql).find("plan_changes")->integer<int>() == 1; }));
    const Json after = f.captured(sql);
    const auto node = [](const Json& plan) { return plan.find("nodes")->items().at(0); };
    CHECK(node(*after.find("plan")).find("index")->text() == "orders_status");
    CHECK(node(*after.find("plan_before")).find("operation")->text() == "scan");
    CHECK_THAT(f.log(), Catch::Contains("plan_changed") && Catch::Contains("orders_status"));
    ask();
    CHECK(f.captured(sql).find("plan_changes")->integer<int>() == 1);
}
