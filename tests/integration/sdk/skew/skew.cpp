// SPDX-License-Identifier: Apache-2.0
// A cache tier built against headers that are a slot longer (SKEW_newer) or shorter (SKEW_older)
// than the host's. The key "skew" tells what it saw of the host.
#include <tenon/cache_tier.hpp>

#include <map>

class Skew : public tenon::Plugin, public tenon::CacheTier {
public:
    explicit Skew(const tenon_host* host) : Plugin{host} { provide<CacheTier>(this); }

    void configure(std::string_view, bool) override {}

    void start() override {
        host().log().info("skew_started", {{"table_size", sizeof(tenon_cache_tier_1)}});
        const auto health = host().service<tenon_health_1>("tenon.health/1");
        health->set(health.self, tenon::str("skew"), TENON_HEALTHY, tenon::str("well"));
    }

    std::optional<std::int64_t> get(std::string_view key, std::int64_t, Out out) override {
        if (key == "throw") {
            throw tenon::Error{TENON_CONFLICT, std::string(600, 'x')};
        }
        if (key == "skew") {
            const auto log = host().service<tenon_log_1>("tenon.log/1");
            std::string seen = log->size > sizeof(tenon_log_1)    ? "host newer"
                               : log->size == sizeof(tenon_log_1) ? "same"
                                                                  : "host older";
#ifdef SKEW_newer
            seen += TENON_HAS(log.table, tenon_log_1, future) ? ", future called" : ", no future";
#endif
            out(seen);
            return 0;
        }
        const auto found = entries_.find(key);
        if (found == entries_.end()) {
            return std::nullopt;
        }
        out(found->second);
        return 0;
    }

    void put(std::string_view key, std::string_view value, std::int64_t, std::int64_t) override {
        entries_.insert_or_assign(std::string{key}, std::string{value});
    }

    bool erase(std::string_view key) override {
        return entries_.erase(std::string{key}) != 0;
    }

    void clear(std::string_view) override {
        entries_.clear();
    }

    void stats(tenon_cache_tier_stats& out) override {
        out.entries = entries_.size();
#ifdef SKEW_newer
        out.future = 0xffffffffffffffffU;
#endif
    }

private:
    std::map<std::string, std::string, std::less<>> entries_;
};

TENON_EXPORT_PLUGIN(Skew)
