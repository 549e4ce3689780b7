// SPDX-License-Identifier: Apache-2.0
// The plugin as the server runs it: commands, the schedule, what operators see.
#include "tests/support/loaded_plugin.hpp"
#include "tests/support/schedule_file.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"
#include "tests/unit/upkeep/summaries.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <poll.h>

using Catch::Contains;
using tenon::Session;
using tenon::test::LoadedPlugin;
using tenon::test::SqliteBackend;

namespace {

constexpr const char* k_config =
    R"({"views_every_s":100,"integrity_every_s":150,"maintenance_every_s":0,"maintenance_latest_s":0,"step_ms":1000,"step_timeout_ms":60000})";

struct Fixture : SqliteBackend {
    Fixture() {
        tenon::test::shipped_schema(*this)->up();
        storage().write(deadline(), [](Session& s) {
            tenon::test::SummaryModel::prepare(s);
            for (int day = 0; day < 3; ++day) {
                s.prepare(
                     "INSERT INTO news_items (source, external_id, title, sentiment_score, "
                     "published_real_ns, fetched_real_ns) VALUES ('s', ?, 't', 7, ?, 0)"
                )
                    .bind_all(std::to_string(day), day * 86'400'000'000'000)
                    .run();
            }
        });
        host.bind("tenon.storage/1", {&holder, &tenon::sqlite::storage_table()}, "storage");
    }

    void run(const std::string& sql) {
        storage().write(deadline(), [&](Session& s) { s.execute(sql); });
    }

    // Steps of the schedule, one for each second of the host's clock, until `done`.
    template <class Done>
    void pass_time(Done done) {
        // The steps' own deadlines go by the same clock: it must not run away from them.
        std::mutex mutex;
        std::condition_variable never;
        std::unique_lock lock{mutex};
        while (!done()) {
            host.reactor().advance(1'001'000'000);
            never.wait_for(lock, std::chrono::milliseconds{2});
        }
    }

    [[nodiscard]] bool has_logged(const std::string& text) const {
        const auto lines = host.log_lines();
        return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
            return line.find(text) != std::string::npos;
        });
    }
};

}  // namespace

TEST_CASE("a scheduled check tells what differs until it is mended", "[upkeep][S10]") {
    Fixture f;
    f.run("UPDATE mv_news_sentiment SET score_sum = 8 WHERE day_real_ns > 0");
    LoadedPlugin plugin{f.host, "storage-upkeep", k_config};
    f.pass_time([&] { return f.host.health_of("views") == TENON_DEGRADED; });
    CHECK(f.host.metric("tenon_upkeep_view_differences") == 2);
    CHECK(f.has_logged("views_differ"));
    CHECK_THAT(f.host.admin("views.check", "{}"), Contains("{\"ok\":false,\"days\":3,\"keys\":3"));
    CHECK_THAT(f.host.admin("views.rebuild", "{}"), Contains("{\"ok\":true,\"days\":3,\"keys\":3"));
    CHECK(f.host.health_of("views") == TENON_HEALTHY);
    CHECK(f.host.metric("tenon_upkeep_view_differences") == 0);
    plugin.stop();
}

TEST_CASE("the database itself is looked at on schedule", "[upkeep][S10]") {
    Fixture f;
    LoadedPlugin plugin{f.host, "storage-upkeep", k_config};
    f.pass_time([&] {
        return f.host.metric("tenon_upkeep_integrity_checked_time_seconds") != 0 &&
               f.host.health_of("integrity") == TENON_HEALTHY;
    });
    CHECK(f.host.metric("tenon_upkeep_integrity_problems") == 0);
    CHECK(f.host.metric("tenon_upkeep_steps_total") > 25);
    CHECK(f.host.health_of("integrity") == TENON_HEALTHY);
    CHECK_THAT(f.host.admin("integrity.check", R"({"full":true})"), Contains("{\"ok\":true"));
    plugin.stop();
    CHECK_THROWS(f.host.admin("integrity.check", "{}"));
}

TEST_CASE("maintenance waits for a quiet time, but not for ever", "[upkeep][S13]") {
    Fixture f;
    std::string config = k_config;
    const std::string none = R"("maintenance_every_s":0,"maintenance_latest_s":0)";
    config.replace(
        config.find(none), none.size(), R"("maintenance_every_s":100,"maintenance_latest_s":50)"
    );
    LoadedPlugin plugin{f.host, "storage-upkeep", config};
    for (int second = 0; second < 49; ++second) {
        f.host.reactor().advance(1'000'000'000);
    }
    CHECK(f.host.metric("tenon_upkeep_maintenance_time_seconds") == 0);
    const auto is_analysed = [&] {
        std::int64_t tables = 0;
        f.storage().read(f.deadline(), [&](Session& s) {
            auto row = s.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'");
            while (row.step()) {
                tables = row.integer(0);
            }
        });
        return tables == 1;
    };
    // A table that the clock outran is passed, and comes with the next round.
    f.pass_time([&] {
        return is_analysed() && f.host.metric("tenon_upkeep_maintenance_time_seconds") != 0;
    });
}

TEST_CASE("maintenance goes on with its wait after a restart", "[upkeep][S13]") {
    Fixture f;
    f.host.set_environment("data_dir", f.folder.path().string());
    const std::string config =
        R"({"views_every_s":0,"integrity_every_s":0,"maintenance_every_s":86400,)"
        R"("maintenance_latest_s":7200,"step_ms":1000,"step_timeout_ms":60000})";
    const auto seconds = [&](std::int64_t count) {
        f.host.reactor().advance(count * 1'000'000'000);
    };
    const auto done = [&] { return f.host.metric("tenon_upkeep_maintenance_time_seconds"); };
    { const LoadedPlugin plugin{f.host, "storage-upkeep", config}; }
    tenon::test::let_time_pass((f.folder.path() / "upkeep.schedule").string(), 6800);
    {
        LoadedPlugin plugin{f.host, "storage-upkeep", config};
        seconds(400);
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{60};
        while (done() == 0 && std::chrono::steady_clock::now() < limit) {
            f.host.reactor().advance(100'000'000);
            ::poll(nullptr, 0, 2);
        }
    }
    const std::int64_t once = done();
    REQUIRE(once != 0);
    LoadedPlugin plugin{f.host, "storage-upkeep", config};
    seconds(7300);
    CHECK(done() == once);
}
