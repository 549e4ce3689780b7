// SPDX-License-Identifier: Apache-2.0
// Durable one-row transactions by many clients: the storage plugin's group commit against a
// connection per thread with a busy timeout, on the same disk, interleaved. Usage: storage_bench
// [FOLDER [CLIENTS]]. Every round is printed; the rounds of one number of clients are to be
// compared.
#include "plugins/storage/sqlite/database.hpp"

#include <tenon/storage.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto k_round = std::chrono::milliseconds{1500};
constexpr int k_rounds = 3;
constexpr auto k_insert = "INSERT INTO t (a, b, c) VALUES (?, ?, ?)";
constexpr auto k_schema =
    "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c INTEGER) STRICT";

struct Outcome {
    double per_second = 0;
    double p50_us = 0, p99_us = 0, max_us = 0;
    double cpu_us = 0;  // of all threads, a transaction: what a busy machine does not change much
    std::uint64_t errors = 0;
};

// One client: a transaction a call; false when it failed.
using Client = std::function<bool(std::int64_t)>;

double used_us() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto us = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
    };
    return us(used.ru_utime) + us(used.ru_stime);
}

Outcome measure(unsigned clients, const std::function<Client()>& make) {
    std::atomic<std::uint64_t> errors{0};
    std::vector<std::vector<float>> times(clients);
    std::vector<std::thread> threads;
    const double cpu_began_us = used_us();
    const auto began = Clock::now();
    for (unsigned c = 0; c < clients; ++c) {
        threads.emplace_back([&, c] {
            const Client client = make();
            auto start = Clock::now();
            for (std::int64_t i = 0; start - began < k_round; ++i, start = Clock::now()) {
                if (client(i)) {
                    times[c].push_back(
                        std::chrono::duration<float, std::micro>(Clock::now() - start).count()
                    );
                } else {
                    ++errors;
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    const std::chrono::duration<double> took = Clock::now() - began;
    const double cpu_us = used_us() - cpu_began_us;
    std::vector<float> all;
    for (const auto& some : times) {
        all.insert(all.end(), some.begin(), some.end());
    }
    std::sort(all.begin(), all.end());
    Outcome outcome;
    outcome.errors = errors;
    if (!all.empty()) {
        outcome.cpu_us = cpu_us / static_cast<double>(all.size());
        outcome.per_second = static_cast<double>(all.size()) / took.count();
        outcome.p50_us = static_cast<double>(all[all.size() / 2]);
        outcome.p99_us = static_cast<double>(all[all.size() * 99 / 100]);
        outcome.max_us = static_cast<double>(all.back());
    }
    return outcome;
}

std::int64_t now_ns(void*) noexcept {
    return std::chrono::nanoseconds{Clock::now().time_since_epoch()}.count();
}

class GroupCommit {
public:
    explicit GroupCommit(const std::string& file) {
        tenon::sqlite::Settings settings;
        settings.file = file;
        tenon::sqlite::Telemetry telemetry;
        telemetry.clock = {nullptr, &k_clock};
        holder_.database = std::make_unique<tenon::sqlite::Database>(settings, telemetry);
        storage_.write(tenon::k_no_deadline, [](tenon::Session& s) { s.execute(k_schema); });
    }

    Client client() {
        return [this](std::int64_t i) {
            try {
                storage_.write(tenon::k_no_deadline, [&](tenon::Session& s) {
                    s.prepare(k_insert).bind_all(i, "some text of an order", i * 7).run();
                });
                return true;
            } catch (const tenon::Error&) {
                return false;
            }
        };
    }

private:
    static constexpr tenon_clock_1 k_clock{sizeof(tenon_clock_1), 0, &now_ns, &now_ns};
    tenon::sqlite::DatabaseHolder holder_;
    tenon::Storage storage_{{&holder_, &tenon::sqlite::storage_table()}};
};

// What is usual: every thread has a connection and waits for the lock.
Client own_connection(const std::string& file) {
    sqlite3* db = nullptr;
    sqlite3_open(file.c_str(), &db);
    sqlite3_busy_timeout(db, 10'000);
    sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", nullptr, nullptr, nullptr);
    sqlite3_exec(db, k_schema, nullptr, nullptr, nullptr);
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(db, k_insert, -1, &insert, nullptr);
    const std::shared_ptr<sqlite3> closer{db, [](sqlite3* d) { sqlite3_close_v2(d); }};
    const std::shared_ptr<sqlite3_stmt> statement{
        insert, [](sqlite3_stmt* s) { sqlite3_finalize(s); }};
    return [closer, statement](std::int64_t i) {
        sqlite3* d = closer.get();
        sqlite3_stmt* s = statement.get();
        if (sqlite3_exec(d, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) != SQLITE_OK) {
            return false;
        }
        sqlite3_bind_int64(s, 1, i);
        sqlite3_bind_text(s, 2, "some text of an order", -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, i * 7);
        const bool done = sqlite3_step(s) == SQLITE_DONE;
        sqlite3_reset(s);
        return sqlite3_exec(d, done ? "COMMIT" : "ROLLBACK", nullptr, nullptr, nullptr) ==
                   SQLITE_OK &&
               done;
    };
}

void print(const char* what, unsigned clients, int round, const Outcome& o) {
    std::printf(
        "%-16s %4u clients  round %d  %9.0f tx/s  p50 %8.0f us  p99 %9.0f us  max %9.0f us  "
        "cpu %5.1f us  errors %llu\n",
        what,
        clients,
        round,
        o.per_second,
        o.p50_us,
        o.p99_us,
        o.max_us,
        o.cpu_us,
        static_cast<unsigned long long>(o.errors)
    );
    std::fflush(stdout);
}

// What one sync of the disk costs, on a file that does not grow.
void print_sync(const std::string& file) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const std::string block(8192, 'x');
    std::vector<float> times;
    for (int i = 0; i < 500 && fd >= 0; ++i) {
        const auto start = Clock::now();
        if (::pwrite(fd, block.data(), block.size(), 0) < 0 || ::fdatasync(fd) != 0) {
            break;
        }
        times.push_back(std::chrono::duration<float, std::micro>(Clock::now() - start).count());
    }
    ::close(fd);
    std::sort(times.begin(), times.end());
    if (!times.empty()) {
        std::printf(
            "fdatasync of a page: p50 %.0f us\n", static_cast<double>(times[times.size() / 2])
        );
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::filesystem::path folder{argc > 1 ? argv[1] : "."};
    print_sync((folder / "sync").string());
    std::vector<unsigned> counts{1, 8, 32, 128};
    if (argc > 2) {
        counts = {static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10))};
    }
    for (const unsigned clients : counts) {
        double ours = 0;
        double usual = 0;
        for (int round = 1; round <= k_rounds; ++round) {
            const std::string name = std::to_string(clients) + "-" + std::to_string(round);
            {
                GroupCommit group{(folder / ("group-" + name + ".db")).string()};
                const Outcome o = measure(clients, [&] { return group.client(); });
                print("group commit", clients, round, o);
                ours += o.per_second;
            }
            const std::string file = (folder / ("own-" + name + ".db")).string();
            const Client first = own_connection(file);
            const Outcome o = measure(clients, [&] { return own_connection(file); });
            print("own connection", clients, round, o);
            usual += o.per_second;
        }
        std::printf("%u clients: group commit is %.1f times as fast\n", clients, ours / usual);
    }
    return 0;
}
