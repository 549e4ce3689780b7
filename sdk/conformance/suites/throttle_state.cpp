// SPDX-License-Identifier: Apache-2.0
// tenon.throttle/1: what state tells, levels, threads, an upstream's word, and the hot path's
// price.
#include "sdk/conformance/suites/throttle_scene.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <string>

namespace tenon::suites {
namespace {

void state(Bench& bench) {
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        for (int i = 0; i < 100; ++i) {
            (void)throttle.state(limit, "state", k_start);
        }
        const std::int64_t part = (limit.burst + 1) / 2;
        expect_taken(throttle.take(limit, "state", part, k_start), TENON_OK, "take");
        const tenon_throttle_state now = throttle.state(limit, "state", k_start);
        expect(
            now.available == limit.burst - part,
            limit.name,
            ": took ",
            part,
            " of ",
            limit.burst,
            ", state says ",
            now.available,
            " are left"
        );
        const tenon_throttle_state full =
            throttle.state(limit, "state", k_start + now.full_after_ns);
        expect(
            now.full_after_ns > 0 && full.available == limit.burst,
            limit.name,
            ": full after ",
            now.full_after_ns,
            " ns, says the state; then ",
            full.available,
            " of ",
            limit.burst,
            " are there"
        );
    }
}

void levels(Bench& bench) {
    const Throttle throttle{bench};
    const Limit& limit = throttle.limits().front();
    const auto& table = throttle.table();
    const std::string before = throttle.level(limit.name);
    static constexpr std::array<std::string_view, 5> k_levels{
        "conservative", "moderate", "aggressive", "unlimited", "custom"};
    expect(
        std::find(k_levels.begin(), k_levels.end(), before) != k_levels.end(),
        "the level of ",
        limit.name,
        " is ",
        printable(before)
    );
    ErrorBuffer err;
    expect_status(
        table->set_level(table.self, str(limit.name), str("reckless"), &err),
        TENON_INVALID,
        "set_level to an unknown level"
    );
    expect_status(
        table->set_level(table.self, str("no such limit"), str("moderate"), &err),
        TENON_NOT_FOUND,
        "set_level of an unknown limit"
    );
    expect(throttle.level(limit.name) == before, "a refused set_level changed the level");
    for (const std::string_view level : {"conservative", "moderate", "aggressive"}) {
        const std::string key = text("level ", level);
        expect_taken(throttle.take(limit, key, limit.burst, k_start), TENON_OK, "take");
        ErrorBuffer why;
        if (table->set_level(table.self, str(limit.name), str(level), &why) != TENON_OK) {
            throttle.refund(limit, key, limit.burst, k_start);
            continue;
        }
        expect(throttle.level(limit.name) == level, "set_level to ", level, " had no effect");
        const tenon_throttle_state now = throttle.state(limit, key, k_start);
        expect(
            now.available <= std::max<std::int64_t>(0, now.burst - limit.burst),
            limit.name,
            ": ",
            limit.burst,
            " taken, then level ",
            level,
            " with a burst of ",
            now.burst,
            ": ",
            now.available,
            " are available at once"
        );
        if (table->set_level(table.self, str(limit.name), str(before), &why) != TENON_OK) {
            return;
        }
    }
}

void concurrent(Bench& bench) {
    constexpr std::size_t k_threads = 4;
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        if (limit.burst > 1'000'000) {
            continue;
        }
        std::atomic<std::int64_t> taken{0};
        bench.in_parallel(k_threads, [&](std::size_t) {
            for (std::int64_t i = 0; i < limit.burst + 10; ++i) {
                if (throttle.take(limit, "threads", 1, k_start).status == TENON_OK) {
                    ++taken;
                }
            }
        });
        expect(
            taken == limit.burst,
            limit.name,
            ": ",
            k_threads,
            " threads took ",
            taken.load(),
            " of a burst of ",
            limit.burst,
            " at one time"
        );
    }
}

void observe(Bench& bench) {
    const Throttle throttle{bench};
    if (!TENON_HAS(throttle.table().table, tenon_throttle_1, observe)) {
        throw NotApplicable{"the throttle does not observe an upstream"};
    }
    for (const Limit& limit : throttle.limits()) {
        tenon_throttle_feedback feedback{};
        feedback.size = sizeof feedback;
        feedback.outcome = TENON_UPSTREAM_LIMITED;
        feedback.retry_after_ns = 5 * k_second;
        throttle.table()->observe(
            throttle.table().self, limit.id, str("upstream"), &feedback, k_start
        );
        const tenon_throttle_state now = throttle.state(limit, "upstream", k_start);
        if (now.blocked_ns == 0) {
            continue;
        }
        const Taken taken = throttle.take(limit, "upstream", 1, k_start);
        expect_taken(
            taken, TENON_LIMITED, text(limit.name, ": a take while blocked by the upstream")
        );
        expect(
            taken.retry_after_ns >= now.blocked_ns,
            limit.name,
            ": blocked for ",
            now.blocked_ns,
            " ns, retry_after_ns is ",
            taken.retry_after_ns
        );
        expect_taken(
            throttle.take(limit, "upstream", 1, k_start + taken.retry_after_ns),
            TENON_OK,
            text(limit.name, ": a take after the block")
        );
    }
}

// take, refund and state of a key that is known, as a gateway's thread calls them.
class HotPath {
public:
    explicit HotPath(const Throttle& throttle)
        : table_{throttle.table()}, claim_{throttle.limits().front().id, 1, str("hot")} {
        run();
    }

    void run() const {
        constexpr int k_rounds = 1'000;
        tenon_throttle_state out{};
        for (int i = 0; i < k_rounds; ++i) {
            const std::int64_t now = k_start + i * 1'000;
            (void)table_->take(table_.self, &claim_, 1, now, nullptr);
            table_->refund(table_.self, &claim_, 1, now);
            out.size = sizeof out;
            (void)table_->state(table_.self, claim_.limit, claim_.key, now, &out);
        }
    }

private:
    Service<tenon_throttle_1> table_;
    tenon_throttle_claim claim_;
};

void no_system_call(Bench& bench) {
    const Throttle throttle{bench};
    const HotPath path{throttle};
    const std::string call = bench.system_call_of([&] { path.run(); });
    expect(call.empty(), "take, refund and state of a known key: ", call);
}

void no_allocation(Bench& bench) {
    const Throttle throttle{bench};
    const HotPath path{throttle};
    const std::int64_t allocations = bench.allocations_of([&] { path.run(); });
    if (allocations < 0) {
        throw NotApplicable{"this program does not count allocations"};
    }
    expect(
        allocations == 0,
        "1000 takes, refunds and states of a known key allocated ",
        allocations,
        " times"
    );
}

constexpr std::string_view k_throttle = "tenon.throttle/1";

constexpr Check k_checks[] = {
    {"throttle.state", "state tells the truth and takes nothing", k_throttle, &checked<&state>},
    {"throttle.levels",
     "levels change, budgets keep what was taken",
     k_throttle,
     &checked<&levels>},
    {"throttle.concurrent", "threads share one budget", k_throttle, &checked<&concurrent>},
    {"throttle.observe", "an upstream's block is kept", k_throttle, &checked<&observe>},
    {"throttle.no-system-call",
     "the hot path makes no system call",
     k_throttle,
     &checked<&no_system_call>},
    {"throttle.no-allocation",
     "the hot path does not allocate",
     k_throttle,
     &checked<&no_allocation>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> throttle_state_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
