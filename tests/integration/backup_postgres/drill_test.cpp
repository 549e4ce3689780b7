// SPDX-License-Identifier: Apache-2.0
// Restores that are tried by themselves find what is wrong.
#include "tests/integration/backup_postgres/cluster.hpp"

using namespace tenon::test;  // NOLINT

namespace {

// Of the platform's tables what a drill looks at.
void make_platform(PostgresServer& server) {
    (void)server.execute(
        "CREATE TABLE assets (id bigint, name text); INSERT INTO assets VALUES (1, 'BTC');"
        "CREATE TABLE balances (account bigint, asset bigint, free bigint, locked bigint);"
        "INSERT INTO balances VALUES (1, 1, -100, 0), (4, 1, 90, 10);"
        "CREATE TABLE projection_offset (name text, sequence bigint);"
        "INSERT INTO projection_offset VALUES ('main', 3);"
        "CREATE TABLE trades (order_id bigint, sequence bigint);"
        "INSERT INTO trades SELECT i, i FROM generate_series(1, 3) i;"
        "CREATE TABLE ledger_entries (sequence bigint); INSERT INTO ledger_entries VALUES (1)"
    );
}

}  // namespace

TEST_CASE("a drill proves a backup, and leaves nothing behind", "[backup][S14]") {
    PostgresServer server{quick()};
    make_platform(server);
    const TemporaryFolder folder;
    const TemporaryFolder scratch;
    std::filesystem::permissions(scratch.path(), std::filesystem::perms::all);
    Cluster cluster{server, folder.path().string()};
    pg::ServerSettings settings = settings_of(server);
    settings.database = "postgres";
    const pg::Manifest made = cluster.backups.create("", k_quiet);
    pg::DrillSettings drill;
    drill.scratch = scratch.path().string();
    const std::int64_t now = now_real_ns();
    (void)server.execute("INSERT INTO trades VALUES (4, 4)");
    wait_until("a mark", [&] { return cluster.backups.reached_real_ns() > now; });
    pg::Backups backups{cluster.pieces, &cluster.receiver, {settings, ""}};
    const pg::DrillReport report = pg::drill(backups, drill, seed(), k_quiet);
    CHECK(report.id == made.id);
    CHECK(report.checked == "pg_amcheck, sums of assets, rows as the primary's");
    CHECK_FALSE(report.older.empty());
    std::cout << "restored in " << report.restore_ms << " ms\n";
    CHECK(backups.list().front().proven_ns != 0);
    CHECK(std::filesystem::is_empty(scratch.path()));
    // Money from nowhere.
    (void)server.execute("UPDATE balances SET free = 91 WHERE account = 4");
    cluster.wait_stored();
    CHECK(failure_of([&] {
              (void)pg::drill(backups, drill, 1, k_quiet);
          }) == "the balances of BTC sum up to 1, not to 0");
    CHECK(std::filesystem::is_empty(scratch.path()));
    (void)server.execute("UPDATE balances SET free = 90 WHERE account = 4");
    // A newest backup that is damaged is not passed over for one that can be restored.
    const pg::Manifest damaged = cluster.backups.create("", k_quiet);
    std::filesystem::remove(folder.path() / damaged.pieces.front().name);
    CHECK_THAT(
        failure_of([&] { (void)pg::drill(backups, drill, seed(), k_quiet); }),
        Catch::Contains(damaged.id)
    );
    CHECK(std::filesystem::is_empty(scratch.path()));
}
