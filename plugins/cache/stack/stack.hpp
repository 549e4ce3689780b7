// SPDX-License-Identifier: Apache-2.0
// Named caches over tiers: asks the tiers in order, loads once, keeps what is still true.
//
// An entry is wanted when it is in a tier, not expired there, and nothing it depends on (its tags,
// its cache) was invalidated after its load began. A flight is a load that is under way; who asks
// meanwhile waits for it. Erasing or invalidating during a flight lets it end, gives its value to
// those who wait, and does not keep it; who asks after that begins a load of its own.
//
// What servers share: entries in shared tiers go by stamps (stamps.hpp), so that what one server
// invalidated no other reads there, and what one loaded before is never believed. Off a reactor
// erase, put, invalidate_tag and event return when the shared tiers have it; on one they have it
// soon after, and this server behaves as if they had. The tiers that are not shared hear of it when
// the shared tier tells; caches that are `strict` do without them. A shared tier that this server
// cannot reach it empties before it asks it again; until then other servers that do reach it may
// read there what this one invalidated, while the entry's time lasts.
//
// Threads as in abi/cache.h. No lock is held while a loader, a callback or a tier that blocks runs.
#pragma once

#include "plugins/cache/stack/backlog.hpp"
#include "plugins/cache/stack/envelope.hpp"
#include "plugins/cache/stack/hot_keys.hpp"
#include "plugins/cache/stack/locked_store.hpp"
#include "plugins/cache/stack/predictor.hpp"
#include "plugins/cache/stack/settings.hpp"
#include "plugins/cache/stack/stamps.hpp"
#include "plugins/cache/stack/tag_table.hpp"
#include "plugins/cache/stack/tier.hpp"

#include <tenon/abi/cache.h>
#include <tenon/in_flight.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tenon::cache_stack {

using RefreshFn =
    tenon_status (*)(void* ctx, tenon_bytes key, std::int64_t deadline_ns, tenon_sink value, tenon_cache_keep*, tenon_err*);

struct Services {
    Service<tenon_clock_1> clock;
    Service<tenon_exec_1> exec;
    Log log;
};

struct CacheCounters {
    std::atomic<std::uint64_t> hits{0}, misses{0}, negative_hits{0}, stale{0}, joined{0};
    std::atomic<std::uint64_t> loads{0}, load_errors{0}, puts{0}, invalidated{0}, evictions{0};
    std::atomic<std::uint64_t> early{0}, warmed{0}, prefetched{0};
    std::array<std::atomic<std::uint64_t>, 4> tier_hits{};  // of the tier in that place
};

// What a loader wants kept, copied: the loader's memory is its own again when it returns.
struct Kept {
    std::int64_t ttl_ns = 0;  // 0: the cache's; below 0: do not keep
    std::vector<std::uint64_t> tags;
};

// Throws Error TENON_INVALID: a bad tag, or too many. keep may be NULL.
[[nodiscard]] Kept copy_keep(const tenon_cache_keep* keep);

struct Flight;
struct Token;
struct AsyncRequest;

class Stack {
public:
    static constexpr std::size_t k_caches_max = 64;

    Stack(Services services, const Live<StackSettings>& settings);
    ~Stack();
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

    // [control] In the order in which they are asked; before anything else.
    void add_tier(std::string name, Service<tenon_cache_tier_1> service, Tier::Watcher watcher);

    // [control] New requests are refused from now on; the hottest keys are remembered.
    void refuse() noexcept;

    // [control] Whether loads that nobody waits for may use what they load from. Before anything
    // else.
    void when_free(std::function<bool()> free) { upstream_free_ = std::move(free); }

    // [io] Loads up to so many of the keys that are to be there after a start.
    void warm_some(std::uint32_t count);

    // [control] New work is refused, waiting requests are answered, refreshes and erases under way
    // end. Returns when nothing of the stack runs.
    void close() noexcept;

    // [control] The settings have changed: what became locked leaves the tiers.
    void apply();

    [[nodiscard]] std::uint32_t open(std::string_view name);
    [[nodiscard]] tenon_status
    get(std::uint32_t cache, std::string_view key, tenon_sink out, tenon_cache_answer& answer);
    [[nodiscard]] tenon_status fetch(
        const tenon_cache_request& request,
        tenon_sink out,
        tenon_cache_answer& answer,
        tenon_err* err
    );
    void fetch_async(const tenon_cache_request& request, tenon_cache_done done);
    void refresh(std::uint32_t cache, void* ctx, RefreshFn load);
    void put(
        std::uint32_t cache,
        std::string_view key,
        std::string_view value,
        const tenon_cache_keep* keep
    );
    void erase(std::uint32_t cache, std::string_view key);
    void invalidate_tag(std::string_view tag);
    void event(std::string_view event, std::string_view tag);
    // Everything in one cache, in all of them.
    void invalidate_cache(std::string_view name);
    void clear();
    // Another server changed something in a shared tier; an empty key: anything.
    void changed_elsewhere(std::string_view tier_key);
    // What a shared tier tells.
    void heard(Tier& tier, const tenon_cache_tier_event& event);

    // Forgets invalidations and keys that no entry can be older than.
    void sweep();
    [[nodiscard]] std::string stats() const;
    // Of both kinds of sequences: {"by_key":{"on":…},…}; {} when it is off.
    [[nodiscard]] std::string prefetch_stats() const;

    // Calls body(name, counters, entries) for each cache.
    using EachCache =
        std::function<void(const std::string& name, const CacheCounters&, std::uint64_t entries)>;
    void each_cache(const EachCache& body) const;

    [[nodiscard]] const std::vector<std::unique_ptr<Tier>>& tiers() const noexcept {
        return tiers_;
    }

private:
    // The keys that were kept and not yet seen to be gone, by hash, with their expiry: tiers know
    // nothing of names, and a cache's size is asked for by name.
    struct KeyIndex {
        static constexpr std::size_t k_keys_max = 1 << 17;
        mutable std::mutex mutex;
        std::unordered_map<std::uint64_t, std::int64_t> expires_ns;

        void add(std::uint64_t key, std::int64_t expires);
        // True when the key should have been there at now_ns.
        bool remove(std::uint64_t key, std::int64_t now_ns);
        void forget_expired(std::int64_t now_ns);
        [[nodiscard]] std::uint64_t size() const;
    };

    struct Cache {
        std::string name;
        std::uint64_t tag = 0;  // of everything in it
        CacheCounters counters;
        KeyIndex index;
        std::mutex refresh_mutex;  // of the two below
        void* refresh_ctx = nullptr;
        RefreshFn refresh = nullptr;
        std::atomic<bool> refreshes{false};
        std::atomic<bool> locked{false};
        std::atomic<std::int64_t> load_ns{0};  // what a load takes, smoothed
        HotKeys hot;
        InFlight refreshing;
    };

    struct FlightPart {
        std::mutex mutex;
        std::unordered_map<std::string, std::shared_ptr<Flight>> flights;
        // What is to be done next in the tiers that block, by key; there while one is at it.
        std::unordered_map<std::string, std::function<void()>> blocking;
        std::uint64_t erasures =
            0;  // what was read before one of them is not copied to other tiers
    };

    struct Entry {
        Entry() = default;
        Entry(Entry&&) = default;
        Entry& operator=(Entry&&) = default;

        ~Entry() {
            if (secret) {
                wipe(data);
            }
        }

        bool secret = false;
        std::string data;   // as the tier had it; longer than what a string keeps in itself
        Envelope envelope;  // views into data
        std::int64_t expires_ns = 0;
        std::int64_t fresh_ns = 0;  // for so long from now, when not stale
        std::uint32_t tier = 0;
        bool stale = false;
        StampList stamps;  // of a shared tier's
        std::int64_t looked =
            0;  // the sequence from which on this server knows of its invalidation
    };

    // Scopes whose new stamps are not in the shared tiers yet, each as often as it is waited for.
    struct Pending {
        mutable std::mutex mutex;
        std::unordered_map<Scope, std::uint32_t> scopes;
        std::atomic<std::size_t> count{0};

        void add(const std::vector<Scope>& more);
        void remove(const std::vector<Scope>& done);
        [[nodiscard]] bool has_any(const StampList& stamps) const;
    };

    using Load = std::function<
        tenon_status(std::int64_t deadline_ns, tenon_sink value, tenon_cache_keep*, tenon_err*)>;

    static void count_joined(Cache& cache) noexcept;
    static void count_ended(Cache& cache, const Flight& flight) noexcept;
    [[nodiscard]] std::int64_t now_ns() const noexcept;
    // What sequences are made of: the real time of the start, going on as the monotonic clock does.
    [[nodiscard]] std::int64_t sequence_now() const noexcept;
    [[nodiscard]] std::int64_t next_sequence() noexcept;
    [[nodiscard]] Cache& cache_at(std::uint32_t id) const;
    void check_open() const;
    static void check_key(std::string_view key);

    // Whether the entry may be answered with. Pure reading.
    [[nodiscard]] bool wanted(const Cache& cache, std::string_view key, const Envelope&) const;
    // hint, when given: the scopes of an entry's tags that did not count any more.
    [[nodiscard]] std::optional<Entry> look(
        Cache& cache,
        std::string_view key,
        const TierKey& tier_key,
        bool also_blocking,
        std::vector<Scope>* hint = nullptr
    );

    [[nodiscard]] std::optional<Entry>
    look_locked(Cache& cache, std::string_view key, const std::string& tier_key);
    // False: not kept. `data` is overwritten.
    bool keep_locked(
        Cache& cache,
        std::string_view key,
        const std::string& tier_key,
        std::string& data,
        std::int64_t ttl_ns
    );
    // After an invalidation, or in a sweep.
    void drop_locked();

    // Whether the tier may be asked for entries of a cache at all.
    [[nodiscard]] static bool asked(const Tier& tier, Consistency consistency) noexcept {
        return consistency != Consistency::strict || tier.shared();
    }

    // Whether tiers of its kind are switched on.
    [[nodiscard]] bool used(const Tier& tier) const noexcept {
        return (tier.shared() ? shared_used_ : memory_used_).load(std::memory_order_relaxed);
    }

    [[nodiscard]] bool any_used() const;

    // Whether its entries go by stamps.
    [[nodiscard]] static bool stamped(const Tier& tier, Consistency consistency) noexcept {
        return consistency != Consistency::timed && tier.shared();
    }

    // An entry as the tier had it, if it may be answered with.
    [[nodiscard]] bool fits(
        Cache& cache,
        std::string_view key,
        Tier& tier,
        Consistency consistency,
        Entry& entry,
        std::vector<Scope>* hint
    );
    // The cache's; timed when no tier is shared.
    [[nodiscard]] Consistency consistency_of(const Cache& cache) const;
    [[nodiscard]] bool young(const Cache& cache, std::int64_t sequence) const;
    [[nodiscard]] bool any_suspect() const noexcept;
    // Whether every server has had the time to take away there what it could not.
    [[nodiscard]] bool settled(const Tier& tier) const;
    // What every server is to know: now, or off the reactor.
    void renew(std::vector<Scope> scopes);
    void renew_tag(std::uint32_t cache, std::uint64_t tag);
    // Before a load; after it, with the tags that it gave; whether all is as it was.
    [[nodiscard]] std::vector<Hold>
    hold(const Cache& cache, std::string_view key, const std::vector<Scope>& tags);
    void hold_tags(const Cache& cache, const std::vector<std::uint64_t>& tags, std::vector<Hold>&);
    [[nodiscard]] bool held(const std::vector<Hold>& holds) const;
    // The states of a key in the shared tiers that tell.
    [[nodiscard]] std::vector<Token> tokens_of(const std::string& tier_key);
    // To the tiers that block, what a load gave: where entries go without stamps and the tier can
    // tell, only if no server has put or erased the key since the tokens were taken.
    void write_loaded(
        Consistency consistency,
        const std::vector<Token>& tokens,
        const std::string& tier_key,
        const std::string& data,
        std::int64_t ttl_ns
    );
    void write_shared(
        const std::vector<Hold>& holds,
        const std::string& tier_key,
        std::string_view data,
        std::int64_t ttl_ns
    );
    [[nodiscard]] bool on_reactor() const noexcept;
    [[nodiscard]] tenon_status
    answer_with(Cache& cache, const Entry& entry, tenon_sink out, tenon_cache_answer& answer);
    // Why a load begins that nobody waits for.
    enum class Reason : std::uint8_t { stale, early, ahead };
    // False: not begun, or somebody loads it already.
    bool refresh_later(std::uint32_t id, std::string_view key, Reason reason);
    // Somebody asked, and was answered with the entry, or not.
    void asked(std::uint32_t id, Cache& cache, std::string_view key, const Entry* entry);
    [[nodiscard]] bool due_early(const Cache& cache, const Entry& entry) const;
    void
    predict(Predictor& predictor, std::uint64_t session, std::uint32_t id, std::string_view key);
    void want_warm(std::uint32_t id);
    void remember_hottest();
    [[nodiscard]] std::vector<std::string> remembered(const Cache& cache);
    void run_refresh(Cache& cache, const std::string& key, const std::shared_ptr<Flight>& flight);

    [[nodiscard]] FlightPart& part_of(std::string_view tier_key) noexcept;
    // The flight of a key, and whether this call began it.
    // One that should have been over is not joined any more, unless by a refresh.
    [[nodiscard]] std::pair<std::shared_ptr<Flight>, bool>
    join_or_begin(const std::string& tier_key, std::int64_t ends_ns, bool refresh);
    // Of the flight that this call began: asks the tiers once more, else loads, and ends it.
    void fly(
        Cache& cache,
        std::string_view key,
        const std::shared_ptr<Flight>& flight,
        bool also_blocking,
        std::int64_t deadline_ns,
        const Load& load
    );
    void load_into(
        Cache& cache,
        std::string_view key,
        Flight& flight,
        std::int64_t deadline_ns,
        const Load& load
    );
    // Up to so many per cent shorter.
    [[nodiscard]] static std::int64_t
    jittered(std::int64_t ttl_ns, std::uint32_t percent, std::uint64_t any) noexcept;
    // Writes the entry of a flight, unless its key has been erased since.
    void keep(Cache& cache, std::string_view key, Flight& flight, const Kept& kept);
    void begin_async(const std::shared_ptr<AsyncRequest>& mine);
    void ask_again(const std::shared_ptr<AsyncRequest>& mine);
    // own: the place of the request among the flight's waiters.
    void fly_on_pool(
        Cache& cache,
        const std::shared_ptr<Flight>& flight,
        const std::shared_ptr<AsyncRequest>& mine,
        std::size_t own
    );
    // False: the deadline came first.
    [[nodiscard]] bool wait_for(Flight& flight, std::int64_t deadline_ns) const;
    // To the tiers that block or to the others, where entries go without stamps. ttl_ns is with
    // the stale window.
    void write(
        bool blocking,
        Consistency consistency,
        const std::string& tier_key,
        const std::string& data,
        std::int64_t ttl_ns
    );
    void promote(const std::string& tier_key, const Entry& entry, std::uint64_t erasures);
    void end_flight(const std::string& tier_key, const std::shared_ptr<Flight>& flight);
    // After it returned, what the key's flight finds is not kept, and nobody joins it.
    void spoil_flight(const std::string& tier_key);
    void erase_everywhere(const Cache& cache, std::string_view key);
    void erase_blocking(Consistency consistency, const std::string& tier_key);
    // What happens to a key in the tiers that block happens in order, one at a time, and what waits
    // is superseded by what comes after it. True: the caller sees to it with settle.
    [[nodiscard]] bool supersede(const std::string& tier_key, std::function<void()> body);
    void settle(const std::string& tier_key);
    void settle_later(const std::string& tier_key, std::function<void()> body);
    // Runs on the pool. When that is full: at once, or on a reactor as soon as it is not.
    // False: not run at all, there is too much of it already.
    [[nodiscard]] bool later(std::function<void()> body);
    // Work for the tiers that block is left undone: they are emptied before they are asked again.
    void forgo() noexcept;
    // Runs on the reactor; tries again for a while when its queue is full.
    void deliver(std::uint32_t reactor, std::function<void()> body);

    Services services_;
    const Live<StackSettings>& settings_;
    const std::int64_t real_ahead_ns_;  // of the monotonic clock, at the start
    std::vector<std::unique_ptr<Tier>> tiers_;
    bool any_blocking_ = false;
    bool any_shared_ = false;
    Stamps stamps_;
    LockedStore locked_;
    std::atomic<bool> unlocked_told_{false};
    Pending pending_;
    TagTable tags_;
    std::atomic<std::int64_t> longest_ns_{0};  // that an entry was kept for
    mutable std::mutex caches_mutex_;          // of adding
    std::array<std::unique_ptr<Cache>, k_caches_max> caches_;
    std::atomic<std::uint32_t> cache_count_{0};
    std::array<FlightPart, 16> flights_;
    std::atomic<bool> closed_{false};
    InFlight background_;
    Backlog backlog_;

    // What comes ahead of those who ask.
    struct Ahead {
        Predictor by_key, by_thread;
    };

    std::atomic<bool> memory_used_{true}, shared_used_{true};  // as apply() found the settings
    std::unique_ptr<Ahead> ahead_;                             // made once, when it is first wanted
    std::atomic<Ahead*> ahead_now_{nullptr};
    std::function<bool()> upstream_free_;
    std::mutex warm_mutex_;
    std::deque<std::pair<std::uint32_t, std::string>> warm_;
    std::mutex lost_mutex_;
    std::vector<std::function<void()>> lost_;  // answers that a stopped reactor did not take
};

}  // namespace tenon::cache_stack
