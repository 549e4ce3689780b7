// SPDX-License-Identifier: Apache-2.0
// The plugin as the server runs it: handlers, outcomes, what an operator does.
#include "tests/support/loaded_plugin.hpp"
#include "tests/unit/jobs/job_fixture.hpp"

#include <tenon/jobs.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

using Catch::Contains;
using tenon::JobRun;
using tenon::Jobs;
using tenon::Session;
using tenon::test::k_job_s;
using tenon::test::LoadedPlugin;
using tenon::test::SqliteBackend;

namespace {

constexpr const char* k_config =
    R"({"workers":2,"batch":4,"poll_ms":50,"lease_s":30,"queue_max":1000,"payload_max_kb":64,)"
    R"("timeout_ms":60000,"attempts_max":2,"backoff_ms":10,"backoff_max_ms":10,)"
    R"("keep_done_s":86400})";

struct PluginFixture : SqliteBackend {
    PluginFixture() {
        tenon::test::shipped_schema(*this)->up();
        host.bind("tenon.storage/1", {&holder, &tenon::sqlite::storage_table()}, "storage");
        plugin = std::make_unique<LoadedPlugin>(host, "jobs", k_config);
        jobs.open(tenon::service_from<tenon_jobs_1>(plugin->query("tenon.jobs/1")));
    }

    ~PluginFixture() { jobs.clear(); }

    template <class Done>
    // The database's deadlines go by the same clock: it must not run away from what is under way.
    void pass_time(Done done) {
        std::mutex mutex;
        std::condition_variable never;
        std::unique_lock lock{mutex};
        while (!done()) {
            host.reactor().advance(20'000'000);
            never.wait_for(lock, std::chrono::milliseconds{1});
        }
    }

    std::int64_t enqueue(std::string_view payload) {
        return jobs.enqueue("q", "k", payload, deadline());
    }

    std::string shown(std::int64_t id) {
        return host.admin("jobs.show", R"({"id":")" + std::to_string(id) + R"("})");
    }

    std::unique_ptr<LoadedPlugin> plugin;
    Jobs jobs;
};

}  // namespace

TEST_CASE("a handler runs jobs; a second one for the kind is refused", "[jobs][T8]") {
    PluginFixture f;
    std::atomic<int> runs{0};
    f.jobs.handle("q", "k", [&](const JobRun& run) {
        CHECK(run.payload() == R"({"a":1})");
        CHECK_FALSE(run.cancelled());
        ++runs;
    });
    CHECK_THROWS_WITH(f.jobs.handle("q", "k", [](const JobRun&) {}), Contains("have a handler"));
    std::int64_t last = 0;
    for (int i = 0; i < 20; ++i) {
        last = f.enqueue(R"({"a":1})");
    }
    f.pass_time([&] {
        return f.host.admin("jobs.list", R"({"status":"done","limit":"1"})")
                   .find(std::to_string(last)) != std::string::npos;
    });
    f.pass_time([&] { return runs == 20; });
    CHECK_THROWS_WITH(f.enqueue("{"), Contains("payload"));
}

TEST_CASE("a job that fails too often is dead until it is replayed", "[jobs][T8]") {
    PluginFixture f;
    std::atomic<bool> works{false};
    f.jobs.handle("q", "k", [&](const JobRun&) {
        if (!works) {
            throw tenon::Error{TENON_UNAVAILABLE, "the mail server is away"};
        }
    });
    const std::int64_t id = f.enqueue("{}");
    f.pass_time([&] { return f.host.health_of("dead-letters") == TENON_DEGRADED; });
    CHECK_THAT(f.shown(id), Contains("\"status\":\"dead\"") && Contains("mail server is away"));
    CHECK_THAT(f.host.admin("jobs.dead", "{}"), Contains("\"id\":" + std::to_string(id)));
    works = true;
    const std::string which = R"({"id":)" + std::to_string(id) + "}";
    // What cannot be recorded is not done: this host has no audit log.
    CHECK_THROWS_WITH(f.host.admin("jobs.replay", which), Contains("tenon.audit/1"));
    CHECK_THAT(f.shown(id), Contains("\"status\":\"dead\""));
    tenon::jobs::Store store{
        f.storage(),
        {},
        {[&] { return f.host.reactor().now_ns(); }, [] { return std::int64_t{1}; }}};
    store.replay(id);
    f.pass_time([&] { return f.shown(id).find("\"done\"") != std::string::npos; });
    f.pass_time([&] { return f.host.health_of("dead-letters") == TENON_HEALTHY; });
}

TEST_CASE("leases are extended and the pool is free while every worker is busy", "[jobs][T8]") {
    PluginFixture f;
    std::mutex gate;
    std::unique_lock closed{gate};
    std::atomic<int> began{0}, ended{0};
    f.jobs.handle("q", "k", [&](const JobRun&) {
        ++began;
        const std::lock_guard wait{gate};
        ++ended;
    });
    const std::int64_t one = f.enqueue("{}");
    f.pass_time([&] { return began == 1; });
    const std::int64_t two = f.enqueue("{}");
    f.pass_time([&] { return began == 2; });
    const std::int64_t until = f.host.reactor().now_ns() + 45 * k_job_s;  // a lease has 30 s
    f.pass_time([&] { return f.host.reactor().now_ns() > until; });
    std::atomic<bool> ran{false};
    tenon::run_blocking(f.host.exec(), [&] { ran = true; });
    f.pass_time([&] { return ran.load(); });
    CHECK(began == 2);
    closed.unlock();
    for (const std::int64_t id : {one, two}) {
        f.pass_time([&] { return f.shown(id).find("\"done\"") != std::string::npos; });
        CHECK_THAT(f.shown(id), Contains("\"attempts\":1"));
    }
    CHECK(ended == 2);
}

TEST_CASE(
    "schedules of the settings that are none are refused before anything starts",
    "[jobs][T8]"
) {
    PluginFixture f;
    const auto refused = [&](const std::string& schedule, const char* why) {
        std::string config{k_config};
        config.insert(config.size() - 1, R"(,"schedules":[)" + schedule + "]");
        CHECK_THROWS_WITH((LoadedPlugin{f.host, "jobs", config}), Contains(why));
    };
    refused(
        R"({"name":"x","rule":"cron 0 0 30 2 *","command":"backup drill"})",
        "names a day that never comes"
    );
    refused(
        R"({"name":"x","rule":"every 9s","command":"keys create"})",
        "\"keys.create\" is none that a schedule may give"
    );
    refused(R"({"name":"x y","rule":"every 9s","command":"backup drill"})", "x y\" is not 1 to 64");
}

TEST_CASE("a handler's effect and the completion are one transaction", "[jobs][T8]") {
    PluginFixture f;
    f.storage().write(f.deadline(), [](Session& s) { s.execute("CREATE TABLE e (job INTEGER)"); });
    f.jobs.handle("q", "k", [&](const JobRun& run) {
        f.storage().write(f.deadline(), [&](Session& s) {
            s.prepare("INSERT INTO e VALUES (?)").bind_all(run.id()).run();
            run.finish(s);
        });
        throw tenon::Error{TENON_INTERNAL, "after the commit"};
    });
    const std::int64_t id = f.enqueue("{}");
    f.pass_time([&] { return f.shown(id).find("\"done\"") != std::string::npos; });
    f.jobs.clear();
    f.storage().read(f.deadline(), [&](Session& s) {
        auto row = s.prepare("SELECT count(*) FROM e");
        while (row.step()) {
            CHECK(row.integer(0) == 1);
        }
    });
}
