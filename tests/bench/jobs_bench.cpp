// SPDX-License-Identifier: Apache-2.0
// How many jobs a second SQLite takes durably, and how many are claimed and completed.
#include "plugins/jobs/store.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <tenon/structs.hpp>

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

namespace {

using tenon::jobs::Outcome;
using tenon::jobs::Result;
using tenon::jobs::Store;
using Clock = std::chrono::steady_clock;

tenon_job job() {
    auto made = tenon::sized<tenon_job>();
    made.queue = tenon::str("q");
    made.kind = tenon::str("k");
    made.payload = tenon::str(R"({"to":7,"what":"a line of text that is not too short"})");
    return made;
}

// `threads` enqueue `per_thread` jobs, `batch` in a call.
void enqueue(Store& store, std::uint32_t threads, std::uint32_t per_thread, std::uint32_t batch) {
    const auto began = Clock::now();
    std::vector<std::thread> all;
    for (std::uint32_t t = 0; t < threads; ++t) {
        all.emplace_back([&] {
            const std::vector<tenon_job> jobs(batch, job());
            for (std::uint32_t made = 0; made < per_thread; made += batch) {
                (void)store.enqueue(jobs.data(), batch, tenon::k_no_deadline);
            }
        });
    }
    for (std::thread& one : all) {
        one.join();
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    std::printf(
        "enqueue, %u threads, %u in a call: %.0f jobs/s\n",
        threads,
        batch,
        threads * per_thread / seconds
    );
}

void complete(Store& store, std::uint32_t batch) {
    const std::vector<std::string> kinds{"k"};
    const auto began = Clock::now();
    std::size_t done = 0;
    for (;;) {
        std::vector<Outcome> outcomes;
        for (auto& claimed : store.claim("q", kinds, batch, "bench", 60'000'000'000)) {
            outcomes.push_back({std::move(claimed), Result::done, ""});
        }
        if (outcomes.empty()) {
            break;
        }
        done += outcomes.size();
        (void)store.complete(outcomes);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    std::printf(
        "claim and complete, one worker, %u at once: %.0f jobs/s\n",
        batch,
        static_cast<double>(done) / seconds
    );
}

}  // namespace

int main() {
    (void)std::setvbuf(stdout, nullptr, _IOLBF, 0);
    tenon::test::SqliteBackend backend;
    tenon::test::shipped_schema(backend)->up();
    const auto host = tenon::Host{backend.host.raw()};
    const auto clock = host.service<tenon_clock_1>("tenon.clock/1");
    Store store{
        backend.storage(),
        {},
        {[clock] { return clock->now_ns(clock.self); },
         [] {
             return std::chrono::nanoseconds{std::chrono::system_clock::now().time_since_epoch()}
                 .count();
         }}};
    enqueue(store, 1, 2'000, 1);
    enqueue(store, 16, 1'000, 1);
    enqueue(store, 1, 50'000, 500);
    complete(store, 8);
    enqueue(store, 1, 50'000, 500);
    complete(store, 256);
}
