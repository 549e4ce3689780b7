// SPDX-License-Identifier: Apache-2.0
// The cached and the rate-limited call, over providers made for the test.
#include "tests/support/fake_host.hpp"

#include <tenon/cache.hpp>
#include <tenon/cache_provider.hpp>
#include <tenon/limited.hpp>
#include <tenon/throttle.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <thread>
#include <vector>

using tenon::test::FakeHost;
using tenon::test::FakeReactor;

namespace {

constexpr std::int64_t k_second = 1'000'000'000;

// Keeps for ever, loads on the calling thread.
class MapCache final : public tenon::CacheProvider {
public:
    std::uint32_t open(std::string_view name) override {
        return ids.try_emplace(std::string{name}, static_cast<std::uint32_t>(ids.size()))
            .first->second;
    }

    tenon_status get(std::uint32_t cache, std::string_view key, tenon_sink out, tenon_cache_answer&)
        override {
        const auto found = entries.find({cache, std::string{key}});
        if (found == entries.end() || !found->second) {
            return TENON_NOT_FOUND;
        }
        return out.put(out.ctx, tenon::bytes(*found->second));
    }

    tenon_status fetch(
        const tenon_cache_request& request,
        tenon_sink out,
        tenon_cache_answer& answer,
        tenon_err* err
    ) override {
        const auto place = std::pair{request.cache, std::string{tenon::view(request.key)}};
        if (!entries.contains(place)) {
            tenon::StringSink value;
            auto keep = tenon::sized<tenon_cache_keep>();
            const tenon_status status =
                request.load(request.ctx, request.deadline_ns, value.sink(), &keep, err);
            if (status != TENON_OK && status != TENON_NOT_FOUND) {
                return status;
            }
            ttl_ns = keep.ttl_ns;
            tags.clear();
            for (std::uint32_t i = 0; i < keep.tag_count; ++i) {
                tags.emplace_back(tenon::view(keep.tags[i]));
            }
            entries[place] =
                status == TENON_OK ? std::optional{value.text()} : std::optional<std::string>{};
        }
        return get(request.cache, place.second, out, answer);
    }

    void fetch_async(const tenon_cache_request& request, tenon_cache_done done) override {
        pending.emplace_back(request, done);
    }

    void refresh(std::uint32_t, void*, Refresh) override {}

    void
    put(std::uint32_t cache,
        std::string_view key,
        std::string_view value,
        const tenon_cache_keep*) override {
        entries[{cache, std::string{key}}] = std::string{value};
    }

    void erase(std::uint32_t cache, std::string_view key) override {
        entries.erase({cache, std::string{key}});
    }

    void invalidate_tag(std::string_view) override { entries.clear(); }

    void event(std::string_view, std::string_view) override {}

    std::string stats() override { return "{}"; }

    std::map<std::string, std::uint32_t> ids;
    std::map<std::pair<std::uint32_t, std::string>, std::optional<std::string>> entries;
    std::vector<std::pair<tenon_cache_request, tenon_cache_done>> pending;
    std::vector<std::string> tags;
    std::int64_t ttl_ns = 0;
};

// One token a second, at most three, for each key.
class SlowThrottle final : public tenon::Throttle {
public:
    std::optional<std::uint32_t> find(std::string_view limit) const override {
        return limit == "slow" ? std::optional<std::uint32_t>{4} : std::nullopt;
    }

    tenon_status take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept
        override {
        const std::lock_guard lock{mutex};
        CHECK(claims[0].limit == 4);
        if (claims[0].cost > 3) {
            return TENON_INVALID;
        }
        std::int64_t& tat = tats[std::string{tenon::view(claims[0].key)}];
        const std::int64_t next = std::max(tat, now_ns) + claims[0].cost * k_second;
        if (next > now_ns + 3 * k_second) {
            retry_after_ns = next - now_ns - 3 * k_second;
            return TENON_LIMITED;
        }
        tat = next;
        return TENON_OK;
    }

    void refund(Claims, std::int64_t) noexcept override {}

    void observe(
        std::uint32_t,
        std::string_view,
        const tenon_throttle_feedback& feedback,
        std::int64_t
    ) noexcept override {
        outcomes.push_back(feedback.outcome);
        told_retry_ns = feedback.retry_after_ns;
    }

    bool state(std::uint32_t, std::string_view, std::int64_t, tenon_throttle_state&) noexcept
        override {
        return false;
    }

    std::string level(std::string_view) const override { return "custom"; }

    void set_level(std::string_view, std::string_view) override {}

    std::string stats() const override { return "{}"; }

    std::mutex mutex;
    std::map<std::string, std::int64_t> tats;
    std::vector<std::uint32_t> outcomes;
    std::int64_t told_retry_ns = 0;
};

struct Funds {
    std::int64_t free, locked;
};

template <class Facet>
tenon_iface iface_of(Facet& facet) {
    return {&facet, Facet::table(facet)};
}

}  // namespace

TEST_CASE("a cached call loads once and gives the type back", "[sdk][C4]") {
    FakeHost host{FakeReactor::Mode::manual};
    MapCache provider;
    host.bind("tenon.cache/1", iface_of<tenon::CacheProvider>(provider));
    const tenon::Cache cache{tenon::Host{host.raw()}};
    int loads = 0;
    const auto text = [&] {
        return tenon::cached(cache, "balance", "u1", {}, [&] {
            ++loads;
            return std::string{"100"};
        });
    };
    CHECK(text() == "100");
    CHECK(text() == "100");
    CHECK(loads == 1);
    const tenon::Keep keep{std::chrono::seconds{15}, {"user:7", "exchange:x"}};
    const Funds funds = tenon::cached(cache, "funds", "u1", keep, [] { return Funds{5, 6}; });
    CHECK(funds.locked == 6);
    CHECK(provider.ttl_ns == 15 * k_second);
    CHECK(provider.tags == std::vector<std::string>{"user:7", "exchange:x"});
    CHECK(cache.get<Funds>("funds", "u1")->free == 5);
    cache.put("funds", "u1", Funds{7, 8});
    CHECK(tenon::cached(cache, "funds", "u1", keep, [] { return Funds{0, 0}; }).free == 7);
    cache.put("funds", "u1", std::string{"of an older version"});
    CHECK(tenon::cached(cache, "funds", "u1", keep, [] { return Funds{1, 2}; }).free == 1);
    CHECK_FALSE(cache.get("other", "u1"));
    cache.invalidate("user:7");
    CHECK_FALSE(cache.get("balance", "u1"));
}

TEST_CASE("a cached call keeps that there is none, and no failure", "[sdk][C4]") {
    FakeHost host{FakeReactor::Mode::manual};
    MapCache provider;
    host.bind("tenon.cache/1", iface_of<tenon::CacheProvider>(provider));
    const tenon::Cache cache{tenon::Host{host.raw()}};
    int loads = 0;
    const auto none = [&] {
        return tenon::cached(cache, "key", "x", {}, [&]() -> std::optional<std::string> {
            ++loads;
            return std::nullopt;
        });
    };
    CHECK_FALSE(none());
    CHECK_FALSE(none());
    CHECK(loads == 1);

    struct Mine {};

    const auto fails = [&] {
        return tenon::cached(cache, "key", "y", {}, []() -> std::string { throw Mine{}; });
    };
    CHECK_THROWS_AS(fails(), Mine);
    CHECK(provider.entries.size() == 1);
}

TEST_CASE("with no cache bound a cached call simply loads", "[sdk][C4]") {
    FakeHost host{FakeReactor::Mode::manual};
    const tenon::Cache cache{tenon::Host{host.raw()}};
    CHECK_FALSE(cache);
    int loads = 0;
    for (int i = 0; i < 2; ++i) {
        CHECK(tenon::cached(cache, "balance", "u1", {}, [&] { return ++loads; }) == i + 1);
    }
    cache.put("balance", "u1", 3);
    cache.erase("balance", "u1");
    cache.invalidate("user:1");
    CHECK_FALSE(cache.get("balance", "u1"));
}

TEST_CASE("an asynchronous cached call answers with value, none or reason", "[sdk][C4]") {
    FakeHost host{FakeReactor::Mode::manual};
    MapCache provider;
    host.bind("tenon.cache/1", iface_of<tenon::CacheProvider>(provider));
    const tenon::Cache cache{tenon::Host{host.raw()}};
    std::vector<tenon::Fetched<Funds>> got;
    const auto ask = [&] {
        tenon::cached_async(
            cache,
            "funds",
            "u1",
            {},
            [] {
                return Funds{5, 6};
            },
            [&](tenon::Fetched<Funds> fetched) { got.push_back(std::move(fetched)); }
        );
    };
    ask();
    ask();
    REQUIRE(provider.pending.size() == 2);
    tenon::StringSink value;
    auto keep = tenon::sized<tenon_cache_keep>();
    const auto& [request, done] = provider.pending[0];
    CHECK(request.load(request.ctx, 0, value.sink(), &keep, nullptr) == TENON_OK);
    done.fn(done.ctx, TENON_OK, tenon::bytes(value.text()), nullptr, nullptr);
    tenon::ErrorBuffer err;
    tenon::fail(&err, TENON_TIMEOUT, "too slow");
    provider.pending[1].second.fn(provider.pending[1].second.ctx, TENON_TIMEOUT, {}, nullptr, &err);
    REQUIRE(got.size() == 2);
    CHECK(got[0].value->locked == 6);
    CHECK(got[1].status == TENON_TIMEOUT);
    CHECK(got[1].message == "too slow");
}

TEST_CASE("a limited call goes while there is budget, and waits for more", "[sdk][H3]") {
    FakeHost host;
    SlowThrottle throttle;
    host.bind("tenon.throttle/1", iface_of<tenon::Throttle>(throttle));
    tenon::Limit limit{tenon::Host{host.raw()}, "slow"};
    const auto call = [&](std::string_view key, std::int64_t wait_s) {
        return tenon::limited(limit, key, 1, std::chrono::seconds{wait_s}, [] { return 7; });
    };
    for (int i = 0; i < 3; ++i) {
        CHECK(call("a", 0) == 7);
    }
    try {
        (void)call("a", 0);
        FAIL("the budget is used up");
    } catch (const tenon::LimitExceeded& e) {
        CHECK(e.code() == TENON_UNAVAILABLE);
        CHECK(e.retry_after() > std::chrono::milliseconds{500});
        CHECK(e.retry_after() <= std::chrono::seconds{1});
    }
    CHECK(call("b", 0) == 7);  // another key has its own
    std::thread clock{[&] { host.reactor().advance(2 * k_second); }};
    CHECK(call("a", 30) == 7);
    clock.join();
    CHECK_THROWS_AS(tenon::limited(limit, "a", 4, std::chrono::seconds{1}, [] {}), tenon::Error);
    CHECK_THROWS_AS((tenon::Limit{tenon::Host{host.raw()}, "other"}), tenon::Error);
}

TEST_CASE("what became of a limited call is told to the throttle", "[sdk][H2]") {
    FakeHost host{FakeReactor::Mode::manual};
    SlowThrottle throttle;
    host.bind("tenon.throttle/1", iface_of<tenon::Throttle>(throttle));
    tenon::Limit limit{tenon::Host{host.raw()}, "slow"};
    const auto call = [&](auto body) {
        return tenon::limited(limit, "a", 1, std::chrono::seconds{0}, body);
    };
    call([] {});
    CHECK_THROWS_WITH(call([] { throw std::runtime_error{"reset"}; }), "reset");
    CHECK_THROWS_AS(
        call([] {
            throw tenon::LimitExceeded{std::chrono::seconds{9}, "HTTP 429"};
        }),
        tenon::LimitExceeded
    );
    CHECK(
        throttle.outcomes ==
        std::vector<std::uint32_t>{TENON_UPSTREAM_OK, TENON_UPSTREAM_FAILED, TENON_UPSTREAM_LIMITED}
    );
    CHECK(throttle.told_retry_ns == 9 * k_second);
}

TEST_CASE("calls of one key are let through in order, and close ends the waiting", "[sdk][H3]") {
    FakeHost host;
    SlowThrottle throttle;
    host.bind("tenon.throttle/1", iface_of<tenon::Throttle>(throttle));
    tenon::Limit limit{tenon::Host{host.raw()}, "slow", 1};
    for (int i = 0; i < 3; ++i) {
        tenon::limited(limit, "a", 1, std::chrono::seconds{0}, [] {});
    }
    std::string reason;
    std::thread waiting{[&] {
        try {
            tenon::limited(limit, "a", 1, std::chrono::hours{1}, [] {});
        } catch (const tenon::LimitExceeded& e) {
            reason = e.what();
        }
    }};
    // One waits, and no more may.
    std::string refused;
    while (refused.find("too many wait") == std::string::npos) {
        try {
            tenon::limited(limit, "a", 1, std::chrono::milliseconds{0}, [] {});
        } catch (const tenon::LimitExceeded& e) {
            refused = e.what();
        }
    }
    limit.close();
    waiting.join();
    CHECK(reason.find("slow is closed") == 0);
    CHECK_THROWS_AS(
        tenon::limited(limit, "b", 1, std::chrono::seconds{0}, [] {}), tenon::LimitExceeded
    );
}

TEST_CASE("on a reactor a limited call waits by a timer", "[sdk][H3]") {
    FakeHost host{FakeReactor::Mode::manual};
    SlowThrottle throttle;
    host.bind("tenon.throttle/1", iface_of<tenon::Throttle>(throttle));
    tenon::Limit limit{tenon::Host{host.raw()}, "slow"};
    std::string events;
    const auto ask = [&](std::string name, std::int64_t wait_s) {
        limit.when_allowed(
            "a",
            1,
            limit.now_ns() + wait_s * k_second,
            [&events, name] { events += name + " "; },
            [&events, name](const tenon::LimitExceeded&) { events += "no-" + name + " "; }
        );
    };
    ask("1", 0);
    ask("2", 0);
    ask("3", 0);
    ask("4", 10);
    ask("5", 10);
    ask("6", 0);
    CHECK(events == "1 2 3 no-6 ");
    for (int i = 0; i < 4; ++i) {
        host.reactor().advance(k_second + k_second / 10);
        host.reactor().turn();
        host.reactor().turn();
    }
    CHECK(events == "1 2 3 no-6 4 5 ");
    ask("7", 0);
    ask("8", 0);
    ask("9", 0);
    ask("10", 10);
    limit.close();
    host.reactor().advance(20 * k_second);
    host.reactor().turn();
    CHECK(events.find("10") == std::string::npos);
}

TEST_CASE("with no throttle bound a limited call simply goes", "[sdk][H3]") {
    FakeHost host{FakeReactor::Mode::manual};
    tenon::Limit limit{tenon::Host{host.raw()}, "anything"};
    CHECK_FALSE(limit.bound());
    for (int i = 0; i < 100; ++i) {
        CHECK(tenon::limited(limit, "a", 1000, std::chrono::seconds{0}, [&] { return i; }) == i);
    }
}
