// SPDX-License-Identifier: Apache-2.0
#include <tenon/quiet_window.hpp>

#include <catch2/catch.hpp>

using tenon::QuietWindow;

namespace {

constexpr std::int64_t k_minute_ns = 60'000'000'000;

// A market that sleeps from 2 to 6 and trades a hundred a second otherwise.
struct Market {
    QuietWindow window;
    std::int64_t now_ns = 0;
    std::uint64_t total = 0;

    void minutes(int count, double factor = 1) {
        for (int i = 0; i < count; ++i) {
            now_ns += k_minute_ns;
            const std::int64_t hour = now_ns / (60 * k_minute_ns) % 24;
            total += static_cast<std::uint64_t>((hour >= 2 && hour < 6 ? 2 : 100) * 60 * factor);
            window.observe(now_ns, total);
        }
    }
};

}  // namespace

TEST_CASE("quiet hours are found from a day of traffic", "[quiet_window][S13]") {
    Market market;
    market.minutes(4 * 60);
    CHECK_FALSE(market.window.is_quiet()
    );  // it may be the busiest hour of the day, for all one knows
    market.minutes(21 * 60);
    REQUIRE(market.window.limit());
    CHECK_FALSE(market.window.is_quiet());  // one in the night is busy here
    market.minutes(2 * 60 + 30);
    CHECK_FALSE(*market.window.limit() < 2);
    market.minutes(30, 0.5);
    CHECK(market.window.current() < 10);
    market.minutes(60);
    const bool night = market.window.is_quiet();
    market.minutes(3 * 60);
    CHECK_FALSE(market.window.is_quiet());
    CHECK(night);
}

TEST_CASE("who waits for quiet does not wait for ever", "[quiet_window][S13]") {
    Market market;
    market.minutes(60);
    CHECK_FALSE(market.window.may_begin(50, 100, 0));
    CHECK_FALSE(market.window.may_begin(150, 100, 60));
    CHECK(market.window.may_begin(160, 100, 60));
}

TEST_CASE("a restarted count and a clock that jumps are no traffic", "[quiet_window][S13]") {
    Market market;
    market.minutes(30);
    const double before = market.window.current();
    market.window.observe(market.now_ns + k_minute_ns, 5);
    market.window.observe(market.now_ns - 10 * k_minute_ns, 1'000'000'000);
    market.window.observe(market.now_ns + 1000 * k_minute_ns, 2'000'000'000);
    CHECK(market.window.current() == before);
}
