// SPDX-License-Identifier: Apache-2.0
// tenon.cache_tier/1: what was put comes back whole, until it is replaced, erased or expired.
//
// A tier may forget at any time. So no single miss is held against it; a check that needs an entry
// tries several times before it says that the tier keeps nothing.
#include "sdk/conformance/suites/cache_tier_scene.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tenon::suites {
namespace {

void round_trip(Bench& bench) {
    Random random{bench.seed()};
    const Tier tier{bench};
    const std::string nul{"a\0b", 3};
    tier.keep(nul, std::string{"\0\xff\0x", 4}, tier.now(), k_hour);
    tier.keep(std::string(1, '\0'), nul, tier.now(), k_hour);
    tier.keep(std::string(TENON_CACHE_KEY_MAX, '\xff'), "longest key", tier.now(), k_hour);
    for (const std::size_t size :
         {std::size_t{1},
          std::size_t{63},
          std::size_t{64},
          std::size_t{4096},
          std::size_t{16'384}}) {
        tier.keep(random.bytes(1 + random.below(200)), random.bytes(size), tier.now(), k_hour);
    }
}

void empty_value(Bench& bench) {
    const Tier tier{bench};
    tier.keep("empty", "", tier.now(), k_hour);
    tier.keep("full", "x", tier.now(), k_hour);
    tier.keep("full", {}, tier.now(), k_hour);
}

// Never bytes that were put under another key.
void keys(Bench& bench) {
    constexpr std::size_t k_keys = 5'000;
    Random random{bench.seed()};
    const Tier tier{bench};
    const std::string shared = random.bytes(24);
    std::vector<std::string> all;
    for (std::size_t i = 0; i < k_keys; ++i) {
        std::string key = i % 2 == 0 ? shared : "";
        key.append(random.bytes(1 + random.below(12)));
        all.push_back(std::move(key));
        expect_status(
            tier.put(all.back(), text("value of ", printable(all.back(), 64)), tier.now(), k_hour),
            TENON_OK,
            "put"
        );
    }
    std::size_t hits = 0;
    for (const std::string& key : all) {
        const Got got = tier.get(key, tier.now());
        const std::string wanted = text("value of ", printable(key, 64));
        expect(
            got.status == TENON_NOT_FOUND || got.value == wanted,
            "get of ",
            printable(key, 64),
            " gives ",
            printable(got.value, 100)
        );
        hits += got.status == TENON_OK ? 1U : 0U;
    }
    expect(hits > 0, "none of ", k_keys, " entries is there");
}

void overwrite(Bench& bench) {
    const Tier tier{bench};
    for (int i = 0; i < 50; ++i) {
        tier.keep("key", text("value ", i), tier.now(), k_hour);
    }
    tier.keep("key", "a much longer value than all those before it", tier.now(), k_hour);
    tier.keep("key", "short", tier.now(), k_hour);
}

void erase(Bench& bench) {
    const Tier tier{bench};
    tier.keep("key", "value", tier.now(), k_hour);
    expect_status(tier.erase("key"), TENON_OK, "erase of an entry that is there");
    expect_status(tier.get("key", tier.now()).status, TENON_NOT_FOUND, "get after erase");
    expect_status(tier.erase("key"), TENON_NOT_FOUND, "a second erase");
    expect_status(tier.erase("never put"), TENON_NOT_FOUND, "erase of what was never put");
    tier.keep("key", "again", tier.now(), k_hour);
}

void ttl(Bench& bench) {
    const Tier tier{bench};
    if ((tier.table()->flags & TENON_CACHE_TIER_SHARED) != 0) {
        throw NotApplicable{"a shared tier counts time by its store's own clock"};
    }
    constexpr std::int64_t k_start = 1'000 * k_second;
    for (const std::int64_t life : {std::int64_t{1}, k_second, 90 * k_second, 30 * 24 * k_hour}) {
        tier.keep("key", "value", k_start, life);
        const Got last = tier.get("key", k_start + life - 1);
        expect(
            last.status == TENON_OK || last.status == TENON_NOT_FOUND,
            "get right before the expiry: ",
            status_name(last.status)
        );
        for (const std::int64_t after : {std::int64_t{0}, std::int64_t{1}, k_hour}) {
            const Got got = tier.get("key", k_start + life + after);
            expect(
                got.status == TENON_NOT_FOUND,
                "an entry with a time to live of ",
                life,
                " ns is given ",
                after,
                " ns after it ended"
            );
        }
    }
    // A longer life for the same key; a clock that goes back.
    tier.keep("key", "value", k_start, k_second);
    tier.keep("key", "value", k_start, 10 * k_second);
    const auto lives = [&](std::int64_t now) { return tier.get("key", now).status == TENON_OK; };
    bool kept = false;
    for (int i = 0; i < 20 && !kept; ++i) {
        tier.keep("key", "value", k_start, 10 * k_second);
        kept = lives(k_start + 5 * k_second);
    }
    expect(kept, "an entry with a life of 10 s is never there after 5 s");
    tier.keep("key", "value", k_start, 10 * k_second);
    const tenon_status back = tier.get("key", k_start - k_hour).status;
    expect(
        back == TENON_OK || back == TENON_NOT_FOUND,
        "get with a time earlier than the put's: ",
        status_name(back)
    );
}

void expiry_told(Bench& bench) {
    const Tier tier{bench};
    const bool own_clock = (tier.table()->flags & TENON_CACHE_TIER_SHARED) != 0;
    const std::int64_t now = tier.now();
    tier.keep("key", "value", now, 100 * k_second);
    const Got got = tier.get("key", now + k_second);
    if (got.status != TENON_OK) {
        throw NotApplicable{"the tier forgot the entry"};
    }
    const std::int64_t wanted = now + 100 * k_second;
    const std::int64_t slack = own_clock ? 2 * k_second : 0;
    expect(
        got.expires_ns >= wanted - slack && got.expires_ns <= wanted + slack,
        "expires_ns is ",
        got.expires_ns,
        ", put at ",
        now,
        " for 100 s"
    );
    StringSink value;
    const tenon_status status = tier.table()->get(
        tier.table().self, bytes("key"), now + k_second, value.sink(), nullptr, nullptr
    );
    expect(
        status == TENON_OK || status == TENON_NOT_FOUND,
        "get without expires_ns and err: ",
        status_name(status)
    );
}

void bad_ttl(Bench& bench) {
    const Tier tier{bench};
    tier.keep("key", "value", tier.now(), k_hour);
    for (const std::int64_t life : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN}) {
        expect_status(
            tier.put("key", "other", tier.now(), life), TENON_INVALID, text("put for ", life, " ns")
        );
        const Got got = tier.get("key", tier.now());
        expect(
            got.status == TENON_NOT_FOUND || got.value == "value",
            "a put that was refused changed the entry to ",
            printable(got.value)
        );
    }
}

void key_limits(Bench& bench) {
    const Tier tier{bench};
    const std::string longest(TENON_CACHE_KEY_MAX, 'k');
    tier.keep(longest, "value", tier.now(), k_hour);
    for (const std::string& key : {std::string{}, longest + "k", std::string(100'000, 'k')}) {
        expect_status(
            tier.put(key, "value", tier.now(), k_hour),
            TENON_INVALID,
            text("put under a key of ", key.size(), " bytes")
        );
        const Got got = tier.get(key, tier.now());
        expect(
            got.status == TENON_NOT_FOUND || got.status == TENON_INVALID,
            "get of a key of ",
            key.size(),
            " bytes: ",
            status_name(got.status)
        );
    }
    const Got got = tier.get(longest, tier.now());
    expect(
        got.status == TENON_NOT_FOUND || got.value == "value",
        "a longer key changed the entry of ",
        TENON_CACHE_KEY_MAX,
        " bytes"
    );
}

void value_limits(Bench& bench) {
    constexpr std::size_t k_most = std::size_t{64} << 20U;
    const Tier tier{bench};
    for (std::size_t size = 1; size <= k_most; size *= 4) {
        tier.keep("key", "small", tier.now(), k_hour);
        const std::string big(size, 'v');
        if (tier.put("key", big, tier.now(), k_hour) == TENON_INVALID) {
            const Got got = tier.get("key", tier.now());
            expect(
                got.status == TENON_OK && got.value == "small",
                "a value of ",
                size,
                " bytes is refused, and what was there is gone"
            );
            return;
        }
        (void)tier.keep_if_it_fits("key", big);
    }
}

void sink(Bench& bench) {
    struct Refusing {
        int chunks_left;
        tenon_status answer;

        static tenon_status put(void* ctx, tenon_bytes) {
            auto& mine = *static_cast<Refusing*>(ctx);
            return mine.chunks_left-- > 0 ? TENON_OK : mine.answer;
        }
    };

    const Tier tier{bench};
    tier.keep("key", std::string(10'000, 'v'), tier.now(), k_hour);
    for (const tenon_status answer : {TENON_UNAVAILABLE, TENON_TIMEOUT}) {
        tier.keep("key", std::string(10'000, 'v'), tier.now(), k_hour);
        Refusing refusing{0, answer};
        ErrorBuffer err;
        const tenon_status status = tier.table()->get(
            tier.table().self, bytes("key"), tier.now(), {&refusing, &Refusing::put}, nullptr, &err
        );
        expect(
            status == answer || (status == TENON_NOT_FOUND && refusing.chunks_left == 0),
            "the sink answered ",
            status_name(answer),
            ", get answers ",
            status_name(status)
        );
    }
    tier.keep("key", "as before", tier.now(), k_hour);
}

// A miss leaves the sink alone.
void miss(Bench& bench) {
    Random random{bench.seed()};
    const Tier tier{bench};
    for (int i = 0; i < 200; ++i) {
        const Got got = tier.get(random.bytes(1 + random.below(40)), tier.now());
        expect_status(got.status, TENON_NOT_FOUND, "get of what was never put");
        expect(got.value.empty(), "a miss put ", got.value.size(), " bytes into the sink");
    }
}

void clear(Bench& bench) {
    const Tier tier{bench};
    const std::vector<std::string> inside{"user:7", "user:7:orders", std::string{"user:7\0x", 8}};
    const std::vector<std::string> outside{"user:8", "user:", "u", "order:user:7"};
    for (const auto* keys : {&inside, &outside}) {
        for (const std::string& key : *keys) {
            tier.keep(key, "value", tier.now(), k_hour);
        }
    }
    expect_status(tier.clear("user:7"), TENON_OK, "clear");
    for (const std::string& key : inside) {
        expect_status(
            tier.get(key, tier.now()).status,
            TENON_NOT_FOUND,
            text("get of ", printable(key), " after clear of \"user:7\"")
        );
    }
    const auto there = [&](const std::string& key) {
        return tier.get(key, tier.now()).status == TENON_OK;
    };
    if (std::none_of(outside.begin(), outside.end(), there)) {
        bench.warn("clear of one prefix forgets all other entries, too");
    }
    for (const std::string& key : outside) {
        tier.keep(key, "value", tier.now(), k_hour);
    }
    expect_status(tier.clear({}), TENON_OK, "clear of everything");
    for (const std::string& key : outside) {
        expect_status(
            tier.get(key, tier.now()).status,
            TENON_NOT_FOUND,
            text("get of ", printable(key), " after clear of everything")
        );
    }
}

void stats(Bench& bench) {
    const Tier tier{bench};
    const tenon_cache_tier_stats before = tier.stats();
    constexpr std::uint64_t k_rounds = 100;
    std::uint64_t hits = 0;
    for (std::uint64_t i = 0; i < k_rounds; ++i) {
        const std::string key = text("key ", i);
        expect_status(tier.put(key, "value", tier.now(), k_hour), TENON_OK, "put");
        hits += tier.get(key, tier.now()).status == TENON_OK ? 1U : 0U;
        (void)tier.get(text("no ", key), tier.now());
    }
    std::uint64_t erased = 0;
    for (std::uint64_t i = 0; i < k_rounds / 2; ++i) {
        erased += tier.erase(text("key ", i)) == TENON_OK ? 1U : 0U;
    }
    const tenon_cache_tier_stats after = tier.stats();
    const auto counted = [&](const char* what, std::uint64_t found, std::uint64_t wanted) {
        expect(found == wanted, "stats count ", found, " ", what, ", there were ", wanted);
    };
    counted("puts", after.puts - before.puts, k_rounds);
    counted("hits", after.hits - before.hits, hits);
    counted("misses", after.misses - before.misses, 2 * k_rounds - hits);
    counted("erased", after.erased - before.erased, erased);
    expect(
        after.entries <= before.entries + k_rounds - erased, "stats say ", after.entries, " entries"
    );
    expect(
        after.bytes_max == 0 || after.bytes <= after.bytes_max,
        "stats say ",
        after.bytes,
        " of at most ",
        after.bytes_max,
        " bytes"
    );
    // A caller that knows less of the struct gets no more than it has room for.
    std::array<std::uint64_t, sizeof(tenon_cache_tier_stats) / 8> shorter{};
    shorter.fill(0xa5a5a5a5a5a5a5a5U);
    auto* const cut = reinterpret_cast<tenon_cache_tier_stats*>(shorter.data());
    cut->size = offsetof(tenon_cache_tier_stats, hits);
    (void)tier.table()->stats(tier.table().self, cut);
    expect(
        shorter[offsetof(tenon_cache_tier_stats, hits) / 8] == 0xa5a5a5a5a5a5a5a5U,
        "stats wrote past the caller's size"
    );
}

void bounded(Bench& bench) {
    constexpr std::uint64_t k_most = std::uint64_t{256} << 20U;
    constexpr std::size_t k_value = 16'384;
    const Tier tier{bench};
    const std::uint64_t limit = tier.stats().bytes_max;
    if (limit == 0 || limit > k_most) {
        throw NotApplicable{
            limit == 0 ? "the tier is not bounded by bytes" : "the bound is too large to fill"};
    }
    const std::string value(k_value, 'v');
    for (std::uint64_t i = 0; i * k_value < 2 * limit + 64 * k_value; ++i) {
        const tenon_status status = tier.put(text("key ", i), value, tier.now(), k_hour);
        expect(
            status == TENON_OK || status == TENON_INVALID,
            "put into a full tier: ",
            status_name(status)
        );
        if (i % 16 == 0) {
            const tenon_cache_tier_stats now = tier.stats();
            expect(
                now.bytes <= limit && now.entries * k_value <= limit,
                now.entries,
                " entries of ",
                k_value,
                " bytes, ",
                now.bytes,
                " bytes by its own count: the bound is ",
                limit
            );
        }
    }
}

void draining(Bench& bench) {
    const Tier tier{bench};
    tier.keep("key", "value", tier.now(), k_hour);
    tier.instance().drain(bench.now_ns() + k_second);
    expect_status(tier.get("key", tier.now()).status, TENON_UNAVAILABLE, "get while draining");
    expect_status(
        tier.put("key", "x", tier.now(), k_hour), TENON_UNAVAILABLE, "put while draining"
    );
    expect_status(tier.erase("key"), TENON_UNAVAILABLE, "erase while draining");
}

// ---- A history of several threads, judged key by key -------------------------------------------

struct Write {
    std::uint64_t start, end;
    std::string value;  // empty: erased
};

struct Read {
    std::uint64_t start, end;
    std::string value;
};

struct History {
    std::vector<Write> writes;
    std::vector<Read> reads;
};

// A read is wrong when its value was never put, was put after it, or was replaced by a write that
// lies wholly between the value's own put and the read.
void judge(const std::string& key, History& history) {
    auto& writes = history.writes;
    std::sort(writes.begin(), writes.end(), [](const Write& a, const Write& b) {
        return a.end < b.end;
    });
    std::map<std::string, const Write*, std::less<>> by_value;
    std::vector<std::uint64_t> latest_start;
    for (const Write& write : writes) {
        if (!write.value.empty()) {
            by_value[write.value] = &write;
        }
        latest_start.push_back(std::max(latest_start.empty() ? 0 : latest_start.back(), write.start)
        );
    }
    for (const Read& read : history.reads) {
        const auto put = by_value.find(read.value);
        expect(
            put != by_value.end(), "get of ", key, " gives ", printable(read.value), ", never put"
        );
        expect(
            put->second->start < read.end,
            "get of ",
            key,
            " gives ",
            printable(read.value),
            " before its put began"
        );
        const auto over = std::lower_bound(
            writes.begin(),
            writes.end(),
            read.start,
            [](const Write& write, std::uint64_t start) { return write.end < start; }
        );
        const auto count = static_cast<std::size_t>(over - writes.begin());
        expect(
            count == 0 || latest_start[count - 1] <= put->second->end,
            "get of ",
            key,
            " gives ",
            printable(read.value),
            " after a later put or erase of the key had returned"
        );
    }
}

void concurrent(Bench& bench) {
    constexpr std::size_t k_threads = 4;
    constexpr int k_calls = 4'000;
    constexpr std::size_t k_keys = 3;
    const Tier tier{bench};
    const std::int64_t now = tier.now();
    std::atomic<std::uint64_t> clock{0};
    std::vector<std::array<History, k_keys>> histories(k_threads);
    std::vector<std::string> failures(k_threads);
    bench.in_parallel(k_threads, [&](std::size_t thread) {
        Random random{bench.seed() + thread};
        for (int i = 0; i < k_calls && failures[thread].empty(); ++i) {
            const std::size_t at = random.below(k_keys);
            const std::string key = text("key ", at);
            History& history = histories[thread][at];
            const std::uint64_t kind = random.below(10);
            const std::string value =
                text(thread, ":", i, ":", std::string(random.below(100), 'x'));
            const std::uint64_t start = ++clock;
            if (kind < 3) {
                const tenon_status status = tier.put(key, value, now, k_hour);
                history.writes.push_back({start, ++clock, value});
                if (status != TENON_OK) {
                    failures[thread] = text("put: ", status_name(status));
                }
            } else if (kind == 3) {
                (void)tier.erase(key);
                history.writes.push_back({start, ++clock, {}});
            } else {
                Got got = tier.get(key, now);
                const std::uint64_t end = ++clock;
                if (got.status == TENON_OK) {
                    history.reads.push_back({start, end, std::move(got.value)});
                } else if (got.status != TENON_NOT_FOUND) {
                    failures[thread] = text("get: ", status_name(got.status));
                }
            }
        }
    });
    for (const std::string& failure : failures) {
        expect(failure.empty(), failure);
    }
    for (std::size_t at = 0; at < k_keys; ++at) {
        History all;
        for (const auto& of_thread : histories) {
            const History& one = of_thread[at];
            all.writes.insert(all.writes.end(), one.writes.begin(), one.writes.end());
            all.reads.insert(all.reads.end(), one.reads.begin(), one.reads.end());
        }
        judge(text("key ", at), all);
    }
}

constexpr std::string_view k_tier = "tenon.cache_tier/1";

constexpr Check k_checks[] = {
    {"cache-tier.round-trip",
     "any bytes come back as they were put",
     k_tier,
     &checked<&round_trip>},
    {"cache-tier.empty-value", "a value of no bytes is a value", k_tier, &checked<&empty_value>},
    {"cache-tier.keys", "no key gives another key's bytes", k_tier, &checked<&keys>},
    {"cache-tier.overwrite", "a put replaces what is there", k_tier, &checked<&overwrite>},
    {"cache-tier.erase", "what is erased is gone, and gone only once", k_tier, &checked<&erase>},
    {"cache-tier.ttl", "nothing is given at or after its expiry", k_tier, &checked<&ttl>},
    {"cache-tier.expiry-told", "get tells when the entry expires", k_tier, &checked<&expiry_told>},
    {"cache-tier.bad-ttl", "a life that is not positive is refused", k_tier, &checked<&bad_ttl>},
    {"cache-tier.key-limits", "keys have 1 to 1024 bytes", k_tier, &checked<&key_limits>},
    {"cache-tier.value-limits",
     "a value too long leaves what is there",
     k_tier,
     &checked<&value_limits>},
    {"cache-tier.sink", "what the sink answers is answered", k_tier, &checked<&sink>},
    {"cache-tier.miss", "a miss leaves the sink alone", k_tier, &checked<&miss>},
    {"cache-tier.clear", "clear forgets a prefix, or everything", k_tier, &checked<&clear>},
    {"cache-tier.stats", "the counts are right", k_tier, &checked<&stats>},
    {"cache-tier.bounded", "the bound in bytes holds", k_tier, &checked<&bounded>},
    {"cache-tier.draining", "a draining tier is UNAVAILABLE", k_tier, &checked<&draining>},
    {"cache-tier.concurrent",
     "threads see no value that was replaced",
     k_tier,
     &checked<&concurrent>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> cache_tier_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
