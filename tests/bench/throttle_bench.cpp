// SPDX-License-Identifier: Apache-2.0
// What one decision of throttle/token-bucket costs, beside ccxt's Throttler in Node; and one
// request through an Upstream. Time is passed in, as a reactor that reads its clock once a turn
// does.
//   throttle_bench [CCXT_MODULES]   the folder node_modules that has ccxt; without: no peer
#include "plugins/throttle/token-bucket/token_buckets.hpp"

#include <tenon/upstream.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using tenon::token_bucket::TokenBuckets;

constexpr int k_rounds = 5;

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch()
    )
        .count();
}

// The best of some rounds, in ns for one of `count`.
template <class Body>
double best_ns(std::int64_t count, Body body) {
    double best = 1e18;
    for (int i = 0; i < k_rounds; ++i) {
        const std::int64_t begin = now_ns();
        body();
        best = std::min(best, static_cast<double>(now_ns() - begin) / static_cast<double>(count));
    }
    return best;
}

void report(const char* name, double ns, const char* note = "") {
    std::printf("%-44s %9.1f ns  %s\n", name, ns, note);
}

std::vector<std::string> names(std::size_t count) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < count; ++i) {
        out.push_back("203.0." + std::to_string(i / 256) + "." + std::to_string(i % 256));
    }
    return out;
}

// `threads` take from the limit, each through its own list of keys.
double taken_ns(TokenBuckets& buckets, const std::vector<std::string>& keys, int threads) {
    constexpr std::int64_t k_takes = 2'000'000;
    std::vector<std::uint32_t> order(1 << 16);
    std::mt19937 random{5};
    std::generate(order.begin(), order.end(), [&] {
        return static_cast<std::uint32_t>(random() % keys.size());
    });
    const auto run = [&] {
        std::int64_t retry = 0;
        for (std::int64_t i = 0; i < k_takes; ++i) {
            const std::string& key = keys[order[static_cast<std::size_t>(i) & (order.size() - 1)]];
            const tenon_throttle_claim claim{0, 1, {key.data(), key.size()}};
            (void)buckets.take({&claim, 1}, i >> 6, retry);
        }
    };
    return best_ns(k_takes, [&] {
        std::vector<std::thread> others;
        for (int t = 1; t < threads; ++t) {
            others.emplace_back(run);
        }
        run();
        for (auto& other : others) {
            other.join();
        }
    });
}

void decisions() {
    TokenBuckets buckets;
    buckets.apply({{"a", "custom", 1'000'000'000, 1'000'000'000, 1'000'000, 131'072}});
    const auto one = names(1);
    const auto many = names(100'000);
    report("take, one key", taken_ns(buckets, one, 1));
    report("take, 100,000 keys", taken_ns(buckets, many, 1), "bar 15");
    report("take, one key, two threads, of each", taken_ns(buckets, one, 2), "bar 25");
}

void upstream() {
    constexpr std::int64_t k_requests = 200'000;
    const double ns = best_ns(k_requests, [] {
        tenon::UpstreamOptions options;
        options.limits = {{tenon::LimitUnit::weight, 1'000'000'000, 60'000'000'000}};
        tenon::Upstream up{options};
        tenon::OutboundRequest request;
        request.deadline_ns = 60'000'000'000;
        for (std::int64_t i = 1; i <= k_requests; ++i) {
            request.id = static_cast<std::uint64_t>(i);
            request.client = request.id % 50;
            (void)up.submit(request, i);
            const auto step = up.next(i);
            up.answered(step.id, {}, i);
        }
    });
    report("Upstream: submit, next, answered", ns);
}

int peer(const std::string& modules) {
    std::fflush(stdout);
    const std::string script =
        "import {Throttler} from '" + modules +
        "/ccxt/js/src/base/functions/throttle.js';"
        "let best=1e18;for(let r=0;r<5;r++){const t=new Throttler({refillRate:1e9,capacity:1e9,"
        "tokens:1e9,maxCapacity:1e9});const n=20000;const w=[];"
        "const b=process.hrtime.bigint();for(let i=0;i<n;i++)w.push(t.throttle(1));"
        "await Promise.all(w);best=Math.min(best,Number(process.hrtime.bigint()-b)/n);}"
        "console.log('ccxt Throttler, 20,000 queued'.padEnd(44)+best.toFixed(1).padStart(10)+' "
        "ns');";
    const std::string command = "node --input-type=module -e \"" + script + "\"";
    return std::system(command.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    decisions();
    upstream();
    return argc > 1 ? peer(argv[1]) : 0;
}
