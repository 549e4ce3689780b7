// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/host_probe.hpp"

#include "plugins/storage/postgres/cluster/addresses.hpp"

#include <tenon/plugin.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <poll.h>
#include <string_view>

namespace tenon::postgres {
namespace {

constexpr const char* k_identify =
    "SELECT r, (SELECT system_identifier FROM pg_catalog.pg_control_system()),"
    " (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::int8,"
    " CASE WHEN r THEN greatest("
    "  (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery())::int8,"
    "  (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())::int8,"
    "  (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver)::int8)"
    " ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8))"
    "  ::bit(32)::int8 END,"
    " CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn()"
    "  ELSE pg_catalog.pg_current_wal_flush_lsn() END"
    " FROM (SELECT pg_catalog.pg_is_in_recovery() AS r) AS t";

std::string_view field(const pg_result* result, int column) {
    return PQgetvalue(result, 0, column);
}

template <class Number>
Number number(const pg_result* result, int column) {
    const std::string_view text = field(result, column);
    Number value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        throw Error{
            TENON_CORRUPT,
            "the server's answer has \"" + std::string{text} + "\", expected a number"};
    }
    return value;
}

std::vector<std::pair<std::string, std::string>> keywords_of(const std::string& conninfo) {
    std::vector<std::pair<std::string, std::string>> keywords;
    PQconninfoOption* const options = PQconninfoParse(conninfo.c_str(), nullptr);
    for (const PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr;
         ++option) {
        if (option->val != nullptr) {
            keywords.emplace_back(option->keyword, option->val);
        }
    }
    PQconninfoFree(options);
    return keywords;
}

// Without the line break at its end.
std::string message_of(const pg_conn* connection) {
    std::string text = PQerrorMessage(connection);
    text.erase(text.find_last_not_of(" \n") + 1);
    return text;
}

}  // namespace

void HostProbe::Finish::operator()(pg_conn* connection) const noexcept {
    PQfinish(connection);
}

void HostProbe::Clear::operator()(pg_result* result) const noexcept {
    PQclear(result);
}

HostProbe::HostProbe(std::size_t host, std::string conninfo, Clock clock)
    : host_{host}, conninfo_{std::move(conninfo)}, clock_{std::move(clock)} {}

HostProbe::~HostProbe() = default;

void HostProbe::give_up(const std::string& what) {
    connection_.reset();
    throw Error{TENON_UNAVAILABLE, what};
}

void HostProbe::wait_for(bool readable, std::int64_t deadline_ns) {
    constexpr std::int64_t k_ms = 1'000'000;
    pollfd waiting{PQsocket(connection_.get()), static_cast<short>(readable ? POLLIN : POLLOUT), 0};
    for (;;) {
        const std::int64_t left_ms = (deadline_ns - clock_() + k_ms - 1) / k_ms;
        if (left_ms <= 0) {
            give_up("no answer in time");
        }
        const int ready =
            ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left_ms, 60'000)));
        if (ready > 0) {
            return;
        }
        if (ready < 0 && errno != EINTR) {
            give_up(std::string{"poll: "} + std::strerror(errno));
        }
    }
}

void HostProbe::connect(std::int64_t deadline_ns) {
    std::string conninfo = conninfo_;
    for (const auto& [name, value] : addresses_of(keywords_of(conninfo_), deadline_ns, clock_)) {
        conninfo.append(" ").append(name).append("='").append(value).append("'");
    }
    connection_.reset(PQconnectStart(conninfo.c_str()));
    if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD) {
        give_up(connection_ ? message_of(connection_.get()) : "out of memory");
    }
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        wait_for(state == PGRES_POLLING_READING, deadline_ns);
        state = PQconnectPoll(connection_.get());
        if (state == PGRES_POLLING_FAILED) {
            give_up(message_of(connection_.get()));
        }
    }
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr
    );
}

HostProbe::Result HostProbe::ask(const char* sql, std::int64_t deadline_ns) {
    pg_conn* connection = connection_.get();
    if (PQsendQuery(connection, sql) == 0) {
        give_up(message_of(connection));
    }
    Result answer;
    for (;;) {
        while (PQisBusy(connection) != 0) {
            wait_for(true, deadline_ns);
            if (PQconsumeInput(connection) == 0) {
                give_up(message_of(connection));
            }
        }
        Result next{PQgetResult(connection)};
        if (!next) {
            break;
        }
        answer = std::move(next);
    }
    if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK || PQntuples(answer.get()) != 1) {
        give_up(message_of(connection));
    }
    return answer;
}

Observation HostProbe::observe(std::int64_t timeout_ns) {
    Observation seen;
    seen.host = host_;
    const std::int64_t deadline_ns = clock_() + timeout_ns;
    try {
        if (!connection_) {
            connect(deadline_ns);
        }
        const std::int64_t began_ns = clock_();
        const Result answer = ask(k_identify, deadline_ns);
        seen.latency_ns = clock_() - began_ns;
        seen.in_recovery = field(answer.get(), 0) == "t";
        seen.system = number<std::uint64_t>(answer.get(), 1);
        seen.started_us = number<std::int64_t>(answer.get(), 2);
        seen.position.timeline = number<std::uint32_t>(answer.get(), 3);
        seen.position.lsn = parse_lsn(field(answer.get(), 4)).value_or(0);
        seen.answered = true;
    } catch (const Error& e) {
        connection_.reset();
        seen.failure = e.what();
    }
    return seen;
}

}  // namespace tenon::postgres
