// SPDX-License-Identifier: Apache-2.0
// tenon.cache.database: settings, metrics, the sweep, and the tier's functions.
#include "plugins/cache/database/database_tier.hpp"

#include <tenon/background_job.hpp>
#include <tenon/cache_tier.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

namespace tenon::database_cache {
namespace {

// The functions of a tier that blocks, and the flags as they turn out at start.
class FlaggedTier : public CacheTier {
public:
    [[nodiscard]] static const void* table(const FlaggedTier& tier) noexcept {
        return &tier.table_;
    }

protected:
    FlaggedTier() noexcept
        : CacheTier{true},
          table_{*static_cast<const tenon_cache_tier_1*>(CacheTier::table(*this))} {}

    ~FlaggedTier() = default;

    void set_shared(bool shared) noexcept {
        table_.flags = TENON_CACHE_TIER_BLOCKING | (shared ? TENON_CACHE_TIER_SHARED : 0U);
    }

private:
    tenon_cache_tier_1 table_;
};

class DatabasePlugin final : public Plugin, public FlaggedTier {
public:
    explicit DatabasePlugin(const tenon_host* raw) : Plugin{raw} { provide<FlaggedTier>(this); }

    void configure(std::string_view json, bool dry_run) override {
        const Settings s{json};
        TierOptions options;
        options.timeout = s.get<std::chrono::milliseconds>("timeout_ms");
        options.entries_max = s.get<std::uint64_t>("entries_max");
        options.value_bytes_max = s.get<std::uint64_t>("value_bytes_max");
        const auto interval = s.get<std::chrono::milliseconds>("sweep_interval_ms");
        if (!dry_run && !tier_) {
            options_ = options;
            sweep_interval_ = interval;
        }
    }

    void start() override {
        const Storage storage{host().require<tenon_storage_1>("tenon.storage/1")};
        // A file of SQLite is one server's: what is in it nobody else changes.
        options_.shared = storage.dialect() == "postgres";
        set_shared(options_.shared);
        tier_ = std::make_unique<DatabaseTier>(
            storage, host().service<tenon_clock_1>("tenon.clock/1"), options_
        );
        const Metrics metrics{host()};
        entries_ = metrics.gauge("tenon_cache_database_entries", "Entries at the last sweep");
        expired_ = metrics.counter("tenon_cache_database_expired_total", "Entries that expired");
        evicted_ = metrics.counter("tenon_cache_database_evicted_total", "Entries over the limit");
        open_.store(true);
        sweep_ = every(host(), "sweep", sweep_interval_, [this] { sweep(); });
    }

    void drain(std::int64_t) override { open_.store(false); }

    void stop() noexcept override {
        open_.store(false);
        sweep_.stop();
        tier_.reset();
    }

    std::optional<std::int64_t> get(std::string_view key, std::int64_t now_ns, Out out) override {
        return tier().get(key, now_ns, [&out](std::string_view value) { out(value); });
    }

    void put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns)
        override {
        tier().put(key, value, now_ns, ttl_ns);
    }

    bool erase(std::string_view key) override { return tier().erase(key); }

    void clear(std::string_view prefix) override { tier().clear(prefix); }

    void stats(tenon_cache_tier_stats& out) override {
        if (!open_.load()) {
            return;
        }
        const Counters& now = tier_->counters();
        out.entries = now.entries.load();
        out.hits = now.hits.load();
        out.misses = now.misses.load();
        out.puts = now.puts.load();
        out.erased = now.erased.load();
        out.evicted = now.evicted.load();
        out.expired = now.expired.load();
    }

private:
    [[nodiscard]] DatabaseTier& tier() const {
        if (!open_.load()) {
            throw Error{TENON_UNAVAILABLE, "the database tier is not started"};
        }
        return *tier_;
    }

    void sweep() {
        const Counters& now = tier_->counters();
        const std::uint64_t expired = now.expired.load();
        const std::uint64_t evicted = now.evicted.load();
        tier_->sweep();
        expired_.add(now.expired.load() - expired);
        evicted_.add(now.evicted.load() - evicted);
        entries_.set(static_cast<std::int64_t>(now.entries.load()));
    }

    TierOptions options_;
    std::chrono::milliseconds sweep_interval_{300'000};
    std::unique_ptr<DatabaseTier> tier_;
    std::atomic<bool> open_{false};
    Gauge entries_;
    Counter expired_, evicted_;
    BackgroundJob sweep_;
};

}  // namespace
}  // namespace tenon::database_cache

TENON_EXPORT_PLUGIN(tenon::database_cache::DatabasePlugin)
