// SPDX-License-Identifier: Apache-2.0
// The plugin as the server runs it: its schedule, its commands, what operators see.
#include "tests/support/loaded_plugin.hpp"
#include "tests/support/schedule_file.hpp"
#include "tests/unit/archive/world.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <thread>

namespace fs = std::filesystem;
using Catch::Contains;
using tenon::Session;
using tenon::test::LoadedPlugin;
using tenon::test::SqliteBackend;

namespace {

constexpr const char* k_config =
    R"({"retention":{"news_items":{"keep_days":1}},"folder":"archive","second_folder":"second",)"
    R"("every_s":86400,"latest_s":3600,"step_timeout_ms":3600000,"step_ms":50,"work_ms":200,"delete_rows":1000,"delete_target_ms":1000,)"
    R"("partitions_ahead_days":7})";

struct Fixture : SqliteBackend {
    Fixture() {
        tenon::test::shipped_schema(*this)->up();
        storage().write(deadline(), [](Session& s) {
            for (int day = 0; day < 3; ++day) {
                s.prepare(
                     "INSERT INTO news_items (source, external_id, title, published_real_ns, "
                     "fetched_real_ns) VALUES ('s', ?, 't', ?, 0)"
                )
                    .bind_all(std::to_string(day), day * tenon::archive::k_day_ns + 5)
                    .run();
            }
        });
        host.set_environment("data_dir", folder.path().string());
        host.bind("tenon.storage/1", {&holder, &tenon::sqlite::storage_table()}, "storage");
    }

    [[nodiscard]] std::int64_t rows() {
        std::int64_t count = 0;
        storage().read(deadline(), [&](Session& s) {
            auto row = s.prepare("SELECT count(*) FROM news_items");
            while (row.step()) {
                count = row.integer(0);
            }
        });
        return count;
    }
};

}  // namespace

TEST_CASE("an operator archives, looks, holds and puts back by commands", "[archive][S13]") {
    Fixture f;
    LoadedPlugin plugin{f.host, "archive", k_config};
    CHECK_THAT(
        f.host.admin("archive.run", "{}"),
        Contains("{\"ok\":true,\"archives\":3,\"archived\":3,\"deleted\":3,\"changed\":0")
    );
    CHECK(f.rows() == 0);
    CHECK(f.host.metric("tenon_archive_rows_archived_total") == 3);
    CHECK(f.host.metric("tenon_archive_rows_deleted_total") == 3);
    CHECK(f.host.health_of("archive") == TENON_HEALTHY);
    const std::string list = f.host.admin("archive.list", R"({"table":"news_items"})");
    CHECK_THAT(
        list,
        Contains("\"id\":\"news_items-0-86400000000000-0\"") && Contains("\"state\":\"deleted\"") &&
            Contains("\"copied\":true")
    );
    CHECK_THAT(
        f.host.admin(
            "archive.query", R"({"table":"news_items","from":"1970-01-02","to":"1970-01-02"})"
        ),
        Contains("86400000000005") && Contains("\"rows\":1") && Contains("\"cursor\":null")
    );
    CHECK_THAT(f.host.admin("archive.verify", "{}"), Contains("{\"ok\":true,\"verified\":6"));
    CHECK_THAT(
        f.host.admin("archive.restore", R"({"what":"news_items","from":"1970-01-02"})"),
        Contains("{\"ok\":true") && Contains("\"inserted\":1") && Contains("\"hash_equal\":true")
    );
    CHECK(f.rows() == 2);
    CHECK(f.host.metric("tenon_archive_rows_restored_total") == 2);
    CHECK_THAT(
        f.host.admin("archive.hold", R"({"table":"news_items","reason":"case 17"})"),
        Contains("{\"held\":\"1\"}")
    );
    const std::string id = "news_items-86400000000000-172800000000000-0";
    CHECK_THAT(f.host.admin("archive.release", "{\"id\":\"" + id + "\"}"), Contains(id));
    CHECK_THAT(f.host.admin("archive.run", "{}"), Contains("\"deleted\":0"));
    CHECK(f.rows() == 2);
    CHECK_THAT(f.host.admin("archive.release", R"({"id":"1"})"), Contains("released"));
    CHECK_THAT(f.host.admin("archive.run", "{}"), Contains("\"deleted\":1"));
    CHECK(f.rows() == 1);
    plugin.stop();
    CHECK_THROWS(f.host.admin("archive.run", "{}"));
}

TEST_CASE(
    "a time beyond what is counted is for ever, a span backwards is refused",
    "[archive][S13]"
) {
    Fixture f;
    LoadedPlugin plugin{f.host, "archive", k_config};
    CHECK_THROWS_WITH(
        f.host.admin(
            "archive.hold",
            R"({"table":"news_items","reason":"x","from":"2026-01-02","to":"2026-01-01"})"
        ),
        Contains("from is after to")
    );
    (void)f.host.admin("archive.hold", R"({"table":"news_items","reason":"x","to":"9999-12-31"})");
    CHECK_THAT(f.host.admin("archive.run", "{}"), Contains("\"deleted\":0"));
    CHECK(f.rows() == 3);
}

TEST_CASE("a run that is due waits for a quiet time, but not for ever", "[archive][S13]") {
    Fixture f;
    LoadedPlugin plugin{f.host, "archive", k_config};
    for (int minute = 0; minute < 59; ++minute) {
        f.host.reactor().advance(60'000'000'000);
    }
    CHECK(f.rows() == 3);
    // The job's ticks come with the reactor's clock, its steps on another thread; a step that the
    // clock outran fails, and the next run goes on.
    while (f.host.metric("tenon_archive_last_success_time_seconds") == 0) {
        f.host.reactor().advance(
            f.host.metric("tenon_archive_failures_total") == 0 ? 5'000'000 : 901'000'000'000
        );
        std::this_thread::yield();
    }
    CHECK(f.rows() == 0);
}

TEST_CASE("a restart goes on with the wait, and does not run again", "[archive][S13]") {
    Fixture f;
    const auto minutes = [&](int count) {
        for (int minute = 0; minute < count; ++minute) {
            f.host.reactor().advance(60'000'000'000);
        }
    };
    { const LoadedPlugin plugin{f.host, "archive", k_config}; }
    tenon::test::let_time_pass((f.folder.path() / "archive" / "schedule").string(), 40 * 60);
    {
        LoadedPlugin plugin{f.host, "archive", k_config};
        minutes(25);
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{60};
        while (f.host.metric("tenon_archive_last_success_time_seconds") == 0 &&
               std::chrono::steady_clock::now() < limit) {
            f.host.reactor().advance(5'000'000);
            ::poll(nullptr, 0, 1);
        }
    }
    CHECK(f.rows() == 0);
    const std::int64_t once = f.host.metric("tenon_archive_last_success_time_seconds");
    REQUIRE(once != 0);
    LoadedPlugin plugin{f.host, "archive", k_config};
    minutes(120);
    CHECK(f.host.metric("tenon_archive_last_success_time_seconds") == once);
}

TEST_CASE("a schedule that is damaged is told and begun anew", "[archive][S13]") {
    Fixture f;
    fs::create_directories(f.folder.path() / "archive");
    std::ofstream{f.folder.path() / "archive" / "schedule"} << "rubbish";
    LoadedPlugin plugin{f.host, "archive", k_config};
    const auto lines = f.host.log_lines();
    CHECK(std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
        return line.find("archive_schedule_not_kept") != std::string::npos &&
               line.find("no schedule") != std::string::npos;
    }));
    CHECK_THAT(f.host.admin("archive.run", "{}"), Contains("\"archives\":3"));
    CHECK(f.host.health_of("archive") == TENON_HEALTHY);
}

TEST_CASE("what keeps an archive from being made is told, and no row goes", "[archive][S13]") {
    Fixture f;
    std::string config = k_config;
    config.replace(config.find("\"archive\""), 9, "\"/dev/null/archive\"");
    LoadedPlugin plugin{f.host, "archive", config};
    CHECK_THAT(
        f.host.admin("archive.run", "{}"), Contains("{\"ok\":false") && Contains("/dev/null")
    );
    CHECK(f.rows() == 3);
    CHECK(f.host.health_of("archive") == TENON_DEGRADED);
    CHECK(f.host.metric("tenon_archive_failures_total") == 1);
    CHECK_THROWS_WITH(
        f.host.admin("archive.hold", R"({"table":"balances","reason":"r"})"),
        Contains("there is no history \"balances\"")
    );
}
