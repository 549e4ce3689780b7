// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL server of a test's own: a real one, in a folder of its own, gone with the object.
//
//   PostgresServer server;
//   const std::string database = server.create_database();
//   PQconnectdb(server.conninfo(database).c_str());
//
// It listens on a unix socket in its folder; user postgres, no password. When the test's process
// dies, however it dies, a guard process ends the server and removes the folder. Run as root the
// server's programs run as the user postgres. Not thread-safe but for what says so; failures throw
// std::runtime_error, also where PostgreSQL is not installed: a test does not skip what it claims.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace tenon::test {

struct PostgresOptions {
    bool fsync = true;
    // Also 127.0.0.1 on a free port; without it there is the socket only.
    bool tcp = false;
    // Lines of postgresql.conf.
    std::map<std::string, std::string> settings = {};
    // Lines put before those of pg_hba.conf, for what is to be refused or asked for a password.
    std::vector<std::string> host_access = {};
    // Do not run initdb and do not start: the caller fills data_folder(), as pg_basebackup does.
    bool empty = false;
};

class PostgresServer {
public:
    explicit PostgresServer(PostgresOptions options = {});
    ~PostgresServer();
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;

    // [any thread] For libpq, through the socket; tcp_conninfo() through 127.0.0.1.
    [[nodiscard]] std::string conninfo(std::string_view database = "postgres") const;
    [[nodiscard]] std::string tcp_conninfo(std::string_view database = "postgres") const;

    // A new empty database; "" picks a name that was not used yet. Gives back the name.
    std::string create_database(std::string name = "");
    void drop_database(const std::string& name);

    // Its schema public becomes empty: a tenth of what dropping and creating a database takes.
    void clear_database(const std::string& name);

    // Runs SQL on a connection made for it; gives back the first column of the first row, or "".
    std::string execute(const std::string& sql, std::string_view database = "postgres");

    // Starts and waits until it accepts connections (also a standby in recovery).
    void start();
    // Ends sessions and shuts down ("fast"); nothing when it does not run.
    void stop();
    // As a machine that loses its power, but for what the system has not yet written.
    void kill_9();

    void restart() {
        stop();
        start();
    }

    // All its processes stand still (SIGSTOP) and go on.
    void pause();
    void resume();
    [[nodiscard]] bool running();

    [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

    [[nodiscard]] std::filesystem::path data_folder() const { return folder_ / "data"; }

    [[nodiscard]] int port() const noexcept { return port_; }

    [[nodiscard]] std::string log() const;
    // Lines for the end of postgresql.conf, read at the next start.
    void configure(const std::map<std::string, std::string>& settings);

    // Runs a program of PostgreSQL ("pg_basebackup", "pg_ctl", …) as the server's user and waits.
    // Gives back what it wrote; throws with it when the exit code is not 0.
    std::string tool(const std::string& name, const std::vector<std::string>& arguments) const;
    // Where initdb, postgres, psql… are: TENON_POSTGRES_BIN, or the newest of the system.
    [[nodiscard]] static std::filesystem::path bin_folder();

private:
    void initialise();
    void write_settings();
    void guard();
    [[nodiscard]] bool launch();
    [[nodiscard]] bool wait_until_accepting();
    void reap() noexcept;
    [[nodiscard]] std::vector<pid_t> processes() const;
    void own(const std::filesystem::path& path) const;

    PostgresOptions options_;
    std::filesystem::path folder_;
    pid_t server_ = -1;
    pid_t guard_ = -1;
    int guard_pipe_ = -1;
    int port_ = 5432;
    std::uint32_t databases_ = 0;
};

}  // namespace tenon::test
