// SPDX-License-Identifier: Apache-2.0
#include <tenon/circuit_breaker.hpp>

#include <catch2/catch.hpp>

using tenon::CircuitBreaker;

namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_second = 1000 * k_ms;

}  // namespace

TEST_CASE("lifetimes are spread by a tenth, the same for the same seed", "[pool][S3]") {
    tenon::Jitter a{7};
    tenon::Jitter b{7};
    std::int64_t least = INT64_MAX;
    std::int64_t most = 0;
    for (int i = 0; i < 10'000; ++i) {
        const std::int64_t one = a.spread(1000, 10);
        CHECK(one == b.spread(1000, 10));
        least = std::min(least, one);
        most = std::max(most, one);
    }
    CHECK(least == 900);
    CHECK(most == 1100);
}

TEST_CASE("a probe that never tells does not keep others away for ever", "[pool][S3]") {
    tenon::BreakerOptions options;
    options.failures_to_open = 1;
    CircuitBreaker breaker{options, 1};
    CHECK(breaker.failed(0));
    const std::int64_t late = 5 * k_second;
    CHECK(breaker.ask(1) == CircuitBreaker::Answer::refuse);
    CHECK(breaker.ask(late) == CircuitBreaker::Answer::go);
    breaker.begin(late);
    CHECK(breaker.ask(late) == CircuitBreaker::Answer::refuse);
    CHECK(breaker.ask(late + options.probe_timeout_ns) == CircuitBreaker::Answer::go);
    breaker.begin(late + options.probe_timeout_ns);
    CHECK(breaker.succeeded());
    CHECK(breaker.state() == CircuitBreaker::State::closed);
    CHECK(breaker.ask(0) == CircuitBreaker::Answer::go);
}

TEST_CASE("many that fail together count as one failure", "[pool][S3]") {
    CircuitBreaker breaker{{}, 1};
    for (int i = 0; i < 20; ++i) {
        CHECK_FALSE(breaker.failed(1000));
    }
    CHECK(breaker.failures() == 1);
    CHECK(breaker.state() == CircuitBreaker::State::closed);
}

TEST_CASE("it tells since when it fails, until it succeeds", "[pool][S3]") {
    CircuitBreaker breaker{{3, k_second, {k_ms, k_second}}, 1};
    CHECK(breaker.failing_since_ns() == 0);
    (void)breaker.failed(5 * k_second);
    (void)breaker.failed(9 * k_second);
    CHECK(breaker.failing_since_ns() == 5 * k_second);
    (void)breaker.succeeded();
    CHECK(breaker.failing_since_ns() == 0);
    (void)breaker.failed(11 * k_second);
    CHECK(breaker.failing_since_ns() == 11 * k_second);
}

TEST_CASE("waits between attempts double from the first to the longest", "[pool][S3]") {
    tenon::Backoff backoff{{50 * k_ms, 5 * k_second}, 3};
    std::int64_t base = 50 * k_ms;
    for (int i = 0; i < 12; ++i) {
        const std::int64_t wait = backoff.next();
        CHECK(wait >= std::max(50 * k_ms, base / 4 * 3));
        CHECK(wait <= std::min(5 * k_second, base / 4 * 5));
        base = std::min(2 * base, 5 * k_second);
    }
    backoff.reset();
    CHECK(backoff.next() <= 63 * k_ms);
}
