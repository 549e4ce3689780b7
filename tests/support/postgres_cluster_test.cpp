// SPDX-License-Identifier: Apache-2.0
#include "tests/support/postgres_cluster.hpp"

#include <catch2/catch.hpp>

namespace tenon::test {

TEST_CASE(
    "a replica has what its primary wrote, is promoted, and takes the old one back",
    "[cluster][S6]"
) {
    PostgresCluster cluster{{.replicas = 2}};
    (void)cluster.server(0).execute("CREATE TABLE t (n int)");
    cluster.set_synchronous("ANY 1 (*)");
    (void)cluster.server(0).execute("INSERT INTO t VALUES (1)");
    cluster.wait_replayed(1, 0);
    CHECK(cluster.server(1).execute("SELECT sum(n) FROM t") == "1");

    cluster.pause_replay(2);
    (void)cluster.server(0).execute("INSERT INTO t VALUES (2)");
    CHECK(cluster.server(2).execute("SELECT sum(n) FROM t") == "1");
    cluster.resume_replay(2);
    cluster.wait_replayed(2, 0);
    CHECK(cluster.server(2).execute("SELECT sum(n) FROM t") == "3");

    cluster.wait_replayed(1, 0);
    cluster.server(0).kill_9();
    cluster.promote(1);
    (void)cluster.server(1).execute("INSERT INTO t VALUES (4)");
    cluster.follow(2, 1);
    cluster.wait_replayed(2, 1);
    CHECK(cluster.server(2).execute("SELECT sum(n) FROM t") == "7");

    (void)cluster.rejoin(0, 1);
    cluster.wait_replayed(0, 1);
    CHECK(cluster.server(0).execute("SELECT sum(n) FROM t") == "7");
    CHECK(cluster.server(0).execute("SELECT pg_is_in_recovery()") == "t");
}

}  // namespace tenon::test
