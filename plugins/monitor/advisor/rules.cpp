// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/rules.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace tenon::advisor {
namespace {

namespace json = boost::json;

constexpr std::string_view k_levels[] = {"conservative", "moderate", "aggressive", "unlimited"};
constexpr double k_misses_many = 0.2, k_busy = 0.8, k_idle_cpu = 0.6, k_cpu_high = 0.85;
constexpr double k_limited_many = 0.05, k_refused_many = 0.05;
constexpr double k_p99_slow_s = 0.1, k_query_quick_s = 0.01;
constexpr std::size_t k_snapshots_least = 4;

std::string percent(double part) {
    char text[32];
    (void)std::snprintf(text, sizeof text, "%.0f %%", part * 100);
    return text;
}

std::string mega(double bytes) {
    char text[32];
    (void)std::snprintf(text, sizeof text, "%.0f MiB", bytes / 1048576);
    return text;
}

std::string whole(double value) {
    char text[32];
    (void)std::snprintf(text, sizeof text, "%.0f", value);
    return text;
}

class Rules {
public:
    Rules(const std::deque<Snapshot>& snapshots, const SettingsView& settings)
        : all_{snapshots}, from_{snapshots.front()}, to_{snapshots.back()}, settings_{settings} {}

    std::vector<Recommendation> run() {
        cache_size();
        cache_ttl();
        query_cache();
        throttle_level();
        pool_size();
        workers();
        slow_loop();
        scale_out();
        return std::move(out_);
    }

private:
    [[nodiscard]] double grown(std::string_view family, Snapshot::Label only = {}) const {
        return increase(from_, to_, family, only).value_or(0);
    }

    [[nodiscard]] std::optional<double> taken(std::string_view name, std::string label = "") const {
        return take({std::string{name}, std::move(label)}, from_, to_);
    }

    // The part of the snapshots in which a gauge is above that.
    [[nodiscard]] double part_above(std::string_view gauge, double level) const {
        const auto count = std::count_if(all_.begin(), all_.end(), [&](const Snapshot& one) {
            return one.sum(gauge) > level;
        });
        return static_cast<double>(count) / static_cast<double>(all_.size());
    }

    [[nodiscard]] double mean(std::string_view gauge) const {
        double sum = 0;
        for (const Snapshot& one : all_) {
            sum += one.sum(gauge);
        }
        return sum / static_cast<double>(all_.size());
    }

    // What the bounds refuse is still told, with the reason that nothing can be done from here.
    void add(Recommendation one) {
        if (one.knob && one.why_not.empty()) {
            one.why_not = settings_.refusal(*one.knob, one.to);
        }
        out_.push_back(std::move(one));
    }

    // Of two bounds the nearer: twice the value, but not beyond what is allowed.
    [[nodiscard]] std::int64_t doubled(const Knob& knob, std::int64_t value) const {
        const Bound* const bound = settings_.bound_of(knob);
        return bound != nullptr && bound->max ? std::min(2 * value, *bound->max) : 2 * value;
    }

    void cache_size() {
        const LiveSetting* const setting = settings_.find("tenon.cache.memory", "/bytes_max");
        const auto missed = taken("cache_miss_ratio");
        const double evicted = grown("tenon_cache_memory_evicted_total");
        if (setting == nullptr || !missed || *missed < k_misses_many ||
            !setting->value.is_int64()) {
            return;
        }
        const std::int64_t size = setting->value.get_int64();
        const double used = to_.sum("tenon_cache_memory_bytes");
        const Knob knob{setting->plugin, setting->pointer, "", ""};
        const std::int64_t more = doubled(knob, size);
        // Evictions that outnumber a tenth of the misses: what was asked for again was thrown out.
        if (size <= 0 || used < 0.8 * static_cast<double>(size) || more <= size ||
            evicted < 0.1 * grown("tenon_cache_misses_total")) {
            return;
        }
        Recommendation one;
        one.kind = "cache_size";
        one.title = "More memory for the caches";
        one.knob = knob;
        one.from = size;
        one.to = more;
        one.unit = "bytes";
        one.promise = Promise{{"cache_miss_ratio", ""}, 0.05};
        one.evidence = percent(*missed) + " of the look-ups miss while " + mega(used) + " of " +
                       mega(static_cast<double>(size)) + " are in use and " + whole(evicted) +
                       " entries were evicted";
        one.numbers = {{"miss_ratio", *missed}, {"evicted", evicted}, {"bytes", used}};
        one.risk =
            "The process needs up to " + mega(static_cast<double>(more - size)) + " more memory";
        one.confidence = 0.8;
        add(std::move(one));
    }

    // Entries that are loaded again as soon as they expire, in caches that are told of changes: a
    // longer time there makes nothing staler. In a timed cache, or one in locked memory, the time
    // is a promise to the reader.
    void cache_ttl() {
        const LiveSetting* const setting = settings_.find("tenon.cache.stack", "/caches");
        if (setting == nullptr || !setting->value.is_array()) {
            return;
        }
        for (const json::value& each : setting->value.get_array()) {
            const json::object* const cache = each.if_object();
            if (cache == nullptr || !cache->contains("name") || !cache->contains("ttl_ms")) {
                continue;
            }
            const json::value* const consistency = cache->if_contains("consistency");
            const json::value* const locked = cache->if_contains("locked");
            const bool is_timed = consistency != nullptr && consistency->is_string() &&
                                  consistency->get_string() == "timed";
            if (is_timed || (locked != nullptr && locked->is_bool() && locked->get_bool())) {
                continue;
            }
            longer_ttl(*setting, plain(cache->at("name")), cache->at("ttl_ms"));
        }
    }

    void longer_ttl(const LiveSetting& setting, const std::string& cache, const json::value& ttl) {
        const auto missed = taken("cache_miss_ratio", cache);
        const double loads = grown("tenon_cache_loads_total", {"cache", cache});
        const double entries = to_.sum("tenon_cache_entries", {"cache", cache});
        const double evicted = grown("tenon_cache_evictions_total", {"cache", cache});
        const double seconds = static_cast<double>(to_.at_ms - from_.at_ms) / 1000;
        if (!missed || *missed < k_misses_many || entries < 1 || !ttl.is_int64()) {
            return;
        }
        const std::int64_t ttl_ms = ttl.get_int64();
        const double lives = seconds * 1000 / static_cast<double>(ttl_ms);
        const Knob knob{setting.plugin, setting.pointer, cache, "ttl_ms"};
        const std::int64_t longer = doubled(knob, ttl_ms);
        // Nearly every entry was loaded anew in nearly each of its lives.
        if (lives < 2 || loads < 0.5 * lives * entries || evicted > 0.1 * loads ||
            longer <= ttl_ms) {
            return;
        }
        Recommendation one;
        one.kind = "cache_ttl";
        one.title = "Entries of the cache " + cache + " live longer";
        one.knob = knob;
        one.from = ttl_ms;
        one.to = longer;
        one.unit = "ms";
        one.promise = Promise{{"cache_miss_ratio", cache}, 0.05};
        one.evidence = whole(loads) + " loads for " + whole(entries) + " entries in " +
                       whole(lives) + " lifetimes: what expires is asked for again (" +
                       percent(*missed) + " misses, " + whole(evicted) + " evicted)";
        one.numbers = {
            {"miss_ratio", *missed}, {"loads", loads}, {"entries", entries}, {"evicted", evicted}};
        one.risk = "Between servers a change that was not announced is seen later";
        one.confidence = 0.6;
        add(std::move(one));
    }

    void query_cache() {
        const double hits = grown("tenon_db_query_cache_hits_total");
        const double misses = grown("tenon_db_query_cache_misses_total");
        const double evicted = grown("tenon_db_query_cache_evictions_total");
        if (hits + misses < 100 || misses < k_misses_many * (hits + misses) ||
            evicted < 0.5 * misses) {
            return;
        }
        Recommendation one;
        one.kind = "query_cache";
        one.title = "More memory for the query cache";
        one.target = "query_cache_mb";
        one.evidence = whole(misses) + " of " + whole(hits + misses) + " look-ups missed and " +
                       whole(evicted) + " results were evicted";
        one.numbers = {{"hits", hits}, {"misses", misses}, {"evicted", evicted}};
        one.risk = "Memory of the process";
        one.confidence = 0.6;
        one.why_not = "query_cache_mb of the storage counts from the next start";
        add(std::move(one));
    }

    // One level up while the server has time and nobody upstream complains; one down when requests
    // fail while the processors are short.
    void throttle_level() {
        for (const std::string_view id : {"tenon.throttle.token-bucket", "tenon.throttle.redis"}) {
            const LiveSetting* const setting = settings_.find(id, "/level");
            if (setting == nullptr || !setting->value.is_string()) {
                continue;
            }
            const auto* const at = std::find(
                std::begin(k_levels),
                std::end(k_levels),
                std::string_view{setting->value.get_string()}
            );
            const auto limited = taken("throttle_limited_ratio");
            const auto cpu = taken("cpu_share");
            const double failed = grown("tenon_http_requests_total", {"status", "5xx"});
            const double requests = grown("tenon_http_requests_total");
            if (at == std::end(k_levels) || !cpu) {
                continue;
            }
            const bool is_calm = *cpu < k_idle_cpu && failed * 100 <= requests &&
                                 grown("tenon_exchange_limited_total") <= 0;
            const bool is_failing =
                requests >= 20 && failed > k_refused_many * requests && *cpu > k_cpu_high;
            if (limited && *limited > k_limited_many && is_calm && at + 1 != std::end(k_levels)) {
                level(*setting, at[0], at[1], *limited, *cpu);
            } else if (is_failing && at != std::begin(k_levels)) {
                level(*setting, at[0], at[-1], failed / requests, *cpu);
            }
        }
    }

    void level(
        const LiveSetting& setting,
        std::string_view from,
        std::string_view to,
        double part,
        double cpu
    ) {
        const bool is_up = std::find(std::begin(k_levels), std::end(k_levels), to) >
                           std::find(std::begin(k_levels), std::end(k_levels), from);
        Recommendation one;
        one.kind = "throttle_level";
        one.title = is_up ? "Let more requests in" : "Let fewer requests in";
        one.knob = Knob{setting.plugin, setting.pointer, "", ""};
        one.from = json::string{from};
        one.to = json::string{to};
        one.unit = "level";
        one.promise = is_up ? Promise{{"throttle_limited_ratio", ""}, 0.2}
                            : Promise{{"http_p99_seconds", ""}, 0.1};
        one.evidence = is_up
                           ? percent(part) + " of the requests are refused while the processors " +
                                 "are at " + percent(cpu) + " and nothing fails"
                           : percent(part) + " of the requests fail while the processors are at " +
                                 percent(cpu);
        one.numbers = {{is_up ? "limited_ratio" : "failed_ratio", part}, {"cpu", cpu}};
        one.risk = is_up ? "More load on this server and on what it asks"
                         : "Clients are told to wait more often";
        one.confidence = is_up ? 0.6 : 0.7;
        add(std::move(one));
    }

    void pool_size() {
        const double waiting = part_above("tenon_db_pool_waiting", 0);
        const double active = mean("tenon_db_pool_active_connections");
        if (waiting < 0.25 || taken("cpu_share").value_or(1) > k_busy) {
            return;
        }
        // In the middle of the band of 60 to 80 %.
        const double wanted = (active + mean("tenon_db_pool_waiting")) / 0.7;
        Recommendation one;
        one.kind = "pool_size";
        one.title = "More connections to the database";
        one.target = "pool_size";
        one.evidence = "In " + percent(waiting) + " of the time somebody waits for a connection, " +
                       whole(active) + " are in use on average; with " + whole(wanted) +
                       " they would be at 70 %";
        one.numbers = {{"waiting_part", waiting}, {"active", active}, {"wanted", wanted}};
        one.risk = "More memory and processes on the database's side";
        one.confidence = 0.7;
        one.why_not = "pool_size of the storage counts from the next start";
        add(std::move(one));
    }

    void workers() {
        const double queued = part_above("tenon_exec_blocking_queue_depth", 8);
        if (queued < 0.5) {
            return;
        }
        Recommendation one;
        one.kind = "workers";
        one.title = "More threads for blocking work";
        one.target = "blocking_threads";
        const double depth = mean("tenon_exec_blocking_queue_depth");
        one.evidence = "In " + percent(queued) +
                       " of the time more than 8 tasks wait for a thread, " + whole(depth) +
                       " on average";
        one.numbers = {{"queued_part", queued}, {"depth", depth}};
        one.risk = "More threads compete for the processors";
        one.confidence = 0.5;
        one.why_not = "the number of threads counts from the next start";
        add(std::move(one));
    }

    // Requests are slow though neither the processors nor the database are: a thread of the network
    // is held by something that should not run there.
    void slow_loop() {
        const auto p99 = taken("http_p99_seconds");
        const auto query = taken("query_p95_seconds");
        const auto cpu = taken("cpu_share");
        if (!p99 || !query || !cpu || *p99 < k_p99_slow_s || *query > k_query_quick_s ||
            *cpu > k_idle_cpu || part_above("tenon_exec_blocking_queue_depth", 8) >= 0.5) {
            return;
        }
        Recommendation one;
        one.kind = "slow_loop";
        one.title = "Something holds a thread of the network";
        one.target = "reactor";
        one.evidence = "Requests take " + readable({"http_p99_seconds", ""}, *p99) +
                       " (p99), queries " + readable({"query_p95_seconds", ""}, *query) +
                       " (p95), and the processors are at " + percent(*cpu);
        one.numbers = {{"http_p99_s", *p99}, {"query_p95_s", *query}, {"cpu", *cpu}};
        one.risk = "None: it is to be looked for, in the plugins that were added last first";
        one.confidence = 0.4;
        one.why_not = "there is no setting for it";
        add(std::move(one));
    }

    void scale_out() {
        const auto cpu = taken("cpu_share");
        if (!cpu || *cpu < k_cpu_high) {
            return;
        }
        Recommendation one;
        one.kind = "scale_out";
        one.title = "A larger machine, or a second server";
        one.target = "server";
        const double requests = grown("tenon_http_requests_total");
        one.evidence = "This process uses " + percent(*cpu) + " of all processors for " +
                       whole(requests) + " requests";
        one.numbers = {{"cpu", *cpu}, {"requests", requests}};
        one.risk = "Costs";
        one.confidence = 0.6;
        one.why_not = "a server cannot be added from here";
        add(std::move(one));
    }

    const std::deque<Snapshot>& all_;
    const Snapshot& from_;
    const Snapshot& to_;
    const SettingsView& settings_;
    std::vector<Recommendation> out_;
};

}  // namespace

std::vector<Recommendation>
recommend(const std::deque<Snapshot>& snapshots, const SettingsView& settings) {
    if (snapshots.size() < k_snapshots_least) {
        return {};
    }
    return Rules{snapshots, settings}.run();
}

}  // namespace tenon::advisor
