// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "sqlite_session.hpp"

namespace {

tenon_value integer(std::int64_t value) {
    tenon_value out{};
    out.kind = TENON_VALUE_INT64;
    out.i = value;
    return out;
}

template <class Body>
tenon_status status_of(Body body) {
    return tenon::guard(nullptr, body);
}

std::int64_t count(SqliteSession& session) {
    tenon::StorageStatement& rows = session.prepare("SELECT count(*) FROM t");
    CHECK(rows.step());
    const std::int64_t found = rows.column(0).i;
    CHECK(!rows.step());
    return found;
}

}  // namespace

int main() {
    SqliteSession session{":memory:", 0};
    session.set_intent(true);
    session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)");

    session.begin();
    const tenon_str columns[] = {tenon::str("a")};
    const tenon_value rows[] = {integer(1), integer(2)};
    session.bulk_insert("t", columns, rows);
    session.commit();
    CHECK(session.commits() == 1);
    CHECK(count(session) == 2);

    session.begin();
    session.execute("DELETE FROM t");
    session.rollback();
    CHECK(count(session) == 2);

    CHECK(status_of([&] { session.bulk_insert("t", columns, rows); }) == TENON_CONFLICT);
    CHECK(status_of([&] { session.execute("rubbish"); }) == TENON_INVALID);
    CHECK(status_of([&] { (void)session.prepare("SELECT 1; SELECT 2"); }) == TENON_INVALID);
    CHECK(!session.explain("SELECT * FROM t WHERE a = 1").empty());

    session.set_intent(false);
    CHECK(status_of([&] { session.execute("DELETE FROM t"); }) == TENON_DENIED);
    return failures();
}
