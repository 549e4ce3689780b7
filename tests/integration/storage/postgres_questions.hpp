// SPDX-License-Identifier: Apache-2.0
// What tests of the PostgreSQL backend ask again and again.
#pragma once

#include "tests/integration/storage/postgres_backend.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <string>

namespace tenon::test {

inline void make_table(PostgresBackend& backend) {
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT NOT NULL DEFAULT 0)");
    });
}

inline std::int64_t number(PostgresBackend& backend, const std::string& sql) {
    std::int64_t found = -1;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare(sql);
        REQUIRE(q.step());
        found = q.integer(0);
    });
    return found;
}

inline Failure failure_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const StorageError& e) {
        UNSCOPED_INFO(e.what());
        return e.failure();
    }
    return Failure::not_told;
}

}  // namespace tenon::test
