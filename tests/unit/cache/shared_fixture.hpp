// SPDX-License-Identifier: Apache-2.0
// A tier that two servers share, in memory, with tokens and news, and steps of it that a test can
// put something before.
#pragma once

#include "tests/unit/cache/stack_fixture.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tenon::test {

// What the servers share.
struct SharedMap {
    struct Value {
        std::string value;
        std::int64_t expires_ns = 0;
    };

    std::map<std::string, Value> entries;
    std::map<std::string, std::uint64_t> states;  // of keys that were put or erased
    std::uint64_t last_state = 0;
    std::vector<std::pair<std::size_t, std::string>> news;  // by whom, which key
};

// One server's way to it. Single-threaded.
class SharedPort final : public SharedCacheTier {
public:
    SharedPort(SharedMap& map, std::size_t server) : map_{map}, server_{server} {}

    std::optional<std::int64_t> get(std::string_view key, std::int64_t now_ns, Out out) override {
        step("get", key);
        const auto found = map_.entries.find(std::string{key});
        if (found == map_.entries.end() || found->second.expires_ns <= now_ns) {
            return std::nullopt;
        }
        out(found->second.value);
        return found->second.expires_ns;
    }

    void put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns)
        override {
        step("put", key);
        map_.states[std::string{key}] = ++map_.last_state;
        keep(key, value, now_ns + ttl_ns);
    }

    bool erase(std::string_view key) override {
        step("erase", key);
        map_.states[std::string{key}] = ++map_.last_state;
        map_.news.emplace_back(server_, key);
        return map_.entries.erase(std::string{key}) != 0;
    }

    void clear(std::string_view) override {
        step("clear", {});
        map_.entries.clear();
        map_.news.emplace_back(server_, "");
    }

    void stats(tenon_cache_tier_stats& out) override { out.entries = map_.entries.size(); }

    void watch(void* ctx, Watcher fn) override {
        ctx_ = ctx;
        fn_ = fn;
    }

    void announce(std::string_view) override {}

    std::uint64_t token(std::string_view key) override {
        step("token", key);
        return map_.states[std::string{key}];
    }

    bool put_if(
        std::string_view key,
        std::string_view value,
        std::int64_t now_ns,
        std::int64_t ttl_ns,
        std::uint64_t token
    ) override {
        step("put_if", key);
        if (map_.states[std::string{key}] != token) {
            return false;
        }
        keep(key, value, now_ns + ttl_ns);
        return true;
    }

    // Called before each step, which it may itself use the tier in.
    std::function<void(std::string_view step, std::string_view key)> before;

private:
    void step(std::string_view what, std::string_view key) {
        if (before) {
            before(what, key);
        }
    }

    void keep(std::string_view key, std::string_view value, std::int64_t expires_ns) {
        map_.entries[std::string{key}] = {std::string{value}, expires_ns};
        map_.news.emplace_back(server_, key);
    }

    SharedMap& map_;
    std::size_t server_;
    void* ctx_ = nullptr;
    Watcher fn_ = nullptr;
};

inline constexpr std::string_view k_shared_settings = R"({
    "default_ttl_ms":300000,"default_negative_ttl_ms":5000,"refresh_timeout_ms":1000,"rejoin_ms":3000,
    "sweep_interval_ms":300000,
    "caches":[{"name":"price","ttl_ms":60000,"consistency":"timed"},
              {"name":"balance","ttl_ms":60000,"consistency":"strict"},
              {"name":"ticker","ttl_ms":60000,"consistency":"pushed","suspect_ms":5000}],
    "events":[]})";

// A server: memory over what is shared.
class SharingServer : public StackFixture {
public:
    SharingServer(SharedMap& map, std::size_t index, std::int64_t real_ahead_ns = 0)
        : StackFixture{FakeReactor::Mode::manual, real_ahead_ns}, port{map, index}, index_{index} {
        run_at_once();
        settings.configure(k_shared_settings, false);
        add(memory, "memory");
        stack->add_tier(
            "shared",
            {&port, static_cast<const tenon_cache_tier_1*>(SharedCacheTier::table(port))},
            [](const std::string&, const std::string&) {}
        );
    }

    // What the others did, as the tier tells it; own puts are not told.
    void hear(const SharedMap& map) {
        for (; heard_ < map.news.size(); ++heard_) {
            const auto& [by, key] = map.news[heard_];
            if (by != index_) {
                stack->changed_elsewhere(key);
            }
        }
    }

    MapTier memory;
    SharedPort port;

private:
    std::size_t index_;
    std::size_t heard_ = 0;
};

}  // namespace tenon::test
