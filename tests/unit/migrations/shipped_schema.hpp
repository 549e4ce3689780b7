// SPDX-License-Identifier: Apache-2.0
// The shipped migrations, ready to run on a database of a test.
#pragma once

#include "plugins/migrations/sql/migrator.hpp"
#include "tests/unit/storage/backend.hpp"

#include <cstdlib>
#include <memory>
#include <string>

namespace tenon::test {

inline std::string source_dir() {
    const char* const source = std::getenv("TENON_SOURCE_DIR");
    if (source == nullptr) {
        throw Error{TENON_INVALID, "TENON_SOURCE_DIR is not set: run the test with ctest"};
    }
    return source;
}

// What the tests of the schema run over: SQLite, or what the build includes before them.
#ifndef TENON_SCHEMA_BACKEND
#define TENON_SCHEMA_BACKEND SqliteBackend
#endif
using SchemaBackend = TENON_SCHEMA_BACKEND;

template <class Backend>
std::unique_ptr<migrations::Migrator> shipped_schema(Backend& backend) {
    const Host host{backend.host.raw()};
    return std::make_unique<migrations::Migrator>(
        backend.storage(),
        host.service<tenon_clock_1>("tenon.clock/1"),
        host.log(),
        migrations::load_migrations(
            source_dir() + "/migrations", std::string{backend.storage().dialect()}
        ),
        migrations::MigratorOptions{}
    );
}

}  // namespace tenon::test
