// SPDX-License-Identifier: Apache-2.0
// What every provider of tenon.storage/1 has to do: transactions, values, statements, leases.
#include "tests/unit/storage/backend.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

using tenon::k_no_deadline;
using tenon::Session;
using tenon::Statement;
using tenon::StorageError;

namespace {

constexpr auto k_table =
    "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT NOT NULL, amount BIGINT, "
    "CONSTRAINT amount_not_negative CHECK (amount >= 0))";

template <class Backend>
std::int64_t count_rows(Backend& backend) {
    std::int64_t count = -1;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare("SELECT count(*) FROM t");
        REQUIRE(q.step());
        count = q.integer(0);
    });
    return count;
}

void insert(Session& s, std::int64_t id, std::string_view name, std::int64_t amount) {
    s.prepare("INSERT INTO t (id, name, amount) VALUES (?, ?, ?)").bind_all(id, name, amount).run();
}

tenon_status status_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const tenon::Error& e) {
        return e.code();
    }
    return TENON_OK;
}

}  // namespace

TEMPLATE_TEST_CASE(
    "a committed transaction is there, a failed one is not",
    "[storage][S1][S11]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) { s.execute(k_table); });
    storage.write(backend.deadline(), [](Session& s) { insert(s, 1, "one", 5); });
    CHECK_THROWS_WITH(
        storage.write(
            backend.deadline(),
            [](Session& s) {
                insert(s, 2, "two", 5);
                throw tenon::Error{TENON_DENIED, "changed my mind"};
            }
        ),
        "changed my mind"
    );
    CHECK(count_rows(backend) == 1);
    CHECK(storage.stats().transactions >= 2);
}

TEMPLATE_TEST_CASE(
    "a broken constraint is a conflict that names it",
    "[storage][S1][S8]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) { s.execute(k_table); });
    storage.write(backend.deadline(), [](Session& s) { insert(s, 1, "one", 5); });
    try {
        storage.write(backend.deadline(), [](Session& s) { insert(s, 2, "two", -1); });
        FAIL("no error");
    } catch (const StorageError& e) {
        CHECK(e.code() == TENON_CONFLICT);
        CHECK_FALSE(e.retryable());
        CHECK_THAT(e.what(), Catch::Contains("amount_not_negative"));
    }
    CHECK(status_of([&] {
              storage.write(backend.deadline(), [](Session& s) { insert(s, 1, "again", 1); });
          }) == TENON_CONFLICT);
    CHECK(count_rows(backend) == 1);
}

TEMPLATE_TEST_CASE(
    "a statement that fails after a savepoint leaves the rest of its transaction",
    "[storage][S11]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) { s.execute(k_table); });
    storage.write(backend.deadline(), [](Session& s) {
        insert(s, 1, "one", 5);
        // Portable: PostgreSQL ends a transaction at its first error, but for a savepoint.
        s.execute("SAVEPOINT before");
        CHECK(status_of([&] { insert(s, 1, "one", 5); }) == TENON_CONFLICT);
        s.execute("ROLLBACK TO before");
        insert(s, 2, "two", 5);
    });
    CHECK(count_rows(backend) == 2);
}

TEMPLATE_TEST_CASE(
    "the rows that a statement changed are counted from its first run on",
    "[storage][S1]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [&](Session& s) {
        s.execute("CREATE TABLE v (id BIGINT, i BIGINT)");
        s.prepare("INSERT INTO v VALUES (?, 1), (2, 2), (3, 3)").bind_all(1).run();
        CHECK(s.changes() == 3);
        s.prepare("UPDATE v SET i = ? WHERE id > 1").bind_all(5).run();
        CHECK(s.changes() == 2);
        s.prepare("DELETE FROM v WHERE id > ?").bind_all(9).run();
        CHECK(s.changes() == 0);
    });
}

TEMPLATE_TEST_CASE("values come back as they went in", "[storage][S1]", TENON_STORAGE_BACKENDS) {
    TestType backend;
    auto storage = backend.storage();
    const std::string blob{"\0a\0\xff", 4};
    storage.write(backend.deadline(), [&](Session& s) {
        s.execute(
            "CREATE TABLE v (id BIGINT, i BIGINT, r DOUBLE PRECISION, x TEXT, b " +
            std::string{TestType::k_blob} + ")"
        );
        auto q = s.prepare("INSERT INTO v VALUES (?, ?, ?, ?, ?)");
        q.bind_all(1, INT64_MAX, 0.1, "żółć", tenon::bytes(blob)).run();
        q.bind_all(2, INT64_MIN, -1e300, "", tenon_bytes{nullptr, 0}).run();
        q.bind_all(3, nullptr, nullptr, nullptr, nullptr).run();
        CHECK(s.changes() == 1);
    });
    storage.read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare("SELECT i, r, x, b FROM v ORDER BY id");
        CHECK(q.column_count() == 4);
        CHECK(q.column_name(2) == "x");
        REQUIRE(q.step());
        CHECK(q.integer(0) == INT64_MAX);
        CHECK(q.real(1) == 0.1);
        CHECK(q.text(2) == "żółć");
        CHECK(q.blob(3) == blob);
        REQUIRE(q.step());
        CHECK(q.integer(0) == INT64_MIN);
        CHECK(q.text(2).empty());
        CHECK(q.blob(3).empty());
        REQUIRE(q.step());
        for (std::uint32_t i = 0; i < 4; ++i) {
            CHECK(q.is_null(i));
        }
        CHECK_FALSE(q.step());
    });
}

TEMPLATE_TEST_CASE(
    "bad parameters, columns and SQL are told precisely",
    "[storage][S1]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    // Each by itself: on PostgreSQL a transaction ends with its first error.
    auto lease = storage.lease(TENON_INTENT_READ, backend.deadline());
    Session& s = *lease;
    auto q = s.prepare("SELECT CAST(? AS BIGINT) AS a");
    CHECK(status_of([&] { q.bind(2, 1); }) == TENON_INVALID);
    CHECK(status_of([&] { q.bind(0, 1); }) == TENON_INVALID);
    CHECK(status_of([&] { q.bind(1, UINT64_MAX); }) == TENON_INVALID);
    CHECK(status_of([&] { q.bind(1, std::numeric_limits<double>::quiet_NaN()); }) == TENON_INVALID);
    CHECK(status_of([&] { (void)q.integer(0); }) < 0);
    q.bind(1, 7);
    REQUIRE(q.step());
    CHECK(q.integer(0) == 7);
    CHECK(status_of([&] { (void)q.text(0); }) == TENON_CORRUPT);
    CHECK(status_of([&] { (void)q.integer(1); }) < 0);
    CHECK(status_of([&] { (void)s.prepare("SELEC 1"); }) == TENON_INVALID);
    CHECK(status_of([&] { (void)s.prepare("SELECT 1; SELECT 2"); }) == TENON_INVALID);
    CHECK(status_of([&] { (void)s.prepare("SELECT * FROM nothing_here"); }) == TENON_INVALID);
    CHECK(status_of([&] { (void)s.prepare(""); }) == TENON_INVALID);
}

TEMPLATE_TEST_CASE(
    "a read transaction keeps its snapshot and may not write",
    "[storage][S1]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) { s.execute(k_table); });
    auto reader = storage.lease(TENON_INTENT_READ, backend.deadline());
    reader->begin();
    const auto seen = [&] {
        auto q = reader->prepare("SELECT count(*) FROM t");
        REQUIRE(q.step());
        return q.integer(0);
    };
    CHECK(seen() == 0);
    storage.write(backend.deadline(), [](Session& s) { insert(s, 1, "one", 5); });
    CHECK(seen() == 0);
    CHECK(status_of([&] { insert(*reader, 2, "two", 5); }) < 0);
    reader->rollback();
    CHECK(seen() == 1);
}

TEMPLATE_TEST_CASE(
    "statements are kept by text, and reset by the next use and the end of the transaction",
    "[storage][S5]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute(k_table);
        for (int i = 0; i < 5; ++i) {
            insert(s, i, "x", i);
        }
    });
    auto session = storage.lease(TENON_INTENT_READ, backend.deadline());
    session->begin();
    auto half_read = session->prepare("SELECT id FROM t WHERE id >= ? ORDER BY id");
    REQUIRE(half_read.bind(1, 1).step());
    auto again = session->prepare("SELECT id FROM t WHERE id >= ? ORDER BY id");
    REQUIRE(again.bind(1, 3).step());
    CHECK(again.integer(0) == 3);
    session->commit();
    // Parameters of the last use are gone, many texts do not grow the cache without bound.
    auto unbound = session->prepare("SELECT id FROM t WHERE id >= ? ORDER BY id");
    CHECK_FALSE(unbound.step());
    for (int i = 0; i < 200; ++i) {
        session->begin();
        auto q = session->prepare("SELECT " + std::to_string(i));
        REQUIRE(q.step());
        REQUIRE(q.integer(0) == i);
        session->commit();
    }
    session->begin();
    std::vector<Statement> held;
    for (int i = 0; i < 100; ++i) {
        held.push_back(session->prepare("SELECT 1000 + " + std::to_string(i)));
    }
    for (int i = 0; i < 100; ++i) {
        REQUIRE(held[static_cast<std::size_t>(i)].step());
        REQUIRE(held[static_cast<std::size_t>(i)].integer(0) == 1000 + i);
    }
    session->rollback();
}

TEMPLATE_TEST_CASE(
    "a lease that ends inside a transaction rolls back",
    "[storage][S3][S11]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) { s.execute(k_table); });
    {
        auto lease = storage.lease(TENON_INTENT_WRITE, backend.deadline());
        lease->begin();
        insert(*lease, 1, "one", 1);
    }
    CHECK(count_rows(backend) == 0);
    {
        auto lease = storage.lease(TENON_INTENT_WRITE, backend.deadline());
        lease->begin();
        insert(*lease, 1, "one", 1);
        lease->commit();
    }
    CHECK(count_rows(backend) == 1);
}

TEMPLATE_TEST_CASE(
    "who waits for a connection gives up at the deadline",
    "[storage][S3]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) { s.execute(k_table); });
    std::vector<tenon::Lease> all;
    for (std::uint32_t i = 0; i < backend.settings.pool_size; ++i) {
        all.push_back(storage.lease(TENON_INTENT_READ, backend.deadline()));
    }
    CHECK(status_of([&] {
              (void)storage.lease(TENON_INTENT_READ, backend.deadline(10'000'000));
          }) == TENON_TIMEOUT);
    CHECK(storage.stats().in_use == backend.settings.pool_size);
    CHECK(storage.stats().lease_timeouts == 1);
    all.pop_back();
    CHECK_NOTHROW(storage.lease(TENON_INTENT_READ, backend.deadline(10'000'000)));

    all.clear();
    // One writer at a time, or as many as there are connections.
    const std::uint32_t writers = TestType::k_one_writer ? 1 : backend.settings.pool_size;
    for (std::uint32_t i = 0; i < writers; ++i) {
        all.push_back(storage.lease(TENON_INTENT_WRITE, backend.deadline()));
    }
    bool ran = false;
    tenon_status found = TENON_OK;
    std::thread other{[&] {
        found = status_of([&] {
            storage.write(backend.deadline(10'000'000), [&](Session&) { ran = true; });
        });
    }};
    other.join();
    CHECK(found == TENON_TIMEOUT);
    CHECK_FALSE(ran);
}

TEMPLATE_TEST_CASE(
    "a write inside a write is refused instead of waiting for itself",
    "[storage][S1]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    tenon_status inner = TENON_OK;
    storage.write(backend.deadline(), [&](Session&) {
        inner = status_of([&] { storage.write(k_no_deadline, [](Session&) {}); });
    });
    CHECK(inner == TENON_INVALID);
    if (TestType::k_one_writer) {
        auto lease = storage.lease(TENON_INTENT_WRITE, backend.deadline());
        CHECK(status_of([&] { storage.write(k_no_deadline, [](Session&) {}); }) == TENON_INVALID);
    }
}

TEMPLATE_TEST_CASE(
    "many rows go in at once, with their constraints",
    "[storage][S5]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) { s.execute(k_table); });
    const tenon_str columns[]{tenon::str("id"), tenon::str("name"), tenon::str("amount")};
    std::vector<tenon_value> values;
    for (int i = 0; i < 5000; ++i) {
        values.push_back(tenon::value_of(i));
        values.push_back(tenon::value_of("name"));
        values.push_back(tenon::value_of(i * 2));
    }
    storage.write(backend.deadline(), [&](Session& s) { s.bulk_insert("t", columns, values); });
    CHECK(count_rows(backend) == 5000);
    values[0] = tenon::value_of(10'000);
    CHECK(status_of([&] {
              storage.write(backend.deadline(), [&](Session& s) {
                  s.bulk_insert("t", columns, values);
              });
          }) == TENON_CONFLICT);
    CHECK(count_rows(backend) == 5000);
}

TEMPLATE_TEST_CASE("a plan is printed", "[storage][S9]", TENON_STORAGE_BACKENDS) {
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) { s.execute(k_table); });
    storage.read(backend.deadline(), [](Session& s) {
        CHECK_THAT(s.explain("SELECT name FROM t WHERE id = 7"), Catch::Contains("t"));
        CHECK(status_of([&] { (void)s.explain("SELEC"); }) == TENON_INVALID);
    });
}
