// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/snapshot.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace tenon::advisor {
namespace {

constexpr double k_events_least = 20;

bool takes(const Snapshot::Value& one, Snapshot::Label only) {
    if (only.name.empty()) {
        return true;
    }
    const auto found = one.labels.find(only.name);
    return found != one.labels.end() && found->second == only.value;
}

// `part` of `part` and `rest`.
std::optional<double> share(std::optional<double> part, std::optional<double> rest) {
    if (!part || !rest || *part + *rest < k_events_least) {
        return std::nullopt;
    }
    return *part / (*part + *rest);
}

std::optional<double> refused_ratio(const Snapshot& from, const Snapshot& to) {
    constexpr std::string_view k_requests = "tenon_http_requests_total";
    const auto all = increase(from, to, k_requests);
    const auto clients = increase(from, to, k_requests, {"status", "4xx"});
    const auto server = increase(from, to, k_requests, {"status", "5xx"});
    if (!all || !clients || !server || *all < k_events_least) {
        return std::nullopt;
    }
    return (*clients + *server) / *all;
}

std::optional<double> cpu_share(const Snapshot& from, const Snapshot& to) {
    const auto used = increase(from, to, "tenon_process_cpu_seconds_total");
    const double cpus = to.sum("tenon_system_cpus");
    const double seconds = static_cast<double>(to.at_ms - from.at_ms) / 1000;
    if (!used || cpus <= 0 || seconds <= 0) {
        return std::nullopt;
    }
    return *used / seconds / cpus;
}

}  // namespace

bool Snapshot::has(std::string_view family) const {
    return families.find(family) != families.end();
}

double Snapshot::sum(std::string_view family, Label only) const {
    double total = 0;
    if (const auto found = families.find(family); found != families.end()) {
        for (const Value& one : found->second) {
            total += takes(one, only) ? one.value : 0;
        }
    }
    return total;
}

std::vector<std::string> Snapshot::values_of(std::string_view family, std::string_view label)
    const {
    std::vector<std::string> out;
    if (const auto found = families.find(family); found != families.end()) {
        for (const Value& one : found->second) {
            const auto value = one.labels.find(label);
            if (value != one.labels.end() &&
                std::find(out.begin(), out.end(), value->second) == out.end()) {
                out.push_back(value->second);
            }
        }
    }
    return out;
}

const std::vector<std::string>& wanted_families() {
    static const std::vector<std::string> k_families{
        "tenon_cache_hits_total",
        "tenon_cache_misses_total",
        "tenon_cache_loads_total",
        "tenon_cache_evictions_total",
        "tenon_cache_entries",
        "tenon_cache_memory_bytes",
        "tenon_cache_memory_evicted_total",
        "tenon_db_query_cache_hits_total",
        "tenon_db_query_cache_misses_total",
        "tenon_db_query_cache_evictions_total",
        "tenon_db_query_duration_seconds_bucket",
        "tenon_db_pool_active_connections",
        "tenon_db_pool_waiting",
        "tenon_slow_queries_total",
        "tenon_data_dir_size_bytes",
        "tenon_exchange_limited_total",
        "tenon_exec_blocking_queue_depth",
        "tenon_http_requests_total",
        "tenon_http_request_duration_seconds_bucket",
        "tenon_process_cpu_seconds_total",
        "tenon_system_cpus",
        "tenon_throttle_limited_total",
        "tenon_throttle_taken_total"};
    return k_families;
}

std::optional<double>
increase(const Snapshot& from, const Snapshot& to, std::string_view family, Snapshot::Label only) {
    const double grown = to.sum(family, only) - from.sum(family, only);
    return grown < 0 ? std::nullopt : std::optional{grown};
}

std::optional<double> quantile(
    const Snapshot& from,
    const Snapshot& to,
    std::string_view histogram,
    double q,
    double least
) {
    const std::string family = std::string{histogram} + "_bucket";
    std::vector<std::pair<double, double>> buckets;  // upper bound, observations up to it
    for (const std::string& bound : to.values_of(family, "le")) {
        const auto grown = increase(from, to, family, {"le", bound});
        if (!grown) {
            return std::nullopt;
        }
        buckets.emplace_back(
            bound == "+Inf" ? std::numeric_limits<double>::infinity()
                            : std::strtod(bound.c_str(), nullptr),
            *grown
        );
    }
    std::sort(buckets.begin(), buckets.end());
    if (buckets.size() < 2 || buckets.back().second < std::max(least, 1.0)) {
        return std::nullopt;
    }
    const double rank = q * buckets.back().second;
    double low = 0;
    double below = 0;
    for (const auto& [bound, count] : buckets) {
        if (count >= rank && count > below) {
            return std::isinf(bound) ? low : low + (bound - low) * (rank - below) / (count - below);
        }
        low = std::isinf(bound) ? low : bound;
        below = count;
    }
    return low;
}

const std::vector<std::string>& measure_names() {
    static const std::vector<std::string> k_names{
        "cache_miss_ratio",
        "throttle_limited_ratio",
        "http_p99_seconds",
        "http_refused_ratio",
        "query_p95_seconds",
        "cpu_share"};
    return k_names;
}

std::optional<double> take(const Measure& measure, const Snapshot& from, const Snapshot& to) {
    const auto of = [&](std::string_view label) {
        return measure.label.empty() ? Snapshot::Label{} : Snapshot::Label{label, measure.label};
    };
    if (measure.name == "cache_miss_ratio") {
        return share(
            increase(from, to, "tenon_cache_misses_total", of("cache")),
            increase(from, to, "tenon_cache_hits_total", of("cache"))
        );
    }
    if (measure.name == "throttle_limited_ratio") {
        return share(
            increase(from, to, "tenon_throttle_limited_total", of("limit")),
            increase(from, to, "tenon_throttle_taken_total", of("limit"))
        );
    }
    if (measure.name == "http_p99_seconds") {
        return quantile(from, to, "tenon_http_request_duration_seconds", 0.99, k_events_least);
    }
    if (measure.name == "query_p95_seconds") {
        return quantile(from, to, "tenon_db_query_duration_seconds", 0.95, k_events_least);
    }
    if (measure.name == "http_refused_ratio") {
        return refused_ratio(from, to);
    }
    return measure.name == "cpu_share" ? cpu_share(from, to) : std::nullopt;
}

std::string readable(const Measure& measure, double value) {
    char text[48];
    if (measure.name.ends_with("_seconds")) {
        (void)std::snprintf(text, sizeof text, "%.3g ms", value * 1000);
    } else {
        (void)std::snprintf(text, sizeof text, "%.1f %%", value * 100);
    }
    return text;
}

}  // namespace tenon::advisor
