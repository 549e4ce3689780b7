// SPDX-License-Identifier: Apache-2.0
// tenon.throttle/1: never more than burst + rate * t, on a time that the check passes in.
//
// The limits are those that the plugin's stats name; the checks take their burst and rate from
// `state`. Each check uses keys of its own.
// throttle_state.cpp has the checks of state, levels and threads.
#include "sdk/conformance/suites/throttle_scene.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <vector>

namespace tenon::suites {
namespace {

void find(Bench& bench) {
    const Throttle throttle{bench};
    for (const char* name : {"", "no such limit", "REST_CLIENT\n"}) {
        std::uint32_t id = 77;
        expect_status(
            throttle.table()->find(throttle.table().self, str(name), &id),
            TENON_NOT_FOUND,
            text("find of ", printable(name))
        );
    }
    for (const Limit& limit : throttle.limits()) {
        std::uint32_t again = 0;
        (void)throttle.table()->find(throttle.table().self, str(limit.name), &again);
        expect(again == limit.id, "find of ", limit.name, " gives another id the second time");
    }
    tenon_throttle_state out{};
    out.size = sizeof out;
    expect_status(
        throttle.table()->state(throttle.table().self, 0xfffffff0U, str("k"), k_start, &out),
        TENON_NOT_FOUND,
        "state of an unknown limit"
    );
}

void stats(Bench& bench) {
    const Throttle throttle{bench};
    const Limit& limit = throttle.limits().front();
    const auto counted = [&](const char* what) {
        const boost::json::value all = throttle.parsed_stats();
        const boost::json::object& one = all.at(limit.name).as_object();
        for (const char* field :
             {"level", "rate_per_second", "burst", "keys", "taken", "limited"}) {
            expect(one.contains(field), "stats of ", limit.name, " have no \"", field, "\"");
        }
        return one.at(what).to_number<std::int64_t>();
    };
    const std::int64_t taken = counted("taken"), limited = counted("limited");
    expect_taken(
        throttle.take(limit, "stats", limit.burst, k_start), TENON_OK, "take of the burst"
    );
    expect_taken(throttle.take(limit, "stats", 1, k_start), TENON_LIMITED, "one more");
    expect(counted("taken") > taken, "stats do not count what is taken");
    expect(counted("limited") > limited, "stats do not count what is refused");
}

void burst(Bench& bench) {
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        const std::int64_t available = throttle.state(limit, "burst", k_start).available;
        expect(
            available == limit.burst,
            "a key of ",
            limit.name,
            " that was never seen has ",
            available,
            " of ",
            limit.burst
        );
        for (std::int64_t i = 0; i < std::min<std::int64_t>(limit.burst, 1'000); ++i) {
            expect_taken(
                throttle.take(limit, "one by one", 1, k_start),
                TENON_OK,
                text("take ", i + 1, " of a burst of ", limit.burst, " of ", limit.name)
            );
        }
        expect_taken(
            throttle.take(limit, "at once", limit.burst, k_start),
            TENON_OK,
            text("take of the whole burst of ", limit.name)
        );
        expect_taken(
            throttle.take(limit, "at once", 1, k_start),
            TENON_LIMITED,
            text("one more than the burst of ", limit.name, " at the same time")
        );
    }
}

struct Arrival {
    std::int64_t at_ns, cost;
};

// For every span between two takes: no more than burst + rate * t was given. The rate is told
// rounded down, so one more a second is granted.
void expect_bounded(const Limit& limit, const std::vector<Arrival>& given) {
    for (std::size_t from = 0; from < given.size(); ++from) {
        Int128 sum = 0;
        for (std::size_t to = from; to < given.size(); ++to) {
            sum += given[to].cost;
            const Int128 span = given[to].at_ns - given[from].at_ns;
            const Int128 most = Int128{limit.burst} * k_second + (Int128{limit.rate} + 1) * span;
            expect(
                sum * k_second <= most,
                limit.name,
                " gave ",
                static_cast<std::int64_t>(sum),
                " within ",
                static_cast<std::int64_t>(span),
                " ns; burst ",
                limit.burst,
                ", rate ",
                limit.rate,
                " per second"
            );
        }
    }
}

void rate(Bench& bench) {
    constexpr int k_arrivals = 1'500;
    Random random{bench.seed()};
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        const std::int64_t pace = k_second / std::max<std::int64_t>(limit.rate, 1);
        std::int64_t now = k_start;
        std::vector<Arrival> given;
        for (int i = 0; i < k_arrivals; ++i) {
            const std::int64_t cost = random.between(
                1, std::max<std::int64_t>(1, std::min<std::int64_t>(limit.burst, 5))
            );
            now +=
                random.one_in(10) ? random.between(0, pace * limit.burst) : random.between(0, pace);
            if (throttle.take(limit, "rate", cost, now).status == TENON_OK) {
                given.push_back({now, cost});
            }
        }
        expect_bounded(limit, given);
    }
}

void full_rate(Bench& bench) {
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        if (limit.rate == 0) {
            continue;  // less than one a second: the told rate says too little
        }
        std::int64_t now = k_start;
        expect_taken(throttle.take(limit, "full", limit.burst, now), TENON_OK, "take of the burst");
        constexpr std::int64_t k_takes = 2'000;
        std::int64_t given = 0;
        while (given < k_takes) {
            const Taken taken = throttle.take(limit, "full", 1, now);
            given += taken.status == TENON_OK ? 1 : 0;
            now += taken.status == TENON_OK ? 0 : std::max<std::int64_t>(taken.retry_after_ns, 1);
            expect(
                now - k_start < 2 * (k_takes + 1) * k_second,
                limit.name,
                " gives next to nothing, retry_after_ns is ",
                taken.retry_after_ns
            );
        }
        const Int128 possible = Int128{limit.rate + 1} * (now - k_start) / k_second;
        expect(
            Int128{given} * 100 >= possible * 100 * limit.rate / (limit.rate + 1) * 99 / 100,
            limit.name,
            " gave ",
            given,
            " to one who always asks, at a rate of ",
            limit.rate,
            " per second within ",
            now - k_start,
            " ns"
        );
    }
}

void retry_after(Bench& bench) {
    Random random{bench.seed()};
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        std::int64_t now = k_start;
        for (int i = 0; i < 200; ++i) {
            const std::string key = text("retry ", i);
            const std::int64_t cost = random.between(1, limit.burst);
            expect_taken(
                throttle.take(limit, key, limit.burst, now), TENON_OK, "take of the burst"
            );
            now += random.between(0, k_second);
            const Taken refused = throttle.take(limit, key, cost, now);
            if (refused.status != TENON_LIMITED) {
                continue;
            }
            expect(
                refused.retry_after_ns > 0,
                limit.name,
                " is LIMITED with retry_after_ns ",
                refused.retry_after_ns
            );
            const std::int64_t early = refused.retry_after_ns -
                                       std::max<std::int64_t>(1'000, refused.retry_after_ns / 100);
            if (early > 0) {
                expect_taken(
                    throttle.take(limit, key, cost, now + early),
                    TENON_LIMITED,
                    text(
                        limit.name,
                        ": ",
                        cost,
                        " again after ",
                        early,
                        " ns, told to wait ",
                        refused.retry_after_ns
                    )
                );
            }
            expect_taken(
                throttle.take(limit, key, cost, now + refused.retry_after_ns),
                TENON_OK,
                text(
                    limit.name,
                    ": ",
                    cost,
                    " again after the ",
                    refused.retry_after_ns,
                    " ns it was told to wait"
                )
            );
        }
    }
}

void together(Bench& bench) {
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        const tenon_throttle_claim full{limit.id, 1, str("full")};
        const tenon_throttle_claim empty{limit.id, 1, str("empty")};
        expect_taken(throttle.take(limit, "empty", limit.burst, k_start), TENON_OK, "take");
        const auto left = [&](std::string_view key) {
            return throttle.state(limit, key, k_start).available;
        };
        const std::int64_t before = left("full");
        for (const auto& claims : {std::vector{full, empty}, std::vector{empty, full}}) {
            expect_taken(
                throttle.take(claims, k_start),
                TENON_LIMITED,
                text("two claims of ", limit.name, ", one of them without budget")
            );
            expect(
                left("full") == before && left("empty") == 0,
                limit.name,
                ": a take that was refused took ",
                before - left("full"),
                " all the same"
            );
        }
        const tenon_throttle_claim invalid{
            limit.id, static_cast<std::uint32_t>(limit.burst) + 1, str("other")};
        expect_taken(
            throttle.take({full, invalid}, k_start), TENON_INVALID, "a claim that is invalid"
        );
        expect(left("full") == before, limit.name, ": an invalid take changed a budget");
    }
    if (throttle.limits().size() > 1) {
        const Limit &a = throttle.limits()[0], &b = throttle.limits()[1];
        expect_taken(throttle.take(b, "both", b.burst, k_start), TENON_OK, "take");
        const Taken taken =
            throttle.take({{a.id, 1, str("both")}, {b.id, 1, str("both")}}, k_start);
        expect_taken(taken, TENON_LIMITED, "claims of two limits, one of them used up");
        expect(
            throttle.state(a, "both", k_start).available == a.burst,
            "a refused take of two limits took from the first"
        );
    }
}

// Two claims on the same budget count together.
void same_key(Bench& bench) {
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        const auto cost = static_cast<std::uint32_t>(limit.burst);
        const Taken taken =
            throttle.take({{limit.id, cost, str("same")}, {limit.id, cost, str("same")}}, k_start);
        expect(
            taken.status != TENON_OK,
            limit.name,
            ": two claims of the whole burst on one key are taken together"
        );
        expect(
            throttle.state(limit, "same", k_start).available == limit.burst,
            limit.name,
            ": they were refused and something was taken"
        );
    }
}

void invalid(Bench& bench) {
    const Throttle throttle{bench};
    const Limit& limit = throttle.limits().front();
    const auto cost = static_cast<std::uint32_t>(limit.burst);
    const std::string longest(TENON_THROTTLE_KEY_MAX, 'k');
    const std::string too_long = longest + "k";
    const auto refused = [&](const std::vector<tenon_throttle_claim>& claims, const char* what) {
        expect_taken(throttle.take(claims, k_start), TENON_INVALID, what);
    };
    refused({}, "a take without claims");
    refused(std::vector<tenon_throttle_claim>(9, {limit.id, 1, str("nine")}), "nine claims");
    refused({{limit.id, cost + 1, str("k")}}, "a cost above the burst");
    refused({{limit.id, UINT32_MAX, str("k")}}, "the largest cost");
    refused({{limit.id, 0, str("k")}}, "a cost of 0");
    refused({{0xfffffff0U, 1, str("k")}}, "an unknown limit");
    refused({{limit.id, 1, str(too_long)}}, "a key of 129 bytes");
    expect_taken(
        throttle.take({{limit.id, 1, str(longest)}}, k_start), TENON_OK, "a key of 128 bytes"
    );
    expect_taken(throttle.take({{limit.id, 1, str("")}}, k_start), TENON_OK, "an empty key");
    const tenon_throttle_claim claim{limit.id, 1, str("null")};
    expect(
        throttle.table()->take(throttle.table().self, &claim, 1, k_start, nullptr) == TENON_OK,
        "a take without retry_after_ns is refused"
    );
}

void time_back(Bench& bench) {
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        expect_taken(throttle.take(limit, "back", limit.burst, k_start), TENON_OK, "take");
        for (const std::int64_t back : {std::int64_t{1}, 3'600 * k_second, k_start}) {
            expect_taken(
                throttle.take(limit, "back", 1, k_start - back),
                TENON_LIMITED,
                text(limit.name, ": a take ", back, " ns earlier than the last call")
            );
            expect_taken(
                throttle.take(limit, "back", 1, k_start),
                TENON_LIMITED,
                text(
                    limit.name, ": a take after the time had gone back by ", back, " ns and come on"
                )
            );
        }
    }
}

void deterministic(Bench& bench) {
    struct Call {
        std::size_t limit;
        std::int64_t cost, now;
        std::string key;
        Taken taken;
    };

    std::vector<Call> calls;
    {
        Random random{bench.seed()};
        const Throttle throttle{bench};
        std::int64_t now = k_start;
        for (int i = 0; i < 3'000; ++i) {
            Call call{random.below(throttle.limits().size()), 0, 0, {}, {}};
            const Limit& limit = throttle.limits()[call.limit];
            const std::int64_t pace = k_second / std::max<std::int64_t>(limit.rate, 1);
            now += random.between(-pace / 10, pace);
            call.now = now;
            call.cost = random.between(1, limit.burst);
            call.key = text("key ", random.below(5));
            call.taken = throttle.take(limit, call.key, call.cost, call.now);
            calls.push_back(std::move(call));
        }
    }
    bench.advance(17 * k_second);
    const Throttle throttle{bench};
    for (std::size_t i = 0; i < calls.size(); ++i) {
        const Call& call = calls[i];
        const Taken taken =
            throttle.take(throttle.limits()[call.limit], call.key, call.cost, call.now);
        expect(
            taken.status == call.taken.status &&
                (taken.status != TENON_LIMITED || taken.retry_after_ns == call.taken.retry_after_ns
                ),
            "call ",
            i,
            " of the same calls on a new instance: status ",
            taken.status,
            " retry_after_ns ",
            taken.retry_after_ns,
            ", before ",
            call.taken.status,
            " and ",
            call.taken.retry_after_ns
        );
    }
}

void no_clock(Bench& bench) {
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        expect_taken(throttle.take(limit, "clock", limit.burst, k_start), TENON_OK, "take");
        bench.advance(3'600 * k_second);
        expect_taken(
            throttle.take(limit, "clock", 1, k_start),
            TENON_LIMITED,
            text(limit.name, ": the host's clock went on by an hour, the passed time did not")
        );
    }
}

void keys(Bench& bench) {
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        const std::string nul{"key\0a", 5}, other{"key\0b", 5};
        for (const std::string_view key :
             {std::string_view{"key"},
              std::string_view{"key2"},
              std::string_view{nul},
              std::string_view{other}}) {
            expect_taken(
                throttle.take(limit, key, limit.burst, k_start),
                TENON_OK,
                text(limit.name, ": the burst of another key, ", printable(key))
            );
        }
    }
}

void refund(Bench& bench) {
    const Throttle throttle{bench};
    for (const Limit& limit : throttle.limits()) {
        expect_taken(throttle.take(limit, "refund", limit.burst, k_start), TENON_OK, "take");
        throttle.refund(limit, "refund", limit.burst, k_start);
        expect_taken(
            throttle.take(limit, "refund", limit.burst, k_start),
            TENON_OK,
            text(limit.name, ": a take after a refund of the same")
        );
        throttle.refund(limit, "refund", limit.burst, k_start);
        throttle.refund(limit, "refund", limit.burst, k_start);
        const std::int64_t available = throttle.state(limit, "refund", k_start).available;
        expect(
            available == limit.burst,
            limit.name,
            ": after more refunds than takes ",
            available,
            " of a burst of ",
            limit.burst,
            " are available"
        );
    }
}

constexpr std::string_view k_throttle = "tenon.throttle/1";

constexpr Check k_checks[] = {
    {"throttle.find", "limits have ids, unknown ones do not", k_throttle, &checked<&find>},
    {"throttle.stats", "stats are JSON and count", k_throttle, &checked<&stats>},
    {"throttle.burst", "a full budget gives its burst and no more", k_throttle, &checked<&burst>},
    {"throttle.rate", "no span gives more than burst + rate * t", k_throttle, &checked<&rate>},
    {"throttle.full-rate",
     "who always asks gets 99 % of the rate",
     k_throttle,
     &checked<&full_rate>},
    {"throttle.retry-after",
     "waiting as told is enough, and needed",
     k_throttle,
     &checked<&retry_after>},
    {"throttle.together",
     "claims are taken together or not at all",
     k_throttle,
     &checked<&together>},
    {"throttle.same-key", "claims on one budget add up", k_throttle, &checked<&same_key>},
    {"throttle.invalid", "what never helps is INVALID", k_throttle, &checked<&invalid>},
    {"throttle.time-back", "earlier counts as equal", k_throttle, &checked<&time_back>},
    {"throttle.deterministic",
     "the same calls give the same answers",
     k_throttle,
     &checked<&deterministic>},
    {"throttle.no-clock", "the time is the one passed in", k_throttle, &checked<&no_clock>},
    {"throttle.keys", "each key has its own budget", k_throttle, &checked<&keys>},
    {"throttle.refund",
     "a refund gives back, never above the burst",
     k_throttle,
     &checked<&refund>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> throttle_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
