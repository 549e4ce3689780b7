// SPDX-License-Identifier: Apache-2.0
// SQLite's keys and durabilities beneath the contract: what is synced, and commits whose outcome is
// not known because the sync failed or the file went away meanwhile.
#include "tests/unit/storage/backend.hpp"

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include <atomic>
#include <fstream>
#include <thread>

using tenon::Failure;
using tenon::Session;
using tenon::StorageError;
using tenon::test::SqliteBackend;
namespace fs = std::filesystem;

namespace {

// SQLite's own files, whose syncs of write-ahead logs are counted and can be made to fail.
class CountedSyncs {
public:
    CountedSyncs() {
        sqlite3_initialize();
        real() = sqlite3_vfs_find(nullptr);
        shim_ = *real();
        shim_.zName = "counted";
        shim_.xOpen = &open;
        sqlite3_vfs_register(&shim_, 1);
        seen() = 0;
        failing() = 0;
    }

    CountedSyncs(const CountedSyncs&) = delete;
    CountedSyncs& operator=(const CountedSyncs&) = delete;

    ~CountedSyncs() {
        sqlite3_vfs_unregister(&shim_);
        sqlite3_vfs_register(real(), 1);
    }

    static std::atomic<int>& seen() {
        static std::atomic<int> count{0};
        return count;
    }

    // As many of the next ones fail.
    static std::atomic<int>& failing() {
        static std::atomic<int> count{0};
        return count;
    }

private:
    static sqlite3_vfs*& real() {
        static sqlite3_vfs* vfs = nullptr;
        return vfs;
    }

    static const sqlite3_io_methods*& real_methods() {
        static const sqlite3_io_methods* methods = nullptr;
        return methods;
    }

    static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
        const int code = real()->xOpen(vfs, name, file, flags, out);
        if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
            static sqlite3_io_methods methods = [&] {
                real_methods() = file->pMethods;
                sqlite3_io_methods copy = *file->pMethods;
                copy.xSync = &sync;
                return copy;
            }();
            file->pMethods = &methods;
        }
        return code;
    }

    static int sync(sqlite3_file* file, int flags) {
        ++seen();
        if (failing() > 0) {
            --failing();
            return SQLITE_IOERR_FSYNC;
        }
        return real_methods()->xSync(file, flags);
    }

    sqlite3_vfs shim_{};
};

tenon_transaction_options
options_of(SqliteBackend& backend, std::string_view key, std::uint32_t durability = 0) {
    auto options = tenon::sized<tenon_transaction_options>();
    options.intent = TENON_INTENT_WRITE;
    options.deadline_ns = backend.deadline();
    options.key = tenon::str(key);
    options.durability = durability;
    return options;
}

constexpr auto k_table = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x TEXT) STRICT";

void make_table(SqliteBackend& backend) {
    backend.storage().write(backend.deadline(), [](Session& s) { s.execute(k_table); });
}

std::int64_t number(SqliteBackend& backend, std::string_view sql) {
    std::int64_t found = -1;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare(sql);
        REQUIRE(q.step());
        found = q.integer(0);
    });
    return found;
}

void put(Session& s, std::int64_t id) {
    s.prepare("INSERT INTO t (id) VALUES (?)").bind(1, id).run();
}

tenon_status status_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const StorageError& e) {
        UNSCOPED_INFO(e.what());
        CHECK((e.code() == TENON_IN_DOUBT) == (e.failure() == Failure::in_doubt));
        return e.code();
    }
    return TENON_OK;
}

}  // namespace

TEST_CASE("a write that may be lost with the power is not synced, others are", "[sqlite][S6]") {
    constexpr int k_writes = 50;
    const CountedSyncs syncs;
    SqliteBackend backend;
    make_table(backend);
    std::int64_t id = 0;
    const auto syncs_of = [&](std::uint32_t durability) {
        const int before = CountedSyncs::seen();
        for (int i = 0; i < k_writes; ++i) {
            (void)backend.storage().transact(options_of(backend, "", durability), [&](Session& s) {
                put(s, ++id);
            });
        }
        return CountedSyncs::seen() - before;
    };
    CHECK(syncs_of(TENON_DURABILITY_DEFAULT) >= k_writes);
    CHECK(syncs_of(TENON_DURABILITY_LOCAL) < k_writes / 2);  // a checkpoint syncs, too
    CHECK(syncs_of(TENON_DURABILITY_REPLICA) >= k_writes);
    { auto lease = backend.storage().lease(TENON_INTENT_WRITE, backend.deadline()); }
    CHECK(syncs_of(TENON_DURABILITY_LOCAL) < k_writes / 2);
    CHECK(number(backend, "SELECT count(*) FROM t") == 4 * k_writes);

    backend.close();
    backend.settings.synchronous = "normal";
    backend.open();
    CHECK(syncs_of(TENON_DURABILITY_DEFAULT) < k_writes / 2);
    CHECK(syncs_of(TENON_DURABILITY_REPLICA) >= k_writes);
}

TEST_CASE("a commit whose sync failed is in doubt, with a key it is made good", "[sqlite][S11]") {
    const CountedSyncs syncs;
    SqliteBackend backend;
    make_table(backend);
    int runs = 0;
    int failing_runs = 1;
    const auto work = [&](Session& s) {
        if (++runs <= failing_runs) {
            CountedSyncs::failing() = 1;
        }
        put(s, 7);
    };
    CHECK(status_of([&] {
              (void)backend.storage().transact(options_of(backend, ""), work);
          }) == TENON_IN_DOUBT);
    CHECK(runs == 1);
    CHECK(backend.storage().stats().in_doubt == 1);
    CHECK(number(backend, "SELECT count(*) FROM t") == 0);

    runs = 0;
    CHECK(status_of([&] {
              (void)backend.storage().transact(options_of(backend, "seven"), work);
          }) == TENON_OK);
    CHECK(runs == 2);
    CHECK(backend.storage().stats().in_doubt == 1);
    CHECK(number(backend, "SELECT count(*) FROM t") == 1);

    // The disk stays bad: it ends, in doubt, and is done once when it is asked for again.
    runs = 0;
    failing_runs = 1000;
    const auto eight = [&](Session& s) {
        CountedSyncs::failing() = ++runs <= failing_runs ? 1 : 0;
        put(s, 8);
    };
    CHECK(status_of([&] {
              (void)backend.storage().transact(options_of(backend, "eight"), eight);
          }) == TENON_IN_DOUBT);
    CHECK(runs > 1);
    CHECK(backend.storage().stats().in_doubt == 2);
    failing_runs = 0;
    for (int i = 0; i < 2; ++i) {
        CHECK(status_of([&] {
                  (void)backend.storage().transact(options_of(backend, "eight"), eight);
              }) == TENON_OK);
    }
    CHECK(number(backend, "SELECT count(*) FROM t WHERE id = 8") == 1);
    backend.open();
    CHECK(number(backend, "SELECT count(*) FROM t") == 2);
}

TEST_CASE(
    "a file that is replaced during a commit: with a key the work is done in the new one",
    "[sqlite][S11]"
) {
    SqliteBackend backend;
    make_table(backend);
    const std::string other = backend.settings.file + ".other";
    int runs = 0;
    const auto work = [&](Session& s) {
        if (++runs == 1) {
            sqlite3* db = nullptr;
            REQUIRE(sqlite3_open(other.c_str(), &db) == SQLITE_OK);
            REQUIRE(sqlite3_exec(db, k_table, nullptr, nullptr, nullptr) == SQLITE_OK);
            sqlite3_close(db);
            fs::rename(other, backend.settings.file);
        }
        put(s, 1);
    };
    SECTION("with a key") {
        CHECK(status_of([&] {
                  (void)backend.storage().transact(options_of(backend, "k"), work);
              }) == TENON_OK);
        CHECK(runs == 2);
        CHECK(number(backend, "SELECT count(*) FROM t") == 1);
    }
    SECTION("without") {
        CHECK(status_of([&] {
                  (void)backend.storage().transact(options_of(backend, ""), work);
              }) == TENON_IN_DOUBT);
        CHECK(runs == 1);
    }
}

TEST_CASE(
    "a write that is to be in a second place waits for the capture folder",
    "[sqlite][S6][S14]"
) {
    SqliteBackend backend{
        [](auto& s) { s.capture.folder = s.file.substr(0, s.file.rfind('/')) + "/captured"; }};
    make_table(backend);
    backend.close();
    const fs::path folder = backend.settings.capture.folder;
    const fs::path aside = folder.string() + ".aside";
    fs::rename(folder, aside);
    std::ofstream{folder} << "not a folder";
    backend.open();
    int runs = 0;
    const auto replicated = [&] {
        return status_of([&] {
            (void)backend.storage().transact(
                options_of(backend, "k", TENON_DURABILITY_REPLICA),
                [&](Session& s) {
                    ++runs;
                    put(s, 1);
                }
            );
        });
    };
    CHECK(replicated() == TENON_IN_DOUBT);
    CHECK(runs == 1);  // it is committed, and its key says so
    CHECK(status_of([&] {
              (void)backend.storage().transact(options_of(backend, ""), [](Session& s) {
                  put(s, 2);
              });
          }) == TENON_OK);
    CHECK(number(backend, "SELECT count(*) FROM t") == 2);
    fs::remove(folder);
    fs::rename(aside, folder);
    const auto patience = backend.deadline();
    while (replicated() != TENON_OK) {  // tried again twice a second
        REQUIRE(backend.host.reactor().now_ns() < patience);
    }
    CHECK(runs == 1);
}

TEST_CASE("keys are forgotten after a day", "[sqlite][S11]") {
    constexpr std::int64_t k_hour_ns = 3'600'000'000'000;
    SqliteBackend backend;
    make_table(backend);
    std::int64_t runs = 0;
    const auto use = [&](const std::string& key) {
        (void)backend.storage().transact(options_of(backend, key), [&](Session& s) {
            put(s, ++runs);
        });
    };
    const auto keys = [&] {
        return number(backend, "SELECT count(*) FROM tenon_transaction_keys");
    };
    use("old");
    use("new");
    // More than go at once, and all but one from before yesterday.
    backend.storage().write(backend.deadline(), [&](Session& s) {
        s.execute(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 12000) "
            "INSERT INTO tenon_transaction_keys (key, at_real_ns) SELECT 'old ' || i, at_real_ns "
            "FROM n, tenon_transaction_keys WHERE key = 'old'"
        );
        s.prepare("UPDATE tenon_transaction_keys SET at_real_ns = at_real_ns - ? WHERE key <> 'new'"
        )
            .bind(1, 25 * k_hour_ns)
            .run();
    });
    use("old 7");
    CHECK(runs == 2);
    backend.host.reactor().advance(2 * k_hour_ns);
    const auto patience = backend.deadline();
    while (keys() != 1) {
        if (backend.host.reactor().now_ns() > patience) {
            FAIL("there are " << keys());
        }
        std::this_thread::yield();
    }
    use("new");
    CHECK(runs == 2);
    use("old 7");
    CHECK(runs == 3);
}
