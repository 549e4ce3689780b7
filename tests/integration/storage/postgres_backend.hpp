// SPDX-License-Identifier: Apache-2.0
// PostgreSQL as a backend of the contract suite: one server for the process, a database for each
// test. Included before the suite's sources, which then run over it and not over SQLite.
#pragma once

#include "plugins/storage/postgres/database.hpp"
#include "tests/support/postgres_server.hpp"

#define TENON_STORAGE_BACKENDS tenon::test::PostgresBackend
#include "tests/unit/storage/backend.hpp"

namespace tenon::test {

class PostgresBackend {
public:
    static constexpr const char* k_blob = "BYTEA";
    static constexpr bool k_one_writer = false;
    using Tweak = std::function<void(postgres::Settings&)>;

    explicit PostgresBackend(const Tweak& tweak = {}) : name{server().create_database()} {
        settings.conninfo = server().conninfo(name);
        settings.pool_min = 0;
        settings.pool_size = 20;
        settings.statement_cache = 32;
        if (tweak) {
            tweak(settings);
        }
        open();
    }

    ~PostgresBackend() {
        database.reset();
        if (server().running()) {
            server().drop_database(name);
        }
    }

    PostgresBackend(const PostgresBackend&) = delete;
    PostgresBackend& operator=(const PostgresBackend&) = delete;

    static PostgresServer& server() {
        static PostgresServer shared;
        return shared;
    }

    void open() {
        const Host plugin_host{host.raw()};
        postgres::Telemetry telemetry;
        telemetry.log = plugin_host.log();
        telemetry.clock = plugin_host.service<tenon_clock_1>("tenon.clock/1");
        telemetry.health = plugin_host.service<tenon_health_1>("tenon.health/1");
        database.reset();
        database = std::make_unique<postgres::Database>(settings, telemetry);
    }

    [[nodiscard]] Storage storage() {
        StorageProvider* const self = database.get();
        return Storage{Service<tenon_storage_1>{
            self, static_cast<const tenon_storage_1*>(StorageProvider::table(*self))}};
    }

    [[nodiscard]] std::int64_t deadline(std::int64_t in_ns = k_patience_ns) {
        return host.reactor().now_ns() + in_ns;
    }

    FakeHost host;
    std::string name;
    postgres::Settings settings;
    std::unique_ptr<postgres::Database> database;
};

}  // namespace tenon::test
