// SPDX-License-Identifier: Apache-2.0
// Answers that are kept: whose they are, what a write does to them, how old they may get.
#include "tests/support/loaded_plugin.hpp"
#include "tests/unit/records/records_fixture.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using tenon::test::LoadedPlugin;
using tenon::test::RecordsFixture;

namespace {

constexpr std::uint64_t k_ann = RecordsFixture::k_ann, k_bob = RecordsFixture::k_bob,
                        k_ops = RecordsFixture::k_ops;
constexpr std::int64_t k_second_ns = 1'000'000'000;
constexpr std::int64_t k_ttl_s = 10;

std::string news(int number) {
    return R"({"source":"wire","external_id":"n)" + std::to_string(number) +
           R"(","title":"h","published_us":1767225600000000})";
}

struct Scene : RecordsFixture {
    Scene() {
        backend.host.bind("tenon.cache_tier/1", memory.query("tenon.cache_tier/1"), "memory");
        stack = std::make_unique<LoadedPlugin>(
            backend.host,
            "cache-stack",
            R"({"default_ttl_ms":300000,"default_negative_ttl_ms":5000,"refresh_timeout_ms":1000,)"
            R"("sweep_interval_ms":300000,"jitter_percent":0,"caches":[],"events":[]})"
        );
        backend.host.bind("tenon.cache/1", stack->query("tenon.cache/1"), "cache");
        kept = tenon::records::KeptAnswers{tenon::Cache{tenon::Host{backend.host.raw()}}};
        ttl_ns = k_ttl_s * k_second_ns;
    }

    // As another server's or a person's hand in the database: this API does not know of it.
    void rename_behind() {
        backend.storage().write(backend.deadline(), [](tenon::Session& s) {
            s.execute("UPDATE news_items SET title = 'behind'");
        });
    }

    void pass(std::int64_t seconds) {
        backend.host.reactor().advance(seconds * k_second_ns);
        now_ns += seconds * k_second_ns;
    }

    std::string headline(std::uint64_t account, const std::string& query = "") {
        const boost::json::value answer = ask(account, "GET /api/news" + query);
        const auto& rows = answer.at("data").as_array();
        return rows.empty() ? "" : std::string{rows.front().at("title").as_string()};
    }

    LoadedPlugin memory{
        backend.host,
        "cache-memory",
        R"({"bytes_max":1048576,"shards":4,"sweep_interval_ms":300000})"};
    std::unique_ptr<LoadedPlugin> stack;
};

}  // namespace

TEST_CASE("an answer is kept for its time, tells its age, and is then read anew", "[records][C1]") {
    Scene api;
    (void)api.ask(k_ops, "POST /api/news", news(1), 201);
    CHECK(api.raw(k_ann, "GET /api/news").age_ms == 0);
    api.rename_behind();
    api.pass(k_ttl_s - 1);
    CHECK(api.headline(k_ann) == "h");
    CHECK(api.raw(k_ann, "GET /api/news").age_ms == (k_ttl_s - 1) * 1000);
    CHECK(api.headline(k_ann, "?limit=5") == "behind");  // another question
    api.pass(1);
    CHECK(api.headline(k_ann) == "behind");
    CHECK(api.raw(k_ann, "GET /api/settings").age_ms < 0);
}

TEST_CASE("after a write nobody is given what was before it", "[records][C3]") {
    Scene api;
    (void)api.ask(k_ops, "POST /api/news", news(1), 201);
    CHECK(api.ask(k_ann, "GET /api/news").at("data").as_array().size() == 1);
    CHECK(api.ask(k_bob, "GET /api/news").at("data").as_array().size() == 1);
    (void)api.ask(k_ops, "POST /api/news", news(2), 201);
    CHECK(api.ask(k_ann, "GET /api/news").at("data").as_array().size() == 2);
    CHECK(api.ask(k_bob, "GET /api/news").at("data").as_array().size() == 2);
    // The daily sums of a table go with it.
    const auto articles = [&] {
        return api.ask(k_ann, "GET /api/news-sentiment").at("data").as_array().size();
    };
    const std::size_t before = articles();
    std::string scored = news(3);
    scored.insert(scored.size() - 1, R"(,"sentiment_score":"0.5","symbol":"BTCUSDT")");
    (void)api.ask(k_ops, "POST /api/news", scored, 201);
    CHECK(articles() == before + 1);
}

TEST_CASE("kept answers are the caller's alone", "[records][T7]") {
    Scene api;
    (void)api.ask(k_ops, "POST /api/news", news(1), 201);
    CHECK(api.headline(k_ann) == "h");
    api.rename_behind();
    CHECK(api.headline(k_bob) == "behind");
    CHECK(api.headline(k_ann) == "h");
    api.may_read = false;
    CHECK(api.refusal(k_ann, "GET /api/news") == "forbidden ");
    api.may_read = true;
    CHECK(api.headline(k_ann) == "h");
}

TEST_CASE("failures are not kept", "[records][C4]") {
    Scene api;
    CHECK(api.refusal(k_ann, "GET /api/news/1") == "not_found ");
    api.backend.storage().write(api.backend.deadline(), [](tenon::Session& s) {
        s.execute(
            "INSERT INTO news_items (id, source, external_id, title, published_real_ns, "
            "fetched_real_ns) VALUES (1, 'wire', 'x', 'h', 1, 1)"
        );
    });
    CHECK(api.raw(k_ann, "GET /api/news/1").status == 200);
}
