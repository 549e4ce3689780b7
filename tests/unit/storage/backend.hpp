// SPDX-License-Identifier: Apache-2.0
// The backends that the contract suite runs over. A backend is a class with an empty database of
// its own, made by the constructor and gone with the destructor, and storage(). k_blob: its word
// for the type of blobs. k_one_writer: a WRITE lease keeps all other writers out.
#pragma once

#include "plugins/storage/sqlite/database.hpp"
#include "tests/support/fake_host.hpp"
#include "tests/support/temporary_folder.hpp"

#include <tenon/storage.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace tenon::test {

// Long enough for a loaded machine, short enough to end a test that hangs.
inline constexpr std::int64_t k_patience_ns = 60'000'000'000;

class SqliteBackend {
public:
    static constexpr const char* k_blob = "BLOB";
    static constexpr bool k_one_writer = true;

    using Tweak = std::function<void(sqlite::Settings&)>;

    explicit SqliteBackend(const Tweak& tweak = {}) {
        settings.file = (folder.path() / "test.db").string();
        settings.cache_mb = 8;
        settings.statement_cache = 32;
        if (tweak) {
            tweak(settings);
        }
        open();
    }

    void open() {
        const Host plugin_host{host.raw()};
        sqlite::Telemetry telemetry;
        telemetry.log = plugin_host.log();
        telemetry.clock = plugin_host.service<tenon_clock_1>("tenon.clock/1");
        telemetry.health = plugin_host.service<tenon_health_1>("tenon.health/1");
        holder.database.reset();
        holder.database = std::make_unique<sqlite::Database>(settings, telemetry);
    }

    void close() { holder.database.reset(); }

    [[nodiscard]] Storage storage() {
        return Storage{Service<tenon_storage_1>{&holder, &sqlite::storage_table()}};
    }

    [[nodiscard]] std::int64_t deadline(std::int64_t in_ns = k_patience_ns) {
        return host.reactor().now_ns() + in_ns;
    }

    FakeHost host;
    TemporaryFolder folder;
    sqlite::Settings settings;
    sqlite::DatabaseHolder holder;
};

}  // namespace tenon::test

// The suite is compiled for SQLite and again, in tests/integration/storage, for PostgreSQL.
#ifndef TENON_STORAGE_BACKENDS
#define TENON_STORAGE_BACKENDS tenon::test::SqliteBackend
#endif
