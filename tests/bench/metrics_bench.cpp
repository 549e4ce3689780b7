// SPDX-License-Identifier: Apache-2.0
// What a series costs its users and a scrape: a counter and an observation with one and two threads
// on one series, and a page of 10,000 lines. prometheus-cpp, measured on a machine of this kind:
// 4.7 and 10 to 14 ns, 12.5 and 30 to 39 ns, 7 ms.
#include "kernel/runtime/metrics.hpp"

#include <tenon/metrics.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>
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

// The best of some rounds, in ns of CPU for one call of one thread.
template <class Body>
double best_ns(int threads, Body body) {
    double best = 1e18;
    for (int round = 0; round < k_rounds; ++round) {
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
        best = std::min(best, static_cast<double>(cpu_ns() - begin) / (k_count * threads));
    }
    return best;
}

}  // namespace

int main() {
    tenon::runtime::Metrics metrics;
    const tenon::Service<tenon_metrics_1> service{&metrics, &tenon::runtime::Metrics::table()};
    const tenon::Metrics made{service};
    const tenon::Counter counter = made.counter("tenon_bench_total", "A counter");
    const tenon::Histogram histogram = made.histogram("tenon_bench_seconds", "A histogram");
    for (const int threads : {1, 2}) {
        std::printf(
            "counter, %d thread%s      %6.2f ns\n",
            threads,
            threads == 1 ? " " : "s",
            best_ns(threads, [&](std::int64_t) { counter.add(); })
        );
        std::printf(
            "observation, %d thread%s  %6.2f ns\n",
            threads,
            threads == 1 ? " " : "s",
            best_ns(
                threads,
                [&](std::int64_t k) {
                    histogram.observe(std::chrono::nanoseconds{(k & 1023) << 12});
                }
            )
        );
    }
    // Half of the lines are of histograms.
    for (int i = 0; i < 5'000; ++i) {
        made.counter("tenon_lines_total", "Lines", {{"i", std::to_string(i)}}).add(7'654'321);
    }
    for (int i = 0; i < 217; ++i) {
        made.histogram(
                "tenon_lines_seconds", "Lines", {{"i", std::to_string(i)}}
        ).observe(std::chrono::milliseconds{i});
    }
    double best = 1e18;
    std::size_t lines = 0;
    for (int round = 0; round < 20; ++round) {
        const std::int64_t begin = now_ns();
        const std::string page = metrics.collect();
        best = std::min(best, static_cast<double>(now_ns() - begin));
        lines = static_cast<std::size_t>(std::count(page.begin(), page.end(), '\n'));
    }
    std::printf("page of %zu lines  %6.3f ms\n", lines, best / 1e6);
    return 0;
}
