// SPDX-License-Identifier: Apache-2.0
// The query cache on PostgreSQL: what outdates rows, here, on other servers and outside.
#include "tests/integration/storage/postgres_backend.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

using tenon::Session;
using tenon::Storage;
using tenon::test::PostgresBackend;

namespace {

constexpr auto k_schema =
    "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT);"
    "CREATE TABLE orders (id BIGINT PRIMARY KEY, owner BIGINT REFERENCES users(id) ON DELETE "
    "CASCADE, status TEXT, price BIGINT);"
    "CREATE TABLE log (line TEXT);"
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES "
    "(new.status); RETURN NULL; END $$;"
    "CREATE TRIGGER orders_log AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note();"
    "CREATE VIEW open_orders AS SELECT * FROM orders WHERE status = 'open';"
    "CREATE TABLE days (day BIGINT, n BIGINT) PARTITION BY RANGE (day);"
    "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (0) TO (10);";

// A server of ours on the database of another.
struct Peer {
    explicit Peer(PostgresBackend& other) : settings{other.settings} {
        const tenon::Host plugin_host{host.raw()};
        tenon::postgres::Telemetry telemetry;
        telemetry.log = plugin_host.log();
        telemetry.clock = plugin_host.service<tenon_clock_1>("tenon.clock/1");
        database = std::make_unique<tenon::postgres::Database>(settings, telemetry);
    }

    [[nodiscard]] Storage storage() {
        tenon::StorageProvider* const self = database.get();
        return Storage{tenon::Service<tenon_storage_1>{
            self, static_cast<const tenon_storage_1*>(tenon::StorageProvider::table(*self))}};
    }

    tenon::test::FakeHost host;
    tenon::postgres::Settings settings;
    std::unique_ptr<tenon::postgres::Database> database;
};

struct Fixture : PostgresBackend {
    explicit Fixture(const Tweak& tweak = {}) : PostgresBackend{tweak} {
        run(k_schema);
        run("INSERT INTO users VALUES (1, 'a'); INSERT INTO orders VALUES (1, 1, 'open', 0)");
        REQUIRE(keeps("SELECT count(*) FROM users"));
    }

    void run(std::string_view sql) {
        storage().write(deadline(), [&](Session& s) { s.execute(sql); });
    }

    std::int64_t ask(std::string_view sql, std::int64_t ttl_ms = -1) {
        return ask(storage(), sql, ttl_ms);
    }

    std::int64_t ask(const Storage& from, std::string_view sql, std::int64_t ttl_ms = -1) {
        std::int64_t found = -1;
        from.query(
            deadline(), sql, {}, [&](std::span<const tenon_value> row) { found = row[0].i; }, ttl_ms
        );
        return found;
    }

    std::uint64_t hits() { return storage().stats().query_hits; }

    // In the end it is answered by the cache: the map is loaded, the listener listens.
    bool keeps(std::string_view sql) { return keeps(storage(), sql); }

    bool keeps(const Storage& from, std::string_view sql) {
        return comes([&] {
            const std::uint64_t before = from.stats().query_hits;
            (void)ask(from, sql);
            return from.stats().query_hits > before;
        });
    }

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

TEST_CASE("a query is answered by the cache until its tables are written", "[postgres][S4]") {
    Fixture f;
    const auto orders = "SELECT count(*) FROM open_orders";
    REQUIRE(f.keeps(orders));
    f.run("INSERT INTO orders VALUES (2, 1, 'open', 5)");
    CHECK(f.ask(orders) == 2);
    REQUIRE(f.keeps("SELECT count(*) FROM log"));
    f.run("INSERT INTO orders VALUES (3, 1, 'open', 5)");  // the trigger writes to log
    CHECK(f.ask("SELECT count(*) FROM log") == 3);
    REQUIRE(f.keeps("SELECT count(*) FROM days"));
    f.run("INSERT INTO days_1 VALUES (1, 1)");
    CHECK(f.ask("SELECT count(*) FROM days") == 1);
    REQUIRE(f.keeps("SELECT count(*) FROM days"));
    f.run("INSERT INTO days VALUES (2, 1)");
    CHECK(f.ask("SELECT count(*) FROM days") == 2);
    REQUIRE(f.keeps(orders));
    f.run("DELETE FROM users");  // cascades to orders
    CHECK(f.ask(orders) == 0);
    const std::uint64_t before = f.hits();
    CHECK(f.ask(orders, 0) == 0);
    CHECK(f.hits() == before);
}

TEST_CASE("what a default, a check or a domain writes is outdated, too", "[postgres][S4]") {
    Fixture f;
    f.run(
        "CREATE TABLE counters (n BIGINT); INSERT INTO counters VALUES (0);"
        "CREATE FUNCTION next_number() RETURNS BIGINT LANGUAGE sql AS "
        "'UPDATE counters SET n = n + 1 RETURNING n';"
        "CREATE FUNCTION is_counted(BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS "
        "'BEGIN UPDATE counters SET n = n + 1; RETURN true; END';"
        "CREATE TABLE by_default (id BIGINT DEFAULT next_number(), x BIGINT);"
        "CREATE TABLE by_check (x BIGINT CHECK (is_counted(x)));"
        "CREATE DOMAIN checked AS BIGINT CHECK (is_counted(VALUE));"
        "CREATE DOMAIN filled AS BIGINT DEFAULT next_number();"
        "CREATE TABLE by_domain (x checked); CREATE TABLE by_filling (x BIGINT, y filled)"
    );
    const auto counters = "SELECT n FROM counters";
    std::int64_t n = 0;
    for (const char* table : {"by_default", "by_check", "by_domain", "by_filling"}) {
        CAPTURE(table);
        REQUIRE(f.keeps(counters));
        f.run(std::string{"INSERT INTO "} + table + " (x) VALUES (1)");
        CHECK(f.ask(counters) == ++n);
    }
    // And a table without any of it outdates its own rows alone.
    REQUIRE(f.keeps(counters));
    f.run("INSERT INTO users VALUES (5, 'b')");
    const std::uint64_t before = f.hits();
    CHECK(f.ask(counters) == n);
    CHECK(f.hits() == before + 1);
}

TEST_CASE("many rows, statements without a transaction and DDL outdate, too", "[postgres][S4]") {
    Fixture f;
    const auto users = "SELECT count(*) FROM users";
    REQUIRE(f.keeps(users));
    f.storage().write(f.deadline(), [](Session& s) {
        const std::vector<tenon_str> columns{tenon::str("id")};
        const std::vector<tenon_value> values{tenon::value_of(7), tenon::value_of(8)};
        s.bulk_insert("users", columns, values);
    });
    CHECK(f.ask(users) == 3);
    REQUIRE(f.keeps(users));
    auto lease = f.storage().lease(TENON_INTENT_WRITE, f.deadline());
    lease->prepare("INSERT INTO users VALUES (?, ?)").bind_all(9, "x").run();
    CHECK(f.ask(users) == 4);
    REQUIRE(f.keeps(users));
    lease->execute("DELETE FROM users WHERE id = 9");
    CHECK(f.ask(users) == 3);
    REQUIRE(f.keeps("SELECT * FROM open_orders"));
    lease->execute(
        "DROP VIEW open_orders; CREATE VIEW open_orders AS SELECT 7::bigint AS n FROM users LIMIT 1"
    );
    CHECK(f.ask("SELECT * FROM open_orders") == 7);
    REQUIRE(f.keeps("SELECT count(*) FROM log"));
    // A trigger that is new: what is prepared already learns of it.
    auto insert = lease->prepare("INSERT INTO users VALUES (?, ?)");
    insert.bind_all(20, "x").run();
    lease->execute(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO "
        "log VALUES ('u'); RETURN NULL; END $$; CREATE TRIGGER users_log AFTER INSERT ON "
        "users FOR EACH ROW EXECUTE FUNCTION tell()"
    );
    const std::int64_t lines = f.ask("SELECT count(*) FROM log");
    insert.bind_all(21, "x").run();
    CHECK(f.ask("SELECT count(*) FROM log") == lines + 1);
}

TEST_CASE("rows that do not depend on tables alone are not kept", "[postgres][S4]") {
    Fixture f;
    f.run("CREATE SEQUENCE numbers");
    f.run("CREATE VIEW aged AS SELECT extract(epoch FROM now())::bigint AS n FROM users");
    f.run(
        "CREATE FUNCTION mine() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT "
        "count(*) "
        "FROM log); END $$"
    );
    REQUIRE(f.keeps("SELECT count(*) FROM users"));
    const std::uint64_t before = f.hits();
    for (const char* sql :
         {"SELECT (random() * 100)::bigint FROM users",
          "SELECT extract(epoch FROM clock_timestamp())::bigint FROM users",
          "SELECT 1::bigint",
          "SELECT n FROM aged",
          "SELECT mine() FROM users",
          "SELECT last_value FROM numbers, users",
          "SELECT count(*) FROM pg_class, users",
          "SELECT id FROM users WHERE CURRENT_DATE > '2000-01-01'"}) {
        INFO(sql);
        (void)f.ask(sql);
        (void)f.ask(sql);
        CHECK(f.hits() == before);
    }
}

TEST_CASE("threads never read rows older than an acknowledged write", "[postgres][S4]") {
    Fixture f;
    const auto sql = "SELECT price FROM orders WHERE id = 1";
    REQUIRE(f.keeps(sql));
    const std::uint64_t before = f.hits();
    constexpr int k_writes = 300;
    std::atomic<std::int64_t> acknowledged{0};
    std::atomic<bool> over{false};
    std::atomic<int> stale{0};
    std::vector<std::thread> readers;
    for (int r = 0; r < 3; ++r) {
        readers.emplace_back([&] {
            while (!over.load()) {
                const std::int64_t floor = acknowledged.load();
                if (f.ask(sql) < floor) {
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
        (void)f.ask(sql);
    }
    over.store(true);
    for (auto& reader : readers) {
        reader.join();
    }
    CHECK(stale.load() == 0);
    CHECK(f.ask(sql) == k_writes);
    CHECK(f.hits() > before);
}

TEST_CASE("what another server of ours writes is heard", "[postgres][S4]") {
    Fixture f;
    Peer peer{f};
    const auto users = "SELECT count(*) FROM users";
    REQUIRE(f.keeps(peer.storage(), users));  // by then both have met
    REQUIRE(f.keeps(users));
    peer.storage().write(f.deadline(), [](Session& s) {
        s.execute("INSERT INTO users VALUES (2, 'b')");
    });
    CHECK(f.comes([&] { return f.ask(users) == 2; }));
    REQUIRE(f.keeps(peer.storage(), users));
    f.run("INSERT INTO users VALUES (3, 'c')");
    CHECK(f.comes([&] { return f.ask(peer.storage(), users) == 3; }));
}

TEST_CASE("what somebody else writes is seen by the server's counts", "[postgres][S4]") {
    Fixture f;
    const auto users = "SELECT count(*) FROM users";
    REQUIRE(f.keeps(users));
    PostgresBackend::server().execute("INSERT INTO users VALUES (5, 'e')", f.name);
    CHECK(f.comes([&] { return f.ask(users) == 2; }));
    PostgresBackend::server().execute("CREATE TABLE strange (n BIGINT)", f.name);
    REQUIRE(f.keeps("SELECT count(*) FROM strange"));
    f.run("INSERT INTO strange VALUES (1)");
    CHECK(f.ask("SELECT count(*) FROM strange") == 1);
}

TEST_CASE("a listener that lost its session outdates everything", "[postgres][S4]") {
    Fixture f;
    const auto users = "SELECT count(*) FROM users";
    REQUIRE(f.keeps(users));
    const std::uint64_t misses = f.storage().stats().query_misses;
    PostgresBackend::server().execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + f.name +
        "' AND application_name = 'tenon listener'"
    );
    // It is asked anew once, or more often while nobody listens.
    CHECK(f.comes([&] {
        (void)f.ask(users);
        return f.storage().stats().query_misses > misses;
    }));
    CHECK(f.keeps(users));
}
