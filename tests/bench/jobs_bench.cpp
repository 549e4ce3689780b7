// SPDX-License-Identifier: Apache-2.0
// How many jobs a second are taken durably, and how many are claimed and completed. Usage:
// jobs_bench, with TENON_SOURCE_DIR set. SQLite in a file, and PostgreSQL, a server of its own with
// fsync on. Three rounds, in turn; each is printed.
#include "plugins/jobs/runner.hpp"
#include "tests/integration/storage/postgres_backend.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <tenon/structs.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

namespace {

using tenon::jobs::Clocks;
using tenon::jobs::Outcome;
using tenon::jobs::Result;
using tenon::jobs::Runner;
using tenon::jobs::Store;
using Clock = std::chrono::steady_clock;

constexpr int k_rounds = 3;
constexpr std::int64_t k_lease_ns = 60'000'000'000;
constexpr std::uint32_t k_jobs = 20'000;

tenon_job job() {
    auto made = tenon::sized<tenon_job>();
    made.queue = tenon::str("q");
    made.kind = tenon::str("k");
    made.payload = tenon::str(R"({"to":7,"what":"a line of text that is not too short"})");
    return made;
}

double seconds_since(Clock::time_point began) {
    return std::chrono::duration<double>(Clock::now() - began).count();
}

template <class Body>
void in_threads(std::uint32_t threads, Body&& body) {
    std::vector<std::thread> all;
    for (std::uint32_t t = 0; t < threads; ++t) {
        all.emplace_back(body);
    }
    for (std::thread& one : all) {
        one.join();
    }
}

// `threads` enqueue `per_thread` jobs, `batch` in a call.
void enqueue(Store& store, std::uint32_t threads, std::uint32_t per_thread, std::uint32_t batch) {
    const auto began = Clock::now();
    in_threads(threads, [&] {
        const std::vector<tenon_job> jobs(batch, job());
        for (std::uint32_t made = 0; made < per_thread; made += batch) {
            (void)store.enqueue(jobs.data(), batch, tenon::k_no_deadline);
        }
    });
    std::printf(
        "  enqueue, %u threads, %u in a call: %.0f jobs/s\n",
        threads,
        batch,
        threads * per_thread / seconds_since(began)
    );
}

void complete(Store& store, std::uint32_t batch) {
    const std::vector<std::string> kinds{"k"};
    const auto began = Clock::now();
    std::size_t done = 0;
    for (;;) {
        std::vector<Outcome> outcomes;
        for (auto& claimed : store.claim("q", kinds, batch, "bench", k_lease_ns)) {
            outcomes.push_back({std::move(claimed), Result::done, ""});
        }
        if (outcomes.empty()) {
            break;
        }
        done += outcomes.size();
        (void)store.complete(outcomes);
    }
    const double seconds = seconds_since(began);
    std::printf(
        "  claim and complete, one worker, %u at once: %.0f jobs/s\n",
        batch,
        static_cast<double>(done) / seconds
    );
}

// From the first that is enqueued to the last that is done: they are taken first, then run by
// `workers` as a server runs them, by a handler that does nothing.
void run(Store& store, const Clocks& clocks, std::uint32_t workers, std::uint32_t batch) {
    std::atomic<std::uint32_t> done{0};
    Runner runner{
        store, clocks, "bench", k_lease_ns, [&](const Outcome&, std::int64_t) { ++done; }};
    (void)runner.handle("q", "k", nullptr, [](void*, const tenon_job_run*, tenon_err*) noexcept {
        return tenon_status{TENON_OK};
    });
    const auto began = Clock::now();
    enqueue(store, 1, k_jobs, 500);
    const auto taken = Clock::now();
    in_threads(workers, [&] {
        while (done < k_jobs) {
            (void)runner.work(batch);
        }
    });
    std::printf(
        "  done, %u workers, %u at once: %.0f jobs/s; from enqueued to done %.0f jobs/s\n",
        workers,
        batch,
        k_jobs / seconds_since(taken),
        k_jobs / seconds_since(began)
    );
}

template <class Backend>
void bench(const char* name, Backend&& backend) {
    std::printf("%s\n", name);
    tenon::test::shipped_schema(backend)->up();
    const auto host = tenon::Host{backend.host.raw()};
    const auto clock = host.template service<tenon_clock_1>("tenon.clock/1");
    const Clocks clocks{
        [clock] { return clock->now_ns(clock.self); },
        [] {
            return std::chrono::nanoseconds{std::chrono::system_clock::now().time_since_epoch()}
                .count();
        }};
    Store store{backend.storage(), {}, clocks};
    enqueue(store, 1, 2'000, 1);
    enqueue(store, 16, 1'000, 1);
    complete(store, 8);
    enqueue(store, 1, 50'000, 500);
    complete(store, 256);
    for (const std::uint32_t workers : {1U, 16U}) {
        run(store, clocks, workers, 8);
        run(store, clocks, workers, 64);
    }
}

}  // namespace

int main() {
    (void)std::setvbuf(stdout, nullptr, _IOLBF, 0);
    for (int round = 0; round < k_rounds; ++round) {
        bench("SQLite", tenon::test::SqliteBackend{});
        bench("PostgreSQL", tenon::test::PostgresBackend{});
    }
}
