// SPDX-License-Identifier: Apache-2.0
// tenon.storage/1 in C++, the side of a backend: derive from StorageProvider, StorageSession and
// StorageStatement, and call provide<tenon::StorageProvider>(this) in the plugin's constructor. The
// side of those who use a database is storage.hpp.
//
// Sessions and statements are the backend's own objects; they live until release. Failures are
// thrown as StorageError, which says what may be done about them.
#pragma once

#include <tenon/storage.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

// A prepared statement. Indexes of parameters count from 1, of columns from 0.
class StorageStatement {
public:
    virtual void bind(std::uint32_t index, const tenon_value& value) = 0;
    // True: a row is there. False: the statement is reset; bindings stay.
    [[nodiscard]] virtual bool step() = 0;
    [[nodiscard]] virtual std::uint32_t column_count() const = 0;
    // Borrowed: the name until the statement goes, the value until the next step.
    [[nodiscard]] virtual std::string_view column_name(std::uint32_t index) const = 0;
    [[nodiscard]] virtual tenon_value column(std::uint32_t index) const = 0;

    [[nodiscard]] tenon_statement* handle() noexcept {
        return reinterpret_cast<tenon_statement*>(this);
    }

    [[nodiscard]] static StorageStatement& of(tenon_statement* raw) noexcept {
        return *reinterpret_cast<StorageStatement*>(raw);
    }

protected:
    ~StorageStatement() = default;
};

// A leased connection, used by one thread at a time.
class StorageSession {
public:
    virtual void begin() = 0;
    virtual void commit() = 0;
    virtual void rollback() = 0;
    virtual void execute(std::string_view sql) = 0;
    [[nodiscard]] virtual StorageStatement& prepare(std::string_view sql) = 0;
    [[nodiscard]] virtual std::uint64_t changes() const = 0;
    // `values` is row-major.
    virtual void bulk_insert(
        std::string_view table,
        std::span<const tenon_str> columns,
        std::span<const tenon_value> values
    ) = 0;
    [[nodiscard]] virtual std::string explain(std::string_view sql) = 0;

    // JSON; storage.h gives the shape.
    [[nodiscard]] virtual std::string plan(std::string_view, std::span<const tenon_value>) {
        detail::storage_lacks("plan");
    }

    [[nodiscard]] tenon_session* handle() noexcept {
        return reinterpret_cast<tenon_session*>(this);
    }

    [[nodiscard]] static StorageSession& of(tenon_session* raw) noexcept {
        return *reinterpret_cast<StorageSession*>(raw);
    }

protected:
    ~StorageSession() = default;
};

// Called from any thread of the pool, concurrently.
class StorageProvider {
public:
    static constexpr std::string_view k_id = "tenon.storage/1";

    // [any] "sqlite" or "postgres": the SQL that is understood.
    [[nodiscard]] virtual std::string_view dialect() const noexcept = 0;
    // Throws Error TENON_TIMEOUT when none is free before the deadline.
    [[nodiscard]] virtual StorageSession& lease(std::uint32_t intent, std::int64_t deadline_ns) = 0;
    // Rolls back what is open.
    virtual void release(StorageSession& session) noexcept = 0;
    // `size` is set, the rest is zero.
    virtual void stats(tenon_storage_stats& out) = 0;

    // Runs `fn` in a transaction; gives back its failure, or throws. Override it to group commits.
    [[nodiscard]] virtual tenon_status transact(
        std::uint32_t intent,
        std::int64_t deadline_ns,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_err* err
    ) {
        struct Leased {
            StorageProvider& provider;
            StorageSession& session;

            ~Leased() { provider.release(session); }
        } leased{*this, lease(intent, deadline_ns)};

        leased.session.begin();
        const tenon_status status = fn(ctx, leased.session.handle(), err);
        if (status == TENON_OK) {
            leased.session.commit();
        } else {
            leased.session.rollback();
        }
        return status;
    }

    // As transact, with what else the caller asks for; gives the write's position to the sink.
    [[nodiscard]] virtual tenon_status transact_with(
        const tenon_transaction_options& options,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_sink,
        tenon_err* err
    ) {
        return transact(options.intent, options.deadline_ns, fn, ctx, err);
    }

    // Gives `row` all rows of a statement that only reads.
    [[nodiscard]] virtual tenon_status
    run_query(const tenon_query& query, tenon_row_fn row, void* ctx, tenon_err* err) {
        struct Call {
            const tenon_query& query;
            tenon_row_fn row;
            void* ctx;
        } call{query, row, ctx};

        const auto work = [](void* raw, tenon_session* session, tenon_err* into) noexcept {
            const auto& mine = *static_cast<Call*>(raw);
            return run(into, [&] {
                return give_rows(of(session), mine.query, mine.row, mine.ctx);
            });
        };
        return transact(TENON_INTENT_READ, query.deadline_ns, work, &call, err);
    }

    // [any] JSON; storage.h gives the shape.
    [[nodiscard]] virtual std::string statements() {
        detail::storage_lacks("statistics of statements");
    }

    [[nodiscard]] virtual tenon_iface clone(bool /*with_rows*/, std::int64_t /*deadline_ns*/) {
        detail::storage_lacks("clone");
    }

    virtual void drop_clone(tenon_iface) noexcept {}

    [[nodiscard]] static const void* table(const StorageProvider&) noexcept {
        static constexpr tenon_storage_1 k_table{
            sizeof(tenon_storage_1),
            0,
            &name_of_dialect,
            &run_transaction,
            &lease_session,
            &release_session,
            &control<&StorageSession::begin>,
            &control<&StorageSession::commit>,
            &control<&StorageSession::rollback>,
            [](tenon_session* s, tenon_str sql, tenon_err* err) noexcept {
                return run(err, [&] { of(s).execute(view(sql)); });
            },
            &prepare_statement,
            &bind_value,
            &step_statement,
            [](tenon_statement* s) noexcept { return of(s).column_count(); },
            &name_of_column,
            &read_column,
            [](tenon_session* s) noexcept { return of(s).changes(); },
            &insert_many,
            &explain_statement,
            &read_stats,
            &run_transaction_with,
            &query_rows,
            &plan_statement,
            &read_statements,
            &make_clone,
            [](void* self, tenon_iface clone) noexcept { of(self).drop_clone(clone); }};
        return &k_table;
    }

protected:
    ~StorageProvider() = default;

private:
    static StorageProvider& of(void* self) noexcept { return *static_cast<StorageProvider*>(self); }

    static StorageSession& of(tenon_session* raw) noexcept { return StorageSession::of(raw); }

    static StorageStatement& of(tenon_statement* raw) noexcept { return StorageStatement::of(raw); }

    // As tenon::guard, and keeps whether a failure may be tried again.
    template <class Body>
    static tenon_status run(tenon_err* err, Body&& body) noexcept {
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

    static tenon_status run_transaction(
        void* self,
        std::uint32_t intent,
        std::int64_t deadline_ns,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_err* err
    ) noexcept {
        return run(err, [&] { return of(self).transact(intent, deadline_ns, fn, ctx, err); });
    }

    static tenon_status run_transaction_with(
        void* self,
        const tenon_transaction_options* options,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_sink position,
        tenon_err* err
    ) noexcept {
        return run(err, [&] {
            auto known = sized<tenon_transaction_options>();
            std::memcpy(&known, options, std::min<std::size_t>(options->size, sizeof known));
            return of(self).transact_with(known, fn, ctx, position, err);
        });
    }

    static tenon_status query_rows(
        void* self,
        const tenon_query* query,
        tenon_row_fn row,
        void* ctx,
        tenon_err* err
    ) noexcept {
        return run(err, [&] { return of(self).run_query(*query, row, ctx, err); });
    }

    static tenon_status
    give_rows(StorageSession& session, const tenon_query& query, tenon_row_fn row, void* ctx) {
        StorageStatement& statement = session.prepare(view(query.sql));
        for (std::uint32_t i = 0; i < query.value_count; ++i) {
            statement.bind(i + 1, query.values[i]);
        }
        std::vector<tenon_value> columns;
        while (statement.step()) {
            // Asked once a row is there: the first step may prepare the statement anew.
            columns.resize(statement.column_count());
            for (std::uint32_t i = 0; i < columns.size(); ++i) {
                columns[i] = statement.column(i);
            }
            const auto count = static_cast<std::uint32_t>(columns.size());
            const tenon_status status = row(ctx, columns.data(), count);
            if (status != TENON_OK) {
                return status;
            }
        }
        return TENON_OK;
    }

    static tenon_status plan_statement(
        tenon_session* s,
        tenon_str sql,
        const tenon_value* values,
        std::uint32_t count,
        tenon_sink out,
        tenon_err* err
    ) noexcept {
        return run(err, [&] {
            const std::string plan = of(s).plan(view(sql), {values, count});
            return out.put(out.ctx, bytes(plan));
        });
    }

    static tenon_status read_statements(void* self, tenon_sink out, tenon_err* err) noexcept {
        return run(err, [&] {
            const std::string statements = of(self).statements();
            return out.put(out.ctx, bytes(statements));
        });
    }

    static tenon_status make_clone(
        void* self,
        std::uint32_t rows,
        std::int64_t deadline_ns,
        tenon_iface* out,
        tenon_err* err
    ) noexcept {
        return run(err, [&] { *out = of(self).clone(rows != 0, deadline_ns); });
    }

    static tenon_status lease_session(
        void* self,
        std::uint32_t intent,
        std::int64_t deadline_ns,
        tenon_session** out,
        tenon_err* err
    ) noexcept {
        return run(err, [&] { *out = of(self).lease(intent, deadline_ns).handle(); });
    }

    // Functions and not lambdas in the table: g++ 12 calls the pure virtual by its name from those.
    static tenon_str name_of_dialect(void* self) noexcept { return str(of(self).dialect()); }

    static void release_session(void* self, tenon_session* s) noexcept { of(self).release(of(s)); }

    static tenon_status prepare_statement(
        tenon_session* s,
        tenon_str sql,
        tenon_statement** out,
        tenon_err* err
    ) noexcept {
        return run(err, [&] { *out = of(s).prepare(view(sql)).handle(); });
    }

    static tenon_status bind_value(
        tenon_statement* s,
        std::uint32_t index,
        const tenon_value* value,
        tenon_err* err
    ) noexcept {
        return run(err, [&] { of(s).bind(index, *value); });
    }

    static tenon_status
    step_statement(tenon_statement* s, std::uint32_t* row, tenon_err* err) noexcept {
        *row = 0;
        return run(err, [&] { *row = of(s).step() ? 1 : 0; });
    }

    static tenon_str name_of_column(tenon_statement* s, std::uint32_t index) noexcept {
        tenon_str name{};
        (void)guard(nullptr, [&] { name = str(of(s).column_name(index)); });
        return name;
    }

    static tenon_status
    read_column(tenon_statement* s, std::uint32_t index, tenon_value* out) noexcept {
        return run(nullptr, [&] { *out = of(s).column(index); });
    }

    static tenon_status insert_many(
        tenon_session* s,
        tenon_str table,
        const tenon_str* columns,
        std::uint32_t column_count,
        const tenon_value* values,
        std::uint64_t row_count,
        tenon_err* err
    ) noexcept {
        return run(err, [&] {
            of(s).bulk_insert(
                view(table), {columns, column_count}, {values, row_count * column_count}
            );
        });
    }

    static tenon_status
    explain_statement(tenon_session* s, tenon_str sql, tenon_sink out, tenon_err* err) noexcept {
        return run(err, [&] {
            const std::string plan = of(s).explain(view(sql));
            return out.put(out.ctx, bytes(plan));
        });
    }

    static tenon_status read_stats(void* self, tenon_storage_stats* out) noexcept {
        return guard(nullptr, [&] {
            auto stats = sized<tenon_storage_stats>();
            of(self).stats(stats);
            return copy_out(stats, out);
        });
    }

    template <void (StorageSession::*Call)()>
    static tenon_status control(tenon_session* s, tenon_err* err) noexcept {
        return run(err, [&] { (of(s).*Call)(); });
    }
};

}  // namespace tenon
