// SPDX-License-Identifier: Apache-2.0
// A queue on an empty database with the shipped schema, and a wall clock that tests set.
#pragma once

#include "plugins/jobs/store.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <string>
#include <vector>

namespace tenon::test {

inline constexpr std::int64_t k_job_s = 1'000'000'000;

inline tenon_job job_of(std::string_view payload = "{}", std::string_view key = {}) {
    auto job = sized<tenon_job>();
    job.queue = str("q");
    job.kind = str("k");
    job.payload = str(payload);
    job.key = str(key);
    return job;
}

template <class Backend>
struct JobFixture : Backend {
    explicit JobFixture(jobs::Limits wanted = {}) : limits{wanted} {
        shipped_schema(*this)->up();
        store = make();
    }

    // As another server would have it.
    [[nodiscard]] std::unique_ptr<jobs::Store> make() {
        return std::make_unique<jobs::Store>(
            this->storage(),
            limits,
            jobs::Clocks{[this] { return this->host.reactor().now_ns(); }, [this] { return now; }}
        );
    }

    std::int64_t enqueue(tenon_job job) {
        return store->enqueue(&job, 1, this->deadline()).front();
    }

    std::vector<jobs::Claimed> claim(jobs::Store& by, std::uint32_t most = 10) {
        const std::vector<std::string> kinds{"k"};
        return by.claim("q", kinds, most, "me", 30 * k_job_s);
    }

    [[nodiscard]] std::string status(std::int64_t id) {
        const std::string shown = store->show(id);
        const auto at = shown.find("\"status\":\"") + 10;
        return shown.substr(at, shown.find('"', at) - at);
    }

    jobs::Limits limits;
    std::int64_t now = 1'000'000 * k_job_s;
    std::unique_ptr<jobs::Store> store;
};

}  // namespace tenon::test
