// SPDX-License-Identifier: Apache-2.0
// Whoever is killed, whenever: nothing that was committed is lost, and the next run goes on.
#include "tests/integration/backup_postgres/cluster.hpp"

#include <csignal>
#include <sys/wait.h>

using namespace tenon::test;  // NOLINT

namespace {

// A process that receives the log and makes one backup after the other, until it is killed.
pid_t start_archiver(PostgresServer& server, const std::string& folder) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        try {
            pg::VaultPieces pieces{place_of(folder), nullptr};
            pg::Receiver receiver{
                pieces, {settings_of(server), "tenon_backup", std::chrono::milliseconds{50}}};
            pg::Backups backups{pieces, &receiver, {settings_of(server), ""}};
            receiver.start();
            for (;;) {
                if (receiver.state().streaming) {
                    const pg::Manifest made = backups.create("", k_quiet);
                    backups.mark_proven(made.id, 1);
                    (void)backups.prune({2}, false);
                }
                ::poll(nullptr, 0, 20);
            }
        } catch (...) {
            ::_exit(1);
        }
    }
    return child;
}

void kill_9(pid_t child) {
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
}

// Processes of the killed one may still be there for a moment.
void start_again(PostgresServer& server) {
    wait_until("the server starts again", [&] {
        try {
            server.start();
            return true;
        } catch (const std::runtime_error&) {
            return false;
        }
    });
}

}  // namespace

TEST_CASE(
    "the archiver is killed at any moment, and the log has no gap",
    "[backup][S14][campaign]"
) {
    std::mt19937_64 random{seed()};
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    { const Cluster cluster{server, folder.path().string()}; }
    Load load{server};
    const auto kills = number_of_environment("TENON_KILLS", 6);
    for (std::uint64_t i = 0; i < kills; ++i) {
        const pid_t archiver = start_archiver(server, folder.path().string());
        load.put_some(20);
        (void)server.execute("SELECT pg_switch_wal()");
        ::poll(nullptr, 0, std::uniform_int_distribution<int>{0, 1500}(random));
        load.put_some(20);
        kill_9(archiver);
    }
    Cluster cluster{server, folder.path().string()};
    cluster.wait_stored();
    CHECK(cluster.receiver.state().gaps == 0);
    if (cluster.backups.list().empty()) {
        (void)cluster.backups.create("", k_quiet);
    }
    std::vector<std::string> damaged;
    for (const pg::Manifest& one : cluster.backups.list(&damaged)) {
        cluster.backups.verify(one.id, k_quiet);
    }
    CHECK(damaged.empty());
    std::cout << kills << " kills, " << cluster.backups.list().size() << " backups\n";
    CHECK(Load::rows_of(*restored(cluster.backups, {})) == load.commits().size());
}

TEST_CASE(
    "the database is killed under load, and what it acknowledged is restored",
    "[backup][S14][campaign]"
) {
    std::mt19937_64 random{seed()};
    PostgresOptions options = quick();
    options.fsync = true;
    PostgresServer server{options};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    Load load{server};
    (void)cluster.backups.create("", k_quiet);
    const auto kills = number_of_environment("TENON_KILLS", 3);
    for (std::uint64_t i = 0; i < kills; ++i) {
        load.start(1);
        ::poll(nullptr, 0, std::uniform_int_distribution<int>{100, 800}(random));
        server.kill_9();
        load.stop();
        start_again(server);
        // What was under way may have been committed; the next one takes its number.
        const std::string rows = std::to_string(load.commits().size());
        (void)server.execute(
            "DELETE FROM entries WHERE id > " + rows + "; DELETE FROM orders WHERE order_id > " +
            rows
        );
    }
    wait_until("the log comes again", [&] { return cluster.receiver.state().streaming; });
    cluster.wait_stored();
    CHECK(cluster.receiver.state().gaps == 0);
    CHECK(Load::rows_of(*restored(cluster.backups, {})) == load.commits().size());
}

TEST_CASE(
    "where the server threw its log away there is a gap, told, and a new backup begins after it",
    "[backup][S14]"
) {
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Load load{server};
    {
        Cluster cluster{server, folder.path().string()};
        load.put_some(3);
        (void)cluster.backups.create("", k_quiet);
        cluster.wait_stored();
    }
    wait_until("the slot is free", [&] {
        return server.execute("SELECT count(*) FROM pg_replication_slots WHERE active") == "0";
    });
    (void)server.execute("SELECT pg_drop_replication_slot('tenon_backup')");
    for (int i = 0; i < 12; ++i) {
        load.put_some(1);
        (void)server.execute("SELECT pg_switch_wal()");
    }
    (void)server.execute("ALTER SYSTEM SET max_wal_size = '32MB'");
    (void)server.execute("ALTER SYSTEM SET min_wal_size = '32MB'");
    (void)server.execute("SELECT pg_reload_conf()");
    (void)server.execute("CHECKPOINT");
    (void)server.execute("CHECKPOINT");
    Cluster cluster{server, folder.path().string()};
    CHECK(cluster.receiver.state().gaps == 1);
    cluster.wait_stored();
    CHECK(cluster.backups.missing().find("is missing") != std::string::npos);
    (void)cluster.backups.create("", k_quiet);
    load.put_some(1);
    cluster.wait_stored();
    CHECK(cluster.backups.missing().empty());
    CHECK(Load::rows_of(*restored(cluster.backups, {})) == 16);
}
