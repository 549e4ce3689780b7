// SPDX-License-Identifier: Apache-2.0
// When backups are made by themselves.
#include "plugins/backup/sqlite/schedule.hpp"

#include <catch2/catch.hpp>

using tenon::backup_sqlite::Schedule;

namespace {

constexpr std::int64_t k_second = 1'000'000'000;
constexpr std::int64_t k_hour = 3600 * k_second;

}  // namespace

TEST_CASE("a backup is due when the newest is as old as they are apart", "[backup][S14]") {
    Schedule schedule{6 * k_hour, k_second};
    schedule.want(0);
    CHECK(schedule.due_ns() == k_second);
    schedule.begin(k_hour, 6 * k_hour);
    CHECK(schedule.due_ns() == k_hour);
    schedule.begin(k_hour, 90 * k_hour);
    CHECK(schedule.due_ns() == k_hour);
    schedule.begin(k_hour, 2 * k_hour);
    CHECK(schedule.due_ns() == 5 * k_hour);
    schedule.begin(k_hour, -k_hour);
    CHECK(schedule.due_ns() == 7 * k_hour);
    schedule.made(8 * k_hour);
    CHECK(schedule.due_ns() == 14 * k_hour);
}

TEST_CASE("a backup that fails is tried again, each time later", "[backup][S14]") {
    Schedule schedule{6 * k_hour, 0};
    std::int64_t now = k_hour;
    std::int64_t before = 0;
    for (int i = 0; i < 40; ++i) {
        schedule.failed(now);
        const std::int64_t pause = schedule.due_ns() - now;
        CHECK(pause == std::min(std::max(k_second, 2 * before), 300 * k_second));
        before = pause;
        schedule.want(now);
        CHECK(schedule.due_ns() == now + pause);
        now += pause;
    }
    schedule.made(now);
    CHECK(schedule.due_ns() == now + 6 * k_hour);
    schedule.failed(now);
    CHECK(schedule.due_ns() == now + k_second);
    Schedule often{k_second / 2, 0};
    often.failed(now);
    CHECK(often.due_ns() == now + k_second / 2);
}

TEST_CASE("a backup that is wanted is due at once, but not again and again", "[backup][S14]") {
    Schedule schedule{6 * k_hour, 0};
    schedule.begin(0, 0);
    std::int64_t now = k_hour;
    std::int64_t before = 0;
    for (int i = 0; i < 12; ++i) {
        schedule.want(now);
        const std::int64_t pause = schedule.due_ns() - now;
        CHECK(pause == (i == 0 ? 0 : std::min(std::max(k_second, 2 * before), 300 * k_second)));
        before = pause;
        now += pause;
        schedule.made(now);
        CHECK(schedule.due_ns() == now + 6 * k_hour);
    }
    now += k_hour;
    schedule.want(now);
    CHECK(schedule.due_ns() == now);
    schedule.made(now);
    schedule.want(now);
    CHECK(schedule.due_ns() == now + k_second);
}
