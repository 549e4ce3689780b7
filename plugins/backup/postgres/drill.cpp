// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/postgres/drill.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <random>
#include <sstream>

namespace tenon::backup_postgres {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds k_answer{600'000};
constexpr int k_nap_ms = 100;
constexpr std::size_t k_socket_path_max = 107;
// Rows that were taken over from elsewhere are numbered from here on, and may come at any time.
constexpr const char* k_imported = "4503599627370496";

// Both tables only grow; a row in question is known by the command that made it.
struct Digest {
    std::string sequence = "0";
    std::string trades;
    std::string transfers;
};

bool has_platform(Session& session) {
    return session.ask(
               "SELECT to_regclass('projection_offset') IS NOT NULL AND to_regclass('trades') IS "
               "NOT NULL AND to_regclass('ledger_entries') IS NOT NULL AND "
               "to_regclass('balances') IS NOT NULL"
           ) == "t";
}

std::string sum_of_rows(const std::string& table, const std::string& where) {
    return "(SELECT count(*) || ' rows, sum ' || coalesce(sum(hashtextextended(t::text, "
           "0)::numeric), 0) FROM " +
           table + " t WHERE " + where + ")";
}

Digest digest_of(Session& session, const std::string& sequence) {
    const std::string bound =
        sequence.empty() ? "(SELECT coalesce(max(sequence), 0) FROM projection_offset)" : sequence;
    const Rows rows = session.query(
        "WITH bound AS MATERIALIZED (SELECT " + bound +
        "::bigint AS s) SELECT (SELECT s FROM bound), " +
        sum_of_rows(
            "trades",
            std::string{"t.sequence <= (SELECT s FROM bound) AND t.order_id < "} + k_imported
        ) +
        ", " + sum_of_rows("ledger_entries", "t.sequence <= (SELECT s FROM bound)")
    );
    return {rows.at(0).at(0), rows[0].at(1), rows[0].at(2)};
}

// Of an account whose money is counted, every asset's sum is zero.
void check_sums(Session& session) {
    const Rows wrong = session.query(
        "SELECT coalesce(a.name, b.asset::text), sum(b.free::numeric + b.locked) FROM balances b "
        "LEFT JOIN assets a ON a.id = b.asset GROUP BY 1 "
        "HAVING sum(b.free::numeric + b.locked) <> 0 ORDER BY 1"
    );
    if (!wrong.empty()) {
        throw Error{
            TENON_CORRUPT,
            "the balances of " + wrong[0].at(0) + " sum up to " + wrong[0].at(1) + ", not to 0"};
    }
}

class Scratch {
public:
    explicit Scratch(const std::string& parent) {
        folder_ = parent + "/tenon-drill-" + std::string(6, 'X');  // mkdtemp(3) replaces them
        if (::mkdtemp(folder_.data()) == nullptr) {
            throw Error{
                TENON_UNAVAILABLE,
                "cannot make a folder in " + parent + ": " + std::strerror(errno)};
        }
        give_to_server_user(folder_);
        if (folder_.size() + sizeof "/.s.PGSQL.5432" > k_socket_path_max) {
            throw Error{TENON_INVALID, "the path " + folder_ + " is too long for a unix socket"};
        }
    }

    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }

    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    [[nodiscard]] const std::string& folder() const noexcept { return folder_; }

private:
    std::string folder_;
};

// A server over a restored folder, that nobody else reaches and that changes nothing outside.
class ScratchServer {
public:
    ScratchServer(const Backups& backups, const Manifest& from, const std::string& folder)
        : folder_{folder}, daemon_{command(backups, from, folder), folder + "/log"} {}

    ~ScratchServer() { daemon_.stop(SIGINT, milliseconds{20'000}); }

    ScratchServer(const ScratchServer&) = delete;
    ScratchServer& operator=(const ScratchServer&) = delete;

    void wait_until_primary(
        const ServerSettings& there,
        steady_clock::time_point deadline,
        const Backups& backups
    ) {
        while (PQping(conninfo_of(there).c_str()) != PQPING_OK) {
            if (!daemon_.running()) {
                throw Error{TENON_CORRUPT, "the restored server does not start: " + log()};
            }
            if (backups.cancelled()) {
                throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
            }
            if (steady_now() > deadline) {
                throw Error{TENON_TIMEOUT, "the restored server is not ready in time: " + log()};
            }
            ::poll(nullptr, 0, k_nap_ms);
        }
    }

private:
    // What the cluster's own settings would do to others is off; its sizes are not taken over.
    static Command
    command(const Backups& backups, const Manifest& from, const std::string& folder) {
        std::ofstream{folder + "/server.conf"}
            << "listen_addresses = ''\nport = 5432\nmax_connections = 20\nshared_buffers = 64MB\n"
               "fsync = off\nhot_standby = off\nautovacuum = off\n";
        std::ofstream{folder + "/hba.conf"} << "local all all trust\n";
        std::ofstream{folder + "/ident.conf"}.flush();
        for (const char* name : {"/server.conf", "/hba.conf", "/ident.conf"}) {
            fs::permissions(folder + name, fs::perms::owner_read | fs::perms::owner_write);
            give_to_server_user(folder + name);
        }
        Command made;
        made.words = {
            program(backups.settings().tools, from.server_version, "postgres"),
            "-c",
            "config_file=" + folder + "/server.conf",
            "-c",
            "hba_file=" + folder + "/hba.conf",
            "-c",
            "ident_file=" + folder + "/ident.conf",
            "-D",
            folder + "/data",
            "-k",
            folder};
        // On the command line: postgresql.auto.conf comes with the backup and wins over a file.
        for (const char* one :
             {"listen_addresses=",
              "port=5432",
              "archive_mode=off",
              "archive_command=",
              "primary_conninfo=",
              "primary_slot_name=",
              "synchronous_standby_names=",
              "shared_preload_libraries=",
              "session_preload_libraries=",
              "local_preload_libraries=",
              "logging_collector=off",
              "log_destination=stderr",
              "ssl=off",
              "huge_pages=off",
              "shared_buffers=64MB",
              "max_connections=20",
              "max_worker_processes=4",
              "max_wal_senders=0",
              "hot_standby=off",
              "autovacuum=off",
              "fsync=off"}) {
            made.words.insert(made.words.end(), {"-c", one});
        }
        return made;
    }

    [[nodiscard]] std::string log() const {
        std::ostringstream text;
        text << std::ifstream{folder_ + "/log"}.rdbuf();
        const std::string all = text.str();
        return all.size() > 800 ? "…" + all.substr(all.size() - 800) : all;
    }

    std::string folder_;
    Daemon daemon_;
};

struct Look {
    std::string until;
    std::string checked;
    std::int64_t restore_ms = 0;
    std::string id;
};

Look look_at(
    Backups& backups,
    const DrillSettings& settings,
    const Target& target,
    const Digest* expected,
    const Say& say
) {
    const Scratch scratch{settings.scratch};
    const auto began = steady_now();
    Look look;
    const Restored made = backups.restore("", target, scratch.folder() + "/data", say);
    if (!made.passed_over.empty()) {
        throw Error{TENON_CORRUPT, made.passed_over.front()};  // a backup that cannot be proven
    }
    look.id = made.from.id;
    look.until = made.until;
    say("start", 0, 0);
    ScratchServer server{backups, made.from, scratch.folder()};
    ServerSettings there;
    there.hosts = {scratch.folder()};
    there.user = made.from.superuser;
    there.database = "postgres";
    server.wait_until_primary(there, began + settings.timeout, backups);
    look.restore_ms = std::chrono::duration_cast<milliseconds>(steady_now() - began).count();
    say("check", 0, 0);
    try {
        Command amcheck;
        amcheck.words = {
            program(backups.settings().tools, made.from.server_version, "pg_amcheck"),
            "-h",
            scratch.folder(),
            "-p",
            "5432",
            "-U",
            there.user,
            "--all",
            "--install-missing",
            "--heapallindexed"};
        (void)run(amcheck, {}, backups.bounds());
        look.checked = "pg_amcheck";
    } catch (const Error& e) {
        if (std::string_view{e.what()}.find(" is not there") == std::string_view::npos) {
            throw Error{backups.cancelled() ? e.code() : TENON_CORRUPT, e.what()};
        }
        look.checked = "no pg_amcheck";
    }
    there.database = backups.settings().server.database;
    Session session{there, false, k_answer, [&] { return backups.cancelled(); }};
    if (!has_platform(session)) {
        look.checked += ", no tables of the platform";
        return look;
    }
    check_sums(session);
    look.checked += ", sums of assets";
    if (expected != nullptr) {
        const Digest found = digest_of(session, expected->sequence);
        if (found.trades != expected->trades || found.transfers != expected->transfers) {
            throw Error{
                TENON_CORRUPT,
                "up to command " + expected->sequence + " there are trades (" + found.trades +
                    ") and transfers (" + found.transfers + "), the primary has (" +
                    expected->trades + ") and (" + expected->transfers + ")"};
        }
        look.checked += ", rows as the primary's";
    }
    return look;
}

}  // namespace

DrillReport
drill(Backups& backups, const DrillSettings& settings, std::uint64_t seed, const Say& say) {
    const std::vector<Manifest> all = backups.list();
    if (all.empty()) {
        throw Error{TENON_UNAVAILABLE, "there is no backup yet"};
    }
    DrillReport report;
    Digest expected;
    bool compares = false;
    {
        Session primary{
            backups.settings().server, false, k_answer, [&] { return backups.cancelled(); }};
        compares = has_platform(primary);
        if (compares) {
            expected = digest_of(primary, "");
        }
        const std::string written = primary.ask("SELECT pg_current_wal_flush_lsn()");
        backups.wait_until_stored(lsn_of(written));
    }
    // Both have to be right before anything is called proven.
    const Look newest = look_at(backups, settings, {}, compares ? &expected : nullptr, say);
    report.id = newest.id;
    report.newest = newest.until;
    report.checked = newest.checked;
    report.restore_ms = newest.restore_ms;
    const std::int64_t first = all.front().finished_ns;
    const std::int64_t last = backups.reached_real_ns();
    if (last > first) {
        std::mt19937_64 random{seed};
        Target target;
        target.real_ns = std::uniform_int_distribution<std::int64_t>{first, last}(random);
        report.older = iso_time(target.real_ns);
        try {
            (void)look_at(backups, settings, target, nullptr, say);
        } catch (const Error& e) {
            throw Error{e.code(), "restored to " + report.older + ": " + e.what()};
        }
    }
    backups.mark_proven(newest.id, real_now_ns());
    return report;
}

}  // namespace tenon::backup_postgres
