// SPDX-License-Identifier: Apache-2.0
// A real PostgreSQL that is backed up, load with an oracle outside of it, and restored servers.
#pragma once

#include "plugins/backup/postgres/drill.hpp"
#include "sdk/vault/folder_place.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <poll.h>
#include <random>
#include <thread>

namespace tenon::test {

namespace pg = tenon::backup_postgres;
inline const pg::Say k_quiet = [](auto, auto, auto) {};

inline std::uint64_t number_of_environment(const char* name, std::uint64_t fallback) {
    const char* const text = std::getenv(name);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

inline std::uint64_t seed() {
    const std::uint64_t chosen = number_of_environment("TENON_SEED", std::random_device{}());
    std::cout << "TENON_SEED=" << chosen << '\n';
    return chosen;
}

inline std::int64_t now_real_ns() {
    return pg::real_now_ns();
}

inline void wait_until(const char* what, const std::function<bool()>& done) {
    const auto deadline = pg::steady_now() + std::chrono::seconds{60};
    while (!done()) {
        INFO(what);
        REQUIRE(pg::steady_now() < deadline);
        ::poll(nullptr, 0, 10);
    }
}

inline std::string failure_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const tenon::Error& e) {
        return e.what();
    }
    return "";
}

inline PostgresOptions quick() {
    PostgresOptions options;
    options.fsync = false;  // the machine does not lose its power in a test
    options.settings = {{"wal_retrieve_retry_interval", "100ms"}, {"max_wal_size", "128MB"}};
    return options;
}

inline pg::ServerSettings settings_of(const PostgresServer& server) {
    pg::ServerSettings settings;
    settings.conninfo = server.conninfo();
    return settings;
}

inline std::shared_ptr<vault::Place> place_of(const std::string& folder) {
    return std::make_shared<vault::FolderPlace>(folder);
}

// Its log is received for as long as it lives.
struct Cluster {
    explicit Cluster(PostgresServer& postgres, const std::string& folder)
        : server{postgres},
          pieces{place_of(folder), nullptr},
          receiver{pieces, {settings_of(postgres), "tenon_backup", std::chrono::milliseconds{100}}},
          backups{pieces, &receiver, {settings_of(postgres), ""}} {
        receiver.start();
        wait_until("the log comes", [this] {
            const pg::Receiver::State now = receiver.state();
            UNSCOPED_INFO(now.problem);  // why it does not, should it not
            return now.streaming;
        });
    }

    // All that is written by now is stored.
    void wait_stored() {
        backups.wait_until_stored(pg::lsn_of(server.execute("SELECT pg_current_wal_flush_lsn()")));
    }

    PostgresServer& server;
    pg::VaultPieces pieces;
    pg::Receiver receiver;
    pg::Backups backups;
};

// One row a commit, each with a hash over all before it; what was acknowledged is kept here too.
class Load {
public:
    struct Commit {
        std::int64_t before_ns;
        std::int64_t after_ns;
    };

    explicit Load(PostgresServer& server) : server_{server} {
        (void)server_.execute(
            "CREATE TABLE IF NOT EXISTS entries (id bigint PRIMARY KEY, chain text NOT NULL);"
            "CREATE TABLE IF NOT EXISTS orders (order_id bigint PRIMARY KEY)"
        );
    }

    ~Load() { stop(); }

    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    void start(int pause_ms) {
        stopping_ = false;
        thread_ = std::thread{[this, pause_ms] {
            const std::string info = server_.conninfo();
            PGconn* connection = PQconnectdb(info.c_str());
            while (!stopping_ && put(connection)) {
                ::poll(nullptr, 0, pause_ms);
            }
            PQfinish(connection);
        }};
    }

    void stop() {
        stopping_ = true;
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    void put_some(int count) {
        const std::string info = server_.conninfo();
        PGconn* connection = PQconnectdb(info.c_str());
        for (int i = 0; i < count; ++i) {
            REQUIRE(put(connection));
        }
        PQfinish(connection);
    }

    // The loop must have ended. Of the commits in order.
    [[nodiscard]] const std::vector<Commit>& commits() const { return commits_; }

    // Acknowledged by then.
    [[nodiscard]] std::size_t committed_by(std::int64_t real_ns) const {
        return static_cast<std::size_t>(std::count_if(
            commits_.begin(),
            commits_.end(),
            [&](const Commit& commit) { return commit.after_ns <= real_ns; }
        ));
    }

    // What the first `count` commits make of the table, computed outside the database.
    [[nodiscard]] static std::string chain_after(std::size_t count);
    // Of a server: how many rows, and the last hash; fails when rows are missing in between.
    [[nodiscard]] static std::size_t rows_of(PostgresServer& server);

private:
    bool put(PGconn* connection) {
        const std::size_t id = commits_.size() + 1;
        const std::string chain = pg::sum_of(chain_, std::to_string(id));
        const std::string sql = "INSERT INTO entries VALUES (" + std::to_string(id) + ", '" +
                                chain + "'); INSERT INTO orders VALUES (" + std::to_string(id) +
                                ")";
        const std::int64_t before = now_real_ns();
        PGresult* result = PQexec(connection, sql.c_str());
        const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
        if (done) {
            commits_.push_back({before, now_real_ns()});
            chain_ = chain;
        }
        return done;
    }

    PostgresServer& server_;
    std::vector<Commit> commits_;
    std::string chain_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

inline std::string Load::chain_after(std::size_t count) {
    std::string chain;
    for (std::size_t id = 1; id <= count; ++id) {
        chain = pg::sum_of(chain, std::to_string(id));
    }
    return chain;
}

inline std::size_t Load::rows_of(PostgresServer& server) {
    const std::size_t rows =
        std::strtoull(server.execute("SELECT count(*) FROM entries").c_str(), nullptr, 10);
    CHECK(server.execute("SELECT coalesce(max(id), 0) FROM entries") == std::to_string(rows));
    CHECK(
        server.execute("SELECT coalesce((SELECT chain FROM entries ORDER BY id DESC LIMIT 1), '')"
        ) == chain_after(rows)
    );
    return rows;
}

// A server from a restore; it has ended its recovery.
inline std::unique_ptr<PostgresServer> restored(
    pg::Backups& backups,
    const pg::Target& target,
    pg::Restored* made = nullptr,
    const std::string& id = ""
) {
    PostgresOptions options = quick();
    options.empty = true;
    auto server = std::make_unique<PostgresServer>(options);
    const pg::Restored from = backups.restore(id, target, server->data_folder().string(), k_quiet);
    if (made != nullptr) {
        *made = from;
    }
    server->start();
    wait_until("recovery has ended", [&] {
        return server->execute("SELECT pg_is_in_recovery()") == "f";
    });
    return server;
}

}  // namespace tenon::test
