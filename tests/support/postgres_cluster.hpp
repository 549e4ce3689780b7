// SPDX-License-Identifier: Apache-2.0
// A primary and its streaming replicas, real PostgreSQL servers of a test's own, which the test
// promotes, kills, stops and takes back.
//
//   PostgresCluster cluster{{.replicas = 2}};
//   cluster.set_synchronous("ANY 1 (*)");
//   cluster.server(0).kill_9();
//   cluster.promote(1);
//   cluster.rejoin(0, 1);
//
// Server 0 is the first primary. Each replica has a slot on every server that could be its sender
// ("member_I"), so no log that it needs is removed. Failures throw std::runtime_error. Not
// thread-safe, but for what PostgresServer says.
#pragma once

#include "tests/support/postgres_server.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::test {

struct ClusterOptions {
    std::size_t replicas = 1;
    // Lines of postgresql.conf for all.
    std::map<std::string, std::string> settings = {};
};

class PostgresCluster {
public:
    explicit PostgresCluster(ClusterOptions options = {});

    [[nodiscard]] std::size_t size() const noexcept { return servers_.size(); }

    [[nodiscard]] PostgresServer& server(std::size_t i) { return *servers_.at(i); }

    [[nodiscard]] std::vector<std::string> conninfos(std::string_view database = "postgres") const;

    // synchronous_standby_names of that server, from now on; "" for none.
    void set_synchronous(const std::string& names, std::size_t on = 0);
    // Makes a replica the primary; returns when it takes writes. It inherits nobody: the others
    // follow it after follow() or rejoin().
    void promote(std::size_t i);
    // A replica that runs streams from another server from now on.
    void follow(std::size_t i, std::size_t sender);
    // A server of any state becomes a replica of another one: rewound where that works, else
    // copied anew. Gives back true when it was rewound.
    bool rejoin(std::size_t i, std::size_t sender);
    // A replica receives the log but replays none of it; and goes on.
    void pause_replay(std::size_t i);
    void resume_replay(std::size_t i);
    // A replica replays a commit this much after it was made; 0: at once.
    void delay_replay(std::size_t i, int delay_ms);
    // Waits until a replica has replayed all that the other server wrote until now.
    void wait_replayed(std::size_t i, std::size_t sender);
    // Waits until the expression is true on that server.
    void wait_until(std::size_t i, const std::string& sql_condition);

private:
    void add_replica(std::size_t i);
    void copy_from(std::size_t i, std::size_t sender);
    void make_standby(std::size_t i, std::size_t sender);
    void make_slots(std::size_t on);
    [[nodiscard]] std::string sender_conninfo(std::size_t i, std::size_t sender) const;

    ClusterOptions options_;
    std::vector<std::unique_ptr<PostgresServer>> servers_;
};

}  // namespace tenon::test
