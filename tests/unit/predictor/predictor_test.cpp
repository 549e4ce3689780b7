// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/predictor/predictor.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

using namespace tenon::predictor;

namespace {

constexpr std::int64_t k_s = 1'000'000'000;

// Keeps what its questions were answered.
struct Asker {
    explicit Asker(const Limits& limits = {}) : predictor{limits} {}

    bool ask(const std::string& symbol, std::int64_t now_ns, const std::string& input = "{}") {
        return predictor.ask({symbol, input}, now_ns, [this](const Answer& answer) {
            got.push_back(answer);
        });
    }

    // Answers a batch as its provider would.
    std::size_t serve(std::int64_t now_ns, std::int64_t cost = 0) {
        const std::vector<Question> batch = predictor.take();
        BatchAnswer answer;
        answer.cost = cost;
        for (const Question& question : batch) {
            answer.answers.push_back({TENON_OK, "\"" + question.symbol + "\"", {}, false});
        }
        predictor.finish(batch, answer, now_ns);
        return batch.size();
    }

    Predictor predictor;
    std::vector<Answer> got;
};

}  // namespace

TEST_CASE("an answer is given again for 300 seconds and no longer", "[predictor][T7]") {
    Asker a;
    CHECK(a.ask("BTCUSDT", 1));
    CHECK(a.got.empty());
    CHECK(a.serve(10) == 1);
    REQUIRE(a.got.size() == 1);
    CHECK_FALSE(a.got[0].is_cached);
    CHECK_FALSE(a.ask("BTCUSDT", 9 + 300 * k_s));
    REQUIRE(a.got.size() == 2);
    CHECK(a.got[1].is_cached);
    CHECK(a.got[1].prediction == "\"BTCUSDT\"");
    CHECK(a.ask("BTCUSDT", 10 + 300 * k_s));
    CHECK(a.got.size() == 2);
    CHECK(a.predictor.stats().cached == 1);
}

TEST_CASE("what is asked twice at once goes to the provider once", "[predictor][T7]") {
    Asker a;
    CHECK(a.ask("BTCUSDT", 1));
    CHECK_FALSE(a.ask("BTCUSDT", 2));
    CHECK(a.ask("BTCUSDT", 3, "{\"horizon\":5}"));
    const std::vector<Question> batch = a.predictor.take();
    CHECK(batch.size() == 2);
    CHECK_FALSE(a.ask("BTCUSDT", 4));  // it is being asked
    a.predictor.finish(batch, {{{TENON_OK, "1", {}, false}, {TENON_OK, "2", {}, false}}, 7}, 5);
    CHECK(a.got.size() == 4);
    const Stats stats = a.predictor.stats();
    CHECK(stats.joined == 2);
    CHECK(stats.good == 2);
    CHECK(stats.cost == 7);
    CHECK(stats.waiting == 0);
    CHECK(a.predictor.queued() == 0);
}

TEST_CASE("batches are bounded and keep the order of the questions", "[predictor][T7]") {
    Limits limits;
    limits.batch_max = 3;
    Asker a{limits};
    for (int i = 0; i < 7; ++i) {
        CHECK(a.ask("S" + std::to_string(i), 100 + i));
    }
    CHECK(a.predictor.oldest_ns() == 100);
    CHECK(a.serve(200) == 3);
    CHECK(a.predictor.oldest_ns() == 103);
    CHECK(a.serve(200) == 3);
    CHECK(a.serve(200) == 1);
    CHECK(a.predictor.oldest_ns() == 0);
    REQUIRE(a.got.size() == 7);
    for (std::size_t i = 0; i < 7; ++i) {
        CHECK(a.got[i].prediction == "\"S" + std::to_string(i) + "\"");
    }
}

TEST_CASE("too many questions are refused, and none is lost", "[predictor][T7]") {
    Limits limits;
    limits.queue_max = 2;
    limits.waiting_max = 3;
    Asker a{limits};
    CHECK(a.ask("A", 1));
    CHECK(a.ask("B", 1));
    CHECK_THROWS_AS(a.ask("C", 1), tenon::Error);
    CHECK_FALSE(a.ask("A", 1));
    CHECK_THROWS_WITH(a.ask("A", 1), Catch::Contains("too many"));
    CHECK(a.serve(2) == 2);
    CHECK(a.got.size() == 3);
    CHECK(a.predictor.stats().refused == 2);
    CHECK(a.ask("C", 3));
}

TEST_CASE("what is kept is bounded, and the oldest goes first", "[predictor][T7]") {
    Limits limits;
    limits.cache_max = 2;
    Asker a{limits};
    for (const char* symbol : {"A", "B", "C"}) {
        CHECK(a.ask(symbol, 1));
        CHECK(a.serve(1) == 1);
    }
    CHECK(a.predictor.stats().kept == 2);
    CHECK_FALSE(a.ask("C", 2));
    CHECK_FALSE(a.ask("B", 2));
    CHECK(a.ask("A", 2));
}

TEST_CASE("failures are told, counted and not kept", "[predictor][T7]") {
    Asker a;
    CHECK(a.predictor.stats().success_bp() == 10'000);
    CHECK(a.ask("A", 1));
    a.predictor.fail(a.predictor.take(), {TENON_TIMEOUT, {}, "late", false});
    REQUIRE(a.got.size() == 1);
    CHECK(a.got[0].status == TENON_TIMEOUT);
    CHECK(a.ask("A", 2));
    CHECK(a.ask("B", 2));
    const std::vector<Question> batch = a.predictor.take();
    a.predictor.finish(batch, {{{TENON_OK, "1", {}, false}}, 0}, 3);  // one is left out
    REQUIRE(a.got.size() == 3);
    CHECK(a.got[1].status == TENON_OK);
    CHECK(a.got[2].status == TENON_UNAVAILABLE);
    const Stats stats = a.predictor.stats();
    CHECK(stats.batches == 2);
    CHECK(stats.batches_failed == 1);
    CHECK(stats.success_bp() == 3'333);
    CHECK(a.ask("B", 4));
    a.predictor.fail_queued({TENON_UNAVAILABLE, {}, "the server stops", false});
    CHECK(a.got.size() == 4);
    CHECK(a.predictor.stats().waiting == 0);
}

TEST_CASE("every question of many threads is answered once", "[predictor][T7]") {
    Limits limits;
    limits.keep_ns = 0;
    Predictor predictor{limits};
    constexpr int k_threads = 4, k_each = 500;
    std::atomic<int> answered{0}, asking{k_threads};
    std::vector<std::thread> threads;
    for (int t = 0; t < k_threads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < k_each; ++i) {
                predictor.ask({"S" + std::to_string((i + t) % 50), "{}"}, 1, [&](const Answer&) {
                    ++answered;
                });
            }
            --asking;
        });
    }
    while (asking > 0 || predictor.queued() > 0) {
        const std::vector<Question> batch = predictor.take();
        BatchAnswer answer;
        answer.answers.resize(batch.size(), {TENON_OK, "1", {}, false});
        predictor.finish(batch, answer, 2);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(answered == k_threads * k_each);
    CHECK(predictor.stats().waiting == 0);
}

TEST_CASE("without kept answers and batches each question goes out by itself", "[predictor][K8]") {
    Asker a;
    CHECK(a.ask("BTCUSDT", 1));
    CHECK(a.serve(2) == 1);
    CHECK_FALSE(a.ask("BTCUSDT", 3));
    Limits plain;
    plain.keep_ns = 0;
    plain.batch_max = 1;
    a.predictor.set_limits(plain);
    CHECK(a.predictor.batch_max() == 1);
    CHECK(a.ask("BTCUSDT", 4));
    CHECK(a.ask("ETHUSDT", 5));
    CHECK(a.serve(6) == 1);
    CHECK(a.serve(7) == 1);
    CHECK(a.ask("BTCUSDT", 8));
    CHECK(a.serve(9) == 1);
    CHECK(a.predictor.stats().kept == 0);
    a.predictor.set_limits({});
    CHECK(a.ask("BTCUSDT", 10));
    CHECK(a.serve(11) == 1);
    CHECK_FALSE(a.ask("BTCUSDT", 12));
}
