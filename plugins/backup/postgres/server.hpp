// SPDX-License-Identifier: Apache-2.0
// The database server that is backed up: sessions for questions and for replication.
#pragma once

#include "plugins/backup/postgres/wal.hpp"

#include <libpq-fe.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tenon::backup_postgres {

struct ServerSettings {
    // "host" or "host:port" or the folder of a unix socket; the first that takes writes is used.
    std::vector<std::string> hosts;
    std::string database = "tenon";
    std::string user;
    std::string password;
    std::string conninfo;  // its parts win over the above
};

// For libpq and PostgreSQL's programs, without the password, which goes by the environment: a
// command line can be read by every user.
[[nodiscard]] std::string conninfo_of(const ServerSettings& settings);
[[nodiscard]] std::vector<std::string> environment_of(const ServerSettings& settings);

using Rows = std::vector<std::vector<std::string>>;

// One session; one thread at a time. What the server refuses throws TENON_UNAVAILABLE with its
// message. It waits for an answer no longer than `patience`, and gives up when `cancelled` says so.
class Session {
public:
    Session(
        const ServerSettings& settings,
        bool replication,
        std::chrono::milliseconds patience,
        std::function<bool()> cancelled = {}
    );

    // Text of all columns; NULL is "".
    [[nodiscard]] Rows query(const std::string& sql);
    // The first column of the only row.
    [[nodiscard]] std::string ask(const std::string& sql);

    // After START_REPLICATION: the next message, "" when none came within `wait`. False: the
    // timeline has ended, and the session answers queries again.
    [[nodiscard]] bool receive(std::string& message, std::chrono::milliseconds wait);
    void start_copy(const std::string& command);
    void send(std::string_view message);

    // Five characters; of the last failure.
    [[nodiscard]] const std::string& sqlstate() const noexcept { return sqlstate_; }

private:
    struct Close {
        void operator()(PGconn* connection) const noexcept { PQfinish(connection); }

        void operator()(PGresult* result) const noexcept { PQclear(result); }
    };

    using Result = std::unique_ptr<PGresult, Close>;

    [[nodiscard]] Result next_result();
    void wait(bool to_write, std::chrono::steady_clock::time_point deadline);
    [[noreturn]] void fail(const std::string& what);

    std::unique_ptr<PGconn, Close> connection_;
    std::chrono::milliseconds patience_;
    std::function<bool()> cancelled_;
    std::string sqlstate_;
};

}  // namespace tenon::backup_postgres
