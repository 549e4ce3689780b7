// SPDX-License-Identifier: Apache-2.0
#include <tenon/quiet_schedule.hpp>
#include <tenon/quiet_window.hpp>

#include <catch2/catch.hpp>

#include <random>
#include <string>

using tenon::QuietSchedule;
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

TEST_CASE("what a day has taught outlives restarts, however often", "[quiet_window][S13]") {
    // Restarted every five hours, so that no run sees a whole day.
    Market market;
    std::string kept;
    const auto live = [&](QuietSchedule& schedule, int minutes, auto&& each) {
        for (int i = 0; i < minutes; ++i) {
            market.minutes(1);
            schedule.observe(market.now_ns, market.now_ns, market.total);
            each();
            if (schedule.take_unsaved(market.now_ns)) {
                kept = schedule.text();
            }
        }
    };
    int quiet = 0, busy = 0;
    for (int start = 0; start < 15; ++start) {
        QuietSchedule schedule;
        schedule.begin(kept, market.now_ns, market.now_ns, 0);
        market.total = 0;
        live(schedule, 5 * 60, [&] {
            const std::int64_t hour = market.now_ns / (60 * k_minute_ns) % 24;
            const bool may = schedule.may_begin(market.now_ns, INT64_MAX);
            (hour >= 2 && hour < 6 ? quiet : busy) += may ? 1 : 0;
        });
    }
    CHECK(quiet > 60);
    CHECK(busy < 60);
}

TEST_CASE("what is due after a restart is what was due before", "[quiet_window][S13]") {
    constexpr std::int64_t k_day_ns = 1440 * k_minute_ns;
    constexpr std::int64_t k_real_ns = 20'000 * k_day_ns;
    QuietSchedule first;
    first.begin("", 7, k_real_ns, k_day_ns);
    CHECK(first.may_begin(7, 0));
    CHECK_FALSE(first.may_begin(106, 100));
    CHECK(first.may_begin(107, 100));
    CHECK(first.take_unsaved(7));
    CHECK_FALSE(first.take_unsaved(7));
    // It waits since then, though the steady clock has begun anew.
    QuietSchedule second;
    second.begin(first.text(), 1000, k_real_ns + 60, k_day_ns);
    CHECK_FALSE(second.may_begin(1039, 100));
    CHECK(second.may_begin(1040, 100));
    second.done(2000, k_real_ns + 1060, 500);
    CHECK(second.take_unsaved(2000));
    QuietSchedule third;
    third.begin(second.text(), 0, k_real_ns + 1100, k_day_ns);
    CHECK_FALSE(third.may_begin(459, 0));
    CHECK(third.may_begin(460, 0));
    // The clock was a year ahead when that was written.
    QuietSchedule fourth;
    fourth.begin(second.text(), 0, k_real_ns - 365 * k_day_ns, k_day_ns);
    CHECK_FALSE(fourth.may_begin(k_day_ns - 1, 0));
    CHECK(fourth.may_begin(k_day_ns, 0));
}

TEST_CASE("a schedule that is damaged is refused, and begun anew", "[quiet_window][S13]") {
    QuietSchedule schedule;
    schedule.begin("", 0, 5, 10);
    const std::string whole = schedule.text();
    std::mt19937_64 random{Catch::rngSeed()};
    std::vector<std::string> wrong{
        "x", "due -1\nrates", "due 1e9\nrates", "due 1\nrates nan", "\n"};
    for (std::size_t size = 1; size < whole.size(); ++size) {
        wrong.push_back(whole.substr(0, size));
    }
    for (const std::string& text : wrong) {
        CAPTURE(text);
        QuietSchedule other;
        CHECK_THROWS_AS(other.begin(text, 100, 105, 10), tenon::Error);
        CHECK(other.may_begin(100, 0));
        CHECK(other.text() == "due 105" + whole.substr(5));
    }
    for (int i = 0; i < 1000; ++i) {
        std::string text = whole;
        text[random() % text.size()] = static_cast<char>(random());
        QuietSchedule other;
        try {
            other.begin(text, 100, 105, 10);
        } catch (const tenon::Error& e) {
            CHECK(e.code() == TENON_CORRUPT);
        }
        CHECK(other.may_begin(110, 0));
    }
}
