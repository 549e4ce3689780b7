// SPDX-License-Identifier: Apache-2.0
// A database on the test process's own server, behind the storage contract.
#pragma once

#include "plugins/migrations/sql/migrator.hpp"
#include "plugins/storage/postgres/database.hpp"
#include "tests/support/fake_host.hpp"
#include "tests/support/postgres_server.hpp"

#include <memory>
#include <string>

namespace tenon::test {

// One server for the process; made by the first who asks, without threads: children may be forked.
inline PostgresServer& server() {
    static PostgresServer one{{.fsync = false}};
    return one;
}

class PostgresBackend {
public:
    explicit PostgresBackend(const std::string& database) {
        const Host plugin_host{host.raw()};
        postgres::Settings settings;
        settings.conninfo = server().conninfo(database);
        settings.tools = PostgresServer::bin_folder().string();
        settings.pool_min = 0;
        postgres::Telemetry telemetry;
        telemetry.log = plugin_host.log();
        telemetry.clock = plugin_host.service<tenon_clock_1>("tenon.clock/1");
        telemetry.health = plugin_host.service<tenon_health_1>("tenon.health/1");
        database_ = std::make_unique<postgres::Database>(std::move(settings), telemetry);
    }

    ~PostgresBackend() { database_->stop(); }

    PostgresBackend(const PostgresBackend&) = delete;
    PostgresBackend& operator=(const PostgresBackend&) = delete;

    [[nodiscard]] Storage storage() {
        auto* const provider = static_cast<StorageProvider*>(database_.get());
        return Storage{Service<tenon_storage_1>{
            provider, static_cast<const tenon_storage_1*>(StorageProvider::table(*provider))}};
    }

    [[nodiscard]] std::int64_t deadline() { return host.reactor().now_ns() + 60'000'000'000; }

    void run(std::string_view sql) {
        storage().write(deadline(), [&](Session& session) { session.execute(sql); });
    }

    FakeHost host;

private:
    std::unique_ptr<postgres::Database> database_;
};

}  // namespace tenon::test
