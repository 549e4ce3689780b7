// SPDX-License-Identifier: Apache-2.0
// One server's share of the queue: connections of its own to the database, a store, clocks.
#pragma once

#include "plugins/jobs/runner.hpp"
#include "plugins/storage/postgres/database.hpp"
#include "tests/support/fake_host.hpp"

#include <tenon/jobs.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <sys/mman.h>

namespace tenon::test {

// Also between a test and the processes that it forks.
class SharedNumber {
public:
    SharedNumber() : page_{::mmap(nullptr, sizeof(Value), k_access, k_flags, -1, 0)} {
        if (page_ == MAP_FAILED) {
            throw std::runtime_error{"no shared memory"};
        }
        value_ = ::new (page_) Value{0};
    }

    ~SharedNumber() { ::munmap(page_, sizeof(Value)); }

    SharedNumber(const SharedNumber&) = delete;
    SharedNumber& operator=(const SharedNumber&) = delete;

    void add(std::int64_t more) { *value_ += more; }

    [[nodiscard]] std::int64_t get() const { return *value_; }

private:
    using Value = std::atomic<std::int64_t>;
    static constexpr int k_access = PROT_READ | PROT_WRITE, k_flags = MAP_SHARED | MAP_ANONYMOUS;
    void* page_;
    Value* value_ = nullptr;
};

// The wall clock, and what the test let pass.
inline std::int64_t now_real_ns(const SharedNumber& passed_ns) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::nanoseconds{now}.count() + passed_ns.get();
}

struct JobServer {
    JobServer(const postgres::Settings& settings, const SharedNumber& passed)
        : passed_ns{passed},
          database{settings, telemetry()},
          storage{Service<tenon_storage_1>{
              &static_cast<StorageProvider&>(database),
              static_cast<const tenon_storage_1*>(StorageProvider::table(database))}},
          store{storage, {}, clocks()} {}

    [[nodiscard]] jobs::Clocks clocks() {
        return {
            [this] { return host.reactor().now_ns() + passed_ns.get(); },
            [this] { return now_real_ns(passed_ns); }};
    }

    [[nodiscard]] std::int64_t deadline() { return host.reactor().now_ns() + 60'000'000'000; }

    FakeHost host;
    const SharedNumber& passed_ns;
    postgres::Database database;
    Storage storage;
    jobs::Store store;

private:
    [[nodiscard]] postgres::Telemetry telemetry() {
        const Host plugin_host{host.raw()};
        postgres::Telemetry made;
        made.log = plugin_host.log();
        made.clock = plugin_host.service<tenon_clock_1>("tenon.clock/1");
        made.health = plugin_host.service<tenon_health_1>("tenon.health/1");
        return made;
    }
};

// The handler of queue q, kind k in one server, and the runs that counted there.
class JobWorker {
public:
    using Body = std::function<void(const JobRun&)>;

    JobWorker(JobServer& server, const std::string& name, std::int64_t lease_ns, Body body)
        : runner{
              server.store,
              server.clocks(),
              name,
              lease_ns,
              [this](const jobs::Outcome&, std::int64_t) { ++counted; }},
          body_{std::move(body)} {
        (void)runner.handle("q", "k", &body_, &JobWorker::call);
    }

    int counted = 0;
    jobs::Runner runner;

private:
    static tenon_status call(void* ctx, const tenon_job_run* run, tenon_err* err) noexcept {
        return guard(err, [&] { (*static_cast<Body*>(ctx))(JobRun{*run}); });
    }

    Body body_;
};

}  // namespace tenon::test
