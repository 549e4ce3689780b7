// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/table_listener.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace tenon::postgres {
namespace {

constexpr std::int64_t k_answer_ns = 5 * k_second;
constexpr std::int64_t k_look_ns = k_second;
constexpr BackoffOptions k_reconnect_waits{100 * k_ms, 5 * k_second};
// "tenon_ta" as a number.
constexpr const char* k_lock = "8387231305919591521";
// No tables are told with two blanks in a row.
constexpr const char* k_hello = "  hello";

[[noreturn]] void lost(const std::string& what) {
    throw DatabaseError{TENON_UNAVAILABLE, what, Failure::other_host, ""};
}

}  // namespace

TableListener::TableListener(const Telemetry& telemetry, Tables& tables, Primary primary)
    : telemetry_{telemetry},
      tables_{tables},
      primary_{std::move(primary)},
      alarm_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {}

TableListener::~TableListener() {
    stop();
    if (alarm_ >= 0) {
        ::close(alarm_);
    }
}

void TableListener::start() {
    thread_ = std::thread{[this] { run(); }};
}

void TableListener::stop() noexcept {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_all();
    const std::uint64_t one = 1;
    (void)!::write(alarm_, &one, sizeof one);
    if (thread_.joinable()) {
        thread_.join();
    }
    tables_.trust(false);
}

bool TableListener::pause(std::int64_t ns) {
    std::unique_lock lock{mutex_};
    return !wake_.wait_for(lock, std::chrono::nanoseconds{ns}, [&] { return stopping_; });
}

void TableListener::run() noexcept {
    Backoff waits{k_reconnect_waits, 1};
    do {
        (void)guard(nullptr, [&] {
            connect();
            waits.reset();
            listen();
        });
        tables_.trust(false);
        tables_.announce(true);
        session_.reset();
    } while (pause(waits.next()));
}

// ---- the session

// False: nothing came in time. Throws when stopping.
bool TableListener::wait_socket(bool readable, std::int64_t deadline_ns) {
    const auto events = static_cast<short>(readable ? POLLIN : POLLOUT);
    for (;;) {
        std::array<pollfd, 2> both{
            pollfd{PQsocket(session_.get()), events, 0}, pollfd{alarm_, POLLIN, 0}};
        const std::int64_t left_ns = deadline_ns - telemetry_.now_ns();
        if (left_ns <= 0) {
            return false;
        }
        const int ready = ::poll(both.data(), both.size(), static_cast<int>(left_ns / k_ms + 1));
        if (both[1].revents != 0) {
            lost("stopping");
        }
        if (ready > 0) {
            return true;
        }
        if (ready < 0 && errno != EINTR) {
            lost("cannot wait");
        }
    }
}

void TableListener::connect() {
    auto [host, keywords] = primary_();
    host_ = host;
    keywords.emplace_back("application_name", "tenon listener");
    keywords.emplace_back("client_encoding", "UTF8");
    std::vector<const char*> names;
    std::vector<const char*> values;
    for (const auto& [name, value] : keywords) {
        names.push_back(name.c_str());
        values.push_back(value.c_str());
    }
    names.push_back(nullptr);
    values.push_back(nullptr);
    session_.reset(PQconnectStartParams(names.data(), values.data(), 0));
    if (!session_ || PQstatus(session_.get()) == CONNECTION_BAD) {
        lost("cannot connect");
    }
    PQsetNoticeProcessor(
        session_.get(), [](void*, const char*) {}, nullptr
    );
    const std::int64_t deadline_ns = telemetry_.now_ns() + k_answer_ns;
    for (PostgresPollingStatusType state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK;) {
        if (!wait_socket(state == PGRES_POLLING_READING, deadline_ns)) {
            lost("no answer in time");
        }
        state = PQconnectPoll(session_.get());
        if (state == PGRES_POLLING_FAILED) {
            lost("cannot connect");
        }
    }
    const std::string channel = k_tables_channel;
    (void)ask("LISTEN " + channel);
    (void)ask(std::string{"SELECT pg_catalog.pg_advisory_lock_shared("} + k_lock + ")");
    (void)ask("NOTIFY " + channel + ", '" + tables_.sender() + k_hello + "'");
    written_.clear();
    met_ = false;
    trust_at_ns_ = 0;
}

Result TableListener::ask(const std::string& sql) {
    PGconn* const session = session_.get();
    if (PQsendQuery(session, sql.c_str()) == 0) {
        lost("cannot ask");
    }
    const std::int64_t deadline_ns = telemetry_.now_ns() + k_answer_ns;
    Result answer;
    for (;;) {
        while (PQisBusy(session) != 0) {
            if (!wait_socket(true, deadline_ns) || PQconsumeInput(session) == 0) {
                lost("the session is lost");
            }
        }
        Result next{PQgetResult(session)};
        if (!next) {
            break;
        }
        answer = std::move(next);
    }
    if (!answer || is_error(answer.get())) {
        lost("cannot ask");
    }
    take_notifications();
    return answer;
}

void TableListener::listen() {
    std::int64_t next_look_ns = 0;
    while (primary_().first == host_) {
        if (telemetry_.now_ns() >= next_look_ns) {
            look();
            next_look_ns = telemetry_.now_ns() + k_look_ns;
        }
        if (!wait_socket(true, next_look_ns)) {
            continue;
        }
        if (PQconsumeInput(session_.get()) == 0) {
            lost("the session is lost");
        }
        take_notifications();
    }
}

// ---- what is heard

void TableListener::take_notifications() {
    struct Free {
        void operator()(PGnotify* one) const noexcept { PQfreemem(one); }
    };

    while (const std::unique_ptr<PGnotify, Free> one{PQnotifies(session_.get())}) {
        const std::string_view said = one->extra;
        if (!said.ends_with(k_hello)) {
            tables_.hear(said);  // what anybody else says has no meaning to it
        } else if (said.substr(0, said.find(' ')) != tables_.sender()) {
            tables_.announce(true);
        }
    }
}

void TableListener::look() {
    look_for_peers();
    look_for_strangers();
    if (tables_.is_trusted()) {
        return;
    }
    const std::int64_t now_ns = telemetry_.now_ns();
    if (trust_at_ns_ == 0) {
        trust_at_ns_ = now_ns + (tables_.is_announcing() ? k_grace_ns : 0);
    }
    if (now_ns >= trust_at_ns_) {
        tables_.trust(true);
    }
}

void TableListener::look_for_peers() {
    const Result count =
        ask(std::string{
                "SELECT count(*) FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND mode "
                "= 'ShareLock' AND objsubid = 1 AND database = (SELECT oid FROM "
                "pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) AND "
                "(classid::bigint << 32 | objid::bigint) = "} +
            k_lock);
    tables_.announce(std::string_view{PQgetvalue(count.get(), 0, 0)} != "1");
}

// Rows that were written, by table; of the catalogue where it tells of tables and functions. They
// count our own writes too, which costs hits and nothing else.
void TableListener::look_for_strangers() {
    const Result all = ask(
        "SELECT c.relname, sum(t.n_tup_ins + t.n_tup_upd + t.n_tup_del)::text FROM "
        "pg_catalog.pg_stat_all_tables t JOIN pg_catalog.pg_class c ON c.oid = t.relid WHERE "
        "t.schemaname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') OR (t.schemaname = "
        "'pg_catalog' AND t.relname IN ('pg_class', 'pg_trigger', 'pg_rewrite', 'pg_proc', "
        "'pg_constraint', 'pg_inherits')) GROUP BY c.relname"
    );
    for (int i = 0; i < PQntuples(all.get()); ++i) {
        const std::string table = PQgetvalue(all.get(), i, 0);
        const std::string written = PQgetvalue(all.get(), i, 1);
        auto [known, is_new] = written_.try_emplace(table, written);
        if (std::exchange(known->second, written) == written && (!is_new || !met_)) {
            continue;
        }
        if (table.substr(0, 3) == "pg_") {
            tables_.forget();
            tables_.cache().invalidate_all();
        } else {
            tables_.outdate(table);
        }
    }
    met_ = true;
}

}  // namespace tenon::postgres
