// SPDX-License-Identifier: Apache-2.0
// A cache tier of one map, oldest entries first to go: the reference of the cache tier suite, and
// what it looks like when a rule is broken.
#include "sdk/conformance/broken/fault.hpp"

#include <tenon/abi/cache_tier.h>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <string>

namespace tenon::broken {
namespace {

constexpr std::size_t k_bytes_max = std::size_t{1} << 20U;
constexpr std::size_t k_value_max = std::size_t{256} << 10U;

class Tier : public Plugin {
public:
    explicit Tier(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.cache_tier/1", this, &k_table);
    }

    void configure(std::string_view, bool) override {}

    void start() override {
        const std::lock_guard lock{mutex_};
        entries_.clear();
        counts_ = {};
        bytes_ = 0;
        open_ = true;
    }

    void drain(std::int64_t) override { open_ = fault("cache-tier.draining"); }

    void stop() noexcept override { open_ = false; }

private:
    struct Entry {
        std::string value, before;
        std::int64_t expires_ns;
        std::uint64_t age;
    };

    static Tier& of(void* self) noexcept { return *static_cast<Tier*>(self); }

    static std::string name(std::string_view key) {
        return std::string{fault("cache-tier.keys") ? key.substr(0, 26) : key};
    }

    tenon_status
    get(std::string_view key, std::int64_t now_ns, tenon_sink out, std::int64_t* expires_ns) {
        const std::lock_guard lock{mutex_};
        if (!open_) {
            return TENON_UNAVAILABLE;
        }
        const auto found = entries_.find(name(key));
        const std::int64_t late = fault("cache-tier.ttl") ? 1 : 0;
        if (found == entries_.end() || now_ns >= found->second.expires_ns + late) {
            ++counts_.misses;
            if (fault("cache-tier.miss")) {
                (void)out.put(out.ctx, bytes("nothing"));
            }
            return TENON_NOT_FOUND;
        }
        const Entry& entry = found->second;
        counts_.hits += fault("cache-tier.stats") ? 0U : 1U;
        if (expires_ns != nullptr) {
            *expires_ns = fault("cache-tier.expiry-told") ? 0 : entry.expires_ns;
        }
        std::string_view value = entry.value;
        if (fault("cache-tier.concurrent") && counts_.hits % 100 == 0 && !entry.before.empty()) {
            value = entry.before;
        }
        if (fault("cache-tier.round-trip")) {
            value = value.substr(0, value.find('\0'));
        }
        if (fault("cache-tier.empty-value") && value.empty()) {
            return TENON_NOT_FOUND;
        }
        // In pieces, as a tier that keeps its values in blocks does.
        constexpr std::size_t k_piece = 1000;
        tenon_status status = TENON_OK;
        for (std::size_t at = 0; at < value.size() && status == TENON_OK; at += k_piece) {
            status = out.put(out.ctx, bytes(value.substr(at, k_piece)));
        }
        return fault("cache-tier.sink") ? TENON_OK : status;
    }

    tenon_status
    put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns) {
        const std::lock_guard lock{mutex_};
        if (!open_) {
            return TENON_UNAVAILABLE;
        }
        const bool long_key = key.empty() || key.size() > TENON_CACHE_KEY_MAX;
        if ((long_key && !fault("cache-tier.key-limits")) ||
            (ttl_ns <= 0 && !fault("cache-tier.bad-ttl"))) {
            return TENON_INVALID;
        }
        if (value.size() > k_value_max) {
            if (fault("cache-tier.value-limits")) {
                forget(name(key));
            }
            return TENON_INVALID;
        }
        ++counts_.puts;
        std::string before;
        if (const auto found = entries_.find(name(key)); found != entries_.end()) {
            if (fault("cache-tier.overwrite")) {
                return TENON_OK;
            }
            before = fault("cache-tier.concurrent") ? found->second.value : std::string{};
            forget(name(key));
        }
        constexpr std::int64_t k_never = std::numeric_limits<std::int64_t>::max();
        const std::int64_t expires = now_ns > k_never - ttl_ns ? k_never : now_ns + ttl_ns;
        bytes_ += key.size() + value.size();
        entries_[name(key)] = {std::string{value}, std::move(before), expires, ++age_};
        while (bytes_ > k_bytes_max && !fault("cache-tier.bounded")) {
            const auto oldest = std::min_element(
                entries_.begin(),
                entries_.end(),
                [](const auto& a, const auto& b) { return a.second.age < b.second.age; }
            );
            forget(std::string{oldest->first});
            ++counts_.evicted;
        }
        return TENON_OK;
    }

    tenon_status erase(std::string_view key) {
        const std::lock_guard lock{mutex_};
        if (!open_) {
            return TENON_UNAVAILABLE;
        }
        if (!forget(name(key))) {
            return fault("cache-tier.erase") ? TENON_OK : TENON_NOT_FOUND;
        }
        ++counts_.erased;
        return TENON_OK;
    }

    tenon_status clear(std::string_view prefix) {
        const std::lock_guard lock{mutex_};
        if (!open_) {
            return TENON_UNAVAILABLE;
        }
        for (auto at = entries_.begin(); at != entries_.end();) {
            const bool inside = fault("cache-tier.clear")
                                    ? at->first == prefix
                                    : at->first.compare(0, prefix.size(), prefix) == 0;
            const std::string key = at->first;
            ++at;
            if (inside) {
                (void)forget(key);
            }
        }
        return TENON_OK;
    }

    bool forget(const std::string& key) {
        const auto found = entries_.find(key);
        if (found == entries_.end()) {
            return false;
        }
        bytes_ -= key.size() + found->second.value.size();
        entries_.erase(found);
        return true;
    }

    tenon_status stats(tenon_cache_tier_stats* out) {
        const std::lock_guard lock{mutex_};
        tenon_cache_tier_stats now = counts_;
        now.size = out->size;
        now.entries = entries_.size();
        now.bytes = bytes_;
        now.bytes_max = k_bytes_max;
        std::memcpy(out, &now, std::min<std::size_t>(out->size, sizeof now));
        return TENON_OK;
    }

    static constexpr tenon_cache_tier_1 k_table{
        sizeof(tenon_cache_tier_1),
        0,
        [](void* self,
           tenon_bytes key,
           std::int64_t now_ns,
           tenon_sink out,
           std::int64_t* expires_ns,
           tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).get(view(key), now_ns, out, expires_ns); });
        },
        [](void* self,
           tenon_bytes key,
           tenon_bytes value,
           std::int64_t now_ns,
           std::int64_t ttl_ns,
           tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).put(view(key), view(value), now_ns, ttl_ns); });
        },
        [](void* self, tenon_bytes key, tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).erase(view(key)); });
        },
        [](void* self, tenon_bytes prefix, tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).clear(view(prefix)); });
        },
        [](void* self, tenon_cache_tier_stats* out) noexcept {
            return guard(nullptr, [&] { return of(self).stats(out); });
        },
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr};

    std::mutex mutex_;
    std::map<std::string, Entry> entries_;
    tenon_cache_tier_stats counts_{};
    std::size_t bytes_ = 0;
    std::uint64_t age_ = 0;
    std::atomic<bool> open_{false};
};

}  // namespace
}  // namespace tenon::broken

TENON_EXPORT_PLUGIN(tenon::broken::Tier)
