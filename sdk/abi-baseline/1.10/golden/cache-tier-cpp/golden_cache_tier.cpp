// SPDX-License-Identifier: Apache-2.0
// A cache tier over a map, written with the facet.
#include <tenon/cache_tier.hpp>

#include <map>
#include <mutex>
#include <string>

class GoldenCacheTier final : public tenon::Plugin, public tenon::CacheTier {
public:
    explicit GoldenCacheTier(const tenon_host* host) : Plugin{host} {
        provide<tenon::CacheTier>(this);
    }

    void configure(std::string_view, bool) override {}

    std::optional<std::int64_t> get(std::string_view key, std::int64_t now_ns, Out out) override {
        const std::lock_guard hold{mutex_};
        const auto found = entries_.find(key);
        if (found == entries_.end() || found->second.expires_ns <= now_ns) {
            return std::nullopt;
        }
        out(found->second.value);
        return found->second.expires_ns;
    }

    void put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns)
        override {
        if (ttl_ns <= 0) {
            throw tenon::Error{TENON_INVALID, "a time to live is positive"};
        }
        const std::lock_guard hold{mutex_};
        entries_.insert_or_assign(std::string{key}, Entry{std::string{value}, now_ns + ttl_ns});
    }

    bool erase(std::string_view key) override {
        const std::lock_guard hold{mutex_};
        return entries_.erase(std::string{key}) != 0;
    }

    void clear(std::string_view prefix) override {
        const std::lock_guard hold{mutex_};
        std::erase_if(entries_, [&](const auto& entry) { return entry.first.starts_with(prefix); });
    }

    void stats(tenon_cache_tier_stats& out) override {
        const std::lock_guard hold{mutex_};
        out.entries = entries_.size();
    }

private:
    struct Entry {
        std::string value;
        std::int64_t expires_ns;
    };

    std::mutex mutex_;
    std::map<std::string, Entry, std::less<>> entries_;
};

TENON_EXPORT_PLUGIN(GoldenCacheTier)
