// SPDX-License-Identifier: Apache-2.0
#include <tenon/cache_tier.hpp>

#include <atomic>
#include <map>
#include <mutex>

class HelloCache : public tenon::Plugin, public tenon::CacheTier {
public:
    explicit HelloCache(const tenon_host* host) : Plugin{host} { provide<CacheTier>(this); }

    void configure(std::string_view, bool) override {}

    void start() override { draining_ = false; }

    void drain(std::int64_t) override { draining_ = true; }

    std::optional<std::int64_t> get(std::string_view key, std::int64_t now_ns, Out out) override {
        const auto lock = enter();
        const auto found = entries_.find(key);
        if (found == entries_.end() || found->second.expires_ns <= now_ns) {
            ++counts_.misses;
            return std::nullopt;
        }
        ++counts_.hits;
        out(found->second.value);
        return found->second.expires_ns;
    }

    void put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns)
        override {
        const auto lock = enter();
        if (entries_.size() >= 10'000) {
            entries_.erase(entries_.begin());
        }
        const std::int64_t expires_ns = now_ns > INT64_MAX - ttl_ns ? INT64_MAX : now_ns + ttl_ns;
        entries_.insert_or_assign(std::string{key}, Entry{std::string{value}, expires_ns});
        ++counts_.puts;
    }

    bool erase(std::string_view key) override {
        const auto lock = enter();
        const std::size_t erased = entries_.erase(std::string{key});
        counts_.erased += erased;
        return erased != 0;
    }

    void clear(std::string_view prefix) override {
        const auto lock = enter();
        std::erase_if(entries_, [&](const auto& entry) { return entry.first.starts_with(prefix); });
    }

    void stats(tenon_cache_tier_stats& out) override {
        const std::lock_guard lock{mutex_};
        const std::uint32_t size = out.size;
        out = counts_;
        out.size = size;
        out.entries = entries_.size();
    }

private:
    struct Entry {
        std::string value;
        std::int64_t expires_ns;
    };

    std::unique_lock<std::mutex> enter() {
        std::unique_lock lock{mutex_};
        if (draining_) {
            throw tenon::Error{TENON_UNAVAILABLE, "the tier is draining"};
        }
        return lock;
    }

    std::mutex mutex_;
    std::map<std::string, Entry, std::less<>> entries_;
    tenon_cache_tier_stats counts_{};
    std::atomic<bool> draining_{false};
};

TENON_EXPORT_PLUGIN(HelloCache)
