// SPDX-License-Identifier: Apache-2.0
// What goes, what stays, and that every row is somewhere, whatever ends the work.
#include "plugins/archive/query.hpp"
#include "plugins/archive/restore.hpp"
#include "tests/unit/archive/world.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using Catch::Contains;
using tenon::Session;
using tenon::archive::Manifest;
using tenon::archive::RetentionOptions;
using tenon::archive::State;
using tenon::test::ArchiveWorld;
using tenon::test::SchemaBackend;

namespace {

tenon::archive::Restored restore(const ArchiveWorld& world, const std::string& policy) {
    tenon::archive::Restored sum;
    sum.hash_equal = true;
    world.with([&](SchemaBackend& backend) {
        for (const Manifest& manifest : world.archives().list(policy).archives) {
            const auto one = tenon::archive::restore_rows(
                backend.storage(),
                world.archives(),
                manifest,
                [&] { return backend.deadline(); },
                {}
            );
            sum.inserted += one.inserted;
            sum.present += one.present;
            sum.different += one.different;
            sum.hash_equal = sum.hash_equal && one.hash_equal;
        }
    });
    return sum;
}

void restore_all(const ArchiveWorld& world) {
    // Orders first: trades refer to them.
    for (const char* policy : {"orders", "trades", "trade_logs", "news_items", "candles_1m"}) {
        const auto told = restore(world, policy);
        CHECK(told.hash_equal);
        CHECK(told.different == 0);
    }
}

void execute(const ArchiveWorld& world, const std::string& sql) {
    world.with([&](SchemaBackend& backend) {
        backend.storage().write(backend.deadline(), [&](Session& s) { s.execute(sql); });
    });
}

// Kills a run at every stride-th point, on the average, and looks what is left. How many kills.
int kill_runs(std::uint64_t seed, int stride) {
    std::mt19937_64 random{seed};
    const auto stride_now = [&] {
        return 1 + static_cast<int>(random() % static_cast<std::uint64_t>(2 * stride - 1));
    };
    int kills = 0;
    for (int kill_at = stride_now();; kill_at += stride_now()) {
        const ArchiveWorld world{seed, 10};
        const auto before = world.in_database();
        RetentionOptions options = ArchiveWorld::options();
        options.policies.resize(3);
        options.second = tenon::archive::Folder{world.path("second")};
        const int status = world.in_killed_child([&] {
            int left = kill_at;
            options.hook = [&left](std::string_view) {
                if (--left == 0) {
                    (void)::kill(::getpid(), SIGKILL);
                }
            };
            world.run(options);
        });
        if (WIFEXITED(status)) {
            REQUIRE(WEXITSTATUS(status) == 0);
            return kills;
        }
        ++kills;
        INFO("killed at point " << kill_at);
        REQUIRE(world.lost(before) == 0);
        options.hook = {};
        world.run(options);
        REQUIRE(world.lost(before) == 0);
        REQUIRE(world.in_database().at("trades").size() == 60);
        REQUIRE(world.in_archives().at("trades").size() == 40);
    }
}

void flip(const std::string& file, std::uint64_t at) {
    std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
    bytes.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(bytes.get());
    bytes.seekp(static_cast<std::streamoff>(at));
    bytes.put(static_cast<char>(byte ^ 1));
}

}  // namespace

TEST_CASE("what is old enough moves to archives, the rest stays", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    const auto before = world.in_database();
    world.run(ArchiveWorld::options());
    const auto here = world.in_database(), there = world.in_archives();
    CHECK(world.lost(before) == 0);
    // Four days of ten are older than five whole days.
    CHECK(there.at("trades").size() == 80);
    CHECK(here.at("trades").size() == 120);
    // Open orders stay, however old; the others go once their trades have gone.
    CHECK(there.at("orders").size() == 64);
    CHECK(here.at("orders").size() == 136);
    for (const auto& [policy, lines] : there) {
        for (const std::string& line : lines) {
            CHECK_FALSE(here.at(policy).contains(line));
        }
    }
    for (const Manifest& manifest : world.archives().list().archives) {
        CHECK(manifest.state == State::deleted);
        CHECK(manifest.deleted == manifest.rows);
        CHECK(manifest.migration >= 9);
    }
    restore_all(world);
    CHECK(world.in_database() == before);
    // What was restored stays until it is released.
    world.run(ArchiveWorld::options());
    CHECK(world.in_database() == before);
}

TEST_CASE("sums over balances and the ledger are as they were", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    execute(
        world,
        "INSERT INTO balances VALUES (10, 1, 7, 0, 1), (1, 1, -7, 0, 1);"
        "INSERT INTO ledger_entries VALUES (1, 0, 1, 10, 1, 7, '', 5)"
    );
    world.run(ArchiveWorld::options());
    world.with([&](SchemaBackend& backend) {
        backend.storage().read(backend.deadline(), [&](Session& s) {
            auto rows = s.prepare(
                "SELECT CAST(sum(free + locked) AS bigint), count(*), (SELECT "
                "count(*) FROM ledger_entries) FROM balances"
            );
            while (rows.step()) {
                CHECK(rows.integer(0) == 0);
                CHECK(rows.integer(1) == 2);
                CHECK(rows.integer(2) == 1);
            }
        });
    });
}

TEST_CASE("a row that changed since it was exported stays and comes later", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    bool done = false;
    world.with([&](SchemaBackend& backend) {
        RetentionOptions options = ArchiveWorld::options();
        options.hook = [&](std::string_view point) {
            if (point != "eligible" || std::exchange(done, true)) {
                return;
            }
            // One row is corrected, another comes late.
            backend.storage().write(backend.deadline(), [](Session& s) {
                s.execute(
                    "INSERT INTO trades SELECT instrument, 100000, side, order_id, account, "
                    "is_maker, price, quantity, quote_amount, fee, fee_asset, time_real_ns, "
                    "sequence, status FROM trades WHERE trade_id = 2;"
                    "UPDATE trades SET status = 3 WHERE trade_id = 1"
                );
            });
        };
        auto work = world.retention(backend, options);
        while (work.step()) {}
        CHECK(work.counts().rows_changed == 1);
    });
    REQUIRE(done);
    std::uint64_t changed = 0;
    for (const Manifest& manifest : world.archives().list("trades").archives) {
        changed += manifest.changed;
    }
    CHECK(changed == 1);
    // The next run takes it as it is now.
    world.run(ArchiveWorld::options());
    const auto there = world.in_archives();
    CHECK(there.at("trades").size() == 82);
    std::size_t corrected = 0;
    for (const std::string& line : there.at("trades")) {
        corrected += line.ends_with(",3\r\n") ? 1U : 0U;
    }
    CHECK(corrected == 1);
    CHECK(world.in_database().at("trades").size() == 120);
}

TEST_CASE("a row that got a column since it was exported goes with it", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    bool done = false;
    world.with([&](SchemaBackend& backend) {
        RetentionOptions options = ArchiveWorld::options();
        options.hook = [&](std::string_view point) {
            if (point == "eligible" && !std::exchange(done, true)) {
                backend.storage().write(backend.deadline(), [](Session& s) {
                    s.execute("ALTER TABLE trades ADD COLUMN note TEXT NOT NULL DEFAULT 'new'");
                });
            }
        };
        auto work = world.retention(backend, options);
        while (work.step()) {}
        CHECK(work.counts().rows_changed == 20);
    });
    REQUIRE(done);
    // They were taken once more, as they are now.
    CHECK(world.in_database().at("trades").size() == 120);
    std::size_t whole = 0;
    const auto archived = world.in_archives();
    for (const std::string& line : archived.at("trades")) {
        whole += line.ends_with(",\"new\"\r\n") || line.ends_with(",new\r\n") ? 1U : 0U;
    }
    CHECK(whole == 80);
}

TEST_CASE("what has come again under another key does not keep the rest away", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    world.run(ArchiveWorld::options());
    const std::size_t there = world.in_archives().at("news_items").size();
    execute(
        world,
        "INSERT INTO news_items (id, source, external_id, title, published_real_ns, "
        "fetched_real_ns) VALUES (1000000, 's', '1', 'again', " +
            std::to_string(ArchiveWorld::k_now_ns) + ", 0)"
    );
    const std::size_t here = world.in_database().at("news_items").size();
    const auto told = restore(world, "news_items");
    CHECK(told.different == 1);
    CHECK(told.inserted == there - 1);
    CHECK_FALSE(told.hash_equal);
    CHECK(world.in_database().at("news_items").size() == here + there - 1);
}

TEST_CASE("nothing that is held is deleted", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    const auto before = world.in_database();
    world.archives().open();
    world.archives().save(std::vector<tenon::archive::Hold>{
        {"1", "trades", "court", INT64_MIN, INT64_MAX, 0}});
    world.run(ArchiveWorld::options());
    CHECK(world.in_database().at("trades") == before.at("trades"));
    CHECK(world.in_database().at("orders") == before.at("orders"));
    CHECK(world.in_database().at("news_items").size() == 120);
    world.archives().save(std::vector<tenon::archive::Hold>{});
    world.run(ArchiveWorld::options());
    CHECK(world.in_database().at("trades").size() == 120);
    CHECK(world.lost(before) == 0);
}

TEST_CASE("a hold that comes while rows go stops them", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    RetentionOptions options = ArchiveWorld::options();
    int batches = 0;
    options.hook = [&](std::string_view point) {
        if (point == "batch" && ++batches == 1) {
            world.archives().save(std::vector<tenon::archive::Hold>{
                {"1", "", "court", INT64_MIN, INT64_MAX, 0}});
        }
    };
    world.run(options);
    CHECK(batches == 1);
    CHECK(world.in_database().at("trades").size() == 193);
}

TEST_CASE("a kill loses no row, and the next run goes on", "[archive][S13]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    CHECK(kill_runs(seed, SchemaBackend::k_one_writer ? 12 : 25) >= 1);
}

TEST_CASE("a kill at any point loses no row", "[.][archive][S13][kills]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    CHECK(kill_runs(seed, 1) >= 100);
}

TEST_CASE("a full disk ends an export, and room is all that it takes", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    const auto before = world.in_database();
    RetentionOptions options = ArchiveWorld::options();
    options.policies.resize(1);
    std::string part;
    options.hook = [&](std::string_view point) {
        if (point == "planned" && part.empty()) {
            const Manifest planned = world.archives().list("trades").archives.front();
            part = world.archives().file_of(planned) + ".part";
            std::filesystem::create_symlink("/dev/full", part);
        }
    };
    CHECK_THROWS_WITH(world.run(options), Contains("No space left on device"));
    CHECK_FALSE(std::filesystem::exists(std::filesystem::symlink_status(part)));
    CHECK(world.in_database() == before);
    world.run(options);
    CHECK(world.in_database().at("trades").size() == 120);
    CHECK(world.lost(before) == 0);
}

TEST_CASE("any byte that is wrong is found, and named by its file", "[archive][S13]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    const ArchiveWorld world{seed};
    RetentionOptions options = ArchiveWorld::options();
    options.policies.resize(1);
    world.run(options);
    const Manifest manifest = world.archives().list("trades").archives.front();
    const std::string file = world.archives().file_of(manifest);
    REQUIRE_NOTHROW(tenon::archive::verify_file(file, manifest, {}));
    for (int i = 0; i < 100; ++i) {
        const std::uint64_t at = random() % manifest.bytes;
        flip(file, at);
        CHECK_THROWS_WITH(tenon::archive::verify_file(file, manifest, {}), Contains(file));
        flip(file, at);
    }
    std::filesystem::resize_file(file, manifest.bytes - 1);
    CHECK_THROWS_WITH(tenon::archive::verify_file(file, manifest, {}), Contains(file));
    const std::string json = world.archives().path() + "/trades/" + manifest.id + ".json";
    flip(json, 40);
    CHECK(world.archives().list("trades").damaged.size() == 1);
    CHECK_THAT(world.archives().list("trades").damaged.front(), Contains(json));
}

TEST_CASE("rows are not deleted when their file has come to harm", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    const auto before = world.in_database();
    RetentionOptions options = ArchiveWorld::options();
    options.policies.resize(1);
    bool done = false;
    options.hook = [&](std::string_view point) {
        if (point == "eligible" && !done) {
            done = true;
            flip(world.archives().file_of(world.archives().list("trades").archives.front()), 99);
        }
    };
    CHECK_THROWS_WITH(world.run(options), Contains("damaged"));
    CHECK(world.in_database() == before);
}

TEST_CASE("a restored range stays when its manifest has come to harm", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    RetentionOptions options = ArchiveWorld::options();
    options.policies.resize(1);
    world.run(options);
    const Manifest manifest = world.archives().list("trades").archives.front();
    world.with([&](SchemaBackend& backend) {
        const auto deadline = [&] { return backend.deadline(); };
        const auto put = tenon::archive::restore_rows(
            backend.storage(), world.archives(), manifest, deadline, [] { return false; }
        );
        REQUIRE(put.inserted == manifest.rows);
    });
    const auto before = world.in_database();
    const std::string file = world.archives().path() + "/trades/" + manifest.id + ".json";
    flip(file, 99);
    CHECK_THROWS_WITH(
        world.run(options), Contains(file) && Contains("no range of trades is begun")
    );
    CHECK(world.in_database() == before);
    flip(file, 99);
    world.run(options);
    CHECK(world.in_database() == before);
    // The other tables go on meanwhile.
    flip(file, 99);
    const RetentionOptions all = ArchiveWorld::options();
    int failures = 0;
    world.with([&](SchemaBackend& backend) {
        auto work = world.retention(backend, all);
        for (bool more = true; more;) {
            try {
                more = work.step();
            } catch (const tenon::Error& e) {
                CHECK_THAT(e.what(), Contains(file));
                ++failures;
            }
        }
        CHECK(work.counts().rows_deleted > 0);
    });
    CHECK(failures == 1);
}

TEST_CASE("a query reads the frames that fit, and no more", "[archive][S13]") {
    const ArchiveWorld world{Catch::rngSeed()};
    world.run(ArchiveWorld::options());
    tenon::archive::Query query;
    query.table = "trades";
    const std::int64_t day = ArchiveWorld::k_today - 8;
    query.from_real_ns = day * tenon::archive::k_day_ns;
    query.to_real_ns = query.from_real_ns + tenon::archive::k_day_ns - 1;
    const auto page = tenon::archive::read_page(world.archives(), query);
    CHECK(page.rows == 20);
    CHECK(page.frames_read == 1);
    CHECK(page.cursor.empty());
    CHECK_THAT(page.text, Catch::StartsWith("\"instrument\",\"trade_id\""));

    query.from_real_ns = INT64_MIN;
    query.where = {{"trade_id", "7"}};
    query.as_json = true;
    std::string text;
    std::uint64_t rows = 0;
    int pages = 0;
    do {
        const auto one = tenon::archive::read_page(world.archives(), query);
        text += one.text;
        rows += one.rows;
        query.cursor = one.cursor;
        ++pages;
    } while (!query.cursor.empty());
    CHECK(rows == 1);
    CHECK(pages == 2);
    CHECK_THAT(text, Contains("\"trade_id\":7,"));
    query.where = {{"nonsense", "7"}};
    CHECK_THROWS_WITH(tenon::archive::read_page(world.archives(), query), Contains("it has"));
    query.table = "balances";
    CHECK_THROWS_WITH(tenon::archive::read_page(world.archives(), query), Contains("trades"));
    CHECK(tenon::archive::parse_time("1970-01-02", true) == 2 * tenon::archive::k_day_ns - 1);
    CHECK(tenon::archive::parse_time("1970-01-01T00:00:01.5Z", false) == 1'500'000'000);
    CHECK_THROWS(tenon::archive::parse_time("yesterday", false));
}
