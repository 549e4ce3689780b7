// SPDX-License-Identifier: Apache-2.0
// What the look at a PostgreSQL database finds.
#include "plugins/storage/upkeep/rounds.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <catch2/catch.hpp>

using Catch::Contains;
using tenon::Session;
using tenon::test::PostgresBackend;
using tenon::upkeep::IntegrityRound;

namespace {

IntegrityRound look(PostgresBackend& backend) {
    IntegrityRound round{
        {backend.storage(), [&backend] { return backend.host.reactor().now_ns(); }}, false};
    while (round.step()) {}
    return round;
}

void run(PostgresBackend& backend, const char* sql) {
    backend.storage().write(backend.deadline(), [&](Session& s) { s.execute(sql); });
}

}  // namespace

TEST_CASE("a shipped schema has nothing to tell", "[upkeep][postgres]") {
    PostgresBackend backend;
    tenon::test::shipped_schema(backend)->up();
    const IntegrityRound round = look(backend);
    CAPTURE(round.json());
    CHECK(round.is_ok());
}

TEST_CASE("broken indexes, loose constraints and silent triggers are named", "[upkeep][postgres]") {
    PostgresBackend backend;
    tenon::test::shipped_schema(backend)->up();
    run(backend,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'trades_order'::regclass");
    run(backend, "ALTER TABLE orders ADD CONSTRAINT loose CHECK (price < 5) NOT VALID");
    run(backend, "ALTER TABLE trade_logs DISABLE TRIGGER mv_portfolio_performance_insert");
    const IntegrityRound round = look(backend);
    CAPTURE(round.json());
    REQUIRE(round.problems().size() == 3);
    CHECK_THAT(round.problems()[0], Contains("trades_order of trades is not valid"));
    CHECK_THAT(round.problems()[1], Contains("loose of orders was never validated"));
    CHECK_THAT(round.problems()[2], Contains("mv_portfolio_performance_insert of trade_logs"));
}

TEST_CASE("with amcheck every B-tree is looked at", "[upkeep][postgres]") {
    PostgresBackend backend;
    tenon::test::shipped_schema(backend)->up();
    run(backend, "CREATE EXTENSION amcheck");
    const IntegrityRound round = look(backend);
    CAPTURE(round.json());
    CHECK(round.is_ok());
    CHECK_THAT(round.json(), !Contains("\"steps\":4,"));
}
