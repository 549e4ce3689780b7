// SPDX-License-Identifier: Apache-2.0
// Partitions of PostgreSQL, made ahead whatever becomes of the archives, and dropped when empty.
#include "plugins/archive/partitions.hpp"

#include "plugins/archive/keeper.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <catch2/catch.hpp>

using tenon::Session;
using tenon::archive::k_day_ns;
using tenon::test::PostgresBackend;

namespace {

constexpr std::int64_t k_first_day = 20'000;

struct Fixture : PostgresBackend {
    Fixture() {
        tenon::test::shipped_schema(*this)->up();
        storage().write(deadline(), [](Session& s) {
            s.execute(
                "ALTER TABLE candles RENAME TO candles_plain;"
                "CREATE TABLE candles (LIKE candles_plain INCLUDING DEFAULTS INCLUDING "
                "CONSTRAINTS, "
                "PRIMARY KEY (instrument, interval_s, open_real_ns)) PARTITION BY RANGE "
                "(open_real_ns);"
                "DROP TABLE candles_plain;"
                "INSERT INTO instruments (id, symbol) VALUES (1, 'AB')"
            );
        });
    }

    void put(std::int64_t day) {
        storage().write(deadline(), [&](Session& s) {
            s.prepare(
                 "INSERT INTO candles (instrument, interval_s, open_real_ns, open, high, low, "
                 "close, volume, quote_volume, trades) VALUES (1, 60, ?, 2, 3, 1, 2, 0, 0, 0)"
            )
                .bind_all(day * k_day_ns)
                .run();
        });
    }

    [[nodiscard]] std::int64_t count(const std::string& sql) {
        std::int64_t value = 0;
        storage().read(deadline(), [&](Session& s) {
            auto row = s.prepare(sql);
            while (row.step()) {
                value = row.integer(0);
            }
        });
        return value;
    }

    [[nodiscard]] tenon::archive::Keeper
    keeper(const std::string& folder, std::int64_t& now_real_ns) {
        tenon::archive::KeeperOptions options;
        options.retention.policies.push_back(
            {&tenon::archive::history_table("candles_1m"), 2 * k_day_ns}
        );
        return tenon::archive::Keeper{
            {storage(),
             tenon::archive::Folder{folder},
             [this] { return host.reactor().now_ns(); },
             [&now_real_ns] { return now_real_ns; },
             [] { return false; }},
            std::move(options),
            [](const std::string&) {},
            [](const std::string&) {}};
    }

    [[nodiscard]] std::int64_t partitions() {
        return count("SELECT count(*) FROM pg_inherits WHERE inhparent = 'candles'::regclass");
    }
};

}  // namespace

TEST_CASE("partitions come for 30 days while no archive can be made", "[archive][S13]") {
    Fixture f;
    std::int64_t now_real_ns = 0;
    auto broken = f.keeper("/dev/null/archive", now_real_ns);
    int failures = 0;
    for (std::int64_t day = k_first_day; day < k_first_day + 30; ++day) {
        now_real_ns = day * k_day_ns + 5;
        const auto made =
            tenon::archive::make_partitions(f.storage(), f.deadline(), now_real_ns, 7);
        CHECK(made.problems.empty());
        CHECK(made.made == (day == k_first_day ? 8 : 1));
        f.put(day);
        f.put(day + 7);
        f.storage().write(f.deadline(), [&](Session& s) {
            s.execute(
                "DELETE FROM candles WHERE open_real_ns = " + std::to_string((day + 7) * k_day_ns)
            );
        });
        failures += broken.run().failure.empty() ? 0 : 1;
    }
    CHECK(failures == 27);  // from the first day on that something was due
    CHECK(f.count("SELECT count(*) FROM candles") == 30);
    CHECK(f.partitions() == 37);

    // With room again everything due goes, and the days that are empty then.
    tenon::test::TemporaryFolder folder;
    auto keeper = f.keeper((folder.path() / "archive").string(), now_real_ns);
    CHECK(keeper.run().failure.empty());
    CHECK(f.count("SELECT count(*) FROM candles") == 3);
    CHECK(f.partitions() == 10);
}

TEST_CASE("a partition that overlaps one made by hand is told, the others come", "[archive][S13]") {
    Fixture f;
    const std::int64_t third = (k_first_day + 2) * k_day_ns;
    f.storage().write(f.deadline(), [&](Session& s) {
        s.execute(
            "CREATE TABLE by_hand PARTITION OF candles FOR VALUES FROM (" +
            std::to_string(third + 5) + ") TO (" + std::to_string(third + 9) + ")"
        );
    });
    const auto made =
        tenon::archive::make_partitions(f.storage(), f.deadline(), k_first_day * k_day_ns, 3);
    CHECK(made.made == 3);
    REQUIRE(made.problems.size() == 1);
    CHECK_THAT(made.problems.front(), Catch::Contains("overlap"));
}
