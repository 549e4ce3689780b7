// SPDX-License-Identifier: Apache-2.0
// tenon.storage/1 in C++, the side of a backend: derive from StorageProvider, StorageSession and
// StorageStatement, and call provide<tenon::StorageProvider>(this) in the plugin's constructor. The
// side of those who use a database is storage.hpp.
//
// Sessions and statements are the backend's own objects; they live until release. A failure that
// may be tried again is thrown as StorageError with retryable true.
#pragma once

#include <tenon/storage.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

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
            &read_stats};
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
                return fail(err, e.code(), e.what(), e.retryable() ? TENON_ERR_RETRYABLE : 0);
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
