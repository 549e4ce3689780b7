// SPDX-License-Identifier: Apache-2.0
// What others feel while rows go.
#include "tests/unit/archive/world.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <thread>

using tenon::Session;
using tenon::test::ArchiveWorld;
using tenon::test::SchemaBackend;

TEST_CASE("writers hardly wait while rows are deleted", "[archive][S13]") {
    // Each row is a round trip or two to a server.
    constexpr int k_rows_a_day = SchemaBackend::k_one_writer ? 1000 : 250;
    const ArchiveWorld world{Catch::rngSeed(), k_rows_a_day};
    world.with([&](SchemaBackend& backend) {
        tenon::archive::RetentionOptions options;
        options.policies.push_back(
            {&tenon::archive::history_table("news_items"), 5 * tenon::archive::k_day_ns}
        );
        auto work = world.retention(backend, options);
        std::atomic<bool> done{false};
        std::vector<std::int64_t> waits;
        std::thread writer{[&] {
            for (std::int64_t i = 0; !done; ++i) {
                const std::int64_t began = backend.host.reactor().now_ns();
                backend.storage().write(backend.deadline(), [&](Session& s) {
                    s.prepare(
                         "INSERT INTO alerts (name, component, level, message, "
                         "raised_real_ns) VALUES (?, 'c', 'warning', 'm', 0)"
                    )
                        .bind_all(std::to_string(i))
                        .run();
                });
                waits.push_back(backend.host.reactor().now_ns() - began);
            }
        }};
        while (work.step()) {}
        done = true;
        writer.join();
        CHECK(work.counts().rows_deleted == 4 * k_rows_a_day);
        std::sort(waits.begin(), waits.end());
        REQUIRE(waits.size() > 10);
        const std::int64_t p99 = waits[waits.size() * 99 / 100];
        WARN(
            waits.size() << " writes, p50 " << waits[waits.size() / 2] / 1000 << " us, p99 "
                         << p99 / 1000 << " us, longest " << waits.back() / 1000 << " us"
        );
        CHECK(p99 < 100'000'000);
    });
}
