// SPDX-License-Identifier: Apache-2.0
// The same random rows in both databases give the same answers to the same questions.
#include "tests/integration/storage/postgres_backend.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <random>

using tenon::Session;
using tenon::Storage;
using tenon::test::PostgresBackend;
using tenon::test::SqliteBackend;

namespace {

// A value that owns its bytes.
struct Value {
    std::uint32_t kind = TENON_VALUE_NULL;
    std::int64_t i = 0;
    double r = 0;
    std::string b;

    friend bool operator==(const Value&, const Value&) = default;

    [[nodiscard]] tenon_value raw() const {
        tenon_value value{};
        value.kind = kind;
        value.i = i;
        value.r = r;
        value.b = tenon::bytes(b);
        return value;
    }
};

std::ostream& operator<<(std::ostream& out, const Value& value) {
    return out << value.kind << ":" << value.i << ":" << value.r << ":" << value.b.size();
}

using Row = std::vector<Value>;

class Source {
public:
    explicit Source(std::uint64_t seed) : random_{seed} {}

    Value integer() {
        static constexpr std::int64_t k_edges[]{
            INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX, INT32_MAX, INT32_MIN};
        Value value{TENON_VALUE_INT64, 0, 0, {}};
        value.i = random_() % 3 == 0   ? k_edges[random_() % std::size(k_edges)]
                  : random_() % 2 == 0 ? static_cast<std::int64_t>(random_())
                                       : static_cast<std::int64_t>(random_() % 20);
        return maybe(value);
    }

    Value real() {
        static const double k_edges[]{
            0.0,
            0.1,
            -1e300,
            5e-324,
            1.7976931348623157e308,
            std::numeric_limits<double>::infinity(),
            3.0};
        Value value{TENON_VALUE_REAL, 0, 0, {}};
        value.r = random_() % 2 == 0 ? k_edges[random_() % std::size(k_edges)]
                                     : std::ldexp(static_cast<double>(random_()), -40) - 1000.0;
        return maybe(value);
    }

    Value text() {
        static constexpr const char* k_parts[]{
            "a",
            "Z",
            "ż",
            "日本",
            "\xF0\x9F\x92\xB0",
            " ",
            "'",
            "\"",
            "\\",
            "\n",
            "\t",
            "\r",
            "%",
            "?",
            "\\N",
            "\\.",
            "$1",
            "; DROP TABLE x; --"};
        Value value{TENON_VALUE_TEXT, 0, 0, {}};
        for (std::size_t n = random_() % 6; n > 0; --n) {
            value.b += k_parts[random_() % std::size(k_parts)];
        }
        return maybe(value);
    }

    // 18 digits before the point and as many after it, as text: exact everywhere.
    Value decimal() {
        Value value{TENON_VALUE_TEXT, 0, 0, random_() % 2 == 0 ? "-" : ""};
        value.b += std::to_string(random_() % 1'000'000'000'000'000'000U);
        const std::string fraction = std::to_string(random_() % 1'000'000'000'000'000'000U);
        value.b += "." + std::string(18 - fraction.size(), '0') + fraction;
        return maybe(value);
    }

    Value blob() {
        Value value{TENON_VALUE_BLOB, 0, 0, {}};
        for (std::size_t n = random_() % 12; n > 0; --n) {
            value.b.push_back(static_cast<char>(random_() % 4 == 0 ? 0 : random_()));
        }
        return maybe(value);
    }

    Row row(std::int64_t id) {
        return {{TENON_VALUE_INT64, id, 0, {}}, integer(), real(), text(), decimal(), blob()};
    }

    std::uint64_t draw() { return random_(); }

private:
    Value maybe(Value value) { return random_() % 8 == 0 ? Value{} : value; }

    std::mt19937_64 random_;
};

std::vector<Row> answer(
    const Storage& storage,
    std::int64_t deadline_ns,
    const std::string& sql,
    const Row& parameters
) {
    std::vector<Row> rows;
    std::vector<tenon_value> raw;
    for (const Value& value : parameters) {
        raw.push_back(value.raw());
    }
    storage.query(deadline_ns, sql, raw, [&](std::span<const tenon_value> columns) {
        Row row;
        for (const tenon_value& column : columns) {
            Value value{column.kind, 0, 0, {}};
            value.i = column.kind == TENON_VALUE_INT64 ? column.i : 0;
            value.r = column.kind == TENON_VALUE_REAL ? column.r : 0;
            if (column.kind >= TENON_VALUE_TEXT) {
                value.b = std::string{tenon::view(column.b)};
            }
            row.push_back(std::move(value));
        }
        rows.push_back(std::move(row));
    });
    return rows;
}

// Table v row by row, table w all at once.
template <class Backend>
void fill(Backend& backend, const std::vector<Row>& rows) {
    static const tenon_str k_columns[]{
        tenon::str("id"),
        tenon::str("i"),
        tenon::str("r"),
        tenon::str("x"),
        tenon::str("d"),
        tenon::str("b")};
    backend.storage().write(backend.deadline(), [&](Session& s) {
        for (const char* table : {"v", "w"}) {
            s.execute(
                "CREATE TABLE " + std::string{table} +
                " (id BIGINT PRIMARY KEY, i BIGINT, r DOUBLE PRECISION, x TEXT, d TEXT, b " +
                Backend::k_blob + ")"
            );
        }
        s.execute("CREATE INDEX v_x ON v (x)");
        std::vector<tenon_value> bulk;
        for (const Row& row : rows) {
            auto insert = s.prepare("INSERT INTO v VALUES (?, ?, ?, ?, ?, ?)");
            for (std::uint32_t c = 0; c < row.size(); ++c) {
                insert.bind(c + 1, row[c].raw());
                bulk.push_back(row[c].raw());
            }
            insert.run();
        }
        s.bulk_insert("w", k_columns, bulk);
    });
}

struct Question {
    const char* sql;
    std::vector<int> parameters;  // columns of a row that is drawn
};

const std::vector<Question>& questions() {
    static const std::vector<Question> all{
        {"SELECT id, i, r, x, d, b FROM v ORDER BY id", {}},
        {"SELECT * FROM v WHERE id = ?", {0}},
        {"SELECT id FROM v WHERE i = ? ORDER BY id", {1}},
        {"SELECT id, i FROM v WHERE i >= ? ORDER BY i DESC, id LIMIT 20", {1}},
        {"SELECT id FROM v WHERE r = ? ORDER BY id", {2}},
        {"SELECT id, r FROM v WHERE r < ? ORDER BY r, id LIMIT 10", {2}},
        {"SELECT id FROM v WHERE x = ? ORDER BY id", {3}},
        {"SELECT id, x FROM v WHERE x > ? ORDER BY x, id LIMIT 25", {3}},
        {"SELECT id FROM v WHERE d = ? OR b = ? ORDER BY id", {4, 5}},
        {"SELECT id, x FROM v ORDER BY x DESC NULLS LAST, id LIMIT 50", {}},
        {"SELECT id FROM v WHERE i IS NULL OR x IS NULL ORDER BY id", {}},
        {"SELECT count(*), count(i), count(x), min(i), max(i), min(x), max(d) FROM v", {}},
        {"SELECT x, count(*) FROM v GROUP BY x HAVING count(*) > 1 ORDER BY x NULLS FIRST", {}},
        {"SELECT CAST(sum(id) AS BIGINT), CAST(sum(CASE WHEN i > 0 THEN 1 ELSE 0 END) AS BIGINT) "
         "FROM v",
         {}},
        {"SELECT id, coalesce(x, d, 'none'), length(x), substr(x, 2, 2) FROM v ORDER BY id", {}},
        {"SELECT a.id, b.id FROM v a JOIN v b ON a.x = b.x AND a.id < b.id ORDER BY 1, 2 LIMIT 40",
         {}},
        {"SELECT id FROM v WHERE id IN (SELECT max(id) FROM v GROUP BY i) ORDER BY id", {}},
        {"WITH t AS (SELECT id, i FROM v WHERE i > ?) SELECT count(*), max(id) FROM t", {1}},
        {"SELECT id, row_number() OVER (ORDER BY id DESC) FROM v ORDER BY id LIMIT 15 OFFSET 3",
         {}},
        {"SELECT CAST(? AS BIGINT), CAST(? AS TEXT)", {1, 3}},
        {"SELECT a.id FROM v a JOIN w b ON a.id = b.id WHERE a.i IS NOT DISTINCT FROM b.i AND "
         "a.r IS NOT DISTINCT FROM b.r AND a.x IS NOT DISTINCT FROM b.x AND a.d IS NOT DISTINCT "
         "FROM b.d AND a.b IS NOT DISTINCT FROM b.b ORDER BY 1",
         {}},
        {"SELECT id, i, r, x, d, b FROM w ORDER BY id", {}},
    };
    return all;
}

}  // namespace

TEST_CASE("both dialects answer alike over random rows", "[postgres][sqlite][S8]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    Source source{seed};
    PostgresBackend postgres;
    SqliteBackend sqlite;
    std::vector<Row> rows;
    for (std::int64_t id = 1; id <= 400; ++id) {
        rows.push_back(source.row(id));
    }
    fill(postgres, rows);
    fill(sqlite, rows);
    std::size_t compared = 0;
    for (int round = 0; round < 40; ++round) {
        const Row& drawn = rows[source.draw() % rows.size()];
        for (const Question& question : questions()) {
            if (question.parameters.empty() && round > 0) {
                continue;
            }
            Row parameters;
            for (const int column : question.parameters) {
                parameters.push_back(drawn[static_cast<std::size_t>(column)]);
            }
            INFO(question.sql);
            const auto here = answer(sqlite.storage(), sqlite.deadline(), question.sql, parameters);
            const auto there =
                answer(postgres.storage(), postgres.deadline(), question.sql, parameters);
            REQUIRE(here.size() == there.size());
            for (std::size_t i = 0; i < here.size(); ++i) {
                REQUIRE(here[i] == there[i]);
                ++compared;
            }
        }
    }
    CHECK(compared > 1000);
    CHECK(
        answer(postgres.storage(), postgres.deadline(), questions()[0].sql, {}).size() ==
        rows.size()
    );
    const auto back = answer(postgres.storage(), postgres.deadline(), questions()[0].sql, {});
    CHECK(back == rows);
    const std::string bulk = "SELECT id, i, r, x, d, b FROM w ORDER BY id";
    CHECK(answer(postgres.storage(), postgres.deadline(), bulk, {}) == rows);
    CHECK(answer(sqlite.storage(), sqlite.deadline(), bulk, {}) == rows);
}
