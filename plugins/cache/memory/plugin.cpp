// SPDX-License-Identifier: Apache-2.0
// tenon.cache.memory: settings, metrics, the sweep, and the tier's five functions.
#include "plugins/cache/memory/memory_cache.hpp"

#include <tenon/background_job.hpp>
#include <tenon/cache_tier.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>

namespace tenon::memory_cache {
namespace {

constexpr std::uint64_t k_mib = 1024 * 1024;

// A sixteenth of what the machine has to give, between 16 MiB and 2 GiB.
std::uint64_t bytes_of_the_machine() {
    std::ifstream file{"/proc/meminfo"};
    std::string name;
    std::uint64_t kib = 0;
    std::string unit;
    while (file >> name >> kib) {
        if (name == "MemAvailable:") {
            return std::clamp<std::uint64_t>(kib * 1024 / 16, 16 * k_mib, 2048 * k_mib);
        }
        std::getline(file, unit);
    }
    return 64 * k_mib;
}

struct MemorySettings {
    explicit MemorySettings(const Settings& s)
        : bytes_max{s.get<std::uint64_t>("bytes_max")},
          shards{s.get<std::uint32_t>("shards")},
          sweep_interval{s.get<std::chrono::milliseconds>("sweep_interval_ms")} {
        if (!std::has_single_bit(shards)) {
            throw Error{TENON_INVALID, "setting /shards: expected a power of two"};
        }
        if (bytes_max != 0 && bytes_max / shards < 4096) {
            throw Error{TENON_INVALID, "setting /bytes_max: expected at least 4096 for each shard"};
        }
        if (bytes_max == 0) {
            bytes_max = bytes_of_the_machine();
        }
    }

    std::uint64_t bytes_max;
    std::uint32_t shards;
    std::chrono::milliseconds sweep_interval;
};

class MemoryPlugin final : public Plugin, public CacheTier {
public:
    explicit MemoryPlugin(const tenon_host* raw) : Plugin{raw} { provide<CacheTier>(this); }

    void configure(std::string_view json, bool dry_run) override {
        settings_.configure(json, dry_run);
        if (!dry_run && open_.load()) {  // while running: bytes_max and the sweep are live
            cache_->resize(settings_->bytes_max);
            begin_sweeps();
        }
    }

    void start() override {
        try {
            begin();
        } catch (...) {
            stop();
            throw;
        }
    }

    void drain(std::int64_t) override { open_.store(false); }

    void stop() noexcept override {
        open_.store(false);
        sweep_.stop();
        if (collect_ != 0) {
            metrics_->remove_on_collect(metrics_.self, std::exchange(collect_, 0));
        }
        if (cache_) {
            (void)guard(nullptr, [this] { cache_->clear({}); });
        }
    }

    std::optional<std::int64_t> get(std::string_view key, std::int64_t now_ns, Out out) override {
        check_open();
        return cache_->get(key, now_ns, [&out](std::string_view value) { out(value); });
    }

    void put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns)
        override {
        check_open();
        if (!cache_->put(key, value, now_ns, ttl_ns)) {
            throw Error{
                TENON_INVALID,
                "a value of " + std::to_string(value.size()) + " bytes, at most " +
                    std::to_string(cache_->value_bytes_max()) + " are kept"};
        }
    }

    bool erase(std::string_view key) override {
        check_open();
        return cache_->erase(key);
    }

    void clear(std::string_view prefix) override {
        check_open();
        cache_->clear(prefix);
    }

    void stats(tenon_cache_tier_stats& out) override {
        if (!cache_) {
            return;
        }
        const Counters now = cache_->counters();
        out.entries = now.entries;
        out.bytes = now.bytes;
        out.bytes_max = now.bytes_max;
        out.hits = now.hits;
        out.misses = now.misses;
        out.puts = now.puts;
        out.erased = now.erased;
        out.evicted = now.evicted;
        out.expired = now.expired;
    }

private:
    void begin() {
        const Metrics metrics{host()};
        entries_ = metrics.gauge("tenon_cache_memory_entries", "Entries in the memory tier");
        bytes_ = metrics.gauge("tenon_cache_memory_bytes", "Bytes that the memory tier holds");
        evicted_ = metrics.counter("tenon_cache_memory_evicted_total", "Entries evicted for room");
        expired_ =
            metrics.counter("tenon_cache_memory_expired_total", "Entries dropped as expired");
        published_ = {};
        cache_ = std::make_unique<MemoryCache>(settings_->bytes_max, settings_->shards);
        open_.store(true);
        begin_sweeps();
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        collect_ = metrics_->on_collect(
            metrics_.self,
            [](void* self) noexcept {
                (void)guard(nullptr, [&] { static_cast<MemoryPlugin*>(self)->publish(); });
            },
            this
        );
    }

    void check_open() const {
        if (!open_.load(std::memory_order_relaxed)) {
            throw Error{TENON_UNAVAILABLE, "the memory cache is not started"};
        }
    }

    void begin_sweeps() {
        sweep_ = every(host(), "sweep", settings_->sweep_interval, [this] { cache_->sweep(); });
    }

    void publish() {
        const Counters now = cache_->counters();
        entries_.set(static_cast<std::int64_t>(now.entries));
        bytes_.set(static_cast<std::int64_t>(now.bytes));
        evicted_.add(now.evicted - published_.evicted);
        expired_.add(now.expired - published_.expired);
        published_ = now;
    }

    Live<MemorySettings> settings_;
    std::unique_ptr<MemoryCache> cache_;  // made by start, emptied by stop
    std::atomic<bool> open_{false};
    Service<tenon_metrics_1> metrics_;
    std::uint64_t collect_ = 0;
    Gauge entries_, bytes_;
    Counter evicted_, expired_;
    Counters published_;  // the collector's
    BackgroundJob sweep_;
};

}  // namespace
}  // namespace tenon::memory_cache

TENON_EXPORT_PLUGIN(tenon::memory_cache::MemoryPlugin)
