// SPDX-License-Identifier: Apache-2.0
// What a series costs its users and a scrape: a counter and an observation with one and two threads
// on one series, in turn as Tenon has them, as one atomic cell and as prometheus-cpp has them, and
// a page of 10,000 lines. ns are of CPU for one call of one thread.
#include "kernel/runtime/metrics.hpp"

#include <tenon/metrics.hpp>

#ifdef TENON_PROMETHEUS_CPP
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr int k_rounds = 7;
constexpr std::int64_t k_count = 5'000'000;

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch()
    )
        .count();
}

// Of all threads of the process: what else the machine does is not in it.
std::int64_t cpu_ns() {
    timespec now{};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

template <class Body>
double run_ns(int threads, Body body) {
    std::vector<std::thread> others;
    const std::int64_t begin = cpu_ns();
    for (int i = 0; i < threads; ++i) {
        others.emplace_back([&] {
            for (std::int64_t k = 0; k < k_count; ++k) {
                body(k);
            }
        });
    }
    for (std::thread& other : others) {
        other.join();
    }
    return static_cast<double>(cpu_ns() - begin) / static_cast<double>(k_count * threads);
}

struct Way {
    std::string_view name;
    std::function<double(int threads)> run;
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// All ways in turn, every round printed.
void compare(std::string_view what, const std::vector<Way>& ways) {
    for (const int threads : {1, 2}) {
        std::vector<std::vector<double>> seen(ways.size());
        for (int round = 0; round < k_rounds; ++round) {
            for (std::size_t i = 0; i < ways.size(); ++i) {
                seen[i].push_back(ways[i].run(threads));
            }
        }
        for (std::size_t i = 0; i < ways.size(); ++i) {
            std::printf(
                "%-11.*s %d thread%s %-15.*s median %6.2f ns, tenon is %5.2f of it; rounds",
                static_cast<int>(what.size()),
                what.data(),
                threads,
                threads == 1 ? " " : "s",
                static_cast<int>(ways[i].name.size()),
                ways[i].name.data(),
                median(seen[i]),
                median(seen[0]) / median(seen[i])
            );
            for (const double ns : seen[i]) {
                std::printf(" %.2f", ns);
            }
            std::printf("\n");
        }
    }
}

std::int64_t duration_of(std::int64_t k) {
    return (k & 1023) << 12;
}

// Half of the lines are of histograms.
constexpr int k_counters = 5'000;
constexpr int k_histograms = 217;

void page(std::string_view name, const std::function<std::string()>& collect) {
    std::vector<double> seen;
    std::size_t lines = 0;
    for (int round = 0; round < 21; ++round) {
        const std::int64_t begin = now_ns();
        const std::string text = collect();
        seen.push_back(static_cast<double>(now_ns() - begin) / 1e6);
        lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    }
    std::sort(seen.begin(), seen.end());
    std::printf(
        "page of %zu lines, %.*s: median %.3f ms, best %.3f, worst %.3f\n",
        lines,
        static_cast<int>(name.size()),
        name.data(),
        seen[seen.size() / 2],
        seen.front(),
        seen.back()
    );
}

}  // namespace

int main() {
    tenon::runtime::Metrics metrics;
    const tenon::Service<tenon_metrics_1> service{&metrics, &tenon::runtime::Metrics::table()};
    const tenon::Metrics made{service};
    const tenon::Counter counter = made.counter("tenon_bench_total", "A counter");
    const tenon::Histogram histogram = made.histogram("tenon_bench_seconds", "A histogram");
    alignas(64) std::uint64_t cell = 0;
    std::vector<Way> counters{
        {"tenon",
         [&](int threads) { return run_ns(threads, [&](std::int64_t) { counter.add(); }); }},
        {"one atomic", [&](int threads) {
             return run_ns(threads, [&](std::int64_t) {
                 std::atomic_ref{cell}.fetch_add(1, std::memory_order_relaxed);
             });
         }}};
    std::vector<Way> observations{
        {"tenon", [&](int threads) {
             return run_ns(threads, [&](std::int64_t k) {
                 histogram.observe(std::chrono::nanoseconds{duration_of(k)});
             });
         }}};
#ifdef TENON_PROMETHEUS_CPP
    prometheus::Counter their_counter;
    prometheus::Histogram::BucketBoundaries bounds;
    for (const std::int64_t bound : tenon::metrics::Histogram::k_bounds_ns) {
        bounds.push_back(static_cast<double>(bound) / 1e9);
    }
    prometheus::Histogram their_histogram{bounds};
    counters.push_back({"prometheus-cpp", [&](int threads) {
                            return run_ns(threads, [&](std::int64_t) {
                                their_counter.Increment();
                            });
                        }});
    observations.push_back({"prometheus-cpp", [&](int threads) {
                                return run_ns(threads, [&](std::int64_t k) {
                                    their_histogram.Observe(
                                        static_cast<double>(duration_of(k)) / 1e9
                                    );
                                });
                            }});
#endif
    compare("counter", counters);
    compare("observation", observations);
    for (int i = 0; i < k_counters; ++i) {
        made.counter("tenon_lines_total", "Lines", {{"i", std::to_string(i)}}).add(7'654'321);
    }
    for (int i = 0; i < k_histograms; ++i) {
        made.histogram(
                "tenon_lines_seconds", "Lines", {{"i", std::to_string(i)}}
        ).observe(std::chrono::milliseconds{i});
    }
    page("tenon", [&] { return metrics.collect(); });
#ifdef TENON_PROMETHEUS_CPP
    prometheus::Registry registry;
    auto& totals =
        prometheus::BuildCounter().Name("tenon_lines_total").Help("Lines").Register(registry);
    for (int i = 0; i < k_counters; ++i) {
        totals.Add({{"i", std::to_string(i)}}).Increment(7'654'321);
    }
    auto& times =
        prometheus::BuildHistogram().Name("tenon_lines_seconds").Help("Lines").Register(registry);
    for (int i = 0; i < k_histograms; ++i) {
        times.Add({{"i", std::to_string(i)}}, bounds).Observe(static_cast<double>(i) / 1e3);
    }
    page("prometheus-cpp", [&] {
        return prometheus::TextSerializer{}.Serialize(registry.Collect());
    });
#endif
    return 0;
}
