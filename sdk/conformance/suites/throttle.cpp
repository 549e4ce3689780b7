// SPDX-License-Identifier: Apache-2.0
// tenon.throttle/1: never more than burst + rate * t, on a time that the check passes in.
//
// The limits are those that the plugin's stats name; the checks take their burst and rate from
// `state`. Each check uses keys of its own.
//
// The file is long because a suite is read as a whole: one function a check.
#include "sdk/conformance/suites/suites.hpp"

#include <tenon/abi/throttle.h>
#include <tenon/decimal.hpp>

#include <boost/json/parse.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <vector>

namespace tenon::suites {
namespace {

constexpr std::int64_t k_second = 1'000'000'000;
constexpr std::int64_t k_start = 1'000'000 * k_second;

struct Limit {
    std::string name;
    std::uint32_t id;
    std::int64_t burst, rate;
};

struct Taken {
    tenon_status status;
    std::int64_t retry_after_ns;
};

class Throttle {
public:
    explicit Throttle(Bench& bench) : instance_{bench.open()} {
        table_ = instance_->service<tenon_throttle_1>("tenon.throttle/1");
        const boost::json::value stats = parsed_stats();
        for (const auto& [name, one] : stats.as_object()) {
            Limit limit{std::string{name}, 0, 0, 0};
            expect_status(
                table_->find(table_.self, str(limit.name), &limit.id),
                TENON_OK,
                text("find of ", limit.name, ", which stats name")
            );
            const tenon_throttle_state now = state(limit, "", k_start);
            limit.burst = now.burst;
            limit.rate = now.rate_per_second;
            const bool limited = level(limit.name) != "unlimited";
            if (limited && limit.burst > 0 && limit.burst < (std::int64_t{1} << 31U)) {
                limits_.push_back(limit);
            }
        }
    }

    // At least one; those that are in force.
    [[nodiscard]] const std::vector<Limit>& limits() const {
        if (limits_.empty()) {
            throw NotApplicable{"the settings have no limit in force; give some with --settings"};
        }
        return limits_;
    }

    [[nodiscard]] boost::json::value parsed_stats() const {
        StringSink out;
        ErrorBuffer err;
        expect_status(table_->stats(table_.self, out.sink(), &err), TENON_OK, "stats", &err);
        boost::json::error_code wrong;
        boost::json::value stats = boost::json::parse(out.text(), wrong);
        expect(!wrong && stats.is_object(), "stats are no JSON object: ", out.text());
        return stats;
    }

    [[nodiscard]] Taken take(const std::vector<tenon_throttle_claim>& claims, std::int64_t now_ns)
        const {
        Taken taken{TENON_OK, -1};
        taken.status = table_->take(
            table_.self,
            claims.data(),
            static_cast<std::uint32_t>(claims.size()),
            now_ns,
            &taken.retry_after_ns
        );
        return taken;
    }

    [[nodiscard]] Taken
    take(const Limit& limit, std::string_view key, std::int64_t cost, std::int64_t now_ns) const {
        return take({{limit.id, static_cast<std::uint32_t>(cost), str(key)}}, now_ns);
    }

    void refund(const Limit& limit, std::string_view key, std::int64_t cost, std::int64_t now_ns)
        const {
        const tenon_throttle_claim claim{limit.id, static_cast<std::uint32_t>(cost), str(key)};
        table_->refund(table_.self, &claim, 1, now_ns);
    }

    [[nodiscard]] tenon_throttle_state
    state(const Limit& limit, std::string_view key, std::int64_t now_ns) const {
        tenon_throttle_state out{};
        out.size = sizeof out;
        expect_status(
            table_->state(table_.self, limit.id, str(key), now_ns, &out),
            TENON_OK,
            text("state of ", limit.name)
        );
        return out;
    }

    [[nodiscard]] std::string level(const std::string& limit) const {
        StringSink out;
        ErrorBuffer err;
        expect_status(
            table_->level(table_.self, str(limit), out.sink(), &err), TENON_OK, "level", &err
        );
        return out.text();
    }

    [[nodiscard]] const Service<tenon_throttle_1>& table() const noexcept { return table_; }

private:
    std::unique_ptr<Instance> instance_;
    Service<tenon_throttle_1> table_;
    std::vector<Limit> limits_;
};

void expect_taken(const Taken& taken, tenon_status wanted, const std::string& what) {
    expect_status(taken.status, wanted, what);
}

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

std::span<const Check> throttle_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
