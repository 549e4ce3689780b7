// SPDX-License-Identifier: Apache-2.0
#include "tests/support/postgres_cluster.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <pwd.h>
#include <stdexcept>
#include <unistd.h>

namespace tenon::test {
namespace {

constexpr auto k_patience = std::chrono::seconds{60};

std::string member(std::size_t i) {
    return "member_" + std::to_string(i);
}

void give_to_server_user(const std::filesystem::path& path) {
    const passwd* user = ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr;
    if (user != nullptr && ::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
        throw std::runtime_error{"cannot give " + path.string() + " to user postgres"};
    }
}

}  // namespace

PostgresCluster::PostgresCluster(ClusterOptions options) : options_{std::move(options)} {
    PostgresOptions first;
    first.fsync = false;  // the machine does not lose its power in a test
    first.settings = options_.settings;
    first.settings.insert(
        {{"wal_level", "replica"},
         {"wal_log_hints", "on"},  // for pg_rewind
         {"hot_standby", "on"},
         {"max_wal_senders", "10"},
         {"max_replication_slots", "10"},
         {"wal_receiver_timeout", "5s"},
         {"wal_sender_timeout", "5s"},
         {"wal_retrieve_retry_interval", "100ms"},
         {"recovery_target_timeline", "latest"},
         {"shared_buffers", "32MB"}}
    );
    servers_.push_back(std::make_unique<PostgresServer>(std::move(first)));
    make_slots(0);
    for (std::size_t i = 1; i <= options_.replicas; ++i) {
        add_replica(i);
    }
}

void PostgresCluster::add_replica(std::size_t i) {
    PostgresOptions replica;
    replica.fsync = false;
    replica.empty = true;
    servers_.push_back(std::make_unique<PostgresServer>(std::move(replica)));
    copy_from(i, 0);
    server(i).start();
    wait_until(
        0,
        "EXISTS (SELECT FROM pg_stat_replication WHERE application_name = '" + member(i) +
            "' AND state = 'streaming')"
    );
}

void PostgresCluster::make_slots(std::size_t on) {
    for (std::size_t i = 0; i <= options_.replicas; ++i) {
        if (i != on) {
            (void)server(on).execute(
                "SELECT pg_create_physical_replication_slot('" + member(i) +
                "', true) WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '" +
                member(i) + "')"
            );
        }
    }
}

std::string PostgresCluster::sender_conninfo(std::size_t i, std::size_t sender) const {
    return servers_[sender]->conninfo() + " application_name=" + member(i);
}

void PostgresCluster::copy_from(std::size_t i, std::size_t sender) {
    (void)server(i).tool(
        "pg_basebackup",
        {"-D",
         server(i).data_folder().string(),
         "-d",
         servers_[sender]->conninfo(),
         "-c",
         "fast",
         "-X",
         "stream",
         "--no-sync"}
    );
    make_standby(i, sender);
}

void PostgresCluster::make_standby(std::size_t i, std::size_t sender) {
    PostgresServer& replica = server(i);
    const std::filesystem::path marker = replica.data_folder() / "standby.signal";
    std::ofstream{marker}.flush();
    give_to_server_user(marker);
    // postgresql.auto.conf comes with a copy and wins over postgresql.conf.
    const std::filesystem::path automatic = replica.data_folder() / "postgresql.auto.conf";
    std::ofstream{automatic, std::ios::trunc}.flush();
    give_to_server_user(automatic);
    replica.configure(
        {{"primary_conninfo", sender_conninfo(i, sender)},
         {"primary_slot_name", member(i)},
         {"recovery_min_apply_delay", "0"},
         {"synchronous_standby_names", ""}}
    );
}

std::vector<std::string> PostgresCluster::conninfos(std::string_view database) const {
    std::vector<std::string> all;
    for (const auto& server : servers_) {
        all.push_back(server->conninfo(database));
    }
    return all;
}

void PostgresCluster::set_synchronous(const std::string& names, std::size_t on) {
    (void)server(on).execute("ALTER SYSTEM SET synchronous_standby_names = '" + names + "'");
    (void)server(on).execute("SELECT pg_reload_conf()");
    wait_until(on, "current_setting('synchronous_standby_names') = '" + names + "'");
}

void PostgresCluster::promote(std::size_t i) {
    (void)server(i).execute("SELECT pg_promote(true, 60)");
    wait_until(i, "NOT pg_is_in_recovery()");
    make_slots(i);
}

void PostgresCluster::follow(std::size_t i, std::size_t sender) {
    make_slots(sender);
    (void)server(i).execute(
        "ALTER SYSTEM SET primary_conninfo = '" + sender_conninfo(i, sender) + "'"
    );
    (void)server(i).execute("SELECT pg_reload_conf()");
    wait_until(
        sender,
        "EXISTS (SELECT FROM pg_stat_replication WHERE application_name = '" + member(i) +
            "' AND state = 'streaming')"
    );
}

bool PostgresCluster::rejoin(std::size_t i, std::size_t sender) {
    PostgresServer& server_i = server(i);
    if (server_i.running()) {
        server_i.stop();
    }
    make_slots(sender);
    // Its control file must tell pg_rewind the new timeline.
    (void)server(sender).execute("CHECKPOINT");
    bool rewound = true;
    try {
        (void)server_i.tool(
            "pg_rewind",
            {"--target-pgdata",
             server_i.data_folder().string(),
             "--source-server",
             server(sender).conninfo(),
             "--no-sync"}
        );
        make_standby(i, sender);
    } catch (const std::runtime_error&) {
        rewound = false;
        std::filesystem::remove_all(server_i.data_folder());
        copy_from(i, sender);
    }
    server_i.start();
    wait_until(
        sender,
        "EXISTS (SELECT FROM pg_stat_replication WHERE application_name = '" + member(i) +
            "' AND state = 'streaming')"
    );
    return rewound;
}

void PostgresCluster::pause_replay(std::size_t i) {
    (void)server(i).execute("SELECT pg_wal_replay_pause()");
    wait_until(i, "pg_get_wal_replay_pause_state() = 'paused'");
}

void PostgresCluster::resume_replay(std::size_t i) {
    (void)server(i).execute("SELECT pg_wal_replay_resume()");
    wait_until(i, "pg_get_wal_replay_pause_state() = 'not paused'");
}

void PostgresCluster::delay_replay(std::size_t i, int delay_ms) {
    (void)server(i).execute(
        "ALTER SYSTEM SET recovery_min_apply_delay = " + std::to_string(delay_ms)
    );
    (void)server(i).execute("SELECT pg_reload_conf()");
    wait_until(
        i,
        "(SELECT setting FROM pg_settings WHERE name = 'recovery_min_apply_delay') = '" +
            std::to_string(delay_ms) + "'"
    );
}

void PostgresCluster::wait_replayed(std::size_t i, std::size_t sender) {
    const std::string position = server(sender).execute("SELECT pg_current_wal_flush_lsn()");
    wait_until(i, "pg_last_wal_replay_lsn() >= '" + position + "'");
}

void PostgresCluster::wait_until(std::size_t i, const std::string& sql_condition) {
    const auto deadline = std::chrono::steady_clock::now() + k_patience;
    while (server(i).execute("SELECT " + sql_condition) != "t") {
        if (std::chrono::steady_clock::now() > deadline) {
            throw std::runtime_error{
                "server " + std::to_string(i) + " waited in vain for: " + sql_condition + "\n" +
                server(i).log()};
        }
        ::poll(nullptr, 0, 10);
    }
}

}  // namespace tenon::test
