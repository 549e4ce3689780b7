// SPDX-License-Identifier: Apache-2.0
// Settings of the stack.
#pragma once

#include <tenon/settings.hpp>

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace tenon::cache_stack {

// What an answer is worth where several servers share a tier. With no shared tier they are alike.
enum class Consistency : std::uint8_t {
    timed,   // an entry counts until its time is over; only what is erased on purpose goes earlier
    pushed,  // nothing invalidated by any server is read from a shared tier; the tiers before it
             // hear of it as soon as the shared tier tells
    strict   // nothing invalidated by any server is read at all: the tiers that are not shared are
             // left out
};

// How long a named cache keeps an entry.
struct Lifetimes {
    std::chrono::milliseconds ttl{300'000};
    std::chrono::milliseconds negative_ttl{5'000};  // 0: that there is none is not kept
    std::chrono::milliseconds stale{0};             // served past ttl while a refresh runs
    std::chrono::milliseconds suspect{0};  // how old an entry may be while changes may go unheard
    Consistency consistency = Consistency::pushed;
    std::vector<std::string> warm;  // keys that are loaded at the start
    bool locked = false;            // in locked memory of this process, and in no tier
};

struct StackSettings {
    StackSettings() = default;

    explicit StackSettings(const Settings& s)
        : sweep_interval{s.get<std::chrono::milliseconds>("sweep_interval_ms")},
          refresh_timeout{s.get<std::chrono::milliseconds>("refresh_timeout_ms")},
          rejoin{s.get("rejoin_ms", std::chrono::milliseconds{0})},
          jitter_percent{s.get<std::uint32_t>("jitter_percent", 0)},
          early_percent{s.get<std::uint32_t>("early_percent", 0)},
          warm_hottest{s.get<std::uint32_t>("warm_hottest", 0)},
          warm_per_second{s.get<std::uint32_t>("warm_per_second", 20)},
          prefetch{s.get("prefetch", false)},
          memory_tiers{s.get("memory_tiers", true)},
          shared_tiers{s.get("shared_tiers", true)},
          stale_while_refresh{s.get("stale_while_refresh", true)},
          negative_entries{s.get("negative_entries", true)},
          warming{s.get("warming", true)},
          prefetch_limit{s.get<std::string>("prefetch_limit", "")} {
        defaults.ttl = s.get<std::chrono::milliseconds>("default_ttl_ms");
        defaults.negative_ttl = s.get<std::chrono::milliseconds>("default_negative_ttl_ms");
        for (const auto& cache : s.get<std::vector<Settings>>("caches")) {
            Lifetimes times = defaults;
            times.ttl = cache.get<std::chrono::milliseconds>("ttl_ms");
            times.negative_ttl = cache.get("negative_ttl_ms", times.negative_ttl);
            times.stale = cache.get("stale_ms", times.stale);
            times.suspect = cache.get("suspect_ms", times.suspect);
            times.consistency = consistency_of(cache.get<std::string>("consistency", "pushed"));
            times.locked = cache.get("locked", false);
            times.warm = cache.get("warm", std::vector<std::string>{});
            if (times.locked && times.consistency == Consistency::strict) {
                throw Error{
                    TENON_INVALID, "a locked cache is in no shared tier: it cannot be strict"};
            }
            if (!caches.emplace(cache.get<std::string>("name"), times).second) {
                throw Error{
                    TENON_INVALID,
                    "the cache " + cache.get<std::string>("name") + " is there twice"};
            }
        }
        for (const auto& event : s.get<std::vector<Settings>>("events")) {
            auto& list = events[event.get<std::string>("event")];
            for (auto& cache : event.get<std::vector<std::string>>("caches")) {
                list.push_back(std::move(cache));
            }
        }
    }

    [[nodiscard]] const Lifetimes& times_of(const std::string& cache) const {
        const auto found = caches.find(cache);
        return found == caches.end() ? defaults : found->second;
    }

    [[nodiscard]] static Consistency consistency_of(const std::string& name) {
        if (name == "timed") {
            return Consistency::timed;
        }
        if (name == "strict") {
            return Consistency::strict;
        }
        if (name != "pushed") {
            throw Error{TENON_INVALID, "consistency: expected timed, pushed or strict"};
        }
        return Consistency::pushed;
    }

    Lifetimes defaults;
    std::map<std::string, Lifetimes> caches;
    std::map<std::string, std::vector<std::string>> events;  // event: caches that it concerns
    std::chrono::milliseconds sweep_interval{300'000};
    std::chrono::milliseconds refresh_timeout{10'000};
    std::chrono::milliseconds rejoin{0};  // for which a shared tier that came back is not read
    std::uint32_t jitter_percent = 0;     // how much shorter a time to live may be
    std::uint32_t early_percent = 0;      // of a load's time: how early a refresh may come
    std::uint32_t warm_hottest = 0;       // of a cache's keys are remembered for the next start
    std::uint32_t warm_per_second = 20;
    bool prefetch = false;
    // Off: entries are neither read from nor written to these tiers; what invalidates them is.
    bool memory_tiers = true, shared_tiers = true;
    bool stale_while_refresh = true, negative_entries = true, warming = true;
    std::string prefetch_limit;  // of the throttle, a third of which is left to others
};

}  // namespace tenon::cache_stack
