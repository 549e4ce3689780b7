// SPDX-License-Identifier: Apache-2.0
// What one decision of throttle/token-bucket costs, beside ccxt's Throttler in Node; and one
// request through an Upstream. Time is passed in, as a reactor that reads its clock once a turn
// does.
//   throttle_bench [CCXT_MODULES]   the folder node_modules that has ccxt; without: no peer
#include "plugins/throttle/token-bucket/token_buckets.hpp"

#include <tenon/upstream.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

// A key as a request has it, that was just read: written anew each time, by what costs 1 or 2 ns.
class Key {
public:
    void write(std::uint64_t number) noexcept {
        std::uint64_t digits = 0;  // eight letters, four bits each
        for (int shift = 0; shift < 32; shift += 4) {
            digits |= ((number >> shift & 0xf) + 'a') << (shift * 2);
        }
        std::memcpy(text_.data() + 8, &digits, sizeof digits);
    }

    [[nodiscard]] tenon_str str() const noexcept { return {text_.data(), text_.size()}; }

private:
    alignas(8) std::array<char, 16> text_{'a', 'd', 'd', 'r', 'e', 's', 's', ' '};
};

// `threads` take from the limit, for so many keys in a random order. The clock is read every 64th
// time, and the rate gives what is asked for, or next to nothing.
double taken_ns(TokenBuckets& buckets, std::uint64_t keys, int threads, std::int64_t& first_ns) {
    constexpr std::int64_t k_takes = 2'000'000;
    const auto run = [&] {
        std::int64_t retry = 0;
        std::uint64_t random = 5;
        Key key;
        for (std::int64_t i = 0; i < k_takes; ++i) {
            random = random * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
            key.write((random >> 32) * keys >> 32);
            const tenon_throttle_claim claim{0, 1, key.str()};
            (void)buckets.take({&claim, 1}, first_ns + ((i >> 6) << 13), retry);
        }
    };
    return best_ns(k_takes, [&] {
        first_ns += k_takes << 7;
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
    std::int64_t time_ns = 0;
    report("take, one key", taken_ns(buckets, 1, 1, time_ns));
    std::int64_t slow_ns = 0;
    TokenBuckets slow;
    slow.apply({{"a", "custom", 1, 1'000'000'000, 1, 131'072}});
    report("refused, one key", taken_ns(slow, 1, 1, slow_ns));
    report("take, 100,000 keys", taken_ns(buckets, 100'000, 1, time_ns), "bar 15");
    report("take, one key, two threads, of each", taken_ns(buckets, 1, 2, time_ns), "bar 25");
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
