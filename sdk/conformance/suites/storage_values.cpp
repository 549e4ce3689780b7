// SPDX-License-Identifier: Apache-2.0
// tenon.storage/1: values that come back as they went in, statements, bulk inserts.
#include "sdk/conformance/suites/storage_scene.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace tenon::suites {
namespace {

void integers(Bench& bench) {
    const Database database{bench};
    const std::vector<std::int64_t> all{
        INT64_MIN,
        INT64_MIN + 1,
        -(std::int64_t{1} << 53U) - 1,
        -1,
        0,
        1,
        (std::int64_t{1} << 53U) + 1,
        INT64_MAX - 1,
        INT64_MAX};
    database.write([&](Session& s) {
        s.execute("CREATE TABLE {i} (v BIGINT)"_sql);
        for (const std::int64_t one : all) {
            s.prepare("INSERT INTO {i} (v) VALUES (?)"_sql).bind_all(one).run();
        }
    });
    const auto found = database.numbers("SELECT v FROM {i} ORDER BY v"_sql);
    for (std::size_t i = 0; i < all.size(); ++i) {
        expect(
            i < found.size() && found[i] == all[i],
            "stored ",
            all[i],
            ", read ",
            i < found.size() ? std::to_string(found[i]) : "nothing"
        );
    }
}

void values(Bench& bench) {
    Random random{bench.seed()};
    const Database database{bench, Database::Tables::none};
    const std::string nul{"a\0b", 3};
    const bool takes_nul = database.storage().dialect() == "sqlite";  // PostgreSQL's text does not
    const std::string words = takes_nul ? nul : "a b";
    const std::string umlauts = "żółć Ünïcode 日本 \xf0\x9f\x8c\x8d";
    std::string blob = random.bytes(70'000);
    blob.append(1, '\0');
    database.write([&](Session& s) {
        s.execute("CREATE TABLE {v} (id BIGINT, r DOUBLE PRECISION, x TEXT, y TEXT)"_sql);
        s.execute(
            database.storage().dialect() == "sqlite" ? "CREATE TABLE {b} (v BLOB)"_sql
                                                     : "CREATE TABLE {b} (v BYTEA)"_sql
        );
        s.prepare("INSERT INTO {v} VALUES (?, ?, ?, ?)"_sql)
            .bind_all(1, -1.5e300, words, umlauts)
            .run();
        s.prepare("INSERT INTO {b} VALUES (?)"_sql).bind_all(bytes(blob)).run();
    });
    database.read([&](Session& s) {
        auto query = s.prepare("SELECT r, x, y FROM {v}"_sql);
        expect(query.step(), "the row is not there");
        expect(query.real(0) == -1.5e300, "a real number came back as another");
        expect(
            query.text(1) == words, "stored ", printable(words), ", read ", printable(query.text(1))
        );
        expect(
            query.text(2) == umlauts,
            "stored ",
            printable(umlauts),
            ", read ",
            printable(query.text(2))
        );
        expect(!query.step(), "one row was stored, two are read");
        auto stored = s.prepare("SELECT v FROM {b}"_sql);
        expect(stored.step(), "the blob is not there");
        const tenon_value found = stored.value(0);
        expect(
            found.kind == TENON_VALUE_BLOB && view(found.b) == blob,
            "stored a blob of ",
            blob.size(),
            " bytes, read kind ",
            found.kind,
            " with ",
            found.b.n
        );
    });
}

void empty_and_null(Bench& bench) {
    const Database database{bench};
    database.write([](Session& s) {
        auto insert = s.prepare("INSERT INTO {t} (id, name, amount) VALUES (?, ?, ?)"_sql);
        insert.bind_all(1, "", 0).run();
        insert.bind_all(2, nullptr, nullptr).run();
    });
    database.read([](Session& s) {
        auto query = s.prepare("SELECT name, amount FROM {t} ORDER BY id"_sql);
        expect(query.step(), "the row is not there");
        expect(
            query.value(0).kind == TENON_VALUE_TEXT && query.text(0).empty(),
            "an empty text came back with kind ",
            query.value(0).kind
        );
        expect(!query.is_null(1), "0 came back as NULL");
        expect(query.step(), "the second row is not there");
        expect(query.is_null(0) && query.is_null(1), "NULL came back as something else");
    });
}

void columns(Bench& bench) {
    const Database database{bench};
    database.insert(1, 5);
    database.read([](Session& s) {
        auto query = s.prepare("SELECT id AS first, amount AS second FROM {t}"_sql);
        expect(query.column_count() == 2, "two columns, column_count says ", query.column_count());
        for (const auto& [at, wanted] : {std::pair{0U, "first"}, std::pair{1U, "second"}}) {
            expect(
                query.column_name(at) == wanted,
                "column ",
                at,
                " is called ",
                printable(query.column_name(at)),
                ", expected ",
                wanted
            );
        }
    });
}

void prepared(Bench& bench) {
    const Database database{bench};
    for (int id = 0; id < 5; ++id) {
        database.insert(id);
    }
    database.read([](Session& s) {
        const std::string k_sql = "SELECT id FROM {t} WHERE id >= ? ORDER BY id"_sql;
        auto half_read = s.prepare(k_sql);
        half_read.bind(1, 1);
        expect(half_read.step() && half_read.integer(0) == 1, "the first row");
        auto again = s.prepare(k_sql);
        again.bind(1, 3);
        expect(again.step(), "a statement that was prepared again has no row");
        expect(
            again.integer(0) == 3,
            "a statement that was prepared again goes on where the last use stopped: ",
            again.integer(0),
            " instead of 3"
        );
        std::vector<Statement> held;
        for (int i = 0; i < 20; ++i) {
            held.push_back(s.prepare(text("SELECT ", i, " + id FROM {t} WHERE id = 1"_sql)));
        }
        for (std::size_t i = 0; i < held.size(); ++i) {
            expect(
                held[i].step() && held[i].integer(0) == static_cast<std::int64_t>(i) + 1,
                "one of 20 statements that are held at once gives another's row"
            );
        }
    });
}

void bindings_stay(Bench& bench) {
    const Database database{bench};
    database.insert(7);
    database.read([](Session& s) {
        auto query = s.prepare("SELECT id FROM {t} WHERE id = ?"_sql);
        query.bind(1, 7);
        for (int round = 0; round < 3; ++round) {
            expect(query.step(), "round ", round, ": no row: the binding was lost at the end");
            expect(!query.step(), "round ", round, ": more than one row");
        }
    });
}

void changes(Bench& bench) {
    const Database database{bench};
    for (int id = 0; id < 5; ++id) {
        database.insert(id);
    }
    database.write([](Session& s) {
        s.prepare("UPDATE {t} SET amount = 1 WHERE id < ?"_sql).bind_all(3).run();
        expect(s.changes() == 3, "an update of 3 rows: changes says ", s.changes());
        s.prepare("DELETE FROM {t} WHERE id = ?"_sql).bind_all(4).run();
        expect(s.changes() == 1, "a delete of 1 row: changes says ", s.changes());
    });
}

void bulk(Bench& bench) {
    constexpr std::int64_t k_rows = 3'000;
    const Database database{bench};
    const std::array<tenon_str, 3> names{str("id"), str("name"), str("amount")};
    std::vector<tenon_value> rows;
    for (std::int64_t i = 0; i < k_rows; ++i) {
        rows.push_back(value_of(i));
        rows.push_back(i % 2 == 0 ? value_of("name") : null_value());
        rows.push_back(value_of(i * 3));
    }
    database.write([&](Session& s) { s.bulk_insert("{t}"_sql, names, rows); });
    expect(database.count() == k_rows, k_rows, " rows went in, ", database.count(), " are there");
    const auto sums =
        database.numbers("SELECT CAST(sum(amount) AS BIGINT) FROM {t} WHERE name IS NULL"_sql);
    expect(sums.at(0) == k_rows / 2 * k_rows / 2 * 3, "the rows are not those that went in");
    rows[0] = value_of(k_rows + 1);
    const Ending ending = ending_of([&] {
        database.write([&](Session& s) { s.bulk_insert("{t}"_sql, names, rows); });
    });
    expect_status(ending.status, TENON_CONFLICT, "a bulk insert with duplicate keys");
    expect(database.count() == k_rows, "a bulk insert that failed left rows");
}

void ordered(Bench& bench) {
    Random random{bench.seed()};
    const Database database{bench};
    std::vector<std::int64_t> ids;
    for (int i = 0; i < 60; ++i) {
        ids.push_back(random.between(-1'000'000, 1'000'000) * 2 + i % 2);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    std::vector<std::int64_t> shuffled = ids;
    for (std::size_t i = shuffled.size() - 1; i > 0; --i) {
        std::swap(shuffled[i], shuffled[random.below(i + 1)]);
    }
    database.write([&](Session& s) {
        for (const std::int64_t id : shuffled) {
            s.prepare("INSERT INTO {t} (id, amount) VALUES (?, ?)"_sql).bind_all(-id, 1).run();
        }
    });
    std::vector<std::int64_t> wanted;
    for (const std::int64_t id : ids) {
        wanted.push_back(-id);
    }
    expect(
        database.numbers("SELECT id FROM {t} ORDER BY id DESC"_sql) == wanted,
        "rows do not come in the order of ORDER BY … DESC"
    );
    std::reverse(wanted.begin(), wanted.end());
    expect(
        database.numbers("SELECT id FROM {t} ORDER BY id"_sql) == wanted,
        "rows do not come in the order of ORDER BY"
    );
}

constexpr std::string_view k_storage = "tenon.storage/1";

constexpr Check k_checks[] = {
    {"storage.integers", "64-bit integers are exact", k_storage, &checked<&integers>},
    {"storage.values", "texts, reals and blobs come back whole", k_storage, &checked<&values>},
    {"storage.empty-and-null", "an empty text is not NULL", k_storage, &checked<&empty_and_null>},
    {"storage.columns", "columns have their count and names", k_storage, &checked<&columns>},
    {"storage.prepared", "prepare begins a statement anew", k_storage, &checked<&prepared>},
    {"storage.bindings-stay",
     "bindings stay after the last row",
     k_storage,
     &checked<&bindings_stay>},
    {"storage.changes", "changes counts rows", k_storage, &checked<&changes>},
    {"storage.bulk", "a bulk insert is all rows or none", k_storage, &checked<&bulk>},
    {"storage.ordered", "rows come in the order asked for", k_storage, &checked<&ordered>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> storage_value_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
