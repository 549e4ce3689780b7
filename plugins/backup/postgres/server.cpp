// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/postgres/server.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <poll.h>

namespace tenon::backup_postgres {
namespace {

using std::chrono::steady_clock;
constexpr int k_look_ms = 200;

std::string quoted(std::string_view value) {
    std::string text{"'"};
    for (const char c : value) {
        text.append(c == '\'' || c == '\\' ? "\\" : "").push_back(c);
    }
    return text + "'";
}

// Hosts and ports of equal number, as libpq wants them.
void add_hosts(const std::vector<std::string>& hosts, std::string& text) {
    std::string names;
    std::string ports;
    for (const std::string& host : hosts) {
        const std::size_t colon = host.front() == '/' ? std::string::npos : host.rfind(':');
        const char* const comma = &host == &hosts.front() ? "" : ",";
        names += comma + host.substr(0, colon);
        ports += comma + (colon == std::string::npos ? "" : host.substr(colon + 1));
    }
    text += "host=" + quoted(names) + " port=" + quoted(ports) + " ";
}

struct Options {
    explicit Options(const std::string& conninfo) {
        char* error = nullptr;
        all = PQconninfoParse(conninfo.c_str(), &error);
        PQfreemem(error);  // it may quote a secret
        if (all == nullptr) {
            throw Error{TENON_INVALID, "setting /conninfo is no connection string of libpq"};
        }
    }

    ~Options() { PQconninfoFree(all); }

    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;

    PQconninfoOption* all;
};

}  // namespace

std::string conninfo_of(const ServerSettings& settings) {
    std::string text;
    if (!settings.hosts.empty()) {
        add_hosts(settings.hosts, text);
        if (settings.hosts.size() > 1) {
            text += "target_session_attrs=read-write ";
        }
    }
    text += "dbname=" + quoted(settings.database) + " ";
    if (!settings.user.empty()) {
        text += "user=" + quoted(settings.user) + " ";
    }
    text += "application_name='tenon backup' connect_timeout=5 ";
    const Options parsed{settings.conninfo};
    for (const PQconninfoOption* one = parsed.all; one->keyword != nullptr; ++one) {
        const std::string_view name{one->keyword};
        if (one->val == nullptr || name == "password") {
            continue;
        }
        if (name == "sslpassword") {
            throw Error{
                TENON_INVALID,
                "setting /conninfo: sslpassword would have to be told to pg_basebackup on its "
                "command line, which every user can read; use a key file without a password"};
        }
        text += std::string{name} + "=" + quoted(one->val) + " ";
    }
    return text;
}

std::vector<std::string> environment_of(const ServerSettings& settings) {
    std::string password = settings.password;
    const Options parsed{settings.conninfo};
    for (const PQconninfoOption* one = parsed.all; one->keyword != nullptr; ++one) {
        if (std::string_view{one->keyword} == "password" && one->val != nullptr) {
            password = one->val;
        }
    }
    return password.empty() ? std::vector<std::string>{}
                            : std::vector<std::string>{"PGPASSWORD=" + password};
}

Session::Session(
    const ServerSettings& settings,
    bool replication,
    std::chrono::milliseconds patience,
    std::function<bool()> cancelled
)
    : patience_{patience}, cancelled_{std::move(cancelled)} {
    std::string text = conninfo_of(settings) + (replication ? "replication=true " : "");
    for (const std::string& one : environment_of(settings)) {
        text += "password=" + quoted(one.substr(one.find('=') + 1));
    }
    connection_.reset(PQconnectStart(text.c_str()));
    const auto deadline = steady_now() + patience_;
    for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK;
         state = PQconnectPoll(connection_.get())) {
        if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD ||
            state == PGRES_POLLING_FAILED) {
            fail("cannot connect");
        }
        wait(state == PGRES_POLLING_WRITING, deadline);
    }
    if (PQsetnonblocking(connection_.get(), 1) != 0) {
        fail("cannot connect");
    }
}

void Session::fail(const std::string& what) {
    std::string why = connection_ ? PQerrorMessage(connection_.get()) : "out of memory";
    why.erase(why.find_last_not_of('\n') + 1);
    throw Error{TENON_UNAVAILABLE, what + ": " + why};
}

void Session::wait(bool to_write, steady_clock::time_point deadline) {
    for (;;) {
        if (cancelled_ && cancelled_()) {
            throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
        }
        if (steady_now() > deadline) {
            throw Error{TENON_TIMEOUT, "the database server does not answer in time"};
        }
        pollfd one{
            PQsocket(connection_.get()),
            static_cast<short>(to_write ? POLLIN | POLLOUT : POLLIN),
            0};
        if (::poll(&one, 1, k_look_ms) > 0) {
            return;
        }
    }
}

Session::Result Session::next_result() {
    const auto deadline = steady_now() + patience_;
    for (;;) {
        const int unsent = PQflush(connection_.get());
        if (unsent < 0 || PQconsumeInput(connection_.get()) != 1) {
            fail("the session was lost");
        }
        if (unsent == 0 && PQisBusy(connection_.get()) == 0) {
            return Result{PQgetResult(connection_.get())};
        }
        wait(unsent == 1, deadline);
    }
}

Rows Session::query(const std::string& sql) {
    if (PQsendQuery(connection_.get(), sql.c_str()) != 1) {
        fail("cannot ask");
    }
    Rows rows;
    std::string failure;
    for (Result result; (result = next_result());) {
        const auto status = PQresultStatus(result.get());
        if (status == PGRES_TUPLES_OK) {
            rows.clear();
            for (int row = 0; row < PQntuples(result.get()); ++row) {
                auto& columns = rows.emplace_back();
                for (int i = 0; i < PQnfields(result.get()); ++i) {
                    columns.emplace_back(
                        PQgetvalue(result.get(), row, i),
                        static_cast<std::size_t>(PQgetlength(result.get(), row, i))
                    );
                }
            }
        } else if (status != PGRES_COMMAND_OK && failure.empty()) {
            const char* const state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
            sqlstate_ = state == nullptr ? "" : state;
            failure = PQresultErrorMessage(result.get());
        }
    }
    if (!failure.empty()) {
        failure.erase(failure.find_last_not_of('\n') + 1);
        throw Error{TENON_UNAVAILABLE, failure};
    }
    return rows;
}

std::string Session::ask(const std::string& sql) {
    const Rows rows = query(sql);
    if (rows.size() != 1 || rows.front().empty()) {
        throw Error{TENON_INTERNAL, "one row was expected of: " + sql};
    }
    return rows.front().front();
}

void Session::start_copy(const std::string& command) {
    if (PQsendQuery(connection_.get(), command.c_str()) != 1) {
        fail("cannot ask");
    }
    const Result result = next_result();
    if (!result || PQresultStatus(result.get()) != PGRES_COPY_BOTH) {
        const char* const state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
        sqlstate_ = state == nullptr ? "" : state;
        fail("the server does not send its log");
    }
}

bool Session::receive(std::string& message, std::chrono::milliseconds wait_at_most) {
    message.clear();
    const auto deadline = steady_now() + wait_at_most;
    for (;;) {
        char* raw = nullptr;
        const int size = PQgetCopyData(connection_.get(), &raw, 1);
        if (size > 0) {
            message.assign(raw, static_cast<std::size_t>(size));
            PQfreemem(raw);
            return true;
        }
        if (size < -1) {
            fail("the stream of the log was lost");
        }
        if (size == -1) {
            // The timeline has ended, or the server stops: what follows says which. The copy is
            // ended only when it is our turn: in a connection that has failed it is not, and the
            // complaint about that would hide the server's reason.
            for (Result result; (result = next_result());) {
                const auto status = PQresultStatus(result.get());
                if (status == PGRES_COPY_IN || status == PGRES_COPY_BOTH) {
                    if (PQputCopyEnd(connection_.get(), nullptr) != 1) {
                        fail("the stream of the log cannot be ended");
                    }
                } else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
                    const char* const state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
                    sqlstate_ = state == nullptr ? "" : state;
                    fail("the stream of the log has ended");
                }
            }
            return false;
        }
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_now());
        if (left.count() <= 0) {
            return true;
        }
        const int unsent = PQflush(connection_.get());
        pollfd one{
            PQsocket(connection_.get()),
            static_cast<short>(unsent == 1 ? POLLIN | POLLOUT : POLLIN),
            0};
        if (::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(left.count(), k_look_ms))) >
                0 &&
            PQconsumeInput(connection_.get()) != 1) {
            fail("the stream of the log was lost");
        }
        if (cancelled_ && cancelled_()) {
            throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
        }
    }
}

void Session::send(std::string_view message) {
    if (PQputCopyData(connection_.get(), message.data(), static_cast<int>(message.size())) < 0 ||
        PQflush(connection_.get()) < 0) {
        fail("the stream of the log was lost");
    }
}

}  // namespace tenon::backup_postgres
