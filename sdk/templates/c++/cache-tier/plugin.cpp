// SPDX-License-Identifier: Apache-2.0
#include "lru_map.hpp"

#include <tenon/cache_tier.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>

#include <mutex>

namespace {

class Tier final : public tenon::Plugin, public tenon::CacheTier {
public:
    explicit Tier(const tenon_host* host) : Plugin{host} { provide<tenon::CacheTier>(this); }

    // Also called by `tenon reload`, for settings marked "x-reload": "live".
    void configure(std::string_view json, bool dry_run) override {
        const tenon::Settings settings{json};
        const auto entries_max = settings.get<std::size_t>("entries_max");
        const auto value_bytes_max = settings.get<std::size_t>("value_bytes_max");
        if (!dry_run) {
            const std::lock_guard lock{mutex_};
            entries_.set_entries_max(entries_max);
            value_bytes_max_ = value_bytes_max;
        }
    }

    void start() override {
        shown_ =
            tenon::Metrics{host()}.gauge("tenon_@identifier@_entries", "Entries that are kept");
        const std::lock_guard lock{mutex_};
        open_ = true;
    }

    void drain(std::int64_t) override {
        const std::lock_guard lock{mutex_};
        open_ = false;
    }

    void stop() noexcept override {
        const std::lock_guard lock{mutex_};
        open_ = false;
        entries_.clear("");
    }

    std::optional<std::int64_t> get(std::string_view key, std::int64_t now_ns, Out out) override {
        const std::lock_guard lock{mutex_};
        expect_open();
        const LruMap::Entry* const found = entries_.get(key, now_ns);
        ++(found != nullptr ? hits_ : misses_);
        if (found == nullptr) {
            return std::nullopt;
        }
        out(found->value);
        return found->expires_ns;
    }

    void put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns)
        override {
        const std::lock_guard lock{mutex_};
        expect_open();
        if (value.size() > value_bytes_max_) {
            throw tenon::Error{TENON_INVALID, "the value is longer than value_bytes_max"};
        }
        entries_.put(key, value, now_ns, ttl_ns);
        ++puts_;
        shown_.set(static_cast<std::int64_t>(entries_.size()));
    }

    bool erase(std::string_view key) override {
        const std::lock_guard lock{mutex_};
        expect_open();
        const bool was_there = entries_.erase(key);
        erased_ += was_there ? 1 : 0;
        return was_there;
    }

    void clear(std::string_view prefix) override {
        const std::lock_guard lock{mutex_};
        expect_open();
        const std::size_t before = entries_.size();
        entries_.clear(prefix);
        erased_ += before - entries_.size();
    }

    void stats(tenon_cache_tier_stats& out) override {
        const std::lock_guard lock{mutex_};
        out.entries = entries_.size();
        out.bytes = entries_.bytes();
        out.hits = hits_;
        out.misses = misses_;
        out.puts = puts_;
        out.erased = erased_;
        out.evicted = entries_.evicted();
        out.expired = entries_.expired();
    }

private:
    void expect_open() const {
        if (!open_) {
            throw tenon::Error{TENON_UNAVAILABLE, "the cache tier is not started or draining"};
        }
    }

    tenon::Gauge shown_;
    std::mutex mutex_;  // guards what follows
    LruMap entries_{1};
    std::size_t value_bytes_max_ = 1;
    bool open_ = false;
    std::uint64_t hits_ = 0, misses_ = 0, puts_ = 0, erased_ = 0;
};

}  // namespace

TENON_EXPORT_PLUGIN(Tier)
