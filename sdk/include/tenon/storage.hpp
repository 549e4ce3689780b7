// SPDX-License-Identifier: Apache-2.0
// C++ side of tenon.storage/1: transactions as lambdas, statements with typed bind and columns.
//
//   Storage storage{host.require<tenon_storage_1>("tenon.storage/1")};
//   storage.write(deadline_ns, [&](Session& s) {
//       s.prepare("INSERT INTO t(a, b) VALUES (?, ?)").bind_all(1, "x").run();
//   });
//
// Everything here blocks: [io] threads only. Failures throw StorageError. A lambda may run more
// than once and on another thread: no effect but through the session.
#pragma once

#include <tenon/abi/storage.h>
#include <tenon/plugin.hpp>
#include <tenon/structs.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon {

inline constexpr std::int64_t k_no_deadline = INT64_MAX;

// What may be done about a failure; storage.h says more.
enum class Failure : std::uint32_t {
    not_told = 0,
    retry_now = TENON_FAILURE_RETRY_NOW,
    retry_transaction = TENON_FAILURE_RETRY_TRANSACTION,
    other_host = TENON_FAILURE_OTHER_HOST,
    constraint = TENON_FAILURE_CONSTRAINT,
    timeout = TENON_FAILURE_TIMEOUT,
    permanent = TENON_FAILURE_PERMANENT,
    in_doubt = TENON_FAILURE_IN_DOUBT,
};

[[nodiscard]] constexpr bool is_retryable(Failure failure) noexcept {
    return failure == Failure::retry_now || failure == Failure::retry_transaction ||
           failure == Failure::other_host;
}

// tenon_err.flags that say it.
[[nodiscard]] constexpr std::uint32_t flags_of(Failure failure) noexcept {
    return static_cast<std::uint32_t>(failure) << TENON_FAILURE_SHIFT |
           (is_retryable(failure) ? TENON_ERR_RETRYABLE : 0U);
}

// The same backwards; a backend before ABI 1.1 tells no more than whether a retry helps.
[[nodiscard]] constexpr Failure failure_of(std::uint32_t flags) noexcept {
    const std::uint32_t told = TENON_FAILURE(flags);
    if (told > TENON_FAILURE_IN_DOUBT || (told == 0 && (flags & TENON_ERR_RETRYABLE) != 0)) {
        return (flags & TENON_ERR_RETRYABLE) != 0 ? Failure::retry_transaction : Failure::not_told;
    }
    return static_cast<Failure>(told);
}

// A failure of the storage. retryable(): the same transaction may be tried again.
class StorageError : public Error {
public:
    StorageError(tenon_status status, std::string message, Failure failure)
        : Error{status, std::move(message)}, failure_{failure} {}

    [[nodiscard]] Failure failure() const noexcept { return failure_; }

    [[nodiscard]] bool retryable() const noexcept { return is_retryable(failure_); }

private:
    Failure failure_;
};

namespace detail {

inline void storage_check(tenon_status status, const ErrorBuffer& err) {
    if (status < 0) {
        std::string message{err.message()};
        if (message.empty()) {
            message = "storage failed with status " + std::to_string(status);
        }
        throw StorageError{status, std::move(message), failure_of(err.flags)};
    }
}

[[noreturn]] inline void storage_lacks(std::string_view what) {
    throw StorageError{
        TENON_UNSUPPORTED, "this storage has no " + std::string{what}, Failure::permanent};
}

}  // namespace detail

[[nodiscard]] inline tenon_value null_value() noexcept {
    return {};
}

// As it is.
[[nodiscard]] inline tenon_value value_of(const tenon_value& value) noexcept {
    return value;
}

[[nodiscard]] inline tenon_value value_of(std::nullptr_t) noexcept {
    return {};
}

template <std::integral Integer>
[[nodiscard]] tenon_value value_of(Integer i) {
    if constexpr (std::is_unsigned_v<Integer> && sizeof(Integer) == sizeof(std::int64_t)) {
        if (i > static_cast<Integer>(INT64_MAX)) {
            throw Error{TENON_INVALID, "an integer does not fit into 64 signed bits"};
        }
    }
    tenon_value value{};
    value.kind = TENON_VALUE_INT64;
    value.i = static_cast<std::int64_t>(i);
    return value;
}

[[nodiscard]] inline tenon_value value_of(double r) noexcept {
    tenon_value value{};
    value.kind = TENON_VALUE_REAL;
    value.r = r;
    return value;
}

[[nodiscard]] inline tenon_value value_of(std::string_view text) noexcept {
    tenon_value value{};
    value.kind = TENON_VALUE_TEXT;
    value.b = bytes(text);
    return value;
}

[[nodiscard]] inline tenon_value value_of(const char* text) noexcept {
    return value_of(std::string_view{text});
}

[[nodiscard]] inline tenon_value value_of(const std::string& text) noexcept {
    return value_of(std::string_view{text});
}

[[nodiscard]] inline tenon_value value_of(tenon_str text) noexcept {
    return value_of(view(text));
}

// A blob; text goes as text.
[[nodiscard]] inline tenon_value value_of(tenon_bytes blob) noexcept {
    tenon_value value{};
    value.kind = TENON_VALUE_BLOB;
    value.b = blob;
    return value;
}

template <class T>
[[nodiscard]] tenon_value value_of(const std::optional<T>& maybe) {
    return maybe ? value_of(*maybe) : tenon_value{};
}

// A prepared statement of a session's cache; a handle, valid until the end of the transaction.
class Statement {
public:
    Statement(const tenon_storage_1* table, tenon_statement* raw) : table_{table}, raw_{raw} {}

    // 1-based.
    template <class T>
    Statement& bind(std::uint32_t index, const T& value) {
        const tenon_value raw = value_of(value);
        ErrorBuffer err;
        detail::storage_check(table_->bind(raw_, index, &raw, &err), err);
        return *this;
    }

    // All parameters from the first.
    template <class... T>
    Statement& bind_all(const T&... values) {
        std::uint32_t index = 0;
        (bind(++index, values), ...);
        return *this;
    }

    // True: a row is there.
    bool step() {
        ErrorBuffer err;
        std::uint32_t row = 0;
        detail::storage_check(table_->step(raw_, &row, &err), err);
        return row != 0;
    }

    // Steps to the end.
    void run() {
        while (step()) {}
    }

    [[nodiscard]] std::uint32_t column_count() const { return table_->column_count(raw_); }

    [[nodiscard]] std::string_view column_name(std::uint32_t index) const {
        return view(table_->column_name(raw_, index));
    }

    // 0-based; texts and blobs are borrowed until the next step.
    [[nodiscard]] tenon_value value(std::uint32_t index) const {
        tenon_value out{};
        const ErrorBuffer none;
        detail::storage_check(table_->column(raw_, index, &out), none);
        return out;
    }

    [[nodiscard]] bool is_null(std::uint32_t index) const {
        return value(index).kind == TENON_VALUE_NULL;
    }

    [[nodiscard]] std::int64_t integer(std::uint32_t index) const {
        return expect(index, TENON_VALUE_INT64).i;
    }

    template <std::integral Integer>
    [[nodiscard]] Integer as(std::uint32_t index) const {
        const std::int64_t wide = integer(index);
        if (!std::in_range<Integer>(wide)) {
            throw Error{TENON_CORRUPT, std::string{column_name(index)} + " is out of range"};
        }
        return static_cast<Integer>(wide);
    }

    [[nodiscard]] double real(std::uint32_t index) const {
        return expect(index, TENON_VALUE_REAL).r;
    }

    [[nodiscard]] std::string_view text(std::uint32_t index) const {
        return view(expect(index, TENON_VALUE_TEXT).b);
    }

    [[nodiscard]] std::string_view blob(std::uint32_t index) const {
        return view(expect(index, TENON_VALUE_BLOB).b);
    }

private:
    [[nodiscard]] tenon_value expect(std::uint32_t index, std::uint32_t kind) const {
        const tenon_value found = value(index);
        if (found.kind != kind) {
            throw Error{
                TENON_CORRUPT,
                "column " + std::string{column_name(index)} + " has kind " +
                    std::to_string(found.kind) + ", expected " + std::to_string(kind)};
        }
        return found;
    }

    const tenon_storage_1* table_;
    tenon_statement* raw_;
};

// A session as a handle: what a transaction's lambda gets, and what a Lease holds.
class Session {
public:
    Session(const tenon_storage_1* table, tenon_session* raw) : table_{table}, raw_{raw} {}

    [[nodiscard]] Statement prepare(std::string_view sql) {
        ErrorBuffer err;
        tenon_statement* statement = nullptr;
        detail::storage_check(table_->prepare(raw_, str(sql), &statement, &err), err);
        return {table_, statement};
    }

    void execute(std::string_view sql) {
        ErrorBuffer err;
        detail::storage_check(table_->execute(raw_, str(sql), &err), err);
    }

    void begin() {
        ErrorBuffer err;
        detail::storage_check(table_->begin(raw_, &err), err);
    }

    void commit() {
        ErrorBuffer err;
        detail::storage_check(table_->commit(raw_, &err), err);
    }

    void rollback() {
        ErrorBuffer err;
        detail::storage_check(table_->rollback(raw_, &err), err);
    }

    [[nodiscard]] std::uint64_t changes() const { return table_->changes(raw_); }

    // `values` is row-major.
    void bulk_insert(
        std::string_view table,
        std::span<const tenon_str> columns,
        std::span<const tenon_value> values
    ) {
        ErrorBuffer err;
        detail::storage_check(
            table_->bulk_insert(
                raw_,
                str(table),
                columns.data(),
                static_cast<std::uint32_t>(columns.size()),
                values.data(),
                columns.empty() ? 0 : values.size() / columns.size(),
                &err
            ),
            err
        );
    }

    [[nodiscard]] std::string explain(std::string_view sql) {
        ErrorBuffer err;
        StringSink plan;
        detail::storage_check(table_->explain(raw_, str(sql), plan.sink(), &err), err);
        return std::move(plan.text());
    }

    // JSON in the shape that storage.h gives, for a statement with these values or none.
    [[nodiscard]] std::string plan(std::string_view sql, std::span<const tenon_value> values = {}) {
        if (!TENON_HAS(table_, tenon_storage_1, plan)) {
            detail::storage_lacks("plan");
        }
        ErrorBuffer err;
        StringSink out;
        const auto count = static_cast<std::uint32_t>(values.size());
        detail::storage_check(
            table_->plan(raw_, str(sql), values.data(), count, out.sink(), &err), err
        );
        return std::move(out.text());
    }

    [[nodiscard]] tenon_session* raw() const noexcept { return raw_; }

private:
    const tenon_storage_1* table_;
    tenon_session* raw_;
};

// A connection of one's own. Gives it back, with what is open rolled back.
class Lease {
public:
    Lease(Service<tenon_storage_1> service, tenon_session* raw)
        : service_{service}, session_{service.table, raw} {}

    Lease(Lease&& other) noexcept : service_{other.service_}, session_{other.session_} {
        other.service_ = {};
    }

    Lease& operator=(Lease&&) = delete;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    ~Lease() {
        if (service_) {
            service_->release(service_.self, session_.raw());
        }
    }

    [[nodiscard]] Session& operator*() noexcept { return session_; }

    [[nodiscard]] Session* operator->() noexcept { return &session_; }

private:
    Service<tenon_storage_1> service_;
    Session session_;
};

class StorageClone;

class Storage {
public:
    Storage() = default;

    explicit Storage(Service<tenon_storage_1> service) : service_{service} {}

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(service_); }

    [[nodiscard]] std::string_view dialect() const {
        return view(service_->dialect(service_.self));
    }

    // Runs body(Session&) in a transaction that is durable when this returns. An exception of the
    // body rolls back and comes out here.
    template <class Body>
    void write(std::int64_t deadline_ns, Body&& body) const {
        transact(TENON_INTENT_WRITE, deadline_ns, body);
    }

    template <class Body>
    void read(std::int64_t deadline_ns, Body&& body) const {
        transact(TENON_INTENT_READ, deadline_ns, body);
    }

    // A transaction as `options` ask for; see tenon_transaction_options. Gives back the write's
    // position, for `after` of a later read. A storage without it takes intent and deadline only.
    template <class Body>
    std::string transact(const tenon_transaction_options& options, Body&& body) const {
        StringSink position;
        run(body, [&](tenon_transaction_fn fn, void* ctx, tenon_err* err) {
            return TENON_HAS(service_.table, tenon_storage_1, transact_with)
                       ? service_->transact_with(
                             service_.self, &options, fn, ctx, position.sink(), err
                         )
                       : service_->transact(
                             service_.self, options.intent, options.deadline_ns, fn, ctx, err
                         );
        });
        return std::move(position.text());
    }

    // Calls row(std::span<const tenon_value>) for each row of a statement that only reads. Rows may
    // come from the query cache; ttl_ms as in tenon_query. A storage without a cache runs it.
    template <class Row>
    void query(
        std::int64_t deadline_ns,
        std::string_view sql,
        std::span<const tenon_value> values,
        Row&& row,
        std::int64_t ttl_ms = -1
    ) const {
        if (!TENON_HAS(service_.table, tenon_storage_1, query)) {
            read(deadline_ns, [&](Session& session) { run_query(session, sql, values, row); });
            return;
        }

        struct Call {
            Row& row;
            std::exception_ptr failure;
        } call{row, nullptr};

        const auto give = [](void* ctx, const tenon_value* columns, std::uint32_t count
                          ) noexcept -> tenon_status {
            auto& mine = *static_cast<Call*>(ctx);
            try {
                mine.row(std::span<const tenon_value>{columns, count});
                return TENON_OK;
            } catch (...) {
                mine.failure = std::current_exception();
                return TENON_INTERNAL;
            }
        };
        auto query = sized<tenon_query>();
        query.value_count = static_cast<std::uint32_t>(values.size());
        query.sql = str(sql);
        query.values = values.data();
        query.deadline_ns = deadline_ns;
        query.ttl_ms = ttl_ms;
        ErrorBuffer err;
        const tenon_status status = service_->query(service_.self, &query, give, &call, &err);
        if (call.failure) {
            std::rethrow_exception(call.failure);
        }
        detail::storage_check(status, err);
    }

    // What was run, as JSON in the shape that storage.h gives.
    [[nodiscard]] std::string statements() const {
        if (!TENON_HAS(service_.table, tenon_storage_1, statements)) {
            detail::storage_lacks("statistics of statements");
        }
        ErrorBuffer err;
        StringSink out;
        detail::storage_check(service_->statements(service_.self, out.sink(), &err), err);
        return std::move(out.text());
    }

    [[nodiscard]] Lease lease(std::uint32_t intent, std::int64_t deadline_ns) const {
        ErrorBuffer err;
        tenon_session* raw = nullptr;
        detail::storage_check(service_->lease(service_.self, intent, deadline_ns, &raw, &err), err);
        return {service_, raw};
    }

    [[nodiscard]] tenon_storage_stats stats() const {
        tenon_storage_stats stats{};
        stats.size = sizeof stats;
        const ErrorBuffer none;
        detail::storage_check(service_->stats(service_.self, &stats), none);
        return stats;
    }

    // A copy for trials; see storage.h.
    [[nodiscard]] StorageClone clone(bool with_rows, std::int64_t deadline_ns) const;

    [[nodiscard]] Service<tenon_storage_1> service() const noexcept { return service_; }

private:
    template <class Body>
    void transact(std::uint32_t intent, std::int64_t deadline_ns, Body& body) const {
        run(body, [&](tenon_transaction_fn fn, void* ctx, tenon_err* err) {
            return service_->transact(service_.self, intent, deadline_ns, fn, ctx, err);
        });
    }

    // start(fn, ctx, err) begins the transaction that runs `body`.
    template <class Body, class Start>
    void run(Body& body, Start&& start) const {
        struct Call {
            Body& body;
            const tenon_storage_1* table;
            std::exception_ptr failure;
        } call{body, service_.table, nullptr};

        const auto work = [](void* ctx, tenon_session* raw, tenon_err* err
                          ) noexcept -> tenon_status {
            auto& mine = *static_cast<Call*>(ctx);
            mine.failure = nullptr;
            try {
                Session session{mine.table, raw};
                mine.body(session);
                return TENON_OK;
            } catch (const StorageError& e) {
                mine.failure = std::current_exception();
                return fail(err, e.code(), e.what(), flags_of(e.failure()));
            } catch (const Error& e) {
                mine.failure = std::current_exception();
                return fail(err, e.code(), e.what());
            } catch (...) {
                mine.failure = std::current_exception();
                return fail(err, TENON_INTERNAL, "the transaction threw");
            }
        };
        ErrorBuffer err;
        const tenon_status status = start(work, &call, &err);
        if (status < 0 && call.failure) {
            std::rethrow_exception(call.failure);
        }
        detail::storage_check(status, err);
    }

    template <class Row>
    static void run_query(
        Session& session,
        std::string_view sql,
        std::span<const tenon_value> values,
        Row& row
    ) {
        Statement statement = session.prepare(sql);
        for (std::size_t i = 0; i < values.size(); ++i) {
            statement.bind(static_cast<std::uint32_t>(i + 1), values[i]);
        }
        std::vector<tenon_value> columns;
        while (statement.step()) {
            // Asked once a row is there: the first step may prepare the statement anew.
            columns.resize(statement.column_count());
            for (std::size_t i = 0; i < columns.size(); ++i) {
                columns[i] = statement.value(static_cast<std::uint32_t>(i));
            }
            row(std::span<const tenon_value>{columns});
        }
    }

    Service<tenon_storage_1> service_;
};

// A copy of a database, gone with this object, which must not outlive the storage it came from.
class StorageClone {
public:
    StorageClone(Service<tenon_storage_1> original, tenon_iface copy) noexcept
        : original_{original},
          copy_{copy},
          storage_{{copy.self, static_cast<const tenon_storage_1*>(copy.vt)}} {}

    StorageClone(const StorageClone&) = delete;
    StorageClone& operator=(const StorageClone&) = delete;

    ~StorageClone() { original_->drop_clone(original_.self, copy_); }

    [[nodiscard]] const Storage& operator*() const noexcept { return storage_; }

    [[nodiscard]] const Storage* operator->() const noexcept { return &storage_; }

private:
    Service<tenon_storage_1> original_;
    tenon_iface copy_;
    Storage storage_;
};

inline StorageClone Storage::clone(bool with_rows, std::int64_t deadline_ns) const {
    if (!TENON_HAS(service_.table, tenon_storage_1, clone) ||
        !TENON_HAS(service_.table, tenon_storage_1, drop_clone)) {
        detail::storage_lacks("clone");
    }
    ErrorBuffer err;
    tenon_iface copy{};
    detail::storage_check(
        service_->clone(service_.self, with_rows ? 1 : 0, deadline_ns, &copy, &err), err
    );
    return {service_, copy};
}

}  // namespace tenon
