// SPDX-License-Identifier: Apache-2.0
// A value comes to a place of any type alike, bound to an INSERT or in a bulk insert: the same row,
// or refused by both.
#include "tests/integration/storage/postgres_backend.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <random>

using tenon::Session;
using tenon::test::PostgresBackend;

namespace {

const std::string k_types[]{
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "REAL",
    "DOUBLE PRECISION",
    "NUMERIC",
    "NUMERIC(38,18)",
    "BYTEA",
    "BOOLEAN",
    "TEXT",
    "VARCHAR(4)",
    "TIMESTAMPTZ",
    "UUID",
    "JSONB"};

tenon_value random_integer(std::mt19937_64& random) {
    static constexpr std::int64_t k_edges[]{
        INT64_MIN,
        INT64_MAX,
        INT32_MIN,
        INT32_MAX,
        INT16_MIN,
        INT16_MAX,
        32'768,
        0,
        1,
        2,
        -1,
        (std::int64_t{1} << 53) + 1};
    return tenon::value_of(
        random() % 4 == 0 ? static_cast<std::int64_t>(random())
                          : k_edges[random() % std::size(k_edges)]
    );
}

tenon_value random_real(std::mt19937_64& random) {
    static const double k_edges[]{
        0.0,
        -0.0,
        0.1,
        16'777'217.0,
        3.0,
        1e39,
        -3.5e38,
        1.0000000596046448,
        5e-324,
        1.7976931348623157e308,
        std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity(),
        std::numeric_limits<double>::quiet_NaN()};
    return tenon::value_of(
        random() % 4 == 0 ? std::ldexp(static_cast<double>(random()), -50)
                          : k_edges[random() % std::size(k_edges)]
    );
}

tenon_value random_bytes(std::mt19937_64& random, std::uint32_t kind) {
    using namespace std::string_view_literals;
    static constexpr std::string_view k_edges[]{
        ""sv,
        "a"sv,
        "1"sv,
        "0.1"sv,
        "\\x41"sv,
        "\\101"sv,
        "\\"sv,
        "\\\\"sv,
        "\\N"sv,
        "NULL"sv,
        "t\tb"sv,
        "n\nl"sv,
        "c\rr"sv,
        "zażółć"sv,
        "\xF0\x9F\x92\xB0"sv,
        "a\0b"sv,
        "\xFF\xFE"sv,
        "true"sv,
        "1e400"sv,
        "123456789012345678.123456789012345678"sv,
        "{\"a\": 1}"sv,
        "2026-01-02T03:04:05.678901Z"sv,
        "7d444840-9dc0-11d1-b245-5ffdce74fad2"sv};
    tenon_value value{};
    value.kind = kind;
    value.b = tenon::bytes(k_edges[random() % std::size(k_edges)]);
    return value;
}

tenon_value random_value(std::mt19937_64& random) {
    switch (random() % 9) {
        case 0:
            return {};
        case 1:
        case 2:
            return random_integer(random);
        case 3:
        case 4:
            return random_real(random);
        case 5:
            return random_bytes(random, TENON_VALUE_BLOB);
        default:
            return random_bytes(random, TENON_VALUE_TEXT);
    }
}

// What the row reads as then; or how it was refused, in words that both ways share.
std::string outcome(
    PostgresBackend& backend,
    const std::string& table,
    const std::function<void(Session&)>& insert
) {
    std::string found;
    try {
        backend.storage().write(backend.deadline(), [&](Session& s) {
            found.clear();
            s.execute("DELETE FROM " + table);
            insert(s);
            auto q = s.prepare("SELECT v, v::text, pg_column_size(v) FROM " + table);
            while (q.step()) {
                const tenon_value value = q.value(0);
                found += std::to_string(value.kind) + ":";
                found += q.value(1).kind == TENON_VALUE_NULL ? "NULL" : std::string{q.text(1)};
                found += ";";
            }
        });
    } catch (const tenon::StorageError& e) {
        return "refused with " + std::to_string(e.code());
    }
    return found;
}

}  // namespace

TEST_CASE("a bulk insert takes and refuses what a bound insert does", "[postgres][S5]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    PostgresBackend backend;
    int taken = 0;
    int refused = 0;
    for (const std::string& type : k_types) {
        // Each its own: a prepared statement keeps the types of its parameters.
        const std::string table = "of_" + std::to_string(&type - k_types);
        backend.storage().write(backend.deadline(), [&](Session& s) {
            s.execute("CREATE TABLE " + table + " (v " + type + ")");
        });
        for (int i = 0; i < 60; ++i) {
            const tenon_value value = random_value(random);
            const tenon_str column = tenon::str("v");
            const std::string bound = outcome(backend, table, [&](Session& s) {
                s.prepare("INSERT INTO " + table + " VALUES (?)").bind(1, value).run();
            });
            const std::string bulk = outcome(backend, table, [&](Session& s) {
                s.bulk_insert(table, {&column, 1}, {&value, 1});
            });
            INFO(
                type << " kind " << value.kind << " i " << value.i << " r " << value.r << " b "
                     << (value.kind >= TENON_VALUE_TEXT ? tenon::view(value.b) : "")
            );
            CHECK(bound == bulk);
            (bound.find("refused") == 0 ? refused : taken) += 1;
        }
    }
    CHECK(taken > 200);
    CHECK(refused > 100);
}

TEST_CASE("a bulk insert that is refused says where and changes nothing", "[postgres][S5]") {
    PostgresBackend backend;
    backend.storage().write(backend.deadline(), [&](Session& s) {
        s.execute("CREATE TABLE one (id INTEGER, r REAL)");
        const tenon_str columns[]{tenon::str("id"), tenon::str("r")};
        const std::vector<tenon_value> rows{
            tenon::value_of(1), tenon::value_of(0.5), tenon::value_of(2), tenon::value_of(1e39)};
        CHECK_THROWS_WITH(
            s.bulk_insert("one", columns, rows),
            Catch::Contains("row 2, column r") && Catch::Contains("32 bits")
        );
        // Nothing was sent: the transaction goes on.
        s.bulk_insert("one", columns, std::span{rows}.first(2));
        auto q = s.prepare("SELECT count(*) FROM one");
        REQUIRE(q.step());
        CHECK(q.integer(0) == 1);
    });
}
