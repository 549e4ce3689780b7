// SPDX-License-Identifier: Apache-2.0
// What is restored is what was there: by time, by order, over timelines.
#include "tests/integration/backup_postgres/cluster.hpp"

#include <unistd.h>

using namespace tenon::test;  // NOLINT

TEST_CASE(
    "restores to random instants under load equal the log kept outside",
    "[backup][S14][campaign]"
) {
    std::mt19937_64 random{seed()};
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    Load load{server};
    load.start(5);
    (void)cluster.backups.create("under load", k_quiet);
    const std::int64_t first = now_real_ns();
    const auto instants = number_of_environment("TENON_INSTANTS", 3);
    // Some segments go by, and one more base.
    (void)server.execute("SELECT pg_switch_wal()");
    wait_until("some seconds of load", [&] { return now_real_ns() - first > 1'500'000'000; });
    (void)cluster.backups.create("", k_quiet);
    (void)server.execute("SELECT pg_switch_wal()");
    wait_until("some seconds of load", [&] { return now_real_ns() - first > 4'000'000'000; });
    load.stop();
    const std::int64_t last = load.commits().back().after_ns;
    cluster.wait_stored();
    wait_until("the end is known", [&] { return cluster.backups.reached_real_ns() > last; });
    std::cout << load.commits().size() << " commits, " << instants << " instants\n";
    for (std::uint64_t i = 0; i < instants; ++i) {
        pg::Target target;
        target.real_ns = std::uniform_int_distribution<std::int64_t>{first, last}(random);
        INFO("restored to " << pg::iso_time(target.real_ns));
        const auto there = restored(cluster.backups, target);
        const std::size_t rows = Load::rows_of(*there);
        const std::size_t surely = load.committed_by(target.real_ns);
        std::size_t perhaps = 0;
        for (const Load::Commit& commit : load.commits()) {
            perhaps += commit.before_ns <= target.real_ns ? 1 : 0;
        }
        CHECK(rows >= surely);
        CHECK(rows <= perhaps);
    }
    const auto newest = restored(cluster.backups, {});
    CHECK(Load::rows_of(*newest) == load.commits().size());
}

TEST_CASE("a restore to an order has it, and what came within a moment of it", "[backup][S14]") {
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    Load load{server};
    load.put_some(3);
    (void)cluster.backups.create("", k_quiet);
    const auto settle = [&] {
        const std::int64_t now = now_real_ns();
        cluster.wait_stored();
        wait_until("a mark", [&] { return cluster.backups.reached_real_ns() > now; });
    };
    load.put_some(5);
    settle();
    load.put_some(5);
    settle();
    load.put_some(1);
    settle();
    pg::Target target;
    target.order = 6;
    const auto there = restored(cluster.backups, target);
    const std::size_t rows = Load::rows_of(*there);
    CHECK(rows >= 6);
    CHECK(rows <= 8);
    target.order = 14;
    CHECK(Load::rows_of(*restored(cluster.backups, target)) == 14);
    target.order = 15;
    CHECK(failure_of([&] {
              (void)restored(cluster.backups, target);
          }) == "the stored log does not reach order 15");
    target.order = 2;  // the only base is newer
    CHECK(failure_of([&] {
              (void)restored(cluster.backups, target);
          }) == "no backup leads to the wanted state");
}

TEST_CASE(
    "a restore touches no folder that holds something, and leaves nothing when it fails",
    "[backup][S14]"
) {
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    (void)cluster.backups.create("", k_quiet);
    if (::geteuid() == 0) {  // its programs run as another user then
        const TemporaryFolder closed;
        CHECK(failure_of([&] {
                  (void)cluster.backups.restore("", {}, (closed.path() / "r").string(), k_quiet);
              }).find("cannot reach") != std::string::npos);
        CHECK(std::filesystem::is_empty(closed.path()));
    }
    const TemporaryFolder full;
    std::filesystem::permissions(full.path(), std::filesystem::perms::all);
    std::ofstream{full.path() / "precious"} << "mine";
    CHECK(failure_of([&] {
              (void)cluster.backups.restore("", {}, full.path().string(), k_quiet);
          }) == full.path().string() + " is not an empty folder");
    const std::string absent = (full.path() / "absent").string();
    pg::Target later;
    later.real_ns = now_real_ns() + 3'600'000'000'000;
    const std::string told =
        failure_of([&] { (void)cluster.backups.restore("", later, absent, k_quiet); });
    CHECK(told.substr(0, 25) == "the stored log reaches 20");
    CHECK_FALSE(std::filesystem::exists(absent));
    pg::Target earlier;
    earlier.real_ns = now_real_ns() - 3'600'000'000'000;
    CHECK(failure_of([&] {
              (void)cluster.backups.restore("", earlier, absent, k_quiet);
          }) == "no backup leads to the wanted state");
}

TEST_CASE(
    "a restored server goes on in the place of the old one, and both ways are kept",
    "[backup][S14]"
) {
    const TemporaryFolder folder;
    std::unique_ptr<PostgresServer> second;
    std::int64_t before_ns = 0;
    {
        PostgresServer server{quick()};
        Cluster cluster{server, folder.path().string()};
        Load load{server};
        (void)cluster.backups.create("", k_quiet);
        load.put_some(4);
        before_ns = now_real_ns();
        wait_until("a moment", [&] { return now_real_ns() - before_ns > 300'000'000; });
        load.put_some(6);
        cluster.wait_stored();
        wait_until("a mark", [&] {
            return cluster.backups.reached_real_ns() > load.commits().back().after_ns;
        });
        pg::Target target;
        target.real_ns = before_ns;
        second = restored(cluster.backups, target);
    }
    CHECK(Load::rows_of(*second) == 4);
    (void)second->execute("INSERT INTO entries SELECT 5, 'another way'");
    Cluster cluster{*second, folder.path().string()};
    cluster.wait_stored();
    CHECK(cluster.receiver.state().timeline == 2);
    CHECK(cluster.receiver.state().gaps == 0);
    // The newest state is that of the second timeline; the first one's is still there.
    CHECK(
        restored(cluster.backups, {})->execute("SELECT chain FROM entries WHERE id = 5") ==
        "another way"
    );
    pg::Target target;
    target.real_ns = before_ns;
    CHECK(Load::rows_of(*restored(cluster.backups, target)) == 4);
    target = {};
    target.timeline = 1;
    CHECK(Load::rows_of(*restored(cluster.backups, target)) == 10);
    // A base of a server that was restored to a moment leads on beyond that moment.
    (void)cluster.backups.create("", k_quiet);
    (void)second->execute("INSERT INTO entries SELECT 6, 'later'");
    cluster.wait_stored();
    CHECK(
        restored(cluster.backups, {})->execute("SELECT chain FROM entries WHERE id = 6") == "later"
    );
}
