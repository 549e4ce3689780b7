// SPDX-License-Identifier: Apache-2.0
#include "tests/support/postgres_server.hpp"

#include <catch2/catch.hpp>
#include <libpq-fe.h>

#include <csignal>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

using tenon::test::PostgresServer;

TEST_CASE("a server of the test's own starts, keeps its data and goes", "[postgres][S2]") {
    std::filesystem::path folder;
    {
        PostgresServer server;
        folder = server.folder();
        const std::string database = server.create_database();
        CHECK(database != server.create_database());
        server.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (7)", database);
        SECTION("stopped and started") {
            server.restart();
        }
        SECTION("killed") {
            server.kill_9();
            CHECK_FALSE(server.running());
            server.start();
        }
        SECTION("paused") {
            server.pause();
            CHECK(PQping((server.conninfo() + " connect_timeout=2").c_str()) == PQPING_NO_RESPONSE);
            server.resume();
        }
        CHECK(server.execute("SELECT a FROM t", database) == "7");
        CHECK_THROWS_WITH(server.execute("SELEC 1"), Catch::Contains("syntax error"));
        CHECK_THROWS_WITH(server.tcp_conninfo(), Catch::Contains("without TCP"));
    }
    CHECK_FALSE(std::filesystem::exists(folder));
}

TEST_CASE("a server listens on a free port when asked to", "[postgres][S2]") {
    PostgresServer server{{.fsync = false, .tcp = true, .settings = {{"work_mem", "5MB"}}}};
    CHECK(PQping(server.tcp_conninfo().c_str()) == PQPING_OK);
    CHECK(server.execute("SHOW work_mem") == "5MB");
    CHECK(server.execute("SHOW fsync") == "off");
    const int port = server.port();
    server.restart();
    CHECK(server.port() == port);
}

TEST_CASE("nothing is left of a server whose test was killed", "[postgres][S2]") {
    int ends[2]{};
    REQUIRE(::pipe(ends) == 0);
    const pid_t test = ::fork();
    REQUIRE(test >= 0);
    if (test == 0) {
        PostgresServer server;
        const std::string told = server.folder().string() + "\n";
        (void)!::write(ends[1], told.data(), told.size());
        ::pause();
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string folder;
    for (char c = 0; ::read(ends[0], &c, 1) == 1 && c != '\n';) {
        folder.push_back(c);
    }
    REQUIRE(std::filesystem::exists(folder));
    ::kill(test, SIGKILL);
    ::waitpid(test, nullptr, 0);
    for (int i = 0; i < 2000 && std::filesystem::exists(folder); ++i) {
        ::poll(nullptr, 0, 10);
    }
    CHECK_FALSE(std::filesystem::exists(folder));
}
