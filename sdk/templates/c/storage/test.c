/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "sqlite_session.h"

static tenon_status execute(tenon_session* session, const char* sql) {
    return session_execute(session, tenon_text(sql), NULL);
}

static int64_t count_rows(tenon_session* session) {
    tenon_statement* rows = NULL;
    tenon_value      value;
    uint32_t         row = 0;
    memset(&value, 0, sizeof value);
    CHECK(session_prepare(session, tenon_text("SELECT count(*) FROM t"), &rows, NULL) == TENON_OK);
    CHECK(statement_step(rows, &row, NULL) == TENON_OK && row == 1);
    CHECK(statement_column(rows, 0, &value) == TENON_OK);
    CHECK(statement_column(rows, 1, &value) == TENON_INVALID);
    CHECK(statement_step(rows, &row, NULL) == TENON_OK && row == 0);
    return value.i;
}

static tenon_status insert_two(tenon_session* session) {
    const tenon_str   column = {"a", 1};
    const tenon_value rows[] = {{TENON_VALUE_INT64, 0, 1, 0, {NULL, 0}},
                                {TENON_VALUE_INT64, 0, 2, 0, {NULL, 0}}};
    return session_bulk_insert(session, tenon_text("t"), &column, 1, rows, 2, NULL);
}

int main(void) {
    tenon_session    session;
    tenon_statement* none;
    memset(&session, 0, sizeof session);
    CHECK(session_open(&session, ":memory:", 0, NULL) == TENON_OK);
    CHECK(session_intent(&session, 1, NULL) == TENON_OK);
    CHECK(execute(&session, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)") == TENON_OK);

    CHECK(session_begin(&session, NULL) == TENON_OK && insert_two(&session) == TENON_OK);
    CHECK(session_commit(&session, NULL) == TENON_OK && count_rows(&session) == 2);
    CHECK(session_begin(&session, NULL) == TENON_OK);
    CHECK(execute(&session, "DELETE FROM t") == TENON_OK && session_changes(&session) == 2);
    CHECK(session_rollback(&session, NULL) == TENON_OK && count_rows(&session) == 2);

    CHECK(insert_two(&session) == TENON_CONFLICT);
    CHECK(execute(&session, "rubbish") == TENON_INVALID);
    CHECK(session_prepare(&session, tenon_text("SELECT 1; SELECT 2"), &none, NULL) == TENON_INVALID);
    CHECK(session_intent(&session, 0, NULL) == TENON_OK);
    CHECK(execute(&session, "DELETE FROM t") == TENON_DENIED);
    session_close(&session);
    return failures();
}
