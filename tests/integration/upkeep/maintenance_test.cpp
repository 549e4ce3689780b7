// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/upkeep/maintenance.hpp"

#include "tests/unit/migrations/shipped_schema.hpp"
#include "tests/unit/upkeep/summaries.hpp"

#include <catch2/catch.hpp>

using tenon::Session;
using tenon::test::PostgresBackend;

TEST_CASE("tables that were written to are vacuumed and analysed", "[upkeep][S13]") {
    PostgresBackend backend;
    tenon::test::shipped_schema(backend)->up();
    backend.storage().write(backend.deadline(), tenon::test::SummaryModel::prepare);
    tenon::upkeep::MaintenanceRound round{
        {backend.storage(), [&backend] { return backend.host.reactor().now_ns(); }}};
    const auto looked_after = [&] {
        std::int64_t count = 0;
        backend.storage().read(backend.deadline(), [&](Session& s) {
            auto row = s.prepare(
                "SELECT count(*) FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL AND "
                "last_analyze IS NOT NULL"
            );
            while (row.step()) {
                count = row.integer(0);
            }
        });
        return count;
    };
    // What was written is counted when its connection has been idle for a while: tried until then.
    const std::int64_t until = backend.deadline();
    while (looked_after() == 0 && backend.host.reactor().now_ns() < until) {
        round = tenon::upkeep::MaintenanceRound{
            {backend.storage(), [&backend] { return backend.host.reactor().now_ns(); }}};
        while (round.step()) {}
    }
    CHECK(looked_after() >= 1);
}
