// SPDX-License-Identifier: Apache-2.0
// A fleet of bots that want more than one address may have of an exchange, in virtual time: through
// one Upstream, and each with a limiter of its own. The exchange's clock is off and drifts, answers
// come late, overtake each other or never come, and somebody else uses the address too.
#include "tests/simulation/simulated_exchange.hpp"

#include <tenon/upstream.hpp>

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <unordered_map>

namespace tenon::test {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_second = 1'000 * k_ms;
constexpr std::int64_t k_minute = 60 * k_second;
constexpr std::size_t k_bots = 50;

struct World {
    explicit World(std::uint64_t seed) : random{seed} {}

    std::mt19937_64 random;
    VirtualTime time;
    SimulatedExchange exchange;

    [[nodiscard]] std::int64_t below(std::int64_t n) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    }

    [[nodiscard]] bool one_in(std::int64_t n) { return below(n) == 0; }

    // Until the next of `per_second` things that come by chance.
    [[nodiscard]] std::int64_t gap(double per_second) {
        const double u = (static_cast<double>(below(1 << 30)) + 1) / (1 << 30);
        return static_cast<std::int64_t>(-std::log(u) / per_second * 1e9);
    }

    // The exchange's clock: 41 s fast and 80 parts in a million too quick.
    [[nodiscard]] std::int64_t exchange_ns() const {
        return time.now_ns() + 41 * k_second + time.now_ns() / 12'500;
    }

    // One way over the network.
    [[nodiscard]] std::int64_t way() {
        return 5 * k_ms + below(35 * k_ms) + (one_in(500) ? below(3 * k_second) : 0);
    }
};

struct Want {
    Lane lane = Lane::query;
    SimulatedExchange::Call call;
    std::int64_t patience_ns = 5 * k_second;
};

// What bots ask for, `demand` times what the exchange allows. `want(bot, what)` is told.
class Fleet {
public:
    Fleet(World& world, double demand, std::function<void(std::size_t, Want)> want)
        : world_{world}, want_{std::move(want)} {
        for (std::size_t bot = 0; bot < k_bots; ++bot) {
            const double part = (bot % 5 == 0 ? 4.0 : 0.25) / k_bots;  // a few ask for most
            orders(bot, 10.5 * demand * part);
            data(bot, 101 * demand / 6.9 * part);
        }
    }

    // An order that was placed is cancelled some time later.
    void placed(std::size_t bot) {
        world_.time.at(world_.time.now_ns() + 200 * k_ms + world_.below(4 * k_second), [this, bot] {
            want_(bot, {Lane::urgent, {1, false, true, world_.one_in(10)}, k_second});
        });
    }

private:
    void orders(std::size_t bot, double per_second) {
        world_.time.at(world_.time.now_ns() + world_.gap(per_second), [this, bot, per_second] {
            want_(bot, {Lane::order, {1, true, true, world_.one_in(30)}, 2 * k_second});
            orders(bot, per_second);
        });
    }

    void data(std::size_t bot, double per_second) {
        world_.time.at(world_.time.now_ns() + world_.gap(per_second), [this, bot, per_second] {
            static constexpr std::int64_t k_weights[] = {2, 2, 2, 2, 2, 5, 5, 5, 25, 20};
            const std::int64_t weight = k_weights[world_.below(10)];
            const bool history = world_.one_in(8);
            want_(
                bot,
                {history ? Lane::backfill : Lane::query,
                 {weight, false, false, false},
                 history ? k_minute : 5 * k_second}
            );
            data(bot, per_second);
        });
    }

    World& world_;
    std::function<void(std::size_t, Want)> want_;
};

UpstreamOptions options_of(const World& world) {
    UpstreamOptions out;
    out.limits = {
        {LimitUnit::weight, 6'000, k_minute},
        {LimitUnit::requests, 300'000, 5 * k_minute},
        {LimitUnit::orders, 100, 10 * k_second},
        {LimitUnit::orders, 200'000, 1'440 * k_minute}};
    out.in_flight_max = 512;
    out.clock = {world.exchange_ns() - world.time.now_ns(), 30 * k_ms};
    return out;
}

// The bots behind one Upstream.
class OneBudget {
public:
    OneBudget(World& world, double demand)
        : world_{world},
          up_{options_of(world)},
          fleet_{world, demand, [this](std::size_t bot, Want want) { submit(bot, want); }} {
        clock();
    }

    std::int64_t cancel_wait_max_ns = 0;
    std::uint64_t cancels = 0, cancels_refused = 0;

private:
    struct Asked {
        std::size_t bot;
        Want want;
        std::int64_t since_ns;
    };

    // The offset is measured now and then, and not exactly.
    void clock() {
        const std::int64_t exact = world_.exchange_ns() - world_.time.now_ns();
        up_.set_clock({exact - 20 * k_ms + world_.below(40 * k_ms), 30 * k_ms});
        world_.time.at(world_.time.now_ns() + 30 * k_second, [this] { clock(); });
    }

    void submit(std::size_t bot, const Want& want) {
        const std::int64_t now = world_.time.now_ns();
        OutboundRequest request;
        request.id = ++last_id_;
        request.lane = want.lane;
        request.client = bot;
        request.account = 1;
        request.cost = {want.call.weight, want.call.order ? 1 : 0};
        request.deadline_ns = now + want.patience_ns;
        const bool cancel = want.lane == Lane::urgent;
        cancels += cancel ? 1 : 0;
        if (up_.submit(request, now).accepted) {
            asked_.emplace(request.id, Asked{bot, want, now});
        } else {
            cancels_refused += cancel ? 1 : 0;
        }
        pump();
    }

    void pump() {
        const std::int64_t now = world_.time.now_ns();
        while (true) {
            const auto step = up_.next(now);
            if (step.kind == Upstream::Step::Kind::send) {
                send(step.id);
            } else if (step.kind == Upstream::Step::Kind::refuse) {
                cancels_refused += asked_.at(step.id).want.lane == Lane::urgent ? 1U : 0U;
                asked_.erase(step.id);
            } else {
                if (step.kind == Upstream::Step::Kind::wait && step.at_ns < wake_ns_) {
                    wake_ns_ = step.at_ns;
                    world_.time.at(step.at_ns, [this, at_ns = step.at_ns] {
                        if (wake_ns_ == at_ns) {  // else an earlier one has come in between
                            wake_ns_ = INT64_MAX;
                            pump();
                        }
                    });
                }
                return;
            }
        }
    }

    void send(std::uint64_t id) {
        const Asked& asked = asked_.at(id);
        if (asked.want.lane == Lane::urgent) {
            cancel_wait_max_ns =
                std::max(cancel_wait_max_ns, world_.time.now_ns() - asked.since_ns);
        }
        const std::int64_t now = world_.time.now_ns();
        if (world_.one_in(1'000)) {  // on the way, there or back
            if (world_.one_in(2)) {
                world_.time.at(now + world_.way(), [this, call = asked.want.call] {
                    (void)world_.exchange.handle(call, world_.exchange_ns());
                });
            }
            world_.time.at(now + 10 * k_second, [this, id] {
                up_.lost(id, world_.time.now_ns());
                asked_.erase(id);
                pump();
            });
            return;
        }
        world_.time.at(now + world_.way(), [this, id] {
            const auto reply =
                world_.exchange.handle(asked_.at(id).want.call, world_.exchange_ns());
            world_.time.at(world_.time.now_ns() + world_.way(), [this, id, reply] {
                answered(id, reply);
            });
        });
    }

    void answered(std::uint64_t id, const SimulatedExchange::Reply& reply) {
        UpstreamAnswer answer;
        using Outcome = UpstreamAnswer::Outcome;
        answer.outcome = reply.status == 429    ? Outcome::limited
                         : reply.status == 1015 ? Outcome::limited_orders
                         : reply.status == 418  ? Outcome::banned
                                                : Outcome::ok;
        answer.retry_after_ns = reply.retry_after_s * k_second;
        answer.used[0] = reply.used_weight;
        const auto found = asked_.extract(id);
        const Asked& asked = found.mapped();
        if (asked.want.call.order) {
            answer.used_orders[0] = reply.used_ten_seconds;
            answer.used_orders[1] = reply.used_day;
            if (reply.status == 200) {
                fleet_.placed(asked.bot);
            }
        }
        up_.answered(id, answer, world_.time.now_ns());
        pump();
    }

    World& world_;
    Upstream up_;
    std::unordered_map<std::uint64_t, Asked> asked_;
    std::uint64_t last_id_ = 0;
    std::int64_t wake_ns_ = INT64_MAX;
    Fleet fleet_;
};

// The same bots, each with the leaky bucket that ccxt has: it goes on while its tokens are not
// negative, they come back at the exchange's whole rate, and a refusal is an error like any other.
class OwnLimiters {
public:
    OwnLimiters(World& world, double demand)
        : world_{world},
          buckets_(k_bots),
          fleet_{world, demand, [this](std::size_t bot, Want want) { submit(bot, want); }} {}

private:
    struct Bucket {
        std::deque<Want> waiting;
        std::int64_t free_ns = 0;  // when its tokens are not negative any more
        bool runs = false;
    };

    void submit(std::size_t bot, const Want& want) {
        buckets_[bot].waiting.push_back(want);
        if (!std::exchange(buckets_[bot].runs, true)) {
            go(bot);
        }
    }

    void go(std::size_t bot) {
        Bucket& bucket = buckets_[bot];
        const std::int64_t now = world_.time.now_ns();
        while (!bucket.waiting.empty() && bucket.free_ns <= now) {
            const Want want = bucket.waiting.front();
            bucket.waiting.pop_front();
            bucket.free_ns = std::max(bucket.free_ns, now) + want.call.weight * 10 * k_ms;
            world_.time.at(now + world_.way(), [this, bot, want] {
                const auto reply = world_.exchange.handle(want.call, world_.exchange_ns());
                if (want.call.order && reply.status == 200) {
                    fleet_.placed(bot);
                }
            });
        }
        bucket.runs = !bucket.waiting.empty();
        if (bucket.runs) {
            world_.time.at(bucket.free_ns, [this, bot] { go(bot); });
        }
    }

    World& world_;
    std::vector<Bucket> buckets_;
    Fleet fleet_;
};

// Somebody else at the same address, once a second.
void stranger(World& world) {
    world.time.at(world.time.now_ns() + world.gap(1), [&world] {
        (void)world.exchange.handle({1, false, false, false}, world.exchange_ns());
        stranger(world);
    });
}

std::uint64_t seed_of_run() {
    const char* const text = std::getenv("TENON_SIMULATION_SEED");
    return text == nullptr ? 20'260'721 : std::strtoull(text, nullptr, 10);
}

struct Used {
    double weight, orders;
};

// Of the whole windows that fit in.
Used used_of(const World& world, std::int64_t begin_ns, std::int64_t end_ns) {
    const auto& counts = world.exchange.counts();
    return {
        used_part(counts.weight, begin_ns / k_minute + 1, end_ns / k_minute, 6'000),
        used_part(counts.orders, begin_ns / (10 * k_second) + 1, end_ns / (10 * k_second), 100)};
}

Used run_one_budget(std::uint64_t seed, double demand, std::int64_t length_ns) {
    World world{seed};
    stranger(world);
    OneBudget budget{world, demand};
    const std::int64_t begin_ns = world.exchange_ns();
    world.time.run_until(length_ns);
    const auto& counts = world.exchange.counts();
    const Used used = used_of(world, begin_ns, world.exchange_ns());
    std::printf(
        "one budget, demand x%.1f, %lld min: answered %llu, 429 %llu, 418 %llu, weight used %.2f "
        "%% "
        "(most in a minute %lld), orders used %.2f %%, cancels %llu, waited at most %lld ns\n",
        demand,
        static_cast<long long>(length_ns / k_minute),
        static_cast<unsigned long long>(counts.answered),
        static_cast<unsigned long long>(counts.limited),
        static_cast<unsigned long long>(counts.banned),
        100 * used.weight,
        static_cast<long long>(counts.weight_max),
        100 * used.orders,
        static_cast<unsigned long long>(budget.cancels),
        static_cast<long long>(budget.cancel_wait_max_ns)
    );
    CHECK(counts.limited == 0);
    CHECK(counts.banned == 0);
    CHECK(counts.weight_max <= 6'000);
    CHECK(budget.cancels > 1'000);
    CHECK(budget.cancels_refused == 0);
    CHECK(budget.cancel_wait_max_ns == 0);
    return used;
}

}  // namespace

TEST_CASE(
    "fifty bots behind one budget use an hour of it and are never refused",
    "[simulation][throttle][H7]"
) {
    const std::uint64_t seed = seed_of_run();
    INFO("TENON_SIMULATION_SEED=" << seed);
    const Used used = run_one_budget(seed, 1.3, 60 * k_minute);
    CHECK(used.weight >= 0.98);
    CHECK(used.orders >= 0.98);
}

TEST_CASE(
    "five times the demand for ten minutes leaves the goodput where it was",
    "[simulation][throttle][H3]"
) {
    const std::uint64_t seed = seed_of_run() + 1;
    INFO("TENON_SIMULATION_SEED=" << seed - 1);
    const Used used = run_one_budget(seed, 5, 11 * k_minute);
    CHECK(used.weight >= 0.98);
    CHECK(used.orders >= 0.98);
}

TEST_CASE("the same bots with a limiter each are banned", "[simulation][throttle][H7]") {
    const std::uint64_t seed = seed_of_run();
    INFO("TENON_SIMULATION_SEED=" << seed);
    World world{seed};
    OwnLimiters limiters{world, 1.3};
    world.time.run_until(10 * k_minute);
    const auto& counts = world.exchange.counts();
    const Used used = used_of(world, 41 * k_second, world.exchange_ns());
    std::printf(
        "a limiter each, demand x1.3, 10 min: answered %llu, 429 %llu, 418 %llu, weight used %.2f "
        "%%\n",
        static_cast<unsigned long long>(counts.answered),
        static_cast<unsigned long long>(counts.limited),
        static_cast<unsigned long long>(counts.banned),
        100 * used.weight
    );
    CHECK(counts.limited > 0);
    CHECK(counts.banned > 0);
}

}  // namespace tenon::test
