// SPDX-License-Identifier: Apache-2.0
// tenon.storage/1 and tenon.probe/1 as tables of functions over Database.
#include "plugins/storage/sqlite/database.hpp"

#include <algorithm>

namespace tenon::sqlite {
namespace {

// guard(), and what may be done about a StorageError.
template <class Body>
tenon_status attempt(tenon_err* err, Body&& body) noexcept {
    return guard(err, [&]() -> tenon_status {
        try {
            if constexpr (std::is_void_v<std::invoke_result_t<Body>>) {
                body();
                return TENON_OK;
            } else {
                return body();
            }
        } catch (const StorageError& e) {
            return fail(err, e.code(), e.what(), flags_of(e.failure()));
        }
    });
}

Database& database(void* self) {
    auto& holder = *static_cast<DatabaseHolder*>(self);
    if (!holder.database) {
        throw DatabaseError{TENON_UNAVAILABLE, "the database is not open", Failure::permanent};
    }
    return *holder.database;
}

Connection& connection(tenon_session* session) noexcept {
    return *reinterpret_cast<Connection*>(session);
}

Prepared& prepared(tenon_statement* statement) noexcept {
    return *reinterpret_cast<Prepared*>(statement);
}

tenon_str dialect(void*) noexcept {
    return str("sqlite");
}

tenon_status transact(
    void* self,
    std::uint32_t intent,
    std::int64_t deadline_ns,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_err* err
) noexcept {
    return attempt(err, [&] { return database(self).transact(intent, deadline_ns, fn, ctx, err); });
}

tenon_status transact_with(
    void* self,
    const tenon_transaction_options* options,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_sink position,
    tenon_err* err
) noexcept {
    return attempt(err, [&] {
        tenon_transaction_options known{};
        std::memcpy(&known, options, std::min<std::size_t>(options->size, sizeof known));
        return database(self).transact_with(known, fn, ctx, position, err);
    });
}

tenon_status lease(
    void* self,
    std::uint32_t intent,
    std::int64_t deadline_ns,
    tenon_session** out,
    tenon_err* err
) noexcept {
    return attempt(err, [&] {
        *out = reinterpret_cast<tenon_session*>(database(self).lease(intent, deadline_ns));
    });
}

void release(void* self, tenon_session* session) noexcept {
    (void)attempt(nullptr, [&] { database(self).release(&connection(session)); });
}

tenon_status begin(tenon_session* session, tenon_err* err) noexcept {
    return attempt(err, [&] { connection(session).begin(); });
}

tenon_status commit(tenon_session* session, tenon_err* err) noexcept {
    return attempt(err, [&] {
        try {
            connection(session).commit();
        } catch (const DatabaseError& e) {
            if (is_io_error(e.extended())) {
                throw DatabaseError{TENON_IN_DOUBT, e.what(), Failure::in_doubt, e.extended()};
            }
            throw;
        }
    });
}

tenon_status rollback(tenon_session* session, tenon_err* err) noexcept {
    return attempt(err, [&] { connection(session).rollback(); });
}

tenon_status execute(tenon_session* session, tenon_str sql, tenon_err* err) noexcept {
    return attempt(err, [&] { connection(session).execute(view(sql)); });
}

tenon_status
prepare(tenon_session* session, tenon_str sql, tenon_statement** out, tenon_err* err) noexcept {
    return attempt(err, [&] {
        *out = reinterpret_cast<tenon_statement*>(&connection(session).prepare(view(sql)));
    });
}

tenon_status bind(
    tenon_statement* statement,
    std::uint32_t index,
    const tenon_value* value,
    tenon_err* err
) noexcept {
    return attempt(err, [&] { prepared(statement).bind(index, *value); });
}

tenon_status step(tenon_statement* statement, std::uint32_t* row, tenon_err* err) noexcept {
    *row = 0;
    return attempt(err, [&] { *row = prepared(statement).step() ? 1 : 0; });
}

std::uint32_t column_count(tenon_statement* statement) noexcept {
    return prepared(statement).column_count();
}

tenon_str column_name(tenon_statement* statement, std::uint32_t index) noexcept {
    return str(prepared(statement).column_name(index));
}

tenon_status column(tenon_statement* statement, std::uint32_t index, tenon_value* out) noexcept {
    return attempt(nullptr, [&] { *out = prepared(statement).column(index); });
}

std::uint64_t changes(tenon_session* session) noexcept {
    return connection(session).changes();
}

tenon_status bulk_insert(
    tenon_session* session,
    tenon_str table,
    const tenon_str* columns,
    std::uint32_t column_total,
    const tenon_value* values,
    std::uint64_t row_count,
    tenon_err* err
) noexcept {
    return attempt(err, [&] {
        connection(session).bulk_insert(view(table), columns, column_total, values, row_count);
    });
}

tenon_status
explain(tenon_session* session, tenon_str sql, tenon_sink sink, tenon_err* err) noexcept {
    return attempt(err, [&] {
        const std::string plan = connection(session).explain(view(sql));
        return sink.put(sink.ctx, bytes(plan));
    });
}

tenon_status
query(void* self, const tenon_query* asked, tenon_row_fn row, void* ctx, tenon_err* err) noexcept {
    return attempt(err, [&] { return database(self).query(*asked, row, ctx); });
}

// Values change no plan here: SQLite of this build keeps no histograms.
tenon_status plan(
    tenon_session* session,
    tenon_str sql,
    const tenon_value*,
    std::uint32_t,
    tenon_sink sink,
    tenon_err* err
) noexcept {
    return attempt(err, [&] {
        const std::string text = connection(session).plan(view(sql)).json();
        return sink.put(sink.ctx, bytes(text));
    });
}

tenon_status statements(void* self, tenon_sink sink, tenon_err* err) noexcept {
    return attempt(err, [&] {
        const std::string text = database(self).statements();
        return sink.put(sink.ctx, bytes(text));
    });
}

tenon_status clone(
    void* self,
    std::uint32_t rows,
    std::int64_t deadline_ns,
    tenon_iface* out,
    tenon_err* err
) noexcept {
    return attempt(err, [&] { *out = database(self).clone(rows != 0, deadline_ns); });
}

void drop_clone(void* self, tenon_iface copy) noexcept {
    (void)attempt(nullptr, [&] { database(self).drop_clone(copy.self); });
}

tenon_status stats(void* self, tenon_storage_stats* out) noexcept {
    return attempt(nullptr, [&] {
        const tenon_storage_stats now = database(self).stats();
        const std::uint32_t room = out->size;
        std::memcpy(out, &now, std::min<std::size_t>(room, sizeof now));
        out->size = room;
    });
}

tenon_status
check(void* self, std::uint32_t deep, std::int64_t deadline_ns, tenon_err* err) noexcept {
    return attempt(err, [&] { database(self).check(deep != 0, deadline_ns); });
}

}  // namespace

const tenon_storage_1& storage_table() noexcept {
    static const tenon_storage_1 table{
        sizeof(tenon_storage_1),
        0,
        &dialect,
        &transact,
        &lease,
        &release,
        &begin,
        &commit,
        &rollback,
        &execute,
        &prepare,
        &bind,
        &step,
        &column_count,
        &column_name,
        &column,
        &changes,
        &bulk_insert,
        &explain,
        &stats,
        &transact_with,
        &query,
        &plan,
        &statements,
        &clone,
        &drop_clone};
    return table;
}

const tenon_probe_1& probe_table() noexcept {
    static const tenon_probe_1 table{sizeof(tenon_probe_1), 0, &check};
    return table;
}

}  // namespace tenon::sqlite
