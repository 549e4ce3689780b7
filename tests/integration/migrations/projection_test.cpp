// SPDX-License-Identifier: Apache-2.0
// The projection of trading writes the same rows on PostgreSQL as on SQLite.
#include "plugins/trading/engine/projection_sql.hpp"
#include "tests/integration/migrations/postgres_backend.hpp"
#include "tests/unit/migrations/migrations_folder.hpp"
#include "tests/unit/trading/projection_events.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using tenon::Session;
using tenon::engine::Projection;
using tenon::engine::ProjectionOptions;
using tenon::test::make_migrator;
using tenon::test::PostgresBackend;
using tenon::test::server;

namespace {

std::string dump(PostgresBackend& backend) {
    std::string all;
    backend.storage().read(backend.deadline(), [&](Session& session) {
        for (const char* table :
             {"accounts",
              "instruments",
              "assets",
              "api_credentials",
              "orders",
              "order_lists",
              "order_list_orders",
              "order_amendments",
              "prevented_matches",
              "trades",
              "balances",
              "ledger_entries"}) {
            auto row = session.prepare("SELECT * FROM " + std::string{table} + " ORDER BY 1, 2, 3");
            while (row.step()) {
                all.append(table);
                for (std::uint32_t i = 0; i < row.column_count(); ++i) {
                    const tenon_value v = row.value(i);
                    all.append("|").append(
                        v.kind == TENON_VALUE_INT64  ? std::to_string(v.i)
                        : v.kind == TENON_VALUE_NULL ? std::string{"null"}
                                                     : std::string{tenon::view(v.b)}
                    );
                }
                all.append("\n");
            }
        }
    });
    return all;
}

}  // namespace

TEST_CASE("the projection writes on PostgreSQL what it writes on SQLite", "[projection][S2][T5]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    const char* source = std::getenv("TENON_SOURCE_DIR");
    REQUIRE(source != nullptr);
    PostgresBackend backend{server().create_database()};
    make_migrator(
        backend, tenon::migrations::load_migrations(std::string{source} + "/migrations", "postgres")
    )
        ->up();
    const tenon::test::ProjectionEvents events{seed, 400};
    const tenon::Host host{backend.host.raw()};
    ProjectionOptions options;
    options.batch_interval_ns = 0;
    Projection projection{
        backend.storage().service(),
        backend.host.exec(),
        host.service<tenon_clock_1>("tenon.clock/1"),
        host.log(),
        options};
    CHECK(projection.load_offset() == 0);
    tenon::call_on_reactor(backend.host.exec(), 0, [&] {
        for (std::size_t i = 0; i < events.size(); ++i) {
            REQUIRE(projection.enqueue(events.command(i)));
        }
    });
    projection.stop(backend.deadline());
    CHECK(projection.state().reason.empty());
    CHECK(projection.projected_sequence() == events.last_sequence());
    CHECK(dump(backend) == events.expected_dump());

    auto query = tenon::sized<tenon_order_query>();
    query.account = TENON_ACCOUNT_FIRST;
    query.instrument = TENON_ANY_INSTRUMENT;
    query.which = TENON_ORDERS_OPEN;
    backend.storage().read(backend.deadline(), [&](Session& session) {
        for (const tenon_order& order : tenon::engine::select_orders(session, query)) {
            CHECK(order.account == TENON_ACCOUNT_FIRST);
            CHECK(order.status <= 3);
        }
    });
}
