// SPDX-License-Identifier: Apache-2.0
// Loads that nobody waits for: early refreshes, warming, prefetch. TENON_SEED repeats a run.
#include "tests/unit/cache/shared_fixture.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

using tenon::test::SharedMap;
using tenon::test::SharingServer;

namespace {

constexpr std::string_view k_caches = R"("default_ttl_ms":5000,"default_negative_ttl_ms":5000,
    "refresh_timeout_ms":1000,"sweep_interval_ms":300000,"events":[],)";

std::uint64_t seed_or(std::uint64_t fallback) {
    const char* const text = std::getenv("TENON_SEED");
    const std::uint64_t seed = text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
    UNSCOPED_INFO("seed " << seed);
    return seed;
}

// One server whose caches load by themselves, in so much of the virtual time, at once.
class Loading : public SharingServer {
public:
    Loading(SharedMap& map, const std::string& more) : SharingServer{map, 0} { take(more); }

    ~Loading() {
        for (const std::uint32_t cache : caches_) {
            stack->refresh(cache, nullptr, nullptr);
        }
    }

    Loading(const Loading&) = delete;
    Loading& operator=(const Loading&) = delete;

    // As a live reload.
    void take(const std::string& more) {
        settings.configure("{" + std::string{k_caches} + more + "}", false);
        stack->apply();
    }

    void loads_itself(std::string_view cache) {
        caches_.push_back(stack->open(cache));
        stack->refresh(
            caches_.back(),
            this,
            [](void* ctx,
               tenon_bytes,
               std::int64_t,
               tenon_sink value,
               tenon_cache_keep*,
               tenon_err*) { return static_cast<Loading*>(ctx)->load(value); }
        );
    }

    // Of a request for which it is not there.
    Answer ask(std::string_view cache, const std::string& key) {
        return fetch(cache, key, [this](std::string& value, tenon_cache_keep&) {
            value = "v";
            return load({nullptr, [](void*, tenon_bytes) { return tenon_status{TENON_OK}; }});
        });
    }

    std::uint64_t count(std::atomic<std::uint64_t> tenon::cache_stack::CacheCounters::*member) {
        std::uint64_t sum = 0;
        stack->each_cache([&](const auto&, const auto& counters, auto) {
            sum += (counters.*member).load();
        });
        return sum;
    }

    std::int64_t load_takes_ns = 0;

private:
    tenon_status load(tenon_sink value) {
        ++loads;
        host.reactor().advance(load_takes_ns);
        return value.put(value.ctx, tenon::bytes("v"));
    }

    std::vector<std::uint32_t> caches_;
};

using Counters = tenon::cache_stack::CacheCounters;

constexpr std::int64_t k_ms = 1'000'000;

}  // namespace

TEST_CASE("a key that is asked for often is loaded anew before its time is over", "[cache][C4]") {
    SharedMap map;
    Loading server{
        map,
        R"("early_percent":100,
           "caches":[{"name":"price","ttl_ms":5000,"stale_ms":5000,"consistency":"timed"}])"};
    server.loads_itself("price");
    server.load_takes_ns = 100 * k_ms;
    (void)server.ask("price", "hot");
    for (int i = 0; i < 3000; ++i) {  // half a minute
        server.host.reactor().advance(10 * k_ms);
        CHECK(server.get("price", "hot").how.source == TENON_CACHE_HIT);
    }
    CHECK(server.count(&Counters::early) >= 5);
    CHECK(server.count(&Counters::stale) == 0);
}

TEST_CASE("a key that is asked for seldom is not loaded early", "[cache][C4]") {
    SharedMap map;
    Loading server{
        map,
        R"("early_percent":100,
           "caches":[{"name":"price","ttl_ms":5000,"stale_ms":5000,"consistency":"timed"}])"};
    server.loads_itself("price");
    server.load_takes_ns = 100 * k_ms;
    for (int i = 0; i < 100; ++i) {
        (void)server.ask("price", "k");
        server.host.reactor().advance(3000 * k_ms);  // 20 loads' times before its end
        (void)server.get("price", "k");
        server.host.reactor().advance(20'000 * k_ms);
    }
    CHECK(server.count(&Counters::early) == 0);
    CHECK(server.loads == 100);
}

TEST_CASE("declared keys are there after a start, so many a second", "[cache][C4]") {
    SharedMap map;
    Loading server{
        map,
        R"("caches":[{"name":"info","ttl_ms":60000,"warm":["a","b","c"],"consistency":"timed"}])"};
    server.stack->warm_some(10);
    CHECK(server.loads == 0);  // nobody has said how
    server.loads_itself("info");
    server.stack->warm_some(2);
    CHECK(server.loads == 2);
    server.stack->warm_some(2);
    server.stack->warm_some(2);
    CHECK(server.loads == 3);
    for (const char* const key : {"a", "b", "c"}) {
        CHECK(server.get("info", key).value == "v");
    }
}

TEST_CASE("keys are warmed while the flag of a running cache is on", "[cache][K8]") {
    constexpr std::string_view k_info =
        R"("caches":[{"name":"info","ttl_ms":60000,"warm":["a","b"],"consistency":"timed"}])";
    SharedMap map;
    Loading server{map, std::string{k_info} + R"(,"warming":false)"};
    server.loads_itself("info");
    server.stack->warm_some(10);
    CHECK(server.loads == 0);
    server.take(std::string{k_info} + R"(,"warming":true)");
    server.stack->warm_some(1);
    CHECK(server.loads == 1);
    server.take(std::string{k_info} + R"(,"warming":false)");
    server.stack->warm_some(10);
    CHECK(server.loads == 1);
}

TEST_CASE("the keys that were asked for most are there after the next start", "[cache][C4]") {
    const std::string settings =
        R"("warm_hottest":2,"caches":[{"name":"info","ttl_ms":60000,"consistency":"timed"}])";
    SharedMap map;
    {
        Loading server{map, settings};
        server.loads_itself("info");
        for (int i = 0; i < 4000; ++i) {
            (void)server.ask("info", i % 2 == 0 ? "hot" : "warm");
        }
        for (int i = 0; i < 200; ++i) {
            (void)server.ask("info", "cold" + std::to_string(i));
        }
        server.stack->refuse();
    }
    std::erase_if(map.entries, [](const auto& entry) { return entry.first.starts_with("info:"); });
    Loading server{map, settings};
    server.loads_itself("info");
    server.stack->warm_some(100);
    CHECK(server.loads == 2);
    CHECK(server.get("info", "hot").value == "v");
    CHECK(server.get("info", "warm").value == "v");
}

namespace {

constexpr std::array<std::string_view, 4> k_route{"price", "book", "candles", "rules"};

// They look at a symbol: its price, book, candles and rules, one after another, while others look
// at theirs; now and then somebody asks for something else.
class People {
public:
    explicit People(std::uint64_t seed) : random_{seed} {}

    // The next one asks, 20 ms later; true when it had to be loaded for him.
    bool ask(Loading& server) {
        server.host.reactor().advance(20 * k_ms);
        std::string symbol;
        std::string_view cache;
        if (random_() % 10 == 0) {
            symbol = "S" + std::to_string(random_() % 200);
            cache = k_route[random_() % k_route.size()];
        } else {
            Viewer& viewer = viewers_[random_() % viewers_.size()];
            if (viewer.at == k_route.size()) {
                // Some symbols often, most seldom.
                viewer = {"S" + std::to_string(random_() % (1 + random_() % 100)), 0};
            }
            symbol = viewer.symbol;
            cache = k_route[viewer.at++];
        }
        return server.ask(cache, symbol).how.source == TENON_CACHE_LOADED;
    }

private:
    struct Viewer {
        std::string symbol;
        std::size_t at = k_route.size();
    };

    std::mt19937_64 random_;
    std::vector<Viewer> viewers_{20};
};

struct Replay {
    std::uint64_t cold_misses = 0, upstream = 0, prefetched = 0;
};

Replay replay(bool prefetch, bool free, std::uint64_t seed) {
    SharedMap map;
    Loading server{map, std::string{R"("caches":[],"prefetch":)"} + (prefetch ? "true" : "false")};
    server.stack->when_free([free] { return free; });
    for (const std::string_view cache : k_route) {
        server.loads_itself(cache);
    }
    People people{seed};
    Replay seen;
    for (int i = 0; i < 30'000; ++i) {
        seen.cold_misses += people.ask(server) ? 1U : 0U;
    }
    seen.upstream = static_cast<std::uint64_t>(server.loads);
    seen.prefetched = server.count(&Counters::prefetched);
    return seen;
}

}  // namespace

TEST_CASE(
    "prefetch saves a third of the cold misses for a tenth more loads at most",
    "[cache][C6]"
) {
    const std::uint64_t seed = seed_or(20'261'122);
    const Replay without = replay(false, true, seed);
    const Replay with = replay(true, true, seed);
    CAPTURE(without.cold_misses, without.upstream, with.cold_misses, with.upstream);
    WARN(
        "cold misses " << without.cold_misses << " -> " << with.cold_misses << ", loads "
                       << without.upstream << " -> " << with.upstream
    );
    CHECK(without.prefetched == 0);
    CHECK(with.cold_misses * 10 <= without.cold_misses * 7);
    CHECK(with.upstream * 10 <= without.upstream * 11);
}

TEST_CASE("a running cache prefetches while its flag is on", "[cache][C6][K8]") {
    SharedMap map;
    Loading server{map, R"("caches":[],"prefetch":false)"};
    server.stack->when_free([] { return true; });
    for (const std::string_view cache : k_route) {
        server.loads_itself(cache);
    }
    People people{seed_or(20'261'123)};
    const auto prefetched = [&] {
        const std::uint64_t before = server.count(&Counters::prefetched);
        for (int i = 0; i < 10'000; ++i) {
            (void)people.ask(server);
        }
        return server.count(&Counters::prefetched) - before;
    };
    CHECK(prefetched() == 0);
    server.take(R"("caches":[],"prefetch":true)");
    CHECK(prefetched() > 0);
    server.take(R"("caches":[],"prefetch":false)");
    CHECK(prefetched() == 0);
}

TEST_CASE("nothing is prefetched while what is loaded from is busy", "[cache][C6]") {
    const Replay busy = replay(true, false, seed_or(7));
    CHECK(busy.prefetched == 0);
}

TEST_CASE("a prediction that stops to come true turns itself off, and on again", "[cache][C6]") {
    tenon::cache_stack::Predictor predictor;
    std::int64_t now = 1;
    std::uint64_t fetched = 0;
    // So many people ask for one thing and then, or not, for the other.
    const auto people = [&](int count, bool both) {
        for (int i = 0; i < count; ++i) {
            const auto session = static_cast<std::uint64_t>(now);
            for (const std::uint32_t cache : {1U, 2U}) {
                if (cache == 2 && !both) {
                    continue;
                }
                predictor.loaded();
                const std::string key = "k" + std::to_string(i % 10);
                if (const auto next = predictor.asked(session, cache, key, now)) {
                    CHECK(next->cache == 2);
                    fetched += predictor.missing(*next, now, now + 1000, true) ? 1U : 0U;
                }
                ++now;
            }
            now += 2000;
        }
    };
    people(2000, true);
    CHECK(predictor.numbers().on);
    CHECK(fetched > 1000);
    people(2000, false);
    CHECK_FALSE(predictor.numbers().on);
    const std::uint64_t when_off = fetched;
    CHECK(predictor.numbers().in_vain <= 1000);
    people(1000, false);
    CHECK(fetched == when_off);
    people(6000, true);
    CHECK(predictor.numbers().on);
    CHECK(fetched > when_off);
}

TEST_CASE("a count is never too small", "[cache][C6]") {
    tenon::cache_stack::CountMin counts;
    std::mt19937_64 random{seed_or(5)};
    std::map<std::uint64_t, std::uint32_t> exact;
    for (int i = 0; i < 50'000; ++i) {
        const std::uint64_t what = random() % (1 + random() % 5000);
        counts.add(what);
        ++exact[what];
    }
    std::uint64_t too_large = 0;
    for (const auto& [what, count] : exact) {
        CHECK(counts.count(what) >= count);
        too_large += counts.count(what) > count + 5 ? 1U : 0U;
    }
    CHECK(too_large * 20 < exact.size());
}
