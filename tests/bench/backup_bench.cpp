// SPDX-License-Identifier: Apache-2.0
// A backup of a SQLite database and its restore: how long, against `sqlite3 .backup` and `zstd -3`
// of the same, and what writers notice. Usage: backup_bench [MB], 1024 unless told. Figures are of
// wall time with a warm page cache; everything is synced.
#include "plugins/backup/sqlite/store.hpp"
#include "sdk/vault/folder_place.hpp"
#include "tests/unit/storage/backend.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <mutex>
#include <random>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;
using tenon::Session;
using tenon::test::SqliteBackend;
namespace capture = tenon::capture;
namespace vault = tenon::vault;
namespace fs = std::filesystem;

const auto k_quiet = [](auto, auto, auto) {};

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>{Clock::now() - begin}.count();
}

void pause_until(Clock::time_point at) {
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock{mutex};
    (void)never.wait_until(lock, at, [] { return false; });
}

// Rows as a table of orders has them: half of it numbers and words, half of it noise.
void fill(SqliteBackend& backend, std::uint64_t megabytes) {
    const auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, y TEXT) STRICT");
    });
    std::mt19937_64 random{1};
    std::int64_t id = 0;
    const std::int64_t rows = static_cast<std::int64_t>(megabytes) * 1'000'000 / 400;
    while (id < rows) {
        storage.write(backend.deadline(), [&](Session& s) {
            auto insert = s.prepare("INSERT INTO t VALUES (?, ?, ?)");
            for (int i = 0; i < 20'000 && id < rows; ++i, ++id) {
                std::string noise(190, ' ');
                for (char& c : noise) {
                    c = static_cast<char>('!' + random() % 90);
                }
                const std::string words =
                    "BTCUSDT LIMIT GTC FILLED price=" + std::to_string(random() % 100'000'000) +
                    " quantity=" + std::to_string(random() % 1'000'000) + std::string(100, '0');
                insert.bind_all(id, noise, words).run();
            }
        });
    }
}

// The 99th percentile of paced writes, in milliseconds, while `work` runs or for five seconds.
double p99_of_writes(SqliteBackend& backend, const std::function<void()>& work) {
    std::atomic<bool> is_done{false};
    std::thread worker{[&] {
        work();
        is_done = true;
    }};
    std::vector<double> times;
    auto next = Clock::now();
    std::mt19937_64 random{2};
    while (!is_done) {
        next += std::chrono::milliseconds{2};
        pause_until(next);
        const auto begin = Clock::now();
        backend.storage().write(backend.deadline(), [&](Session& s) {
            s.prepare("UPDATE t SET y = ? WHERE id = ?")
                .bind_all(std::to_string(random()), static_cast<std::int64_t>(random() % 1'000'000))
                .run();
        });
        times.push_back(seconds_since(begin) * 1000);
    }
    worker.join();
    std::sort(times.begin(), times.end());
    return times.empty() ? 0 : times[times.size() * 99 / 100];
}

double timed(const std::string& command) {
    const auto begin = Clock::now();
    if (std::system(command.c_str()) != 0) {
        (void)std::fprintf(stderr, "failed: %s\n", command.c_str());
        std::exit(1);
    }
    return seconds_since(begin);
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t megabytes = argc > 1 ? std::stoull(argv[1]) : 1024;
    SqliteBackend backend;
    const std::string folder = backend.folder.path().string();
    fill(backend, megabytes);
    backend.close();
    const std::string file = backend.settings.file;
    const double mb = static_cast<double>(fs::file_size(file)) / 1e6;
    const double peer = timed(
        "sqlite3 '" + file + "' \".backup '" + folder + "/peer.db'\" && zstd -q -3 '" + folder +
        "/peer.db' -o '" + folder + "/peer.zst' && sync '" + folder + "/peer.zst'"
    );
    const double peer_mb = static_cast<double>(fs::file_size(folder + "/peer.zst")) / 1e6;
    fs::remove(folder + "/peer.db");

    backend.settings.capture.folder = folder + "/captured";
    const auto begin = Clock::now();
    backend.open();
    while (capture::list(folder + "/captured").bases.empty()) {
        pause_until(Clock::now() + std::chrono::milliseconds{5});
    }
    const double base = seconds_since(begin);
    tenon::backup_sqlite::Store store{
        folder + "/captured",
        folder + "/scratch",
        std::make_unique<vault::Vault>(
            std::make_shared<vault::FolderPlace>(folder + "/backups"), vault::Options{3, {}}
        )};
    const auto copying = Clock::now();
    const auto made = store.create("", 1'780'000'000'000'000'000, k_quiet);
    const double copied = seconds_since(copying);
    std::printf(
        "database %.0f MB; sqlite3 .backup + zstd -3: %.2f s, %.0f MB\n"
        "base %.2f s + backup %.2f s = %.2f s (%.2f times), %.0f MB\n",
        mb,
        peer,
        peer_mb,
        base,
        copied,
        base + copied,
        (base + copied) / peer,
        static_cast<double>(made.bytes()) / 1e6
    );
    const auto restoring = Clock::now();
    (void)store.restore(made.id, {}, folder + "/restored", k_quiet);
    const double restored = seconds_since(restoring);
    std::printf("restore %.2f s, %.0f MB/s\n", restored, mb / restored);
    const auto trying = Clock::now();
    (void)store.drill(made.id, 1'780'000'000'000'000'000, k_quiet);
    std::printf("drill %.2f s\n", seconds_since(trying));
    fs::remove_all(folder + "/restored");

    const double quiet =
        p99_of_writes(backend, [] { pause_until(Clock::now() + std::chrono::seconds{5}); });
    // A base of the same bytes again, as the storage makes one, and a backup into an empty store.
    const double busy = p99_of_writes(backend, [&] {
        const capture::BaseHeader header =
            capture::read_base_header(capture::list(folder + "/captured").bases.back().file);
        const capture::Descriptor fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
        capture::write_base(
            folder + "/again.base",
            header,
            [&](std::uint32_t number, unsigned char* to) {
                (void)capture::read_at(
                    fd.get(),
                    to,
                    header.page_size,
                    std::uint64_t{number - 1} * header.page_size,
                    file
                );
            },
            1,
            {}
        );
        tenon::backup_sqlite::Store again{
            folder + "/captured",
            folder + "/scratch",
            std::make_unique<vault::Vault>(
                std::make_shared<vault::FolderPlace>(folder + "/backups-again"),
                vault::Options{3, {}}
            )};
        (void)again.create("", 1'780'000'000'000'000'000, k_quiet);
    });
    std::printf(
        "writes, 99th percentile: %.2f ms, %.2f ms during base and backup (%.2f times)\n",
        quiet,
        busy,
        busy / quiet
    );
}
