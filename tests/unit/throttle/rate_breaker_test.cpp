// SPDX-License-Identifier: Apache-2.0
#include <tenon/rate_breaker.hpp>

#include <catch2/catch.hpp>

#include <random>

using tenon::RateBreaker;

namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_second = 1'000 * k_ms;

tenon::RateBreakerOptions options() {
    tenon::RateBreakerOptions out;
    out.backoff = {k_second, 60 * k_second, 150, tenon::Spread::quarter};
    return out;
}

void fail(RateBreaker& breaker, int times, std::int64_t now_ns) {
    for (int i = 0; i < times; ++i) {
        breaker.ended(breaker.begin(now_ns), false, now_ns);
    }
}

}  // namespace

TEST_CASE("a breaker opens by the part that fails, once enough have ended", "[throttle][H4]") {
    RateBreaker breaker{options(), 1};
    fail(breaker, 9, k_second);
    CHECK(breaker.state(k_second) == RateBreaker::State::closed);
    for (int i = 0; i < 15; ++i) {
        breaker.ended(breaker.begin(k_second), true, k_second);
    }
    fail(breaker, 5, k_second);
    CHECK(breaker.state(k_second) == RateBreaker::State::closed);  // 14 of 29
    fail(breaker, 1, k_second);
    CHECK(breaker.state(k_second) == RateBreaker::State::open);
    CHECK(breaker.when(k_second) > k_second);
}

TEST_CASE("failures of long ago do not open a breaker", "[throttle][H4]") {
    RateBreaker breaker{options(), 1};
    fail(breaker, 9, 0);
    fail(breaker, 9, 12 * k_second);
    CHECK(breaker.state(12 * k_second) == RateBreaker::State::closed);
    fail(breaker, 1, 13 * k_second);
    CHECK(breaker.state(13 * k_second) == RateBreaker::State::open);
}

TEST_CASE("regression: a probe that never ends does not hold it half-open", "[throttle][H4]") {
    RateBreaker breaker{options(), 1};
    fail(breaker, 10, 0);
    std::int64_t now = breaker.when(0);
    CHECK(breaker.when(now) == now);
    const std::uint64_t lost = breaker.begin(now);
    CHECK(breaker.state(now) == RateBreaker::State::half_open);
    CHECK(breaker.state(now + 9 * k_second) == RateBreaker::State::half_open);
    CHECK(breaker.state(now + 10 * k_second) == RateBreaker::State::open);
    now = breaker.when(now + 10 * k_second);
    CHECK(breaker.when(now) == now);
    breaker.ended(lost, true, now);  // of an earlier trial: says nothing
    CHECK(breaker.state(now) == RateBreaker::State::half_open);
    for (int i = 0; i < 3; ++i) {
        CHECK(breaker.when(now) == now);
        breaker.ended(breaker.begin(now), true, now);
    }
    CHECK(breaker.state(now) == RateBreaker::State::closed);
}

TEST_CASE("regression: calls from before it opened cannot open it anew", "[throttle][H4]") {
    RateBreaker breaker{options(), 1};
    const std::uint64_t old = breaker.begin(0);
    fail(breaker, 10, 0);
    std::int64_t now = breaker.when(0);
    const std::uint64_t probe = breaker.begin(now);
    breaker.ended(old, false, now);
    CHECK(breaker.state(now) == RateBreaker::State::half_open);
    breaker.ended(probe, false, now);
    CHECK(breaker.state(now) == RateBreaker::State::open);
    CHECK(breaker.openings() == 2);
}

TEST_CASE("a probe that was not sent makes room for another", "[throttle][H4]") {
    RateBreaker breaker{options(), 1};
    fail(breaker, 10, 0);
    const std::int64_t now = breaker.when(0);
    CHECK(breaker.when(now) == now);
    std::uint64_t epoch = 0;
    for (int i = 0; i < 3; ++i) {
        epoch = breaker.begin(now);
    }
    CHECK(breaker.when(now) > now);
    breaker.abandoned(epoch);
    CHECK(breaker.when(now) == now);
}

TEST_CASE("whatever ends when, a breaker lets calls through again", "[throttle][H4]") {
    const unsigned seed = 99;
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    RateBreaker breaker{options(), 5};
    std::vector<std::uint64_t> under_way;
    std::int64_t now = 0;
    std::int64_t last_begin = 0;
    for (int i = 0; i < 200'000; ++i) {
        now += static_cast<std::int64_t>(random() % (200 * k_ms));
        if (breaker.when(now) <= now) {
            under_way.push_back(breaker.begin(now));
            last_begin = now;
        }
        REQUIRE(now - last_begin <= 90 * k_second);
        while (!under_way.empty() && random() % 3 != 0) {
            const std::size_t at = random() % under_way.size();
            if (random() % 10 != 0) {  // else it is never heard of again
                breaker.ended(under_way[at], random() % 2 == 0, now);
            }
            under_way.erase(under_way.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }
    CHECK(breaker.openings() > 10);
}

TEST_CASE("waits with full jitter grow by half and stay below the longest", "[throttle][H4]") {
    tenon::Backoff backoff{{100 * k_ms, 2 * k_second, 150, tenon::Spread::full}, 3};
    std::int64_t base = 100 * k_ms;
    std::int64_t most = 0;
    for (int i = 0; i < 1'000; ++i) {
        const std::int64_t wait = backoff.next();
        CHECK(wait >= 1);
        CHECK(wait <= base);
        base = std::min(base / 2 * 3, 2 * k_second);
        most = std::max(most, wait);
    }
    CHECK(most > 1'900 * k_ms);
    backoff.reset();
    CHECK(backoff.next() <= 100 * k_ms);
}
